//! The page, made of the table and of answers.

use super::entry::{Entry, Example, Section, text};
use callboard_actors::rpc_frontend::openrpc_document;
use serde_json::Value;
use std::fmt::Write;

const INTRODUCTION: &str = "# Reference of methods and routes

Every method of Callboard's own and every REST route, each with a line that asks and what a node answered; [Ethereum's
methods](#ethereums-methods) at the end. A node answers the same as an OpenRPC document, with schemas and errors, to
`rpc.discover`. Generated: a test runs each line against real nodes, compares the answers and holds them against the
schemas; only what differs from node to node and from second to second, such as times, rates, addresses and node ids, is
compared by its form.

The examples are of a follower on the default addresses, 127.0.0.1:8545 and, for admin methods, 127.0.0.1:8547. Its chain is
that of the development keys, with a block a second since 2026. JSON is laid out here; a node sends it in one line.
";

/// Columns of the prose, as in the rest of the book.
const COLUMNS: usize = 118;

/// The whole page.
pub(super) fn render(sections: &[Section], answers: &[String]) -> String {
    let (mut text, mut answers) = (INTRODUCTION.to_owned(), answers.iter());
    for Section { title, about, entries } in sections {
        let _ = write!(text, "\n## {title}\n\n{}\n", wrapped(about));
        for entry in entries {
            write_entry(&mut text, entry, &mut answers);
        }
    }
    write_ethereum(&mut text);
    text
}

/// The methods that other clients document, with what is to be known of them here.
fn write_ethereum(page: &mut String) {
    page.push_str(
        "\n## Ethereum's methods\n\nThose with `?` may be left out. [More on them](rpc.md#ethereums-methods).\n\n",
    );
    page.push_str("| method | parameters | answer |\n|---|---|---|\n");
    let document = openrpc_document();
    let tags = ["ethereum", "debug", "websocket"];
    let methods = document["methods"].as_array().expect("a list");
    for method in methods.iter().filter(|method| tags.contains(&text(&method["tags"][0]["name"]))) {
        let params: Vec<_> = method["params"].as_array().expect("a list").iter().map(name).collect();
        let _ =
            writeln!(page, "| `{}` | {} | {} |", text(&method["name"]), params.join(", "), text(&method["summary"]));
    }
}

fn name(param: &Value) -> String {
    format!("{}{}", text(&param["name"]), if param["required"] == true { "" } else { "?" })
}

fn write_entry<'a>(text: &mut String, entry: &Entry, answers: &mut impl Iterator<Item = &'a String>) {
    let _ = write!(text, "\n### `{}`\n\n{}\n", entry.name, wrapped(&entry.about));
    if !entry.parameters.is_empty() {
        text.push_str("\n| parameter | meaning |\n|---|---|\n");
        for (name, meaning) in &entry.parameters {
            let _ = writeln!(text, "| `{name}` | {meaning} |");
        }
    }
    for example in &entry.examples {
        write_example(text, example, answers.next().map_or("", String::as_str));
    }
}

fn write_example(text: &mut String, example: &Example, answer: &str) {
    if !example.says.is_empty() {
        let _ = write!(text, "\n{}\n", wrapped(example.says));
    }
    let _ = write!(text, "\n```sh\n{}\n```\n\n", example.curl);
    if example.status != 200 {
        let _ = write!(text, "Status {}:\n\n", example.status);
    }
    let kind = if example.is_text() { "text" } else { "json" };
    let _ = write!(text, "```{kind}\n{}\n```\n", answer.trim_end());
    if !example.shown.is_empty() {
        let list = |(pointer, count): &(&str, usize)| match count {
            1 => format!("the first of `{pointer}`"),
            count => format!("the first {count} of `{pointer}`"),
        };
        let lists: Vec<_> = example.shown.iter().map(list).collect();
        let _ = write!(text, "\nShortened here: only {}.\n", lists.join(", "));
    }
}

fn wrapped(text: &str) -> String {
    let (mut lines, mut line) = (Vec::new(), String::new());
    for word in text.split(' ') {
        if !line.is_empty() && line.len() + word.len() >= COLUMNS {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines.push(line);
    lines.join("\n")
}

/// The answers of a page.
pub(super) fn answers(page: &str) -> Vec<String> {
    let (mut answers, mut open) = (Vec::new(), None::<String>);
    for line in page.lines() {
        match (&mut open, line) {
            (None, "```json" | "```text") => open = Some(String::new()),
            (Some(_), "```") => answers.extend(open.take().map(|text| text.trim_end().to_owned())),
            (Some(text), line) => {
                text.push_str(line);
                text.push('\n');
            }
            (None, _) => {}
        }
    }
    answers
}
