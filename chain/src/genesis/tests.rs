use super::*;
use crate::{
    BaseFeePolicy, Blame, Block, Hardfork, Seal,
    config::{ConfigError, INITIAL_BASE_FEE},
    keccak256,
    testing::{authority, config, sender},
    verify::verify_block,
};
use alloy_eips::{eip2935::HISTORY_STORAGE_ADDRESS, eip4788::BEACON_ROOTS_ADDRESS};
use alloy_primitives::{B256, Bytes, b256};
use serde_json::{Value, json};

const RICH: Address = Address::repeat_byte(0xaa);
const CONTRACT: Address = Address::repeat_byte(0xbb);

fn genesis() -> Genesis {
    let rich = GenesisAccount { balance: U256::from(10).pow(U256::from(22)), ..GenesisAccount::default() };
    let storage = BTreeMap::from([(U256::ONE, U256::from(7)), (U256::MAX, U256::MAX), (U256::from(2), U256::ZERO)]);
    let contract = GenesisAccount { nonce: 1, code: Bytes::from_static(&[0x60, 1]), storage, ..rich.clone() };
    Genesis { config: config(), timestamp: 1_800_000_000, alloc: BTreeMap::from([(RICH, rich), (CONTRACT, contract)]) }
        .with_predeploys()
}

fn sealed() -> SealedGenesis {
    SealedGenesis::seal(genesis(), &authority()).unwrap()
}

fn document() -> Value {
    serde_json::from_slice(sealed().json()).unwrap()
}

fn read(document: &Value) -> Result<SealedGenesis, GenesisError> {
    SealedGenesis::from_json(&serde_json::to_vec(document).unwrap())
}

#[test]
fn sealed_genesis_is_read_back_to_the_same_bytes_and_block() {
    for config in [
        config(),
        ChainConfig { base_fee_policy: BaseFeePolicy::Eip1559, initial_base_fee: INITIAL_BASE_FEE, ..config() },
        ChainConfig { forks: vec![(Hardfork::Cancun, 0), (Hardfork::Osaka, 9)], ..config() },
    ] {
        let sealed = SealedGenesis::seal(Genesis { config, ..genesis() }, &authority()).unwrap();
        let read = SealedGenesis::from_json(sealed.json()).unwrap();
        assert_eq!(read.json(), sealed.json());
        assert_eq!(read.block(), sealed.block());
        assert_eq!(read.genesis(), sealed.genesis());
        assert_eq!(read.changes(), sealed.changes());
    }
}

#[test]
fn formatting_and_order_of_the_file_do_not_matter() {
    let compact = serde_json::to_vec(&document()).unwrap();
    assert_ne!(compact, sealed().json().to_vec());
    assert_eq!(SealedGenesis::from_json(&compact).unwrap().json(), sealed().json());
}

#[test]
fn sealing_is_deterministic() {
    assert_eq!(sealed().json(), sealed().json());
    assert_eq!(sealed().block(), sealed().block());
}

#[test]
fn block_zero_is_verified_like_any_other_block() {
    let block = sealed().block().clone();
    let verified = verify_block(block.bytes().clone(), &config()).unwrap();
    assert_eq!(verified.value(), &block);
    assert_eq!(block.header().extra_data, Bytes::from(config().commitment()));
    assert_eq!((block.height(), block.header().mix_hash), (0, B256::ZERO));
}

#[test]
fn state_root_is_that_of_alloys_own_genesis() {
    let theirs: alloy_genesis::Genesis = serde_json::from_slice(sealed().json()).unwrap();
    let root = alloy_trie::root::state_root_unhashed(theirs.alloc);
    assert_eq!(sealed().block().header().state_root, root);
    assert_eq!(theirs.gas_limit, config().gas_limit);
    assert_eq!(theirs.timestamp, 1_800_000_000);
}

