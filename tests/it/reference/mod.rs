//! The reference of methods and routes: every line of it is run against real nodes, and what it shows is what they answer.
//!
//! [`entries`] is the table: who adds a method or a route adds an entry there, then runs
//! `CALLBOARD_WRITE_DOCS=1 cargo test --test it reference`, which asks the nodes and writes the page.

mod compare;
mod curl;
mod entries;
mod entry;
mod layout;
mod page;
mod schemas;
mod story;

use crate::support::http::Http;
use crate::support::node::SOON;
use crate::support::until;
use callboard_actors::rpc_frontend::{ADMIN_METHODS, CALLBOARD_METHODS, rest_routes};
use compare::{answer, differences};
use entry::{Entry, Example};
use schemas::Schemas;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::PathBuf;
use story::{At, Story};

/// Set, the page is written instead of compared.
const WRITE: &str = "CALLBOARD_WRITE_DOCS";

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/src/rpc-reference.md")
}

/// Every example of these entries, with the name that it stands under.
fn examples<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> Vec<(&'a str, &'a Example)> {
    let of = |entry: &'a Entry| entry.examples.iter().map(|example| (entry.name.as_str(), example));
    entries.into_iter().flat_map(of).collect()
}

/// What the nodes answer to each example, in the order of the page. An example may rest on those before it.
fn answers(story: &mut Story, examples: &[(&str, &Example)]) -> Vec<String> {
    let mut schemas = Schemas::default();
    let http = Http::new();
    let mut answers = vec![String::new(); examples.len()];
    for at in [At::Alone, At::Following, At::Diverged] {
        let node = story.turn_to(at);
        schemas.read(&node.call("rpc.discover", json!([])));
        for ((name, example), place) in examples.iter().zip(&mut answers).filter(|((_, example), _)| example.at == at) {
            let asked = curl::parse(&example.curl).to(node);
            let (status, text) = until(&format!("{name} answers"), SOON, || {
                let answered = http.request(&asked.request, example.pieces);
                answered.ok().filter(|(_, text)| example.awaits.is_none_or(|pointer| has(text, pointer)))
            });
            assert_eq!(status, example.status, "{name}: {}: {text}", example.curl);
            schemas.check(name, &text);
            *place = answer(example, asked.lines_with.as_deref(), &text);
        }
    }
    answers
}

/// Whether there is something at a JSON pointer.
fn has(text: &str, pointer: &str) -> bool {
    let value: Value = serde_json::from_str(text).unwrap_or_default();
    value.pointer(pointer).is_some_and(|value| !value.is_null())
}

#[test]
fn the_reference_shows_what_a_node_answers() {
    let mut story = Story::new();
    let sections = entries::sections(&story.facts);
    let examples = examples(sections.iter().flat_map(|section| &section.entries));
    let live = answers(&mut story, &examples);
    let again = format!("run: {WRITE}=1 cargo test --test it reference");
    if std::env::var_os(WRITE).is_some() {
        std::fs::write(path(), page::render(&sections, &live)).expect("written");
    }
    let text = std::fs::read_to_string(path()).unwrap_or_default();
    let written = page::answers(&text);
    assert_eq!(written.len(), live.len(), "answers on the page; {again}");
    let rendered = page::render(&sections, &written);
    let other = rendered.lines().zip(text.lines()).find(|(rendered, text)| rendered != text);
    assert!(other.is_none() && rendered.len() == text.len(), "table and page differ: {other:?}; {again}");
    let mut different = Vec::new();
    for (((name, example), written), live) in examples.iter().zip(&written).zip(&live) {
        let found = differences(name, example, written, live).into_iter();
        different.extend(found.map(|difference| format!("{name}: {}\n  {difference}", example.curl)));
    }
    assert!(different.is_empty(), "{}\n{again}", different.join("\n"));
}

#[test]
fn every_method_and_every_route_is_in_the_reference() {
    let facts = story::Facts::new();
    let sections = entries::sections(&facts);
    let mut described = BTreeSet::new();
    for entry in sections.iter().flat_map(|section| &section.entries) {
        let asked: Vec<_> = entry.examples.iter().map(|example| curl::parse(&example.curl)).collect();
        assert!(asked.iter().any(|asked| asked.is_of(&entry.name)), "no example asks {}", entry.name);
        assert!(described.insert(entry.name.clone()), "{} stands there twice", entry.name);
    }
    let own = CALLBOARD_METHODS.iter().chain(ADMIN_METHODS).map(|method| (*method).to_owned());
    let beside = ["GET /".to_owned(), "GET /rpc/events".to_owned()];
    let demanded: BTreeSet<String> = own.chain(rest_routes()).chain(beside).collect();
    assert_eq!(described, demanded, "tests/it/reference/entries.rs has an entry for each method and each route");
}
