//! Values of the block for one call. What would have no effect here is refused, as a member that is not known is.

use crate::rpc_frontend::eth::Quantity;
use alloy_primitives::{Address, B256, U256};
use callboard_chain::execution::BlockOverrides;
use serde::{Deserialize, Deserializer, de::Error};

/// Block overrides as a parameter.
#[derive(Debug, Default)]
pub(crate) struct BlockOverridesParam(pub(crate) BlockOverrides);

/// By geth's names, and by those of the execution API.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct Members {
    #[serde(alias = "blockNumber")]
    number: Option<U256>,
    #[serde(alias = "timestamp")]
    time: Option<Quantity>,
    gas_limit: Option<Quantity>,
    #[serde(alias = "feeRecipient")]
    coinbase: Option<Address>,
    #[serde(alias = "prevRandao")]
    random: Option<B256>,
    #[serde(alias = "baseFeePerGas")]
    base_fee: Option<U256>,
}

impl<'de> Deserialize<'de> for BlockOverridesParam {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let members = Members::deserialize(deserializer)?;
        let number = |value: U256, name: &str| {
            u64::try_from(value).map_err(|_| D::Error::custom(format!("block override {name} exceeds 64 bits")))
        };
        Ok(Self(BlockOverrides {
            height: members.number.map(|value| number(value, "number")).transpose()?,
            timestamp: members.time.map(|value| value.to()),
            gas_limit: members.gas_limit.map(|value| value.to()),
            beneficiary: members.coinbase,
            mix_hash: members.random,
            base_fee: members.base_fee.map(|value| number(value, "baseFee")).transpose()?,
        }))
    }
}
