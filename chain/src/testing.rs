//! What the tests of several modules need.

use crate::{BaseFeePolicy, ChainConfig, Hardfork, SecretKey, Transaction, config, recovery::high_s_twin};
use alloy_consensus::{SignableTransaction, TxEip1559, TxEip2930, TxEip4844, TxEip7702, TxLegacy};
use alloy_eips::{
    eip2930::{AccessList, AccessListItem},
    eip7702::{Authorization, SignedAuthorization},
};
use alloy_primitives::{Address, B256, Bytes, Signature, TxKind, U256};

pub(crate) const CHAIN_ID: u64 = 1337;

pub(crate) fn authority() -> SecretKey {
    SecretKey::from_bytes([0x11; 32]).unwrap()
}

pub(crate) fn sender() -> SecretKey {
    SecretKey::from_bytes([0x22; 32]).unwrap()
}

pub(crate) fn config() -> ChainConfig {
    ChainConfig {
        chain_id: CHAIN_ID,
        name: "test".to_owned(),
        authority: authority().address(),
        forks: vec![(Hardfork::Osaka, 0)],
        base_fee_policy: BaseFeePolicy::Zero,
        initial_base_fee: 0,
        gas_limit: config::DEFAULT_GAS_LIMIT,
        max_block_bytes: config::MAX_BLOCK_BYTES_LIMIT,
        heartbeat_seconds: config::DEFAULT_HEARTBEAT_SECONDS,
    }
}

/// Signs a transaction as [`sender`].
pub(crate) fn sign<T: SignableTransaction<Signature>>(transaction: T) -> Transaction
where
    alloy_consensus::Signed<T>: Into<Transaction>,
{
    let signature = signature(sender().sign(transaction.signature_hash()));
    transaction.into_signed(signature).into()
}

fn signature(bytes: [u8; 65]) -> Signature {
    Signature::from_bytes_and_parity(&bytes[..64], bytes[64] == 1)
}

pub(crate) fn legacy(nonce: u64) -> TxLegacy {
    let to = TxKind::Call(Address::repeat_byte(0x33));
    TxLegacy {
        chain_id: Some(CHAIN_ID),
        nonce,
        gas_price: 7,
        gas_limit: 100_000,
        to,
        value: U256::ONE,
        input: Bytes::new(),
    }
}

pub(crate) fn access_list() -> AccessList {
    let storage_keys = vec![B256::repeat_byte(1), B256::repeat_byte(2)];
    AccessList(vec![AccessListItem { address: Address::repeat_byte(0x44), storage_keys }])
}

pub(crate) fn eip1559(nonce: u64) -> TxEip1559 {
    TxEip1559 {
        chain_id: CHAIN_ID,
        nonce,
        gas_limit: 200_000,
        max_fee_per_gas: 9,
        max_priority_fee_per_gas: 3,
        to: TxKind::Create,
        value: U256::ZERO,
        access_list: access_list(),
        input: vec![0x60, 0, 0x60, 0, 0xf3].into(),
    }
}

pub(crate) fn eip7702(nonce: u64) -> TxEip7702 {
    let authorization = Authorization { chain_id: U256::from(CHAIN_ID), address: Address::repeat_byte(0x55), nonce: 1 };
    let signature = sender().sign(authorization.signature_hash());
    let r = U256::from_be_slice(&signature[..32]);
    let s = U256::from_be_slice(&signature[32..64]);
    TxEip7702 {
        chain_id: CHAIN_ID,
        nonce,
        gas_limit: 200_000,
        max_fee_per_gas: 9,
        max_priority_fee_per_gas: 3,
        to: Address::repeat_byte(0x33),
        value: U256::ZERO,
        access_list: AccessList::default(),
        authorization_list: vec![SignedAuthorization::new_unchecked(authorization, signature[64], r, s)],
        input: Bytes::new(),
    }
}

pub(crate) fn eip4844(nonce: u64) -> TxEip4844 {
    TxEip4844 {
        chain_id: CHAIN_ID,
        nonce,
        gas_limit: 100_000,
        to: Address::repeat_byte(0x33),
        blob_versioned_hashes: vec![B256::with_last_byte(1)],
        max_fee_per_blob_gas: 1,
        ..TxEip4844::default()
    }
}

/// A valid transaction of every type that a chain takes.
pub(crate) fn one_of_each_type(nonce: u64) -> Vec<Transaction> {
    let TxLegacy { gas_price, gas_limit, to, value, input, .. } = legacy(nonce);
    let access_list = access_list();
    let eip2930 = TxEip2930 { chain_id: CHAIN_ID, nonce, gas_price, gas_limit, to, value, access_list, input };
    vec![sign(legacy(nonce)), sign(eip2930), sign(eip1559(nonce)), sign(eip7702(nonce))]
}

/// A transaction with this many bytes of data.
pub(crate) fn with_data(nonce: u64, bytes: usize) -> Transaction {
    sign(TxLegacy { input: vec![0; bytes].into(), gas_limit: 2_000_000, ..legacy(nonce) })
}

/// A transaction for the chain with this id.
pub(crate) fn for_chain(chain_id: u64) -> Transaction {
    sign(TxLegacy { chain_id: Some(chain_id), ..legacy(0) })
}

/// The same legacy transaction with the other form of its signature.
pub(crate) fn with_high_s(transaction: &Transaction) -> Transaction {
    let (unsigned, low, _) = transaction.as_legacy().expect("a legacy transaction").clone().into_parts();
    let mut bytes = [0; 65];
    bytes[..64].copy_from_slice(&low.as_bytes()[..64]);
    bytes[64] = low.v().into();
    unsigned.into_signed(signature(high_s_twin(&bytes))).into()
}
