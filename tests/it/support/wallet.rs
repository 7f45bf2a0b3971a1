//! Transactions of the development accounts, signed here.

use super::node::Node;
use crate::forge;
use alloy_consensus::TxLegacy;
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, Bytes};
use callboard::dev;
use callboard_chain::SecretKey;

/// Whom transfers go to.
pub(crate) const RECIPIENT: Address = Address::repeat_byte(0xaa);

/// The address of a development account.
pub(crate) fn address(account: u32) -> String {
    dev::key(account).address().to_string()
}

/// Transfers of 1 wei each from a development account, from nonce `from` on.
pub(crate) fn transfers(account: u32, from: u64, count: u64) -> Vec<Bytes> {
    let key = dev::key(account);
    (from..from + count).map(|nonce| sign(&key, transfer(nonce))).collect()
}

/// A transfer of 1 wei.
pub(crate) fn transfer(nonce: u64) -> TxLegacy {
    forge::unsigned(nonce, RECIPIENT, 1)
}

/// The raw form of a transaction.
pub(crate) fn sign(key: &SecretKey, transaction: TxLegacy) -> Bytes {
    forge::sign(transaction, key).encoded_2718().into()
}

/// Blocks of one transfer each from development account 0, from a nonce on.
pub(crate) fn make_blocks(authority: &Node, from: u64, count: u64) {
    for transfer in transfers(0, from, count) {
        authority.receipt(authority.send(&[transfer])[0]);
    }
}
