//! The configuration that every header of a chain commits to in `extraData`.

use crate::keccak256;
use alloy_primitives::{Address, B256};
use alloy_rlp::{BufMut, Encodable};
use serde::{Deserialize, Serialize};

/// Version of the commitment's layout.
pub const COMMITMENT_VERSION: u8 = 1;
/// Upper bound of `max_block_bytes`: a longer block is refused by every node.
pub const MAX_BLOCK_BYTES_LIMIT: u64 = 8_388_608;
/// Lower bound of `max_block_bytes`: room for a transaction of the largest size beside header and seal.
pub const MIN_MAX_BLOCK_BYTES: u64 = 132_096;
/// Least gas limit of a block: one plain transfer.
pub const MIN_GAS_LIMIT: u64 = 21_000;
/// Largest gas limit of a block (as in Ethereum's own clients).
pub const MAX_GAS_LIMIT: u64 = i64::MAX as u64;
/// Largest chain id: the largest that MetaMask takes, so that its legacy signatures' `v` stays exact in JavaScript.
pub const MAX_CHAIN_ID: u64 = 4_503_599_627_370_476;
/// Most bytes of a chain's name.
pub const MAX_NAME_BYTES: usize = 64;
/// Default heartbeat, seconds.
pub const DEFAULT_HEARTBEAT_SECONDS: u64 = 60;
/// Largest heartbeat, seconds.
pub const MAX_HEARTBEAT_SECONDS: u64 = 3_600;
/// Default gas limit of a block.
pub const DEFAULT_GAS_LIMIT: u64 = 30_000_000;
/// Initial base fee under [`BaseFeePolicy::Eip1559`], wei (EIP-1559's 1 gwei).
pub const INITIAL_BASE_FEE: u64 = 1_000_000_000;

/// An Ethereum hardfork whose rules a chain can follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Hardfork {
    /// March 2024: EIP-1153, 4788, 4844, 5656, 6780.
    Cancun,
    /// May 2025: EIP-2935, 7702, 7623.
    Prague,
    /// December 2025: EIP-7825, 7883, 7918, 7934, 7939, 7951.
    Osaka,
}

impl Hardfork {
    /// All hardforks, oldest first.
    pub const ALL: [Self; 3] = [Self::Cancun, Self::Prague, Self::Osaka];

    /// The lower-case name, as in `genesis.json` and `node.toml`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cancun => "cancun",
            Self::Prague => "prague",
            Self::Osaka => "osaka",
        }
    }
}

impl std::fmt::Display for Hardfork {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// The name is not that of a supported hardfork.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("hardfork \"{0}\" is not supported; use \"cancun\", \"prague\" or \"osaka\"")]
pub struct UnknownHardfork(pub String);

impl std::str::FromStr for Hardfork {
    type Err = UnknownHardfork;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|fork| fork.name() == name).ok_or_else(|| UnknownHardfork(name.to_owned()))
    }
}

/// How `baseFeePerGas` is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BaseFeePolicy {
    /// Always zero: gas is free.
    Zero,
    /// EIP-1559 with its own constants; the base fee is burned.
    Eip1559,
}

impl BaseFeePolicy {
    /// The lower-case name, as in `genesis.json` and `node.toml`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Zero => "zero",
            Self::Eip1559 => "eip1559",
        }
    }
}

/// The values that a chain's genesis fixes and every later header commits to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainConfig {
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// The chain's name, for people.
    pub name: String,
    /// The only account whose seal makes a block.
    pub authority: Address,
    /// Hardforks with the height from which each is in force; the first is in force from 0.
    pub forks: Vec<(Hardfork, u64)>,
    /// How the base fee is set.
    pub base_fee_policy: BaseFeePolicy,
    /// Base fee of block 0, wei; zero under [`BaseFeePolicy::Zero`].
    pub initial_base_fee: u64,
    /// Gas limit of every block.
    pub gas_limit: u64,
    /// Upper bound of a block's canonical bytes.
    pub max_block_bytes: u64,
    /// With nothing to include, the authority still seals a block this often, seconds.
    pub heartbeat_seconds: u64,
}