#[test]
fn confirmed_block_carries_all_accounts_storage_and_code() {
    let confirmed = sealed().confirmed();
    let changes = confirmed.changes();
    assert_eq!(confirmed.value(), sealed().block());
    let addresses: Vec<_> = changes.accounts.iter().map(|change| change.address).collect();
    assert_eq!(addresses, genesis().alloc.keys().copied().collect::<Vec<_>>());
    let slots: Vec<_> = changes.storage.iter().map(|change| (change.address, change.slot, change.after)).collect();
    assert_eq!(slots, [(CONTRACT, U256::ONE, U256::from(7)), (CONTRACT, U256::MAX, U256::MAX)]);
    assert!(changes.code.is_sorted() && changes.code.len() == 4);
    assert!(changes.code.iter().all(|(hash, code)| keccak256(code) == *hash));
}

#[test]
fn predeploys_have_the_code_that_tools_expect() {
    let predeploys = predeploys();
    assert_eq!(
        keccak256(&predeploys[&CREATE2_DEPLOYER_ADDRESS].code),
        b256!("2fa86add0aed31f33a762c9d88e807c475bd51d0f52bd0955754b2608f7e4989")
    );
    assert_eq!(
        keccak256(&predeploys[&BEACON_ROOTS_ADDRESS].code),
        b256!("f57acd40259872606d76197ef052f3d35588dadf919ee1f0e3cb9b62d3f4b02c")
    );
    assert_eq!(
        keccak256(&predeploys[&HISTORY_STORAGE_ADDRESS].code),
        b256!("6e49e66782037c0555897870e29fa5e552daf4719552131a0abce779daec0a5d")
    );
}

#[test]
fn predeploy_keeps_balance_and_code_that_are_there() {
    let mut genesis = genesis();
    genesis.alloc.insert(BEACON_ROOTS_ADDRESS, GenesisAccount { balance: U256::ONE, ..GenesisAccount::default() });
    let own = GenesisAccount { code: Bytes::from_static(&[1]), ..GenesisAccount::default() };
    genesis.alloc.insert(HISTORY_STORAGE_ADDRESS, own.clone());
    let genesis = genesis.with_predeploys();
    assert_eq!(genesis.alloc[&BEACON_ROOTS_ADDRESS].balance, U256::ONE);
    assert_eq!(genesis.alloc[&BEACON_ROOTS_ADDRESS].code, predeploys()[&BEACON_ROOTS_ADDRESS].code);
    assert_eq!(genesis.alloc[&HISTORY_STORAGE_ADDRESS], own);
}

#[test]
fn only_the_authority_seals() {
    let error = SealedGenesis::seal(genesis(), &sender()).unwrap_err();
    assert!(matches!(error, GenesisError::NotTheAuthority { expected, actual }
        if expected == authority().address() && actual == sender().address()));
}

#[test]
fn unsealed_genesis_is_no_genesis_for_a_follower() {
    let mut document = document();
    document.as_object_mut().unwrap().remove("seal");
    assert!(matches!(read(&document), Err(GenesisError::NotSealed)));
}

#[test]
fn edited_genesis_does_not_match_its_seal() {
    let edits: [fn(&mut Value); 6] = [
        |file| file["alloc"][RICH.to_string().to_lowercase()]["balance"] = json!("0x1"),
        |file| file["alloc"]["0x00000000000000000000000000000000000000cc"] = json!({ "balance": "1" }),
        |file| file["alloc"][CONTRACT.to_string().to_lowercase()]["code"] = json!("0x6002"),
        |file| file["timestamp"] = json!("0x1"),
        |file| file["seal"] = json!(Seal([1; 65]).to_string()),
        |file| file["seal"] = json!(Seal::sign(&sender(), sealed().hash()).to_string()),
    ];
    for edit in edits {
        let mut document = document();
        edit(&mut document);
        let error = read(&document).unwrap_err();
        assert!(matches!(error, GenesisError::Seal(_)), "{error}");
        assert_eq!(error.blame(), Blame::Peer);
    }
}

