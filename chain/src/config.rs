//! The configuration that every header of a chain commits to in `extraData`.

use crate::keccak256;
use alloy_primitives::{Address, B256};
use alloy_rlp::{BufMut, Encodable};
use serde::{Deserialize, Serialize};

/// Version of the commitment's layout.
pub const COMMITMENT_VERSION: u8 = 1;
/// Upper bound of `max_block_bytes`: a longer block is refused by every node.
pub const MAX_BLOCK_BYTES_LIMIT: u64 = 8_388_608;
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

impl ChainConfig {
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
