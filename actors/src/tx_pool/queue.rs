//! The transactions of one sender, by nonce.

use super::error::{EqualOffer, PoolError};
use super::state::Worth;
use super::turns::weight;
use alloy_consensus::Transaction as _;
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, B256, U256};
use callboard_chain::{BaseFeePolicy, Transaction};
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

/// A replacement offers at least this much more, in percent of what it replaces; see [`check_replacement`].
const REPLACEMENT_PERCENT: u128 = 10;
/// Where gas is free, a transaction that has been held for this long is replaced by one that offers as much. Longer than
/// a block takes, and than it takes a follower to bring it to the authority, so that all have the old one by then.
pub(super) const EQUAL_AFTER: Duration = Duration::from_secs(30);
/// That often for one nonce: each replacement is relayed to every node.
pub(super) const EQUAL_OFFERS: u32 = 8;
/// Ranges of missing nonces that are told.
const MISSING_TOLD: usize = 8;

/// What the pool needs to know of an account.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AccountState {
    /// The next nonce.
    pub nonce: u64,
    /// Wei.
    pub balance: U256,
}

/// A transaction with what the pool knows of it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct PooledTransaction {
    /// The transaction.
    pub transaction: Arc<Transaction>,
    /// Who signed it.
    pub sender: Address,
    /// Length in EIP-2718 form.
    pub bytes: usize,
    /// Most wei it can cost: gas limit × fee cap + value.
    pub cost: U256,
    /// The pool's count of arrivals when it came.
    pub arrival: u64,
    /// When it came, on the shell's monotonic clock.
    pub arrived: Duration,
    /// How often its nonce has changed hands for an equal offer.
    pub equal_offers: u32,
}

/// What a transaction of the pool waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Waiting {
    /// For a block only: it could come into the next one.
    Ready,
    /// For transactions of its sender with lower nonces.
    Nonces {
        /// The missing ones, the lowest first; only the first few ranges.
        missing: Vec<RangeInclusive<u64>>,
    },
    /// For funds.
    Funds {
        /// Wei that it and its sender's earlier ones can cost.
        required: U256,
        /// Wei that its sender has.
        balance: U256,
    },
    /// For a base fee that it can pay, or that its sender's earlier ones can.
    BaseFee {
        /// The nonce of the first that cannot.
        nonce: u64,
        /// Wei a gas that it pays at most.
        cap: u128,
        /// Base fee of the next block, wei a gas.
        base_fee: u64,
    },
}

impl PooledTransaction {
    pub(crate) fn new(transaction: Transaction, sender: Address, arrival: u64, arrived: Duration) -> Self {
        let price = U256::from(transaction.max_fee_per_gas());
        // Rules that need no state (`validate_transaction`) keep the cost within 256 bits.
        let cost = U256::from(transaction.gas_limit()).saturating_mul(price).saturating_add(transaction.value());
        let bytes = transaction.encode_2718_len();
        Self { transaction: Arc::new(transaction), sender, bytes, cost, arrival, arrived, equal_offers: 0 }
    }

    /// Its hash.
    pub fn hash(&self) -> B256 {
        *self.transaction.hash()
    }

    /// Its nonce.
    pub fn nonce(&self) -> u64 {
        self.transaction.nonce()
    }

    /// Its gas limit.
    pub fn gas_limit(&self) -> u64 {
        self.transaction.gas_limit()
    }

    /// Wei a gas that the authority gets at this base fee; `None` where the fee cap is below it.
    pub fn tip(&self, base_fee: u64) -> Option<u128> {
        self.transaction.effective_tip_per_gas(base_fee)
    }
}

/// One sender's transactions.
#[derive(Debug)]
pub(super) struct Queue {
    /// The account as of the last durable block the pool has seen.
    pub(super) account: AccountState,
    pub(super) transactions: BTreeMap<u64, PooledTransaction>,
    /// The number, among those of arrivals, that the sender got when a block last took one of its. It need not outlive
    /// the queue: what comes after that has a higher number itself.
    served: u64,
}

impl Queue {
    pub(super) fn new(account: AccountState) -> Self {
        Self { account, transactions: BTreeMap::new(), served: 0 }
    }

    /// The account is like this now. Whether a block has served the sender by that: it then has this number.
    pub(super) fn set_account(&mut self, account: AccountState, number: u64) -> bool {
        let is_served = account.nonce > self.account.nonce;
        if is_served {
            self.served = number;
        }
        self.account = account;
        is_served
    }

    /// Since which number, among those of arrivals, the sender has waited for a block.
    pub(super) fn waits_since(&self) -> u64 {
        self.ready().next().map_or(self.served, |first| first.arrival.max(self.served))
    }

    /// What the transaction with this nonce waits for, where the next block has this base fee.
    pub(super) fn waiting(&self, nonce: u64, base_fee: u64) -> Waiting {
        let missing = self.missing_before(nonce);
        if !missing.is_empty() {
            return Waiting::Nonces { missing };
        }
        let up_to = || self.transactions.range(self.account.nonce..).take_while(move |(other, _)| **other <= nonce);
        let required = up_to().fold(U256::ZERO, |sum, (_, pooled)| sum.saturating_add(pooled.cost));
        let balance = self.account.balance;
        if required > balance {
            return Waiting::Funds { required, balance };
        }
        match up_to().find(|(_, pooled)| pooled.tip(base_fee).is_none()) {
            Some((nonce, pooled)) => {
                Waiting::BaseFee { nonce: *nonce, cap: pooled.transaction.max_fee_per_gas(), base_fee }
            }
            None => Waiting::Ready,
        }
    }

