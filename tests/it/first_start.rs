//! `init`, and what a node refuses to start from.

use crate::support::{Place, exists};
use serde_json::Value;

const AUTHORITY: &str = "[rpc]\nlisten = \"127.0.0.1:0\"\n[peers]\nlisten = \"127.0.0.1:0\"\n\
    [node]\nrole = \"authority\"\n[authority]\npassword_file = \"password\"\n\
    [genesis]\nowner = \"create\"\nowner_password_file = \"password\"\n";

fn authority() -> Place {
    let place = Place::with(AUTHORITY);
    place.write("password", "secret\n");
    place
}

#[test]
fn init_prints_both_addresses_and_refuses_to_run_twice() {
    let place = authority();
    let printed = place.run(&["init", "--config", "node.toml", "--json"]).succeeded();
    let printed: Value = serde_json::from_str(&printed).expect("JSON");
    let hash = printed["genesisHash"].as_str().expect("hash");
    assert_eq!(place.run(&["genesis", "hash"]).succeeded().trim(), hash);
    assert_eq!(place.run(&["genesis", "hash", "data/genesis.json"]).succeeded().trim(), hash);

    let listed = place.run(&["account", "list", "--json"]).succeeded();
    let listed: Value = serde_json::from_str(&listed).expect("JSON");
    let mut addresses: Vec<_> = listed.as_array().expect("list").iter().map(|key| key["address"].clone()).collect();
    let mut created = vec![printed["authority"].clone(), printed["owner"].clone()];
    addresses.sort_by_key(Value::to_string);
    created.sort_by_key(Value::to_string);
    assert_eq!(addresses, created);

    let before = std::fs::read(place.path("data/genesis.json")).expect("genesis.json");
    let sentence = place.run(&["init", "--config", "node.toml"]).refused(1);
    assert!(sentence.contains("chain.redb") && sentence.contains("never overwritten"), "{sentence}");
    assert_eq!(std::fs::read(place.path("data/genesis.json")).expect("genesis.json"), before);
    assert_eq!(std::fs::read_dir(place.path("keystore")).expect("keystore").count(), 2);
}

#[test]
fn short_and_missing_passwords_are_refused_and_nothing_is_written() {
    for command in ["init", "node"] {
        let place = Place::with(AUTHORITY);
        let sentence = place.run(&[command]).refused(2);
        assert!(sentence.contains("authority.password_file"), "{sentence}");
        place.write("password", "four\n");
        let sentence = place.run(&[command]).refused(2);
        assert!(sentence.contains("authority.password_file") && sentence.contains("4 bytes long"), "{sentence}");
        let variables = [("CALLBOARD_AUTHORITY_PASSWORD", "long enough"), ("CALLBOARD_OWNER_PASSWORD", "no")];
        let sentence = place.run_with(&[command], &variables).refused(2);
        assert!(sentence.contains("CALLBOARD_OWNER_PASSWORD") && sentence.contains("2 bytes long"), "{sentence}");
        assert_eq!(place.files(), ["node.toml", "password"]);
    }
}

#[test]
fn zero_balance_is_refused_by_name() {
    let place = authority();
    place.write("node.toml", &format!("{AUTHORITY}owner_balance = \"0ether\"\n"));
    let sentence = place.run(&["init"]).refused(2);
    assert!(sentence.contains("genesis.owner_balance = \"0ether\""), "{sentence}");
    assert_eq!(place.files(), ["node.toml", "password"]);
}

#[test]
fn genesis_whose_balances_overflow_is_refused_and_nothing_is_written() {
    let place = authority();
    let account = |byte: &str, balance: &str| format!("\"0x{}\":{{\"balance\":\"{balance}\"}}", byte.repeat(20));
    let all = format!("0x{}", "ff".repeat(32));
    place.write("alloc.json", &format!("{{{},{}}}", account("aa", &all), account("bb", "1")));
    place.write("node.toml", &format!("{AUTHORITY}alloc = \"alloc.json\"\n"));
    for command in ["init", "node"] {
        let sentence = place.run(&[command]).refused(2);
        assert!(sentence.contains("exceed 256 bits together"), "{sentence}");
        assert_eq!(place.files(), ["alloc.json", "node.toml", "password"]);
    }
}

#[test]
fn malformed_seed_is_an_error_and_no_genesis_file_takes_its_place() {
    let place = authority();
    place.run(&["init"]).succeeded();
    let other = Place::with(
        "[node]\nrole = \"follower\"\n[genesis]\nfile = \"genesis.json\"\n[peers]\nseeds = [\"http://https://host\"]\n",
    );
    std::fs::copy(place.path("data/genesis.json"), other.path("genesis.json")).expect("copied");
    let sentence = other.run(&["node"]).refused(2);
    assert!(sentence.contains("peers.seeds") && sentence.contains("http://https://host"), "{sentence}");
    assert_eq!(other.files(), ["genesis.json", "node.toml"]);
}

#[test]
fn role_that_does_not_fit_the_key_is_refused() {
    let place = authority();
    place.run(&["init"]).succeeded();
    let sentence = place.run(&["node", "--role", "follower"]).refused(2);
    assert!(sentence.contains("node.role = \"follower\"") && sentence.contains("authority"), "{sentence}");

    let other = Place::with("[node]\nrole = \"authority\"\n[genesis]\nfile = \"genesis.json\"");
    std::fs::copy(place.path("data/genesis.json"), other.path("genesis.json")).expect("copied");
    let sentence = other.run(&["node"]).refused(2);
    assert!(sentence.contains("node.role = \"authority\"") && sentence.contains("keystore"), "{sentence}");
    assert!(!exists(&other.path("data")));
}

#[test]
fn wrong_password_is_refused() {
    let place = authority();
    place.run(&["init"]).succeeded();
    place.write("password", "other password\n");
    let sentence = place.run(&["node"]).refused(2);
    assert!(sentence.ends_with("the password is wrong"), "{sentence}");
}

#[test]
fn follower_without_anything_to_follow_is_refused() {
    let place = Place::with("[node]\nrole = \"follower\"");
    let sentence = place.run(&["node"]).refused(2);
    assert!(sentence.contains("peers.seeds") && sentence.contains("genesis.file"), "{sentence}");
    assert_eq!(place.files(), ["node.toml"]);
}

#[test]
fn geneses_are_compared_field_by_field() {
    let places = ["5", "6"].map(|id| {
        let place = Place::with(&format!("[node]\ndev = true\n[genesis]\nchain_id = {id}"));
        place.run(&["init"]).succeeded();
        place
    });
    let paths = places.each_ref().map(|place| place.path("data/genesis.json").to_string_lossy().into_owned());
    let same = places[0].run(&["genesis", "diff", &paths[0], &paths[0]]).succeeded();
    assert!(same.contains("no difference"), "{same}");
    let differ = places[0].run(&["genesis", "diff", &paths[0], &paths[1]]);
    assert_eq!(differ.code, 1);
    assert!(differ.stdout.contains("chainId differs: 5 here, 6 there"), "{}", differ.stdout);
}
