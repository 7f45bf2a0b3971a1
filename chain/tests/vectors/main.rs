//! The official Ethereum test vectors, one module a set. They are run where `CALLBOARD_VECTORS` names the folder that
//! holds `RLPTests`, `TransactionTests` and so on; where it is not set, each test says so and passes. Where it is set,
//! a missing set or an unread file fails.
#![allow(missing_docs)]

#[path = "../execution/memory.rs"]
mod memory;
mod rlp;
mod state;
mod transactions;
mod trie;

use serde_json::Value;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// The folder with the vectors, where the environment names one.
pub(crate) fn folder() -> Option<PathBuf> {
    let folder = std::env::var_os("CALLBOARD_VECTORS").map(PathBuf::from);
    if folder.is_none() {
        println!("not run: CALLBOARD_VECTORS is not set");
    }
    folder
}

/// Calls `run` with every JSON file of a set, whose top level is a map from case name to case; `run` returns how many
/// cases it ran, at least one. Fails unless exactly `files` files were there. Does nothing without [`folder`].
pub(crate) fn run_set(set: &str, files: usize, mut run: impl FnMut(&Path, BTreeMap<String, Value>) -> usize) {
    let Some(folder) = folder() else { return };
    let paths = json_files(&folder.join(set));
    assert_eq!(paths.len(), files, "files in {set}");
    let mut cases = 0;
    for path in &paths {
        let text = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let parsed = serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let ran = run(path, parsed);
        assert!(ran > 0, "no case ran in {}", path.display());
        cases += ran;
    }
    println!("{set}: {cases} cases in {files} files");
}

/// Every `.json` file below a folder, in order.
fn json_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    for entry in entries {
        let path = entry.expect("a readable folder entry").path();
        if path.is_dir() {
            files.extend(json_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "json") {
            files.push(path);
        }
    }
    files.sort();
    files
}
