//! Parameters in Ethereum's encoding, and the quantities of answers.

use crate::rpc_frontend::jsonrpc::{Params, RpcError};
use alloy_eips::{BlockId, BlockNumberOrTag};
use alloy_primitives::{B256, U64, U256};
use serde::{Deserialize, Deserializer, de::Error};
use serde_json::Value;

/// A number as `0x` and hex digits without leading zeros.
pub(crate) type Quantity = U64;

/// The block parameter at `index`; absent it is the latest block.
pub(crate) fn block_or_latest(params: &Params<'_>, index: usize) -> Result<BlockId, RpcError> {
    let block: Option<BlockParam> = params.optional(index, "block")?;
    Ok(block.map_or(BlockId::Number(BlockNumberOrTag::Latest), |BlockParam(id)| id))
}

/// The first parameter of a method that names a block: its hash and nothing else, where the method's name says so.
pub(crate) fn block_named(method: &str, params: &Params<'_>) -> Result<BlockId, RpcError> {
    if method.contains("Hash") {
        let hash: B256 = params.required(0, "block hash")?;
        return Ok(hash.into());
    }
    params.required(0, "block").map(|BlockParam(id)| id)
}

/// A block by number, tag, hash, or as EIP-1898 has it. A member that is null is absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BlockParam(pub(crate) BlockId);

impl<'de> Deserialize<'de> for BlockParam {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut value = Value::deserialize(deserializer)?;
        if let Value::Object(members) = &mut value {
            members.retain(|_, member| !member.is_null());
        }
        BlockId::deserialize(value).map(Self).map_err(D::Error::custom)
    }
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
        let count = match Value::deserialize(deserializer)? {
            Value::Number(number) => number.as_u64(),
            Value::String(text) => {
                text.parse().ok().filter(|_| text.starts_with("0x")).map(|count: Quantity| count.to())
            }
            _ => None,
        };
        count.map(Count).ok_or_else(|| D::Error::custom("a count is a whole number from 0, as 5 or \"0x5\""))
    }
}