    fn missing_before(&self, nonce: u64) -> Vec<RangeInclusive<u64>> {
        let (mut expected, mut missing) = (self.account.nonce, Vec::new());
        for (held, _) in self.transactions.range(self.account.nonce..).take_while(|(held, _)| **held <= nonce) {
            if let Some(last) = held.checked_sub(1).filter(|last| *last >= expected) {
                missing.push(expected..=last);
            }
            expected = held.saturating_add(1);
        }
        missing.truncate(MISSING_TOLD);
        missing
    }

    /// The transactions that can come into a block one after the other: no nonce gap, and covered by the balance.
    pub(super) fn ready(&self) -> impl Iterator<Item = &PooledTransaction> {
        let mut next = self.account.nonce;
        let mut left = self.account.balance;
        self.transactions.range(next..).map_while(move |(nonce, pooled)| {
            if *nonce != next {
                return None;
            }
            left = left.checked_sub(pooled.cost)?;
            next = nonce.checked_add(1)?;
            Some(pooled)
        })
    }

    /// The nonce after the gapless ones from `confirmed` on.
    pub(super) fn next_nonce(&self, confirmed: u64) -> u64 {
        let from = self.account.nonce.max(confirmed);
        let gapless =
            self.transactions.range(from..).zip(from..).take_while(|((nonce, _), expected)| *nonce == expected);
        from.saturating_add(gapless.count() as u64)
    }

    /// Wei that `new` and all transactions from `confirmed` up to it can cost.
    pub(super) fn cost_with(&self, new: &PooledTransaction, confirmed: u64) -> U256 {
        let before = self.transactions.range(confirmed..).take_while(|(nonce, _)| **nonce < new.nonce());
        before.fold(new.cost, |sum, (_, pooled)| sum.saturating_add(pooled.cost))
    }

    /// How many of the transactions count as those of a sender without balance.
    pub(super) fn unfunded(&self) -> usize {
        if self.account.balance.is_zero() { self.transactions.len() } else { 0 }
    }

    /// What the last transaction is worth to a full pool.
    pub(super) fn worth(&self, policy: BaseFeePolicy) -> Option<Worth> {
        let (nonce, tail) = self.transactions.last_key_value()?;
        let held = self.transactions.len();
        let gapless = nonce.checked_sub(self.account.nonce).is_some_and(|ahead| ahead < held as u64);
        Some((gapless, weight(policy, tail.tip(0).unwrap_or(0)), Reverse(held), Reverse(tail.arrival)))
    }
}

/// Whether `new` may take the place of `old`, which has the same sender and nonce; how often the nonce has then changed
/// hands for an equal offer.
///
/// Fee cap and tip must each be higher, by at least [`REPLACEMENT_PERCENT`] and by at least 1 wei (a legacy
/// transaction's gas price counts as both). That is also the rule where gas is free: a replacement is relayed to every
/// node, and one that offers nothing more could be repeated without end. But a sender without funds cannot offer 1 wei
/// a gas, and must be able to take back what is stuck. So where gas is free an offer that is as high as the old one is
/// taken, too, once the old one has been held for [`EQUAL_AFTER`], at most [`EQUAL_OFFERS`] times for a nonce.
pub(super) fn check_replacement(
    policy: BaseFeePolicy,
    now: Duration,
    old: &PooledTransaction,
    new: &PooledTransaction,
) -> Result<u32, PoolError> {
    let (old_cap, old_tip) = offer(old);
    let (cap, tip) = offer(new);
    let (required_cap, required_tip) = (bump(old_cap), bump(old_tip));
    if cap >= required_cap && tip >= required_tip {
        return Ok(old.equal_offers);
    }
    let equal = match old.arrived.saturating_add(EQUAL_AFTER).saturating_sub(now) {
        _ if policy != BaseFeePolicy::Zero || cap < old_cap || tip < old_tip => EqualOffer::Never,
        _ if old.equal_offers >= EQUAL_OFFERS => EqualOffer::UsedUp,
        wait if wait.is_zero() => return Ok(old.equal_offers.saturating_add(1)),
        wait => EqualOffer::In { wait },
    };
    Err(PoolError::Underpriced { cap, tip, required_cap, required_tip, equal })
}

fn offer(pooled: &PooledTransaction) -> (u128, u128) {
    let cap = pooled.transaction.max_fee_per_gas();
    (cap, pooled.transaction.max_priority_fee_per_gas().unwrap_or(cap))
}

fn bump(fee: u128) -> u128 {
    fee.saturating_add((fee / 100).saturating_mul(REPLACEMENT_PERCENT))
        .saturating_add(((fee % 100) * REPLACEMENT_PERCENT).div_ceil(100))
        .max(fee.saturating_add(1))
}
