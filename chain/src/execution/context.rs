//! What a block's transactions see of the block itself.

use crate::{ChainConfig, Hardfork};
use alloy_consensus::Header;
use alloy_primitives::{Address, B256};

/// The block that transactions run in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockContext {
    /// Height (`NUMBER`).
    pub height: u64,
    /// Seconds since the Unix epoch (`TIMESTAMP`).
    pub timestamp: u64,
    /// Who gets the tips (`COINBASE`).
    pub beneficiary: Address,
    /// Gas that all transactions may use together (`GASLIMIT`).
    pub gas_limit: u64,
    /// Burned per gas, wei (`BASEFEE`).
    pub base_fee: u64,
    /// The header's `mixHash` (`PREVRANDAO`).
    pub mix_hash: B256,
    /// Hash of the block before, which EIP-2935 stores.
    pub parent_hash: B256,
    /// Whose rules hold.
    pub hardfork: Hardfork,
    /// EIP-155 chain id (`CHAINID`).
    pub chain_id: u64,
}

impl BlockContext {
    /// The context of the block with this header.
    pub fn for_header(header: &Header, config: &ChainConfig) -> Self {
        Self {
            height: header.number,
            timestamp: header.timestamp,
            beneficiary: header.beneficiary,
            gas_limit: header.gas_limit,
            base_fee: header.base_fee_per_gas.unwrap_or_default(),
            mix_hash: header.mix_hash,
            parent_hash: header.parent_hash,
            hardfork: config.hardfork_at(header.number),
            chain_id: config.chain_id,
        }
    }
}