#[test]
fn field_that_contradicts_the_rest_is_named() {
    let fields = [
        ("extraData", json!("0x01")),
        ("coinbase", json!(RICH)),
        ("difficulty", json!("0x1")),
        ("nonce", json!("0x0000000000000042")),
        ("mixHash", json!(B256::repeat_byte(1))),
        ("parentHash", json!(B256::repeat_byte(1))),
        ("number", json!("0x1")),
        ("gasUsed", json!("0x1")),
        ("baseFeePerGas", json!("0x7")),
    ];
    for (name, value) in fields {
        let mut document = document();
        document[name] = value;
        let error = read(&document).unwrap_err();
        assert!(matches!(error, GenesisError::Contradiction { field, .. } if field == name), "{name}: {error}");
    }
    for (name, value) in [("version", json!(2)), ("chainId", json!(2)), ("gasLimit", json!(21_000))] {
        let mut document = document();
        document["config"]["callboard"][name] = value;
        assert!(matches!(read(&document), Err(GenesisError::Contradiction { .. })), "{name}");
    }
}

#[test]
fn committed_value_that_is_changed_contradicts_the_commitment() {
    let values = [
        ("name", json!("other")),
        ("authority", json!(RICH)),
        ("forks", json!([{ "fork": "prague", "fromHeight": 0 }])),
        ("maxBlockBytes", json!(1 << 20)),
        ("heartbeat", json!(61)),
    ];
    for (name, value) in values {
        let mut document = document();
        document["config"]["callboard"][name] = value;
        let error = read(&document).unwrap_err();
        assert!(matches!(error, GenesisError::Contradiction { field: "extraData", .. }), "{name}: {error}");
    }
}

#[test]
fn unknown_or_missing_committed_value_is_refused() {
    let mut unknown = document();
    unknown["config"]["callboard"]["blockTime"] = json!(1);
    assert!(read(&unknown).unwrap_err().to_string().contains("blockTime"));
    let mut missing = document();
    missing["config"].as_object_mut().unwrap().remove("callboard");
    assert!(matches!(read(&missing), Err(GenesisError::NotCommitted)));
}

#[test]
fn code_of_the_request_contracts_is_refused() {
    for (address, number) in
        [(WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS, 7002), (CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS, 7251)]
    {
        let mut genesis = genesis();
        genesis.alloc.insert(address, GenesisAccount { balance: U256::ONE, ..GenesisAccount::default() });
        assert!(genesis.validate().is_ok());
        genesis.alloc.entry(address).or_default().code = Bytes::from_static(&[1]);
        let error = genesis.validate().unwrap_err();
        assert!(matches!(error, GenesisError::RequestsContract { eip, .. } if eip == number), "{error}");
    }
}

#[test]
fn storage_without_code_or_nonce_is_refused() {
    let with = |account: GenesisAccount| {
        let mut genesis = genesis();
        genesis.alloc.insert(RICH, account);
        genesis
    };
    let storage = |value: u64| BTreeMap::from([(U256::ONE, U256::from(value))]);
    let bare = GenesisAccount { balance: U256::ONE, storage: storage(7), ..GenesisAccount::default() };
    let error = SealedGenesis::seal(with(bare.clone()), &authority()).unwrap_err();
    assert!(matches!(error, GenesisError::StorageWithoutContract { address } if address == RICH), "{error}");
    for allowed in [
        GenesisAccount { nonce: 1, ..bare.clone() },
        GenesisAccount { code: Bytes::from_static(&[1]), ..bare.clone() },
        GenesisAccount { storage: storage(0), ..bare },
    ] {
        with(allowed).validate().unwrap();
    }
}

#[test]
fn balances_that_exceed_256_bits_together_are_refused() {
    let mut genesis = genesis();
    let supply: U256 = genesis.alloc.values().map(|account| account.balance).sum();
    let rest = Address::repeat_byte(0xcc);
    let account = |balance| GenesisAccount { balance, ..GenesisAccount::default() };
    genesis.alloc.insert(rest, account(U256::MAX - supply));
    assert!(genesis.validate().is_ok());
    genesis.alloc.insert(rest, account(U256::MAX - supply + U256::ONE));
    assert!(matches!(genesis.validate(), Err(GenesisError::SupplyOverflow { address, .. }) if address == rest));
}

