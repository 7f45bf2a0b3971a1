//! The pool's limits.

use alloy_primitives::Address;
use std::collections::BTreeSet;
use std::time::Duration;

/// With `unfunded = "limit"`, this many transactions of one sender without balance are held: enough for a wallet that
/// sends a few at once, little enough that made-up senders are not worth making up.
pub const UNFUNDED_PER_SENDER: usize = 16;
/// With `unfunded = "limit"`, senders without balance together hold at most this part of the pool.
pub const UNFUNDED_SHARE: usize = 10;

/// What happens to transactions of senders whose balance is zero. Where gas is free they are valid, but anyone can
/// make them up without end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unfunded {
    /// Few are held: [`UNFUNDED_PER_SENDER`], and one in [`UNFUNDED_SHARE`] of the pool.
    Limit,
    /// None are held.
    Refuse,
    /// As those of anyone else.
    Accept,
}

/// The section `[pool]` of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolConfig {
    /// Most transactions.
    pub max_transactions: usize,
    /// Most bytes of all transactions together, in their EIP-2718 form.
    pub max_bytes: usize,
    /// Most transactions of one sender; also how far a nonce may be ahead of the account's.
    pub max_per_sender: usize,
    /// A transaction that is in no block after this long is dropped.
    pub ttl: Duration,
    /// The only senders; everybody where it is empty.
    pub senders: BTreeSet<Address>,
    /// Senders without balance.
    pub unfunded: Unfunded,
}

impl Default for PoolConfig {
    fn default() -> Self {
        Self {
            max_transactions: 16_384,
            max_bytes: 256 << 20,
            max_per_sender: 1_024,
            ttl: Duration::from_secs(3 * 60 * 60),
            senders: BTreeSet::new(),
            unfunded: Unfunded::Limit,
        }
    }
}