/// A configuration that no chain can have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The chain id is zero, or more than wallets can handle.
    #[error("chainId is {actual}, allowed are 1 to {MAX_CHAIN_ID}")]
    ChainId {
        /// The chain id.
        actual: u64,
    },
    /// The name is empty, too long, or has control characters.
    #[error("name is {actual:?}, allowed are 1 to {MAX_NAME_BYTES} bytes without control characters")]
    Name {
        /// The name.
        actual: String,
    },
    /// The authority is the zero address, which nobody can sign for.
    #[error("authority is the zero address")]
    NoAuthority,
    /// The first fork is not in force from block 0, or a later one does not follow in both fork and height.
    #[error("forks are {actual:?}; the first must be from height 0, and both fork and height must rise")]
    Forks {
        /// The forks.
        actual: Vec<(Hardfork, u64)>,
    },
    /// A base fee under policy zero, or none under EIP-1559.
    #[error("initialBaseFee is {actual} under baseFeePolicy {policy:?}; it is 0 under zero, and above 0 under eip1559")]
    InitialBaseFee {
        /// The policy.
        policy: BaseFeePolicy,
        /// The initial base fee, wei.
        actual: u64,
    },
    /// Too little for any transaction, or more than Ethereum allows.
    #[error("gasLimit is {actual}, allowed are {MIN_GAS_LIMIT} to {MAX_GAS_LIMIT}")]
    GasLimit {
        /// The gas limit.
        actual: u64,
    },
    /// Too little for a useful block, or more than any node takes.
    #[error("maxBlockBytes is {actual}, allowed are {MIN_MAX_BLOCK_BYTES} to {MAX_BLOCK_BYTES_LIMIT}")]
    MaxBlockBytes {
        /// The bound, bytes.
        actual: u64,
    },
    /// Zero, or more than an hour.
    #[error("heartbeat is {actual} seconds, allowed are 1 to {MAX_HEARTBEAT_SECONDS}")]
    Heartbeat {
        /// The heartbeat, seconds.
        actual: u64,
    },
}

impl ChainConfig {
    /// Checks that a chain can have this configuration.
    pub fn validate(&self) -> Result<(), ConfigError> {
        if !(1..=MAX_CHAIN_ID).contains(&self.chain_id) {
            return Err(ConfigError::ChainId { actual: self.chain_id });
        }
        if !(1..=MAX_NAME_BYTES).contains(&self.name.len()) || self.name.chars().any(char::is_control) {
            return Err(ConfigError::Name { actual: self.name.clone() });
        }
        if self.authority.is_zero() {
            return Err(ConfigError::NoAuthority);
        }
        let rising = self.forks.is_sorted_by(|a, b| a.0 < b.0 && a.1 < b.1);
        if !rising || self.forks.first().is_none_or(|(_, from)| *from != 0) {
            return Err(ConfigError::Forks { actual: self.forks.clone() });
        }
        self.validate_limits()
    }

    fn validate_limits(&self) -> Result<(), ConfigError> {
        if (self.base_fee_policy == BaseFeePolicy::Zero) != (self.initial_base_fee == 0) {
            let (policy, actual) = (self.base_fee_policy, self.initial_base_fee);
            return Err(ConfigError::InitialBaseFee { policy, actual });
        }
        if !(MIN_GAS_LIMIT..=MAX_GAS_LIMIT).contains(&self.gas_limit) {
            return Err(ConfigError::GasLimit { actual: self.gas_limit });
        }
        if !(MIN_MAX_BLOCK_BYTES..=MAX_BLOCK_BYTES_LIMIT).contains(&self.max_block_bytes) {
            return Err(ConfigError::MaxBlockBytes { actual: self.max_block_bytes });
        }
        if !(1..=MAX_HEARTBEAT_SECONDS).contains(&self.heartbeat_seconds) {
            return Err(ConfigError::Heartbeat { actual: self.heartbeat_seconds });
        }
        Ok(())
    }

    /// The hardfork in force at `height`.
    pub fn hardfork_at(&self, height: u64) -> Hardfork {
        self.forks.iter().rev().find(|(_, from)| *from <= height).map_or(Hardfork::Cancun, |(fork, _)| *fork)
    }

    /// keccak256(RLP[version, chainId, name, authority, [[fork, fromHeight]…], baseFeePolicy, initialBaseFee,
    /// gasLimit, maxBlockBytes, heartbeat]): the `extraData` of every block.
    pub fn commitment(&self) -> B256 {
        let mut payload = Vec::with_capacity(160);
        COMMITMENT_VERSION.encode(&mut payload);
        self.chain_id.encode(&mut payload);
        self.name.as_str().encode(&mut payload);
        self.authority.encode(&mut payload);
        self.encode_forks(&mut payload);
        self.base_fee_policy.name().encode(&mut payload);
        self.initial_base_fee.encode(&mut payload);
        self.gas_limit.encode(&mut payload);
        self.max_block_bytes.encode(&mut payload);
        self.heartbeat_seconds.encode(&mut payload);
        keccak256(as_list(&payload))
    }

    fn encode_forks(&self, out: &mut Vec<u8>) {
        let mut forks = Vec::new();
        for (fork, from) in &self.forks {
            let mut entry = Vec::new();
            fork.name().encode(&mut entry);
            from.encode(&mut entry);
            forks.put_slice(&as_list(&entry));
        }
        out.put_slice(&as_list(&forks));
    }
}

