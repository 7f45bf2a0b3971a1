//! Transactions: decoding, their senders, and the rules that need no state.

mod codec;
mod rules;

pub use codec::{DecodeTransactionError, decode_transaction};
pub(crate) use codec::{decode_envelope, transaction_item};
pub use rules::{MAX_INITCODE_BYTES, MAX_TRANSACTION_GAS, TransactionError, intrinsic_gas, validate_transaction};

use crate::{
    Transaction,
    recovery::{RecoverError, recover},
};
use alloy_primitives::Address;

/// Most bytes of one transaction in its EIP-2718 form.
pub const MAX_TRANSACTION_BYTES: usize = 128 * 1024;

/// Who signed a transaction. s must be at most n/2 (EIP-2), for every type.
pub fn recover_sender(transaction: &Transaction) -> Result<Address, RecoverError> {
    let parts = transaction.signature();
    let mut signature = [0; 65];
    signature[..32].copy_from_slice(&parts.r().to_be_bytes::<32>());
    signature[32..64].copy_from_slice(&parts.s().to_be_bytes::<32>());
    signature[64] = parts.v().into();
    recover(transaction.signature_hash(), &signature)
}

#[cfg(test)]
mod tests;
