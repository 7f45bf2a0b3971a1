//! Who asks whom: an actor that waits for another, which waits for it, waits for ever.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The Rust sources below `folder`, without tests.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder of sources").map(|entry| entry.expect("entry").path());
    let is_test = |path: &PathBuf| path.file_stem().is_some_and(|stem| stem == "tests" || stem == "testing");
    entries
        .filter(|path| !is_test(path))
        .flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] })
        .collect()
}

/// The text of each module of the actors crate.
fn modules() -> BTreeMap<String, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("actors/src");
    let folders = std::fs::read_dir(root).expect("actors/src").map(|entry| entry.expect("entry").path());
    let folders = folders.filter(|path| path.is_dir() && !path.ends_with("send"));
    let text = |folder: &PathBuf| {
        sources(folder).iter().map(|file| std::fs::read_to_string(file).expect("a source")).collect()
    };
    folders.map(|folder| (folder.file_name().expect("a name").to_string_lossy().into_owned(), text(&folder))).collect()
}

/// The names of the ports that `text` asks: the word before each `.ask(`.
fn asked_ports(text: &str) -> BTreeSet<&str> {
    let before = text.match_indices(".ask(").map(|(at, _)| &text[..at]);
    before.filter_map(|before| before.rsplit(|c: char| !c.is_alphanumeric() && c != '_').next()).collect()
}

/// The message that the port `name` carries, where `text` declares it as an inbox.
fn message_of(text: &str, name: &str) -> Option<String> {
    let (_, declared) = text.split_once(&format!("{name}: Inbox<"))?;
    let (message, _) = declared.split_once('>')?;
    Some(message.rsplit("::").next().unwrap_or(message).to_owned())
}

/// For each module the modules that it waits for: those whose actor answers what it asks, and the importer, which is no
/// actor and asks for whoever uses it.
fn graph(modules: &BTreeMap<String, String>) -> BTreeMap<&str, BTreeSet<&str>> {
    let mut graph = BTreeMap::<&str, BTreeSet<&str>>::new();
    for (asker, text) in modules {
        let messages = asked_ports(text).into_iter().filter_map(|port| message_of(text, port));
        for message in messages {
            let answers = |text: &str| {
                text.contains(&format!("impl Handler<Timed<{message}>> for"))
                    || text.contains(&format!("Handler<Timed<{message}>> for ConfirmedState<R>"))
            };
            graph
                .entry(asker)
                .or_default()
                .extend(modules.iter().filter(|(_, text)| answers(text)).map(|(name, _)| name.as_str()));
        }
        // The passports are a table behind a lock, and ask nobody.
        if asker != "importer" && text.replace("importer::Passports;", "").contains("importer::") {
            graph.entry(asker).or_default().insert("importer");
        }
    }
    graph
}

fn reaches(graph: &BTreeMap<&str, BTreeSet<&str>>, from: &str, to: &str, seen: &mut BTreeSet<String>) -> bool {
    let next = graph.get(from).into_iter().flatten();
    next.into_iter().any(|name| *name == to || (seen.insert((*name).to_owned()) && reaches(graph, name, to, seen)))
}

#[test]
fn no_actor_waits_for_one_that_waits_for_it() {
    let modules = modules();
    let graph = graph(&modules);
    for (asker, asked) in [
        ("proposer", "confirmed_state"),
        ("proposer", "tx_pool"),
        ("importer", "confirmed_state"),
        ("sync_coordinator", "importer"),
        ("peer_intake", "tx_pool"),
        ("rpc_frontend", "tx_pool"),
    ] {
        assert!(graph.get(asker).is_some_and(|asks| asks.contains(asked)), "{asker} asks {asked}: {graph:?}");
    }
    for name in graph.keys() {
        assert!(!reaches(&graph, name, name, &mut BTreeSet::new()), "{name} waits for itself: {graph:?}");
    }
}
