//! Commands that need no node, and what client commands say when there is none.

use crate::support::http::Http;
use crate::support::node::{SOON, hex_number};
use crate::support::{Place, callboard, until};
use serde_json::{Value, json};
use std::process::Stdio;

const KEY: &str = "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
const ADDRESS: &str = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266";
/// A port that nothing listens on: reserved, and below what a test could be given.
const NOBODY: &str = "http://127.0.0.1:1";

#[test]
fn keys_are_made_imported_and_listed() {
    let place = Place::new();
    let variables = [("CALLBOARD_PASSWORD", "secret")];
    place.write("key", KEY);
    let made = place.run_with(&["account", "new", "--keystore", "keys"], &variables).succeeded();
    let imported = place.run_with(&["account", "import", "key", "--keystore", "keys"], &variables).succeeded();
    assert!(imported.starts_with(ADDRESS), "{imported}");
    let listed = place.run(&["account", "list", "--keystore", "keys"]).succeeded();
    assert!(listed.contains(ADDRESS) && listed.contains(&made[..42]), "{listed}");
    let again = place.run_with(&["account", "import", "key", "--keystore", "keys"], &variables).refused(1);
    assert!(again.contains("already"), "{again}");
}

#[test]
fn short_password_for_a_new_key_is_refused() {
    let place = Place::new();
    let sentence =
        place.run_with(&["account", "new", "--keystore", "keys"], &[("CALLBOARD_PASSWORD", "1234")]).refused(2);
    assert!(sentence.contains("CALLBOARD_PASSWORD") && sentence.contains("4 bytes long"), "{sentence}");
    place.write("key", "not a key");
    assert!(place.run(&["account", "import", "key"]).refused(2).contains("64 hex digits"));
    assert_eq!(place.files(), ["key"]);
}

#[test]
fn client_commands_without_a_node_fail_with_the_remedy() {
    let place = Place::new();
    for arguments in [
        &["chain", "height"][..],
        &["chain", "head"],
        &["chain", "state"],
        &["block", "get", "1"],
        &["actors"],
        &["routes"],
        &["subscribe", "blocks"],
        &["peers"],
        &["account", "balance", ADDRESS],
        &["account", "history", ADDRESS],
        &["message", "inbox", ADDRESS],
        &["message", "listen", ADDRESS],
        &["message", "agent", ADDRESS, "--reply", "x", "--dev"],
        &["message", "send", "--from", ADDRESS, "--to", ADDRESS, "--dev", "x"],
        &["wallet", "transactions", ADDRESS],
        &["tx", "list", "--address", ADDRESS],
        &["tx", "send", "--from", ADDRESS, "--to", ADDRESS, "--value", "1ether"],
    ] {
        let sentence = place.run(&[arguments, &["--rpc", NOBODY]].concat()).refused(1);
        assert!(sentence.contains(NOBODY) && sentence.contains("callboard node"), "{sentence}");
        let sentence = place.run_with(arguments, &[("NODE_URL", NOBODY)]).refused(1);
        assert!(sentence.contains(NOBODY), "{sentence}");
    }
}

#[test]
fn what_is_typed_wrongly_has_exit_code_two() {
    let place = Place::new();
    for arguments in [
        &["unknown"][..],
        &["tx", "send", "--from", ADDRESS, "--to", ADDRESS, "--value", "1.5"],
        &["tx", "send", "--from", ADDRESS],
        &["account", "balance", "0x12"],
        &["chain", "height", "--rpc", "http://https://host"],
        &["chain", "height", "--watch", "0"],
        &["block", "get", "x"],
    ] {
        assert_eq!(place.run(arguments).code, 2, "{arguments:?}");
    }
    let foreign = "0x00000000000000000000000000000000000000aa";
    let sentence = place.run(&["tx", "send", "--from", foreign, "--to", ADDRESS]).refused(2);
    assert!(sentence.contains("holds no key for"), "{sentence}");
}

#[test]
fn version_and_completions_are_printed() {
    let place = Place::new();
    assert_eq!(place.run(&["version"]).succeeded(), format!("callboard {}\n", env!("CARGO_PKG_VERSION")));
    let json: Value = serde_json::from_str(&place.run(&["version", "--json"]).succeeded()).expect("JSON");
    assert_eq!(json["version"], env!("CARGO_PKG_VERSION"));
    assert!(place.run(&["completions", "bash"]).succeeded().contains("callboard"));
}

#[test]
fn a_node_whose_output_nobody_reads_any_more_goes_on() {
    let place = Place::with(
        "[node]\ndev = true\n[authority]\nblock_interval_ms = 50\nempty_blocks = true\n\
         [rpc]\nlisten = \"127.0.0.1:0\"\n[peers]\nlisten = \"127.0.0.1:0\"\n",
    );
    let mut command = callboard();
    command.args(["node", "--config", "node.toml"]).current_dir(place.path(""));
    let mut node = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let addresses: Value = until("it listens", SOON, || {
        serde_json::from_slice(&std::fs::read(place.path("data/addresses.json")).ok()?).ok()
    });
    drop((node.stdout.take(), node.stderr.take()));
    let (http, url) = (Http::new(), format!("http://{}", addresses["rpc"].as_str().expect("an address")));
    let height = || {
        let call = json!({ "jsonrpc": "2.0", "id": 1, "method": "eth_blockNumber", "params": [] });
        hex_number(&http.post(&url, &call).expect("it answers").1["result"])
    };
    let first = height();
    // Each block is a line that nobody reads.
    until("it seals blocks", SOON, || (height() >= first + 5).then_some(()));
    node.kill().and_then(|()| node.wait()).expect("it is killed");
}

#[test]
fn a_command_whose_messages_nobody_reads_does_its_work() {
    let place = Place::with("[node]\ndev = true\n");
    place.run(&["init", "--config", "node.toml"]).succeeded();
    let mut command = callboard();
    command.args(["chain", "export", "blocks", "--config", "node.toml", "--progress", "plain"]);
    let mut export =
        command.current_dir(place.path("")).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().expect("run");
    drop(export.stderr.take());
    assert!(export.wait().expect("it ends").success());
    assert!(place.files().contains(&"blocks".to_owned()));
}
