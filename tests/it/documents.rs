//! What the README and the book say, held against the program.

use callboard::cli::Cli;
use callboard::configuration::{Configuration, KEYS, Key, SECTIONS};
use clap::{CommandFactory, Parser};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// Set, it writes the generated pages instead of comparing them.
const WRITE: &str = "CALLBOARD_WRITE_DOCS";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// README, and every page of the book.
fn pages() -> Vec<PathBuf> {
    let book = std::fs::read_dir(root().join("docs/src")).expect("docs/src");
    let pages =
        book.map(|entry| entry.expect("entry").path()).filter(|path| path.extension().is_some_and(|e| e == "md"));
    std::iter::once(root().join("README.md")).chain(pages).collect()
}

/// The lines of a page's fenced `sh` blocks, without comments; continued lines joined.
fn shell_lines(text: &str) -> Vec<String> {
    let mut inside = false;
    let mut lines = Vec::new();
    for line in text.replace("\\\n", " ").lines() {
        if line.starts_with("```") {
            inside = line.trim() == "```sh";
        } else if inside {
            lines.push(line.split(" #").next().unwrap_or_default().trim().to_owned());
        }
    }
    lines
}

/// The arguments of a line that runs this program.
fn arguments(line: &str) -> Option<Vec<String>> {
    let rest = ["callboard ", "cargo run --release -- "].iter().find_map(|start| line.strip_prefix(start))?;
    let rest = rest.split([';', '>', '|', '&']).next().unwrap_or_default();
    Some(rest.split_whitespace().map(|word| word.trim_matches('"').to_owned()).collect())
}

#[test]
fn every_command_in_the_documents_is_understood() {
    let mut commands = 0;
    for page in pages() {
        for arguments in shell_lines(&read(&page)).iter().filter_map(|line| arguments(line)) {
            let line = arguments.join(" ");
            let parsed = Cli::try_parse_from(std::iter::once("callboard".to_owned()).chain(arguments));
            if let Err(error) = parsed {
                panic!("{}: callboard {line}: {error}", page.display());
            }
            commands += 1;
        }
    }
    assert!(commands >= 10, "only {commands} commands were found in the documents");
}

#[test]
fn every_command_of_the_program_is_in_the_book() {
    let page = read(&root().join("docs/src/command-line.md"));
    let mut missing = Vec::new();
    let mut pending = vec![(String::from("callboard"), Cli::command())];
    while let Some((name, command)) = pending.pop() {
        let own: Vec<_> = command.get_subcommands().filter(|sub| sub.get_name() != "help").cloned().collect();
        if own.is_empty() {
            let described = page.contains(&format!("`{name}`")) || page.contains(&format!("`{name} "));
            missing.extend((!described).then_some(name.clone()));
        }
        pending.extend(own.into_iter().map(|sub| (format!("{name} {}", sub.get_name()), sub)));
    }
    assert_eq!(missing, Vec::<String>::new(), "not in docs/src/command-line.md");
}

#[test]
fn configuration_reference_is_that_of_the_keys() {
    let path = root().join("docs/src/configuration-keys.md");
    let expected = configuration_reference();
    if std::env::var_os(WRITE).is_some() {
        std::fs::write(&path, &expected).expect("written");
    }
    assert_eq!(read(&path), expected, "run: {WRITE}=1 cargo test --test it documents");
}

fn configuration_reference() -> String {
    let defaults = defaults();
    let mut text = String::from(
        "# Configuration keys\n\nGenerated from the table of keys in `src/configuration/keys.rs` and the defaults beside it.\n",
    );
    for section in SECTIONS {
        let _ = write!(text, "\n## `[{section}]`\n\n| key | default | may be | meaning |\n|---|---|---|---|\n");
        for key in KEYS.iter().filter(|key| key.section_and_name().0 == section) {
            let default = defaults.get(key.name).map_or(String::from("not set"), |value| format!("`{value}`"));
            let _ = writeln!(
                text,
                "| `{}` | {default} | {} | {} |",
                key.section_and_name().1,
                cell(&key.kind.allowed()),
                cell(key.about),
            );
        }
    }
    text
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

/// Each key's default, as it is written in TOML. Paths as they are given, relative to the file.
fn defaults() -> BTreeMap<&'static str, serde_json::Value> {
    let configuration = Configuration::from_toml("", Path::new("/folder")).expect("the defaults are valid");
    let default = |key: &Key| {
        let value = &configuration.entry(key.name)?.value;
        let value = value.as_str().and_then(|text| text.strip_prefix("/folder/")).map_or(value.clone(), Into::into);
        Some((key.name, value))
    };
    KEYS.iter().filter_map(default).collect()
}

#[test]
fn invariants_name_tests_that_exist() {
    let text = read(&root().join("ARCHITECTURE.md"));
    let section = |title: &str| {
        let (_, section) = text.split_once(&format!("\n## {title}\n")).expect(title);
        section.split_once("\n## ").expect("a section after it").0
    };
    let section = [section("Invariants"), section("What broke the first systems")].concat();
    let sources = sources();
    // Names of tests have at least four words; other things in backquotes are shorter.
    let names: Vec<_> = section
        .split('`')
        .skip(1)
        .step_by(2)
        .filter(|name| name.matches('_').count() >= 3 && !name.contains(' '))
        .collect();
    assert!(names.len() >= 20, "only {} tests are named", names.len());
    let missing: Vec<_> = names.iter().filter(|name| !sources.contains(&format!("fn {name}("))).collect();
    assert!(missing.is_empty(), "ARCHITECTURE.md names tests that do not exist: {missing:?}");
}

/// Invariants that the design demands.
const INVARIANTS: std::ops::RangeInclusive<u32> = 1..=10;

#[test]
fn each_invariant_has_a_guard_that_was_taken_out_and_a_test_that_failed_then() {
    let text = read(&root().join("ARCHITECTURE.md"));
    let (_, table) = text.split_once("\n### Guards, and the tests that miss them\n").expect("a table of guards");
    let (table, _) = table.split_once("\n## ").expect("a section after it");
    let sources = sources();
    let names_a_test = |cell: &str| {
        let mut names = cell.split('`').skip(1).step_by(2);
        names.any(|name| name.matches('_').count() >= 3 && sources.contains(&format!("fn {name}(")))
    };
    let guards = |invariant: u32| {
        let begins = format!("| {invariant} | ");
        table.lines().filter(move |line| line.starts_with(&begins)).collect::<Vec<_>>()
    };
    let unguarded: Vec<_> = INVARIANTS.filter(|invariant| guards(*invariant).is_empty()).collect();
    assert!(unguarded.is_empty(), "invariants of which the table of guards has no line: {unguarded:?}");
    for line in INVARIANTS.flat_map(guards) {
        let cells: Vec<_> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let [_, guard, taken_out, failed] = cells[..] else { panic!("not four cells: {line}") };
        assert!(!guard.is_empty() && !taken_out.is_empty() && names_a_test(failed), "not said in full: {line}");
    }
}

/// All Rust sources of the workspace, one after another.
fn sources() -> String {
    let mut text = String::new();
    let mut folders: Vec<_> = ["src", "actors", "chain", "store", "tests/it"].map(|folder| root().join(folder)).into();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder of the workspace") {
            let path = entry.expect("entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                text += &read(&path);
            }
        }
    }
    text
}