#[test]
fn configuration_is_checked() {
    let config = ChainConfig { heartbeat_seconds: 0, ..config() };
    let error = SealedGenesis::seal(Genesis { config, ..genesis() }, &authority()).unwrap_err();
    assert!(matches!(error, GenesisError::Config(ConfigError::Heartbeat { actual: 0 })));
}

#[test]
fn geth_genesis_is_completed_by_its_own_values_first() {
    let file = br#"{
        "config": { "chainId": 12345, "clique": { "period": 5, "epoch": 30000 }, "berlinBlock": 0 },
        "difficulty": "1", "gasLimit": "8000000", "nonce": "0x0", "extraData": "0x00",
        "alloc": {
            "7df9a875a174b3bc565e6424a0050ebc1b2d1d82": { "balance": "300000", "comment": "funded" },
            "0x00000000000000000000000000000000000000F1": { "balance": "0x10", "nonce": "0x2", "code": "0x00",
                "storage": { "0x1": "0x02", "03": "0x0000000000000000000000000000000000000000000000000000000000000004" } }
        }
    }"#;
    let file = GenesisFile::from_json(file).unwrap();
    assert_eq!((file.chain_id(), file.gas_limit(), file.timestamp()), (Some(12345), Some(8_000_000), None));
    let genesis = file.complete(config(), 99).unwrap();
    assert_eq!(genesis.config, ChainConfig { chain_id: 12345, gas_limit: 8_000_000, ..config() });
    assert_eq!((genesis.timestamp, genesis.alloc.len()), (99, 2));
    let contract = genesis.alloc.values().next().unwrap();
    assert_eq!((contract.balance, contract.nonce), (U256::from(16), 2));
    let storage = BTreeMap::from([(U256::ONE, U256::from(2)), (U256::from(3), U256::from(4))]);
    assert_eq!(contract.storage, storage);
    assert!(SealedGenesis::seal(genesis, &authority()).is_ok());
}

