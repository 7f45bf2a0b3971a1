//! Reading `genesis.json`: geth's format, with or without the committed values and the seal.

use super::{
    Genesis, GenesisAccount, GenesisError, MAX_ACCOUNTS,
    quantity::{Quantity, Word},
};
use crate::{BaseFeePolicy, ChainConfig, Hardfork, Seal, config::COMMITMENT_VERSION, seal::SEAL_LENGTH};
use alloy_primitives::{Address, B256, Bytes, hex};
use serde::{
    Deserialize, Deserializer,
    de::{self, Error as _, IgnoredAny, MapAccess},
};
use std::{collections::BTreeMap, fmt, marker::PhantomData};

/// A genesis file as it was read: a geth genesis that still has to be completed and sealed, or a sealed one.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GenesisFile {
    #[serde(default)]
    config: ConfigSection,
    #[serde(default, deserialize_with = "timestamp")]
    timestamp: Option<u64>,
    #[serde(default, deserialize_with = "gas_limit")]
    gas_limit: Option<u64>,
    #[serde(default, deserialize_with = "alloc")]
    alloc: BTreeMap<Address, GenesisAccount>,
    #[serde(default, deserialize_with = "seal")]
    seal: Option<Seal>,
    extra_data: Option<Bytes>,
    coinbase: Option<Address>,
    difficulty: Option<Quantity>,
    nonce: Option<Quantity>,
    mix_hash: Option<B256>,
    parent_hash: Option<B256>,
    number: Option<Quantity>,
    gas_used: Option<Quantity>,
    base_fee_per_gas: Option<Quantity>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ConfigSection {
    chain_id: Option<u64>,
    callboard: Option<CallboardSection>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct CallboardSection {
    version: u8,
    chain_id: Option<u64>,
    name: String,
    authority: Address,
    forks: Vec<ForkEntry>,
    base_fee_policy: BaseFeePolicy,
    initial_base_fee: Quantity,
    gas_limit: Option<u64>,
    max_block_bytes: u64,
    heartbeat: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ForkEntry {
    fork: Hardfork,
    from_height: u64,
}

impl GenesisFile {
    /// Reads a genesis file. Keys of geth's format that do not matter here are skipped.
    pub fn from_json(json: &[u8]) -> Result<Self, GenesisError> {
        Ok(serde_json::from_slice(json)?)
    }

    /// Reads a bare geth `alloc`: a map from address to account.
    pub fn alloc_from_json(json: &[u8]) -> Result<BTreeMap<Address, GenesisAccount>, GenesisError> {
        let mut deserializer = serde_json::Deserializer::from_slice(json);
        let accounts = alloc(&mut deserializer)?;
        deserializer.end()?;
        Ok(accounts)
    }

    /// The chain id, where the file has one.
    pub fn chain_id(&self) -> Option<u64> {
        self.config.chain_id
    }

    /// Block 0's timestamp, where the file has one.
    pub fn timestamp(&self) -> Option<u64> {
        self.timestamp
    }

    /// The gas limit, where the file has one.
    pub fn gas_limit(&self) -> Option<u64> {
        self.gas_limit
    }

    /// The accounts.
    pub fn alloc(&self) -> &BTreeMap<Address, GenesisAccount> {
        &self.alloc
    }

    /// The seal, where the file has one.
    pub fn seal(&self) -> Option<Seal> {
        self.seal
    }

    /// Completes an unsealed genesis: what the file says wins over `config` and `timestamp`, which stand for
    /// everything it does not say. Its consensus fields (`difficulty`, `extraData` and so on) are those of another
    /// kind of chain and are left out.
    pub fn complete(self, config: ChainConfig, timestamp: u64) -> Result<Genesis, GenesisError> {
        let base = ChainConfig {
            chain_id: self.config.chain_id.unwrap_or(config.chain_id),
            gas_limit: self.gas_limit.unwrap_or(config.gas_limit),
            ..config
        };
        let config = match &self.config.callboard {
            Some(section) => section.config(base.chain_id, base.gas_limit)?,
            None => base,
        };
        Ok(Genesis { config, timestamp: self.timestamp.unwrap_or(timestamp), alloc: self.alloc })
    }

    /// The genesis of a sealed file, which must have the committed values.
    pub(super) fn committed(&self) -> Result<Genesis, GenesisError> {
        let section = self.config.callboard.as_ref().ok_or(GenesisError::NotCommitted)?;
        let chain_id = self.config.chain_id.or(section.chain_id).ok_or(GenesisError::NotCommitted)?;
        let gas_limit = self.gas_limit.or(section.gas_limit).ok_or(GenesisError::NotCommitted)?;
        let config = section.config(chain_id, gas_limit)?;
        Ok(Genesis { config, timestamp: self.timestamp.unwrap_or_default(), alloc: self.alloc.clone() })
    }

    /// Checks the header fields of a sealed file against the header that its content makes.
    pub(super) fn check_header(&self, header: &alloy_consensus::Header) -> Result<(), GenesisError> {
        let number = |quantity: Option<Quantity>| quantity.map(|quantity| quantity.0.to_string());
        let base_fee = header.base_fee_per_gas.unwrap_or_default();
        for (field, expected, actual) in [
            ("extraData", header.extra_data.to_string(), self.extra_data.as_ref().map(Bytes::to_string)),
            ("coinbase", header.beneficiary.to_string(), self.coinbase.map(|value| value.to_string())),
            ("difficulty", header.difficulty.to_string(), number(self.difficulty)),
            ("nonce", u64::from(header.nonce).to_string(), number(self.nonce)),
            ("mixHash", header.mix_hash.to_string(), self.mix_hash.map(|value| value.to_string())),
            ("parentHash", header.parent_hash.to_string(), self.parent_hash.map(|value| value.to_string())),
            ("number", header.number.to_string(), number(self.number)),
            ("gasUsed", header.gas_used.to_string(), number(self.gas_used)),
            ("baseFeePerGas", base_fee.to_string(), number(self.base_fee_per_gas)),
        ] {
            same(field, expected, actual)?;
        }
        Ok(())
    }
}

/// What a file says about a field, if anything, is what the rest of it makes that field.
fn same<T: PartialEq + ToString>(field: &'static str, expected: T, actual: Option<T>) -> Result<(), GenesisError> {
    match actual {
        Some(actual) if actual != expected => {
            Err(GenesisError::Contradiction { field, expected: expected.to_string(), actual: actual.to_string() })
        }
        _ => Ok(()),
    }
}

impl CallboardSection {
    fn config(&self, chain_id: u64, gas_limit: u64) -> Result<ChainConfig, GenesisError> {
        same("config.callboard.version", COMMITMENT_VERSION, Some(self.version))?;
        same("config.callboard.chainId", chain_id, self.chain_id)?;
        same("config.callboard.gasLimit", gas_limit, self.gas_limit)?;
        Ok(ChainConfig {
            chain_id,
            name: self.name.clone(),
            authority: self.authority,
            forks: self.forks.iter().map(|entry| (entry.fork, entry.from_height)).collect(),
            base_fee_policy: self.base_fee_policy,
            initial_base_fee: self.initial_base_fee.to_u64::<serde_json::Error>("config.callboard.initialBaseFee")?,
            gas_limit,
            max_block_bytes: self.max_block_bytes,
            heartbeat_seconds: self.heartbeat,
        })
    }
}

fn timestamp<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    Quantity::deserialize(deserializer)?.to_u64("timestamp").map(Some)
}

fn gas_limit<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    Quantity::deserialize(deserializer)?.to_u64("gasLimit").map(Some)
}

