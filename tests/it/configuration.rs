//! Mistakes in the configuration, and what `config` shows.

use crate::support::Place;
use serde_json::Value;

/// `config check`, `config show` and `node` refuse a file with the same sentence; nothing is written.
#[track_caller]
fn refused_everywhere(node_toml: &str) -> String {
    let place = Place::with(node_toml);
    let check = place.run(&["config", "check", "node.toml"]).refused(2);
    assert_eq!(place.run(&["config", "show"]).refused(2), check);
    assert_eq!(place.run(&["node"]).refused(2), check);
    assert_eq!(place.run(&["init"]).refused(2), check);
    assert_eq!(place.files(), ["node.toml"], "nothing is written");
    assert!(check.contains("node.toml"), "{check}");
    check
}

#[test]
fn unknown_key_is_refused_with_the_nearest_name() {
    let sentence = refused_everywhere("[rpc]\nlisen = \"127.0.0.1:8545\"");
    assert!(sentence.contains("rpc.lisen") && sentence.contains("rpc.listen"), "{sentence}");
}

#[test]
fn wrong_type_and_wrong_value_are_refused_with_what_is_allowed() {
    let sentence = refused_everywhere("[sync]\ncommit_ms = \"1s\"");
    assert!(sentence.contains("sync.commit_ms = \"1s\"") && sentence.contains("a whole number"), "{sentence}");
    let sentence = refused_everywhere("[rpc]\nlisten = \"127.0.0.1:99999\"");
    assert!(sentence.contains("rpc.listen = \"127.0.0.1:99999\"") && sentence.contains("IP:PORT"), "{sentence}");
    let sentence = refused_everywhere("[node]\nrole = \"leader\"");
    assert!(sentence.contains("\"authority\" or \"follower\""), "{sentence}");
    let sentence = refused_everywhere("[genesis]\nowner_balance = 0");
    assert!(sentence.contains("genesis.owner_balance = 0") && sentence.contains("above zero"), "{sentence}");
}

#[test]
fn malformed_and_own_seeds_are_refused() {
    let sentence = refused_everywhere("[peers]\nseeds = [\"http://https://host\"]");
    assert!(sentence.contains("http://https://host") && sentence.contains("http(s)://host:port"), "{sentence}");
    let sentence = refused_everywhere("[peers]\nlisten = \"127.0.0.1:7\"\nseeds = [\"http://localhost:7\"]");
    assert!(sentence.contains("this node's own"), "{sentence}");
}

#[test]
fn development_chain_off_loopback_is_refused() {
    let sentence = refused_everywhere("[node]\ndev = true\n[rpc]\nlisten = \"0.0.0.0:8545\"");
    assert!(sentence.contains("rpc.listen") && sentence.contains("dev_exposed"), "{sentence}");
}

#[test]
fn text_that_is_no_toml_is_refused_with_its_line() {
    let sentence = refused_everywhere("[node]\nname: x\n");
    assert!(sentence.contains("line 2"), "{sentence}");
}

#[test]
fn missing_file_is_refused() {
    let place = Place::new();
    for arguments in [["config", "check", "no.toml"], ["node", "--config", "no.toml"], ["init", "--config", "no.toml"]]
    {
        let sentence = place.run(&arguments).refused(2);
        assert!(sentence.contains("no.toml"), "{sentence}");
    }
    assert!(place.files().is_empty());
}

#[test]
fn show_says_where_each_value_came_from() {
    let place = Place::with("[rpc]\nmax_batch = 7\nmax_connections = 8");
    let variables = [("CALLBOARD__RPC__MAX_CONNECTIONS", "9")];
    let shown = place.run_with(&["config", "show", "--json"], &variables).succeeded();
    let shown: Value = serde_json::from_str(&shown).expect("JSON");
    let entry = |key: &str| (shown[key]["value"].clone(), shown[key]["origin"].clone());
    assert_eq!(entry("rpc.max_batch"), (7.into(), "node.toml".into()));
    assert_eq!(entry("rpc.max_connections"), (9.into(), "CALLBOARD__RPC__MAX_CONNECTIONS".into()));
    assert_eq!(entry("rpc.listen"), ("127.0.0.1:8545".into(), "default".into()));
    assert_eq!(entry("rpc.admin").0, Value::Bool(false));
    assert_eq!(entry("peers.advertise").0, Value::Null);
    let text = place.run(&["config", "show"]).succeeded();
    let line = text.lines().find(|line| line.starts_with("max_batch = 7")).expect("max_batch");
    assert!(line.ends_with("# node.toml"), "{line}");
}

#[test]
fn without_a_file_the_built_in_development_chain_is_used() {
    let shown = Place::new().run(&["config", "show", "--json"]).succeeded();
    let shown: Value = serde_json::from_str(&shown).expect("JSON");
    assert_eq!(shown["node.dev"]["value"], Value::Bool(true));
    assert_eq!(shown["node.dev"]["origin"], "built-in node.toml");
}

#[test]
fn variables_override_the_file_and_hold_lists() {
    let place = Place::with("[peers]\nseeds = [\"http://10.0.0.9:1\"]");
    let variables = [("CALLBOARD__PEERS__SEEDS", "http://10.0.0.1:9545,http://10.0.0.2:9545")];
    let shown = place.run_with(&["config", "show", "--json"], &variables).succeeded();
    let shown: Value = serde_json::from_str(&shown).expect("JSON");
    let expected = serde_json::json!(["http://10.0.0.1:9545", "http://10.0.0.2:9545"]);
    assert_eq!(shown["peers.seeds"]["value"], expected);
}

#[test]
fn wrong_variables_and_flags_are_refused_by_name() {
    let place = Place::with("");
    let sentence = place.run_with(&["config", "show"], &[("CALLBOARD__RPC__LISTN", "1")]).refused(2);
    assert!(sentence.contains("CALLBOARD__RPC__LISTN") && sentence.contains("rpc.listen"), "{sentence}");
    let sentence = place.run(&["node", "--rpc-listen", "nowhere"]).refused(2);
    assert!(sentence.contains("--rpc-listen") && sentence.contains("\"nowhere\""), "{sentence}");
    let sentence = place.run(&["node", "--seed", "host:1"]).refused(2);
    assert!(sentence.contains("--seed") && sentence.contains("host:1"), "{sentence}");
    assert_eq!(place.files(), ["node.toml"]);
}

#[test]
fn relative_paths_start_at_the_file() {
    let place = Place::new();
    std::fs::create_dir(place.path("inner")).expect("created");
    place.write("inner/my.toml", "[node]\ndata_dir = \"state\"");
    let shown = place.run(&["config", "show", "--config", "inner/my.toml", "--json"]).succeeded();
    let shown: Value = serde_json::from_str(&shown).expect("JSON");
    let folder = place.path("inner").canonicalize().expect("folder");
    assert_eq!(shown["node.data_dir"]["value"], folder.join("state").to_string_lossy().as_ref());
}