#[test]
fn account_or_slot_that_is_there_twice_is_refused() {
    let address = "7df9a875a174b3bc565e6424a0050ebc1b2d1d82";
    let upper = address.to_uppercase();
    let twice = format!(r#"{{ "{address}": {{ "balance": "1" }}, "0x{upper}": {{ "balance": "2" }} }}"#);
    let error = GenesisFile::alloc_from_json(twice.as_bytes()).unwrap_err().to_string();
    assert!(error.to_lowercase().contains(&format!("0x{address} is there twice")), "{error}");
    let slot = format!(r#"{{ "{address}": {{ "balance": "1", "storage": {{ "0x1": "0x1", "0x01": "0x2" }} }} }}"#);
    assert!(GenesisFile::alloc_from_json(slot.as_bytes()).unwrap_err().to_string().contains("is there twice"));
}

#[test]
fn numbers_out_of_range_or_misspelt_are_refused() {
    let account = |text: &str| format!(r#"{{ "7df9a875a174b3bc565e6424a0050ebc1b2d1d82": {text} }}"#);
    for text in [
        r#"{ "balance": "0x1ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff" }"#,
        r#"{ "balance": "1ether" }"#,
        r#"{ "balance": "1_000" }"#,
        r#"{ "balance": "" }"#,
        r#"{ "balance": "0x" }"#,
        r#"{ "balance": -1 }"#,
        r#"{ "balance": 1.5 }"#,
        r#"{ "balanse": "1" }"#,
        r#"{ "nonce": "0x10000000000000000" }"#,
        r#"{ "code": "0x0" }"#,
        r#"{ "storage": { "0xg": "0x1" } }"#,
        r#"{ "storage": { "0x01ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff": "0x1" } }"#,
    ] {
        assert!(GenesisFile::alloc_from_json(account(text).as_bytes()).is_err(), "{text}");
    }
    assert!(GenesisFile::alloc_from_json(account(r#"{ "balance": 5 } } x"#).as_bytes()).is_err());
}

#[test]
fn one_account_more_than_allowed_is_refused_by_name() {
    let accounts: Vec<_> = (0..=MAX_ACCOUNTS).map(|index| format!(r#""{index:040x}":{{}}"#)).collect();
    let json = |count: usize| format!("{{{}}}", accounts[..count].join(","));
    assert_eq!(GenesisFile::alloc_from_json(json(MAX_ACCOUNTS).as_bytes()).unwrap().len(), MAX_ACCOUNTS);
    let error = GenesisFile::alloc_from_json(json(MAX_ACCOUNTS + 1).as_bytes()).unwrap_err();
    assert!(error.to_string().contains(&MAX_ACCOUNTS.to_string()), "{error}");
    let alloc = (0..=MAX_ACCOUNTS as u64)
        .map(|index| {
            (
                Address::from(
                    U256::from(index).to_be_bytes::<32>()[12..].try_into().map(|bytes: [u8; 20]| bytes).unwrap(),
                ),
                GenesisAccount::default(),
            )
        })
        .collect();
    let error = Genesis { alloc, ..genesis() }.validate().unwrap_err();
    assert_eq!(error.to_string(), "the genesis has 1048577 accounts, at most 1048576 are allowed");
}

#[test]
fn a_genesis_too_long_to_be_fetched_is_not_sealed() {
    let mut genesis = genesis();
    // Two hexadecimal digits a byte.
    let code = vec![0; MAX_JSON_BYTES / 2].into();
    genesis.alloc.insert(CONTRACT, GenesisAccount { code, ..GenesisAccount::default() });
    let error = SealedGenesis::seal(genesis, &authority()).unwrap_err();
    assert!(matches!(error, GenesisError::TooLong { limit: MAX_JSON_BYTES, .. }), "{error}");
}

#[test]
fn equal_geneses_have_no_differences() {
    let mut zero_slot = genesis();
    zero_slot.alloc.get_mut(&CONTRACT).unwrap().storage.remove(&U256::from(2));
    assert_eq!(differences(&genesis(), &zero_slot), []);
}

#[test]
fn every_difference_is_named_with_both_values() {
    let mut theirs = genesis();
    theirs.config.gas_limit = 8_000_000;
    theirs.timestamp += 1;
    theirs.alloc.get_mut(&RICH).unwrap().balance = U256::ONE;
    theirs.alloc.remove(&CONTRACT);
    let texts: Vec<_> = differences(&genesis(), &theirs).iter().map(ToString::to_string).collect();
    assert_eq!(texts[0], "gasLimit differs: 30000000 here, 8000000 there");
    assert_eq!(texts[1], "timestamp differs: 1800000000 here, 1800000001 there");
    let rich = "balance 10000000000000000000000, nonce 0 here, balance 1, nonce 0 there";
    assert_eq!(texts[2], format!("alloc.{RICH} differs: {rich}"));
    assert!(texts[3].starts_with(&format!("alloc.{CONTRACT} differs: balance ")));
    assert!(texts[3].ends_with(" here, absent there"));
    assert_eq!(texts.len(), 4);
}

#[test]
fn many_different_accounts_are_counted() {
    let mut theirs = genesis();
    for byte in 0..30 {
        theirs.alloc.insert(Address::with_last_byte(byte), GenesisAccount { nonce: 1, ..GenesisAccount::default() });
    }
    let differences = differences(&genesis(), &theirs);
    assert_eq!(differences.len(), 11);
    assert_eq!(differences[10].to_string(), "alloc (20 more accounts) differs: 5 accounts here, 35 accounts there");
}

#[test]
fn genesis_block_decodes_from_its_canonical_bytes() {
    assert_eq!(&Block::decode(sealed().block().bytes().clone()).unwrap(), sealed().block());
}
