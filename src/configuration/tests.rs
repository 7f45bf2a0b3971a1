use super::*;
use std::collections::HashMap;

fn load(text: &str) -> Result<Configuration, ConfigurationError> {
    Configuration::from_toml(text, Path::new("/base"))
}

fn load_with(text: &str, variables: &[(&str, &str)], flags: Vec<Flag>) -> Result<Configuration, ConfigurationError> {
    let folder = tempfile::tempdir().expect("temporary folder");
    let file = folder.path().join("node.toml");
    std::fs::write(&file, text).expect("file written");
    let environment = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let environment = Some(environment.collect::<HashMap<_, _>>());
    Configuration::load(&Sources { file: Some(file), flags, environment })
}

fn sentence(text: &str) -> String {
    load(text).expect_err("must be refused").to_string()
}

#[test]
fn defaults_alone_are_a_valid_configuration() {
    let configuration = load("").expect("defaults");
    assert_eq!(configuration.rpc.listen, "127.0.0.1:8545".parse().expect("address"));
    assert_eq!(configuration.node.data_dir, Path::new("/base/data"));
    assert_eq!(configuration.node.role, None);
    assert_eq!(configuration.genesis.hardfork, callboard_chain::Hardfork::Osaka);
    assert_eq!(configuration.rpc.admin, None);
    assert!(!configuration.node.dev);
    assert!(!configuration.is_given("rpc.listen"));
}

#[test]
fn every_known_key_can_be_written_and_is_read() {
    let mut text = load("").expect("defaults").to_annotated_toml();
    for (key, value) in [
        ("role", "\"follower\""),
        ("file", "\"g.json\""),
        ("hash", "\"0x1111111111111111111111111111111111111111111111111111111111111111\""),
        ("owner", "\"create\""),
        ("owner_password_file", "\"o\""),
        ("address", "\"0x00000000000000000000000000000000000000aa\""),
        ("password_file", "\"p\""),
        ("advertise", "\"https://node.example.org:9545\""),
        ("tls_cert", "\"node.pem\""),
        ("tls_key", "\"node.key.pem\""),
        ("tls_ca", "\"ca.pem\""),
        ("webhook", "\"https://example.org/hook\""),
    ] {
        let unset = text.lines().find(|line| line.starts_with(&format!("# {key} "))).expect(key).to_owned();
        text = text.replace(&unset, &format!("{key} = {value}"));
    }
    let configuration = load(&text).expect("all keys");
    for key in KEYS.iter().filter(|key| key.name != "genesis.alloc") {
        assert!(configuration.is_given(key.name), "{} was not read", key.name);
    }
    assert_eq!(configuration.node.role, Some(Role::Follower));
    assert_eq!(configuration.genesis.owner, Some(Owner::Create));
    assert!(load("[genesis]\nalloc = \"a.json\"").expect("alloc").genesis.alloc.is_some());
}

#[test]
fn built_in_file_is_a_development_authority_on_loopback() {
    let configuration = load(BUILT_IN).expect("node.toml");
    assert!(configuration.node.dev);
    assert_eq!(configuration.genesis.chain_id, 1337);
    assert_eq!(configuration.authority.block_interval_ms, 2000);
    assert!(configuration.authority.empty_blocks);
    assert!(configuration.rpc.listen.ip().is_loopback());
}

#[test]
fn shipped_examples_are_valid() {
    let follower = load(include_str!("../../docs/examples/follower.toml")).expect("follower.toml");
    assert_eq!(follower.node.role, Some(Role::Follower));
    assert_eq!(follower.rpc.listen.port(), 8546);
    assert_eq!(follower.peers.listen.port(), 9546);
    assert_eq!(follower.peers.seeds[0].to_string(), "http://127.0.0.1:9545");
    let authority = load(include_str!("../../docs/examples/authority.toml")).expect("authority.toml");
    assert_eq!(authority.node.role, Some(Role::Authority));
    assert!(!authority.node.dev);
}

#[test]
fn unknown_keys_are_refused_with_the_nearest_name() {
    assert_eq!(
        sentence("[rpc]\nlisen = \"127.0.0.1:1\""),
        "/base/node.toml: unknown key rpc.lisen = \"127.0.0.1:1\"; the nearest known name is rpc.listen"
    );
    assert!(sentence("[peer]\nseeds = []").contains("the nearest known name is peers"));
    assert!(sentence("xyzzy = 1").contains("the known sections are node, genesis"));
    assert!(sentence("[[rpc]]\nlisten = 1").contains("must be a section"));
    assert!(sentence("rpc = 5").contains("rpc = 5 is not allowed: it must be a section, written [rpc]"));
}

#[test]
fn wrong_types_and_values_are_refused_with_what_is_allowed() {
    assert_eq!(
        sentence("[sync]\ncommit_ms = \"soon\""),
        "/base/node.toml: sync.commit_ms = \"soon\" is not allowed: it must be a whole number of at least 1"
    );
    assert!(sentence("[node]\ndev = \"true\"").contains("must be true or false"));
    assert!(sentence("[node]\nname = { a = 1 }").contains("must be a line of text"));
    assert!(sentence("[genesis]\nheartbeat_s = 0").contains("from 1 to 3600"));
    assert!(sentence("[genesis]\nmax_block_bytes = 8388609").contains("from 132096 to 8388608"));
    assert!(sentence("[genesis]\nhardfork = \"paris\"").contains("\"cancun\" or \"prague\" or \"osaka\""));
    assert!(sentence("[genesis]\nowner_balance = 0").contains("above zero"));
    assert!(sentence("[peers]\nseeds = [\"http://https://host\"]").contains("http(s)://host:port"));
}

