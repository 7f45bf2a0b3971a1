use super::*;
use crate::configuration::Configuration;
use alloy_primitives::U256;
use std::path::Path;

struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let place = Self { folder: tempfile::tempdir().expect("temporary folder") };
        place.write("authority.password", "secret\n");
        place.write("owner.password", "another\n");
        place
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), text).expect("written");
    }

    fn configuration(&self, text: &str) -> Configuration {
        Configuration::from_toml(text, self.folder.path()).expect("configuration")
    }

    fn authority(&self, genesis: &str) -> Configuration {
        self.configuration(&format!(
            "[node]\nrole = \"authority\"\n[authority]\npassword_file = \"authority.password\"\n\
             [genesis]\nowner_password_file = \"owner.password\"\n{genesis}"
        ))
    }

    /// What is in the folder beside the passwords.
    fn written(&self) -> Vec<String> {
        let files = std::fs::read_dir(self.folder.path()).expect("folder");
        let names = files.map(|file| file.expect("entry").file_name().to_string_lossy().into_owned());
        let mut names: Vec<_> = names.filter(|name| !name.ends_with(".password") && !name.ends_with(".json")).collect();
        names.sort();
        names
    }
}

fn refusal(result: Result<Start, StartError>) -> String {
    result.expect_err("must be refused").to_string()
}

#[test]
fn first_start_of_an_authority_makes_keys_genesis_and_database() {
    let place = Place::new();
    let configuration = place.authority("owner = \"create\"\nowner_balance = \"5ether\"\nchain_id = 77");
    let start = open(&configuration).expect("first start");
    let created = start.created.expect("created");
    let chain = start.chain.expect("chain");
    assert_eq!(start.role, Role::Authority);
    assert_eq!(start.key.expect("key").address(), created.authority);
    assert_eq!(chain.genesis.config().chain_id, 77);
    let owner = created.owner.expect("owner");
    let five = U256::from(5_000_000_000_000_000_000u64);
    assert_eq!(chain.genesis.genesis().alloc[&owner].balance, five);
    assert_eq!(chain.store.snapshot().expect("snapshot").head().hash, created.genesis_hash);
    drop(chain);

    let keystore = Keystore::new(&configuration.authority.keystore);
    let addresses: Vec<_> = keystore.list().expect("list").into_iter().map(|entry| entry.address).collect();
    assert!(addresses.contains(&owner) && addresses.contains(&created.authority) && addresses.len() == 2);

    // Later starts need no owner password and make nothing.
    std::fs::remove_file(place.path("owner.password")).expect("removed");
    let again = open(&configuration).expect("second start");
    assert_eq!(again.created, None);
    assert_eq!(again.chain.expect("chain").genesis.hash(), created.genesis_hash);
    assert_eq!(keystore.list().expect("list").len(), 2);
}

#[test]
fn init_never_overwrites() {
    let place = Place::new();
    let configuration = place.configuration("[node]\ndev = true");
    let hash = create(&configuration).expect("first").created.expect("created").genesis_hash;
    assert!(refusal(create(&configuration)).contains("is never overwritten"));
    std::fs::remove_file(configuration.chain_path()).expect("removed");
    assert!(refusal(create(&configuration)).contains("is never overwritten"));
    let again = open(&configuration).expect("taken up again").chain.expect("chain");
    assert_eq!(again.genesis.hash(), hash, "the genesis that was kept is used");
}

#[test]
fn development_chain_has_ten_funded_accounts_and_the_eleventh_seals() {
    let place = Place::new();
    let start = open(&place.configuration(crate::configuration::BUILT_IN)).expect("start");
    let genesis = start.chain.expect("chain").genesis;
    assert_eq!(genesis.config().authority, dev::key(10).address());
    assert_eq!(genesis.config().chain_id, 1337);
    let funded = genesis.genesis().alloc.values().filter(|account| account.balance == dev::balance());
    assert_eq!(funded.count(), 10);
    assert_eq!(place.written(), ["data"], "no keystore is made");
}

