//! Parameters in Ethereum's encoding, and the quantities of answers.

use crate::rpc_frontend::jsonrpc::{Params, RpcError};
use alloy_eips::{BlockId, BlockNumberOrTag};
use alloy_primitives::{U64, U256};
use serde::{Deserialize, Deserializer, de::Error};

/// A number as `0x` and hex digits without leading zeros.
pub(crate) type Quantity = U64;

/// The block parameter at `index`; absent it is the latest block.
pub(crate) fn block_or_latest(params: &Params<'_>, index: usize) -> Result<BlockId, RpcError> {
    Ok(params.optional(index, "block")?.unwrap_or(BlockId::Number(BlockNumberOrTag::Latest)))
}

/// A storage slot: hex of up to 32 bytes, with or without leading zeros (web3.py sends `0x0`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Slot(pub(super) U256);

impl<'de> Deserialize<'de> for Slot {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let digits = text.strip_prefix("0x").ok_or_else(|| D::Error::custom("a slot begins with 0x"))?;
        if digits.len() > 64 {
            return Err(D::Error::custom(format!(
                "a slot has at most 32 bytes, {} hex digits were given",
                digits.len()
            )));
        }
        if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(D::Error::custom("a slot is written in hex digits"));
        }
        U256::from_str_radix(digits, 16).map(Slot).map_err(D::Error::custom)
    }
}

/// A count, as a quantity or as a JSON number (ethers sends the one, web3.py the other).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Count(pub(super) u64);

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Number(u64),
            Text(Quantity),
        }
        Form::deserialize(deserializer).map(|form| match form {
            Form::Number(count) => Count(count),
            Form::Text(count) => Count(count.to()),
        })
    }
}