fn as_list(payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(payload.len() + 9);
    alloy_rlp::Header { list: true, payload_length: payload.len() }.encode(&mut out);
    out.extend_from_slice(payload);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::{address, b256};

    fn config() -> ChainConfig {
        ChainConfig {
            chain_id: 1337,
            name: "devnet".to_owned(),
            authority: address!("f39Fd6e51aad88F6F4ce6aB8827279cffFb92266"),
            forks: vec![(Hardfork::Prague, 0), (Hardfork::Osaka, 100)],
            base_fee_policy: BaseFeePolicy::Eip1559,
            initial_base_fee: INITIAL_BASE_FEE,
            gas_limit: DEFAULT_GAS_LIMIT,
            max_block_bytes: MAX_BLOCK_BYTES_LIMIT,
            heartbeat_seconds: DEFAULT_HEARTBEAT_SECONDS,
        }
    }

    /// Computed by an independent implementation of RLP and Keccak.
    #[test]
    fn commitment_is_pinned() {
        let zero = ChainConfig {
            forks: vec![(Hardfork::Osaka, 0)],
            base_fee_policy: BaseFeePolicy::Zero,
            initial_base_fee: 0,
            ..config()
        };
        assert_eq!(config().commitment(), b256!("131c75696fbaf08a66260b95806b3e5c94ea6d88260ee2ff577994d8bcf4fa1f"));
        assert_eq!(zero.commitment(), b256!("6c60c467a48c5eef1fcba286e5d55ceef11a4c020553df56d875563987492d25"));
    }

    #[test]
    fn every_value_changes_the_commitment() {
        let changed = [
            ChainConfig { chain_id: 1338, ..config() },
            ChainConfig { name: "devnet2".to_owned(), ..config() },
            ChainConfig { authority: Address::ZERO, ..config() },
            ChainConfig { forks: vec![(Hardfork::Prague, 0), (Hardfork::Osaka, 101)], ..config() },
            ChainConfig { forks: vec![(Hardfork::Cancun, 0), (Hardfork::Osaka, 100)], ..config() },
            ChainConfig { base_fee_policy: BaseFeePolicy::Zero, ..config() },
            ChainConfig { initial_base_fee: 0, ..config() },
            ChainConfig { gas_limit: 8_000_000, ..config() },
            ChainConfig { max_block_bytes: 1 << 20, ..config() },
            ChainConfig { heartbeat_seconds: 61, ..config() },
        ];
        let mut commitments: Vec<_> = changed.iter().map(ChainConfig::commitment).collect();
        commitments.push(config().commitment());
        commitments.sort();
        commitments.dedup();
        assert_eq!(commitments.len(), changed.len() + 1);
    }

    #[test]
    fn hardfork_changes_at_its_height() {
        assert_eq!(config().hardfork_at(99), Hardfork::Prague);
        assert_eq!(config().hardfork_at(100), Hardfork::Osaka);
    }

    #[test]
    fn each_bound_is_held() {
        assert_eq!(config().validate(), Ok(()));
        let refused = |config: ChainConfig| config.validate().unwrap_err();
        for actual in [0, MAX_CHAIN_ID + 1] {
            assert_eq!(refused(ChainConfig { chain_id: actual, ..config() }), ConfigError::ChainId { actual });
        }
        for actual in [String::new(), "x".repeat(65), "a\nb".to_owned()] {
            assert_eq!(refused(ChainConfig { name: actual.clone(), ..config() }), ConfigError::Name { actual });
        }
        assert_eq!(refused(ChainConfig { authority: Address::ZERO, ..config() }), ConfigError::NoAuthority);
        for actual in [
            vec![],
            vec![(Hardfork::Osaka, 1)],
            vec![(Hardfork::Osaka, 0), (Hardfork::Prague, 1)],
            vec![(Hardfork::Prague, 0), (Hardfork::Osaka, 0)],
        ] {
            assert_eq!(refused(ChainConfig { forks: actual.clone(), ..config() }), ConfigError::Forks { actual });
        }
        let zero_fee = ChainConfig { initial_base_fee: 0, ..config() };
        assert!(matches!(refused(zero_fee), ConfigError::InitialBaseFee { actual: 0, .. }));
        let fee_under_zero = ChainConfig { base_fee_policy: BaseFeePolicy::Zero, ..config() };
        assert!(matches!(refused(fee_under_zero), ConfigError::InitialBaseFee { policy: BaseFeePolicy::Zero, .. }));
        for actual in [20_999, MAX_GAS_LIMIT + 1] {
            assert_eq!(refused(ChainConfig { gas_limit: actual, ..config() }), ConfigError::GasLimit { actual });
        }
        for actual in [MIN_MAX_BLOCK_BYTES - 1, MAX_BLOCK_BYTES_LIMIT + 1] {
            let config = ChainConfig { max_block_bytes: actual, ..config() };
            assert_eq!(refused(config), ConfigError::MaxBlockBytes { actual });
        }
        for actual in [0, 3_601] {
            let config = ChainConfig { heartbeat_seconds: actual, ..config() };
            assert_eq!(refused(config), ConfigError::Heartbeat { actual });
        }
    }
}