#[test]
fn predeploys_are_those_asked_for() {
    let deployer = callboard_chain::genesis::CREATE2_DEPLOYER_ADDRESS;
    let accounts = |genesis: &str| {
        let place = Place::new();
        let start = open(&place.configuration(&format!("[node]\ndev = true\n[genesis]\n{genesis}"))).expect("start");
        start.chain.expect("chain").genesis.genesis().alloc.clone()
    };
    let (with, without) = (accounts(""), accounts("predeploys = []"));
    assert!(with.contains_key(&deployer) && !without.contains_key(&deployer));
    assert_eq!((with.len(), without.len()), (13, 12));
}

#[test]
fn short_passwords_are_refused_by_name_and_nothing_is_written() {
    let place = Place::new();
    place.write("authority.password", "four\n");
    let refused = refusal(open(&place.authority("")));
    assert!(refused.contains("authority.password_file") && refused.contains("4 bytes long"), "{refused}");
    place.write("authority.password", "secret\n");
    place.write("owner.password", "1234\n");
    let refused = refusal(create(&place.authority("owner = \"create\"")));
    assert!(refused.contains("genesis.owner_password_file") && refused.contains("4 bytes long"), "{refused}");
    assert!(place.written().is_empty(), "{:?}", place.written());
}

#[test]
fn empty_accounts_and_a_second_owner_balance_are_refused_by_name() {
    let place = Place::new();
    let account = "0x00000000000000000000000000000000000000aa";
    place.write("alloc.json", format!("{{\"{account}\": {{\"balance\": \"0x0\"}}}}"));
    let refused = refusal(create(&place.authority("alloc = \"alloc.json\"")));
    assert!(refused.to_lowercase().contains(account) && refused.contains("balance of zero"), "{refused}");
    place.write("alloc.json", format!("{{\"{account}\": {{\"balance\": \"7\"}}}}"));
    let refused = refusal(create(&place.authority(&format!("alloc = \"alloc.json\"\nowner = \"{account}\""))));
    assert!(refused.contains("balance of 7 wei"), "{refused}");
    assert!(place.written().is_empty());
    let start = create(&place.authority("alloc = \"alloc.json\"")).expect("alloc alone");
    let address: Address = account.parse().expect("address");
    assert_eq!(start.chain.expect("chain").genesis.genesis().alloc[&address].balance, U256::from(7));
}

#[test]
fn unsealed_geth_genesis_is_sealed_by_an_authority_and_refused_by_a_follower() {
    let place = Place::new();
    let geth = r#"{"config": {"chainId": 4242}, "gasLimit": "0x989680", "timestamp": "0x5", "difficulty": "0x1",
        "alloc": {"00000000000000000000000000000000000000aa": {"balance": "0x64"}}}"#;
    place.write("geth.json", geth);
    let follower = place.configuration("[node]\nrole = \"follower\"\n[genesis]\nfile = \"geth.json\"");
    let refused = refusal(open(&follower));
    assert!(refused.contains("genesis.file") && refused.contains("not sealed"), "{refused}");
    assert!(place.written().is_empty());
    let genesis = open(&place.authority("file = \"geth.json\"")).expect("authority").chain.expect("chain").genesis;
    assert_eq!((genesis.config().chain_id, genesis.config().gas_limit), (4242, 10_000_000));
    assert_eq!(genesis.genesis().timestamp, 5);

    // A follower starts from the sealed one.
    let other = Place::new();
    other.write("genesis.json", genesis.json());
    let start = open(&other.configuration("[genesis]\nfile = \"genesis.json\"")).expect("follower");
    assert_eq!((start.role, start.key.is_none()), (Role::Follower, true));
    assert_eq!(start.chain.expect("chain").genesis.hash(), genesis.hash());
}