#[test]
fn syntax_errors_name_the_line_in_one_sentence() {
    let sentence = sentence("[node]\nname = \"a\"\nrole = = 1\n");
    assert!(sentence.starts_with("/base/node.toml: line 3 is not TOML"), "{sentence}");
    assert!(!sentence.contains('\n'));
}

#[test]
fn own_addresses_are_refused_as_seeds() {
    assert!(sentence("[peers]\nseeds = [\"http://localhost:9545\"]").contains("this node's own"));
    let advertised = "[peers]\nadvertise = \"https://a.example:443\"\nseeds = [\"https://a.example:443\"]";
    assert!(sentence(advertised).contains("this node's own"));
    assert!(load("[peers]\nseeds = [\"http://127.0.0.1:9546\"]").is_ok());
}

#[test]
fn development_chain_off_loopback_needs_a_word_of_its_own() {
    for key in
        ["[rpc]\nlisten = \"0.0.0.0:8545\"", "[peers]\nlisten = \"10.1.2.3:9545\"", "[rpc]\nadmin = \"0.0.0.0:1\""]
    {
        let refusal = sentence(&format!("[node]\ndev = true\n{key}"));
        assert!(refusal.contains("node.dev_exposed = true"), "{refusal}");
        assert!(load(&format!("[node]\ndev = true\ndev_exposed = true\n{key}")).is_ok());
        assert!(load(key).is_ok());
    }
}

#[test]
fn contradicting_keys_are_refused() {
    assert!(sentence("[node]\ndev = true\nrole = \"follower\"").contains("node.role = \"follower\" is not allowed"));
    assert!(sentence("[rpc]\nlisten = \"127.0.0.1:9545\"").contains("another address than rpc.listen"));
    assert!(sentence("[genesis]\nfile = \"a\"\nalloc = \"b\"").contains("left out while genesis.file is given"));
    assert!(load("[rpc]\nlisten = \"127.0.0.1:0\"\n[peers]\nlisten = \"127.0.0.1:0\"").is_ok());
}

#[test]
fn later_sources_win_and_are_remembered() {
    let file = "[rpc]\nlisten = \"127.0.0.1:1\"\nmax_batch = 7\n[sync]\nworkers = 3";
    let flag = Flag { flag: "--rpc-listen", key: "rpc.listen", values: vec!["127.0.0.1:3".into()] };
    let variables = [("CALLBOARD__RPC__LISTEN", "127.0.0.1:2"), ("CALLBOARD__RPC__MAX_BATCH", "8")];
    let configuration = load_with(file, &variables, vec![flag]).expect("configuration");
    assert_eq!(configuration.rpc.listen.port(), 3);
    assert_eq!(configuration.rpc.max_batch, 8);
    assert_eq!(configuration.sync.workers, 3);
    let origin = |key: &str| configuration.entry(key).expect(key).origin.to_string();
    assert_eq!(origin("rpc.listen"), "--rpc-listen");
    assert_eq!(origin("rpc.max_batch"), "CALLBOARD__RPC__MAX_BATCH");
    assert!(origin("sync.workers").ends_with("node.toml"));
    assert_eq!(origin("pool.ttl_s"), "default");
}

#[test]
fn variables_hold_lists_and_nested_sections() {
    let variables = [
        ("CALLBOARD__PEERS__SEEDS", "http://10.0.0.1:9545,http://10.0.0.2:9545"),
        ("CALLBOARD__RPC__LIMIT__ENABLED", "true"),
        ("CALLBOARD__GENESIS__CHAIN_NAME", "123"),
        ("CALLBOARD_RPC_URL", "http://unrelated:1"),
    ];
    let configuration = load_with("", &variables, Vec::new()).expect("configuration");
    assert_eq!(configuration.peers.seeds.len(), 2);
    assert!(configuration.rpc.limit.enabled);
    assert_eq!(configuration.genesis.chain_name, "123");
}

#[test]
fn wrong_variables_and_flags_are_named() {
    let refused = |variable| load_with("", &[variable], Vec::new()).expect_err("must be refused").to_string();
    assert!(refused(("CALLBOARD__RPC__LISTN", "x")).starts_with("CALLBOARD__RPC__LISTN: unknown key rpc.listn"));
    assert!(refused(("CALLBOARD__SYNC__WORKERS", "x")).starts_with("CALLBOARD__SYNC__WORKERS: sync.workers = \"x\""));
    let flag = Flag { flag: "--role", key: "node.role", values: vec!["king".into()] };
    let refusal = load_with("", &[], vec![flag]).expect_err("must be refused").to_string();
    assert!(refusal.starts_with("--role: node.role = \"king\" is not allowed"), "{refusal}");
}

#[test]
fn tls_between_peers_is_whole_or_not_at_all_and_goes_with_https() {
    let whole = "[peers]\ntls_cert = \"c\"\ntls_key = \"k\"\ntls_ca = \"a\"\n";
    assert_eq!(load(whole).expect("all three").peers.tls_ca.as_deref(), Some(Path::new("/base/a")));
    assert!(load(&format!("{whole}seeds = [\"https://seed:9545\"]")).is_ok());
    for (text, named) in [
        ("[peers]\ntls_cert = \"c\"\ntls_key = \"k\"", "peers.tls_ca"),
        ("[peers]\ntls_ca = \"a\"", "peers.tls_cert"),
        (&format!("{whole}seeds = [\"https://a:1\", \"http://seed:9545\"]"), "http://seed:9545"),
        (&format!("{whole}advertise = \"http://me:9545\""), "peers.advertise"),
    ] {
        let sentence = sentence(text);
        assert!(sentence.contains(named), "{sentence}");
    }
}
