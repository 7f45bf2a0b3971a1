//! Writing `genesis.json`: the same genesis always gives the same bytes, whatever file it came from.

use super::{Genesis, GenesisAccount};
use crate::{ChainConfig, Hardfork, Seal, config::COMMITMENT_VERSION};
use alloy_consensus::Header;
use alloy_primitives::{Address, B64, B256, Bytes, U64, U256};
use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    config: Value,
    nonce: B64,
    timestamp: U64,
    extra_data: &'a Bytes,
    gas_limit: U64,
    difficulty: U256,
    mix_hash: B256,
    coinbase: Address,
    number: U64,
    gas_used: U64,
    parent_hash: B256,
    base_fee_per_gas: U64,
    seal: String,
    #[serde(serialize_with = "alloc")]
    alloc: &'a BTreeMap<Address, GenesisAccount>,
}

#[derive(Serialize)]
struct AccountEntry<'a> {
    balance: U256,
    #[serde(skip_serializing_if = "U64::is_zero")]
    nonce: U64,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'a Bytes>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    storage: BTreeMap<B256, B256>,
}

pub(super) fn write(genesis: &Genesis, header: &Header, seal: &Seal) -> Vec<u8> {
    let document = Document {
        config: config(&genesis.config),
        nonce: header.nonce,
        timestamp: U64::from(header.timestamp),
        extra_data: &header.extra_data,
        gas_limit: U64::from(header.gas_limit),
        difficulty: header.difficulty,
        mix_hash: header.mix_hash,
        coinbase: header.beneficiary,
        number: U64::from(header.number),
        gas_used: U64::from(header.gas_used),
        parent_hash: header.parent_hash,
        base_fee_per_gas: U64::from(header.base_fee_per_gas.unwrap_or_default()),
        seal: seal.to_string(),
        alloc: &genesis.alloc,
    };
    let mut json = serde_json::to_vec_pretty(&document).expect("maps with string keys into memory cannot fail");
    json.push(b'\n');
    json
}

/// The committed values, and for Ethereum's tools the forks in the way geth writes them.
fn config(config: &ChainConfig) -> Value {
    let mut section = Map::new();
    section.insert("chainId".to_owned(), config.chain_id.into());
    for fork in ["homestead", "eip150", "eip155", "eip158", "byzantium", "constantinople", "petersburg", "istanbul"] {
        section.insert(format!("{fork}Block"), 0.into());
    }
    section.insert("berlinBlock".to_owned(), 0.into());
    section.insert("londonBlock".to_owned(), 0.into());
    section.insert("terminalTotalDifficulty".to_owned(), 0.into());
    section.insert("shanghaiTime".to_owned(), 0.into());
    let at_genesis = config.hardfork_at(0);
    let mut blobs = Map::new();
    for fork in Hardfork::ALL.into_iter().filter(|fork| *fork <= at_genesis) {
        section.insert(format!("{fork}Time"), 0.into());
        blobs.insert(fork.name().to_owned(), blob_schedule(fork));
    }
    section.insert("blobSchedule".to_owned(), blobs.into());
    section.insert("callboard".to_owned(), committed(config));
    section.into()
}

/// What geth wants to know about a fork's blobs, which this chain never has (EIP-7840).
fn blob_schedule(fork: Hardfork) -> Value {
    match fork {
        Hardfork::Cancun => json!({ "target": 3, "max": 6, "baseFeeUpdateFraction": 3_338_477 }),
        Hardfork::Prague | Hardfork::Osaka => json!({ "target": 6, "max": 9, "baseFeeUpdateFraction": 5_007_716 }),
    }
}

fn committed(config: &ChainConfig) -> Value {
    let fork = |(fork, from): &(Hardfork, u64)| json!({ "fork": fork.name(), "fromHeight": from });
    json!({
        "version": COMMITMENT_VERSION,
        "chainId": config.chain_id,
        "name": config.name,
        "authority": config.authority,
        "forks": config.forks.iter().map(fork).collect::<Vec<_>>(),
        "baseFeePolicy": config.base_fee_policy.name(),
        "initialBaseFee": config.initial_base_fee.to_string(),
        "gasLimit": config.gas_limit,
        "maxBlockBytes": config.max_block_bytes,
        "heartbeat": config.heartbeat_seconds,
    })
}

fn alloc<S: Serializer>(alloc: &&BTreeMap<Address, GenesisAccount>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(alloc.iter().map(|(address, account)| {
        let storage = account.slots().map(|(slot, value)| (B256::from(slot), B256::from(value))).collect();
        let nonce = U64::from(account.nonce);
        let code = Some(&account.code).filter(|code| !code.is_empty());
        (address, AccountEntry { balance: account.balance, nonce, code, storage })
    }))
}