#[test]
fn role_must_fit_key_and_genesis() {
    let place = Place::new();
    let genesis = open(&place.authority("")).expect("authority").chain.expect("chain").genesis;
    let follower = place.configuration("[node]\nrole = \"follower\"");
    assert!(refusal(open(&follower)).contains("so this node would seal blocks"));
    // Without an expectation the key decides.
    let derived = place.configuration("[authority]\npassword_file = \"authority.password\"");
    assert_eq!(open(&derived).expect("derived").role, Role::Authority);

    let other = Place::new();
    other.write("genesis.json", genesis.json());
    let refused = refusal(open(&other.authority("file = \"genesis.json\"")));
    assert!(refused.contains("does not hold the key of the chain's authority"), "{refused}");
    assert!(other.written().is_empty());
    let dev = other.configuration("[node]\ndev = true\n[genesis]\nfile = \"genesis.json\"");
    assert!(refusal(open(&dev)).contains("does not hold the key"));
}

#[test]
fn wrong_password_of_the_authority_is_said() {
    let place = Place::new();
    let configuration = place.authority("");
    open(&configuration).expect("first start");
    place.write("authority.password", "another one");
    let error = open(&configuration).expect_err("wrong password");
    assert!(error.to_string().ends_with("the password is wrong"), "{error}");
    assert!(error.is_configuration());
}

#[test]
fn given_values_and_the_pin_are_compared_with_the_chain() {
    let place = Place::new();
    open(&place.configuration("[node]\ndev = true\n[genesis]\nchain_id = 5")).expect("first start");
    assert!(open(&place.configuration("[node]\ndev = true")).is_ok(), "defaults are not compared");
    let refused = refusal(open(&place.configuration("[node]\ndev = true\n[genesis]\ngas_limit = 8000000")));
    assert!(refused.contains("genesis.gas_limit = 8000000 differs") && refused.contains("30000000"), "{refused}");
    let pin = format!("[node]\ndev = true\n[genesis]\nhash = \"{}\"", B256::repeat_byte(1));
    assert!(refusal(open(&place.configuration(&pin))).contains("genesis.hash"));
}

#[test]
fn follower_without_chain_needs_seeds_or_a_genesis() {
    let place = Place::new();
    assert!(refusal(open(&place.configuration(""))).contains("peers.seeds"));
    let start = open(&place.configuration("[peers]\nseeds = [\"http://127.0.0.1:1\"]")).expect("fetches");
    assert!(start.chain.is_none());
    assert_eq!(start.role, Role::Follower);
    assert!(place.written().is_empty());
}

#[test]
fn authority_whose_chain_is_gone_does_not_begin_another_one() {
    let place = Place::new();
    let configuration = place.authority("");
    let hash = open(&configuration).expect("first start").created.expect("created").genesis_hash;
    let mark = configuration.authority.keystore.join(format!("{hash:#x}.high-water"));
    std::fs::write(&mark, "mark").expect("written");
    std::fs::remove_dir_all(&configuration.node.data_dir).expect("wiped");
    let refused = refusal(open(&configuration));
    assert!(refused.contains("has sealed blocks"), "{refused}");
    assert!(!Path::new(&configuration.node.data_dir).exists());
}

#[test]
fn existing_key_can_be_the_authority_of_a_new_chain() {
    let place = Place::new();
    let key = SecretKey::from_bytes([9; 32]).expect("key");
    let keystore = Keystore::new(place.path("keystore")).with_cost(ScryptCost::LIGHT);
    keystore.import(&key, &Password::new("secret", "the test")).expect("imported");
    let named = place.configuration(&format!(
        "[node]\nrole = \"authority\"\n[authority]\npassword_file = \"authority.password\"\naddress = \"{}\"",
        key.address()
    ));
    let start = open(&named).expect("first start");
    assert_eq!(start.created.expect("created").authority, key.address());
    assert_eq!(keystore.list().expect("list").len(), 1);
}