fn seal<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Seal>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let mut bytes = [0; SEAL_LENGTH];
    hex::decode_to_slice(&text, &mut bytes)
        .map_err(|_| D::Error::custom(format!("seal is not {SEAL_LENGTH} bytes in hexadecimal")))?;
    Ok(Some(Seal(bytes)))
}

fn alloc<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<Address, GenesisAccount>, D::Error> {
    let accounts: BTreeMap<Address, AccountEntry> = deserializer.deserialize_map(UniqueKeys::new(MAX_ACCOUNTS))?;
    accounts.into_iter().map(|(address, entry)| Ok((address, entry.account()?))).collect()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AccountEntry {
    balance: Option<Quantity>,
    nonce: Option<Quantity>,
    code: Option<Bytes>,
    #[serde(default, deserialize_with = "storage")]
    storage: BTreeMap<Word, Word>,
    #[serde(rename = "secretKey")]
    _secret_key: Option<IgnoredAny>,
    #[serde(rename = "comment")]
    _comment: Option<IgnoredAny>,
}

impl AccountEntry {
    fn account<E: de::Error>(self) -> Result<GenesisAccount, E> {
        Ok(GenesisAccount {
            balance: self.balance.map(|quantity| quantity.0).unwrap_or_default(),
            nonce: self.nonce.map(|quantity| quantity.to_u64("nonce")).transpose()?.unwrap_or_default(),
            code: self.code.unwrap_or_default(),
            storage: self.storage.into_iter().map(|(slot, value)| (slot.0, value.0)).collect(),
        })
    }
}

fn storage<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<Word, Word>, D::Error> {
    deserializer.deserialize_map(UniqueKeys::new(usize::MAX))
}

/// Reads a map with at most so many entries, and refuses a key that comes twice, which JSON parsers otherwise
/// resolve each in their own way.
struct UniqueKeys<K, V>(usize, PhantomData<(K, V)>);

impl<K, V> UniqueKeys<K, V> {
    fn new(limit: usize) -> Self {
        Self(limit, PhantomData)
    }
}

impl<'de, K: Deserialize<'de> + Ord + Copy + fmt::Debug, V: Deserialize<'de>> de::Visitor<'de> for UniqueKeys<K, V> {
    type Value = BTreeMap<K, V>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let mut map = BTreeMap::new();
        while let Some((key, value)) = entries.next_entry::<K, V>()? {
            if map.len() == self.0 {
                return Err(A::Error::custom(format!("more than {} accounts; that many are allowed", self.0)));
            }
            if map.insert(key, value).is_some() {
                return Err(A::Error::custom(format!("{key:?} is there twice")));
            }
        }
        Ok(map)
    }
}
