//! The rules of headers.

use super::HeaderError;
use crate::{BaseFeePolicy, ChainConfig, Hardfork, block::header_hash, keccak::keccak256_parts};
use alloy_consensus::{EMPTY_OMMER_ROOT_HASH, Header};
use alloy_primitives::{B64, B256, U256, b256};
use alloy_trie::EMPTY_ROOT_HASH;

/// SHA-256 of the empty string: the hash of no requests (EIP-7685), which there never are.
pub const EMPTY_REQUESTS_HASH: B256 = b256!("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");

/// Domain of [`mix_hash`].
const MIX_DOMAIN: &[u8] = b"callboard/mix/1";

/// The `mixHash` (so the `PREVRANDAO`) of the block after the one with this hash. It is as predictable as it looks.
pub fn mix_hash(parent_hash: B256) -> B256 {
    keccak256_parts(&[MIX_DOMAIN, parent_hash.as_slice()])
}

/// The base fee of the block after `parent`, wei: zero, or by EIP-1559 (elasticity 2, at most an eighth a block).
/// It stops at the largest u64.
pub fn next_base_fee(parent: &Header, config: &ChainConfig) -> u64 {
    const ELASTICITY: u64 = 2;
    const MAX_CHANGE: u128 = 8;
    let target = parent.gas_limit / ELASTICITY;
    if config.base_fee_policy == BaseFeePolicy::Zero {
        return 0;
    }
    let base_fee = parent.base_fee_per_gas.unwrap_or_default();
    if target == 0 {
        return base_fee;
    }
    let change = |gas: u64| {
        let product = U256::from(base_fee) * U256::from(gas) / U256::from(u128::from(target) * MAX_CHANGE);
        product.saturating_to::<u64>()
    };
    if parent.gas_used > target {
        base_fee.saturating_add(change(parent.gas_used - target).max(1))
    } else {
        base_fee.saturating_sub(change(target - parent.gas_used))
    }
}

/// A header at `height` with every field set that the configuration alone fixes.
pub(crate) fn constants_at(height: u64, config: &ChainConfig) -> Header {
    Header {
        number: height,
        beneficiary: config.authority,
        gas_limit: config.gas_limit,
        extra_data: config.commitment().into(),
        base_fee_per_gas: Some(config.initial_base_fee),
        withdrawals_root: Some(EMPTY_ROOT_HASH),
        blob_gas_used: Some(0),
        excess_blob_gas: Some(0),
        parent_beacon_block_root: Some(B256::ZERO),
        requests_hash: requests_hash(config.hardfork_at(height)),
        ..Header::default()
    }
}

/// The header of the next block after `parent`, all but what its transactions decide: transactions root, state root,
/// receipts root, bloom and gas used are those of an empty block.
pub fn child_header(parent: &Header, timestamp: u64, config: &ChainConfig) -> Header {
    let parent_hash = header_hash(parent);
    Header {
        parent_hash,
        timestamp,
        mix_hash: mix_hash(parent_hash),
        base_fee_per_gas: Some(next_base_fee(parent, config)),
        state_root: parent.state_root,
        ..constants_at(parent.number.saturating_add(1), config)
    }
}

/// `extraData` is the commitment to our configuration: the block is of a chain like ours.
fn verify_commitment(header: &Header, config: &ChainConfig) -> Result<(), HeaderError> {
    let (expected, actual) = (config.commitment().into(), header.extra_data.clone());
    if expected == actual { Ok(()) } else { Err(HeaderError::ExtraData { expected, actual }) }
}

/// Checks every field of a header that needs neither its parent nor its body.
pub fn verify_header(header: &Header, config: &ChainConfig) -> Result<(), HeaderError> {
    macro_rules! check {
        ($variant:ident, $expected:expr, $field:ident) => {
            let (expected, actual) = ($expected, header.$field);
            if expected != actual {
                return Err(HeaderError::$variant { expected, actual });
            }
        };
    }
    verify_commitment(header, config)?;
    check!(OmmersHash, EMPTY_OMMER_ROOT_HASH, ommers_hash);
    check!(Beneficiary, config.authority, beneficiary);
    check!(Difficulty, U256::ZERO, difficulty);
    check!(GasLimit, config.gas_limit, gas_limit);
    check!(MixHash, expected_mix_hash(header), mix_hash);
    check!(Nonce, B64::ZERO, nonce);
    if config.base_fee_policy == BaseFeePolicy::Zero {
        // Otherwise its parent decides.
        check!(ZeroBaseFee, Some(0), base_fee_per_gas);
    }
    check!(WithdrawalsRoot, Some(EMPTY_ROOT_HASH), withdrawals_root);
    check!(BlobGasUsed, Some(0), blob_gas_used);
    check!(ExcessBlobGas, Some(0), excess_blob_gas);
    check!(ParentBeaconBlockRoot, Some(B256::ZERO), parent_beacon_block_root);
    check!(RequestsHash, requests_hash(config.hardfork_at(header.number)), requests_hash);
    check!(BlockAccessListHash, None, block_access_list_hash);
    check!(SlotNumber, None, slot_number);
    if header.gas_used > header.gas_limit {
        return Err(HeaderError::GasUsed { expected: header.gas_limit, actual: header.gas_used });
    }
    Ok(())
}

/// Checks every field of a header that its parent decides. The caller has verified both headers by themselves.
pub fn verify_child(header: &Header, parent: &Header, config: &ChainConfig) -> Result<(), HeaderError> {
    verify_child_of(header, parent, header_hash(parent), config)
}

/// The same where the parent's hash is known: hashing it again is a good part of what an empty block costs.
pub(crate) fn verify_child_of(
    header: &Header,
    parent: &Header,
    parent_hash: B256,
    config: &ChainConfig,
) -> Result<(), HeaderError> {
    let (expected, actual) = (parent.number.saturating_add(1), header.number);
    if expected != actual {
        return Err(HeaderError::Number { expected, actual });
    }
    let (expected, actual) = (parent_hash, header.parent_hash);
    if expected != actual {
        return Err(HeaderError::ParentHash { expected, actual });
    }
    let (expected, actual) = (mix_hash(expected), header.mix_hash);
    if expected != actual {
        return Err(HeaderError::MixHash { expected, actual });
    }
    let (expected, actual) = (parent.timestamp, header.timestamp);
    if actual < expected {
        return Err(HeaderError::Timestamp { expected, actual });
    }
    let (expected, actual) = (Some(next_base_fee(parent, config)), header.base_fee_per_gas);
    if expected != actual {
        return Err(HeaderError::BaseFeePerGas { expected, actual });
    }
    Ok(())
}

fn expected_mix_hash(header: &Header) -> B256 {
    if header.number == 0 { B256::ZERO } else { mix_hash(header.parent_hash) }
}

fn requests_hash(hardfork: Hardfork) -> Option<B256> {
    (hardfork >= Hardfork::Prague).then_some(EMPTY_REQUESTS_HASH)
}
