//! The core: which transactions are held, replaced, evicted and offered for a block. Pure: time, accounts and blocks
//! come in, effects go out.

use super::barred::Barred;
use super::config::{PoolConfig, UNFUNDED_PER_SENDER, UNFUNDED_SHARE, Unfunded};
use super::error::PoolError;
use super::messages::BestTransactions;
use super::queue::{AccountState, PooledTransaction, Queue, Waiting, check_replacement};
use super::turns::{self, weight};
use crate::callboard::Origin;
use alloy_primitives::{Address, B256};
use callboard_chain::{BaseFeePolicy, Transaction};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

/// What the core wants done.
#[derive(Debug, Clone)]
pub(super) enum Effect {
    /// A transaction was taken: route it.
    Accepted {
        /// The transaction.
        transaction: PooledTransaction,
    },
    /// A transaction has left the pool.
    Dropped {
        /// The transaction.
        transaction: PooledTransaction,
        /// Why.
        reason: DropReason,
        /// The transaction that took its place, where one did.
        by: Option<B256>,
    },
}

/// The transactions of blocks, by sender and nonce.
pub(super) type Included = HashMap<(Address, u64), B256>;

/// Why a transaction left the pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DropReason {
    /// It is in a block.
    Included,
    /// A block holds another transaction with its nonce.
    NonceUsed,
    /// Another transaction with its nonce offers more.
    Replaced,
    /// It alone costs more than its sender now has.
    InsufficientFunds,
    /// The pool was full, and it was worth least.
    Evicted,
    /// It was in no block for as long as the pool keeps one.
    Expired,
    /// It failed when a block was built.
    Invalid,
    /// The authority, or the node on the way there, did not take it.
    RefusedByAuthority,
    /// The operator took it out.
    Operator,
}

impl DropReason {
    /// A short name for logs and counters.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Included => "included",
            Self::NonceUsed => "nonce_used",
            Self::Replaced => "replaced",
            Self::InsufficientFunds => "insufficient_funds",
            Self::Evicted => "evicted",
            Self::Expired => "expired",
            Self::Invalid => "invalid",
            Self::RefusedByAuthority => "refused_by_authority",
            Self::Operator => "operator",
        }
    }
}

/// How much the pool holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Status {
    /// Transactions that could come into the next block.
    pub pending: usize,
    /// Transactions that wait for one before them, or for funds.
    pub queued: usize,
    /// Bytes of all.
    pub bytes: usize,
}

/// Everything in the pool, by sender and nonce.
#[derive(Debug, Clone, Default)]
pub struct Content {
    /// Could come into the next block.
    pub pending: Vec<PooledTransaction>,
    /// Wait for one before them, or for funds.
    pub queued: Vec<PooledTransaction>,
}

/// One transaction displaces at most this many others of a full pool, so that its cost stays bounded.
const MAX_DISPLACED: usize = 16;

/// What a sender's last transaction is worth to a full pool; the least goes first: one behind a nonce gap before one
/// that could be included, then by fee, then the sender with most transactions, then the newest.
pub(super) type Worth = (bool, u128, Reverse<usize>, Reverse<u64>);

/// What the pool holds.
#[derive(Debug)]
pub(super) struct State {
    config: PoolConfig,
    policy: BaseFeePolicy,
    /// That of the next block, wei a gas.
    base_fee: u64,
    barred: Barred,
    queues: BTreeMap<Address, Queue>,
    /// The worth of each sender's last transaction.
    tails: BTreeSet<(Worth, Address)>,
    by_hash: HashMap<B256, (Address, u64)>,
    bytes: usize,
    /// Transactions of senders without balance.
    unfunded: usize,
    /// Counts arrivals, and senders that a block served: a number for each, the higher the later.
    arrivals: u64,
}

impl State {
    /// An empty pool of a chain with this policy.
    pub(super) fn new(config: PoolConfig, policy: BaseFeePolicy) -> Self {
        Self {
            config,
            policy,
            base_fee: 0,
            barred: Barred::default(),
            queues: BTreeMap::new(),
            tails: BTreeSet::new(),
            by_hash: HashMap::new(),
            bytes: 0,
            unfunded: 0,
            arrivals: 0,
        }
    }

    /// Whether a transaction may come in from there at all; see [`Barred`].
    pub(super) fn check_barred(&mut self, now: Duration, hash: &B256, origin: Origin) -> Result<(), PoolError> {
        self.barred.check(now, hash, origin)
    }

    /// Takes a transaction, which is valid by itself and signed by `sender`, whose account now is `account`. On an
    /// error the pool is as it was.
    pub(super) fn on_submit(
        &mut self,
        now: Duration,
        transaction: Transaction,
        sender: Address,
        account: AccountState,
    ) -> Result<Vec<Effect>, PoolError> {
        if self.by_hash.contains_key(transaction.hash()) {
            return Err(PoolError::AlreadyKnown);
        }
        let mut new = PooledTransaction::new(transaction, sender, self.arrivals, now);
        self.check_sender(sender)?;
        self.check_nonce(&new, account)?;
        self.check_funds(&new, account)?;
        let victims = match self.with_nonce(sender, new.nonce()) {
            Some(old) => {
                new.equal_offers = check_replacement(self.policy, now, old, &new)?;
                self.victims(&new, account, old.bytes, 1)?
            }
            None => {
                self.check_share(&new, account)?;
                self.victims(&new, account, 0, 0)?
            }
        };
        let by = Some(new.hash());
        let mut effects = self.remove_all(&victims, DropReason::Evicted, by);
        effects.extend(self.remove(sender, new.nonce(), DropReason::Replaced, by));
        self.insert(new.clone(), account);
        effects.push(Effect::Accepted { transaction: new });
        Ok(effects)
    }

    fn check_sender(&self, sender: Address) -> Result<(), PoolError> {
        if self.config.senders.is_empty() || self.config.senders.contains(&sender) {
            return Ok(());
        }
        Err(PoolError::SenderNotAllowed { sender })
    }

    fn check_nonce(&self, new: &PooledTransaction, account: AccountState) -> Result<(), PoolError> {
        let (expected, actual, limit) = (account.nonce, new.nonce(), self.config.max_per_sender);
        match actual.checked_sub(expected) {
            None => Err(PoolError::NonceTooLow { expected, actual }),
            Some(ahead) if ahead >= limit as u64 => Err(PoolError::NonceTooHigh { expected, actual, limit }),
            Some(_) => Ok(()),
        }
    }

    /// The balance must cover this transaction and all of the sender's that come before it.
    fn check_funds(&self, new: &PooledTransaction, account: AccountState) -> Result<(), PoolError> {
        let queue = self.queues.get(&new.sender);
        let required = queue.map_or(new.cost, |queue| queue.cost_with(new, account.nonce));
        if required <= account.balance {
            return Ok(());
        }
        Err(PoolError::InsufficientFunds { sender: new.sender, balance: account.balance, required })
    }

    /// Whether one sender, and senders without balance together, may have one more transaction.
    fn check_share(&self, new: &PooledTransaction, account: AccountState) -> Result<(), PoolError> {
        let (sender, limit) = (new.sender, self.config.max_per_sender);
        let held = self.queues.get(&sender).map_or(0, |queue| queue.transactions.len());
        if held >= limit {
            return Err(PoolError::SenderFull { sender, limit });
        }
        if !account.balance.is_zero() {
            return Ok(());
        }
        match self.config.unfunded {
            Unfunded::Accept => Ok(()),
            Unfunded::Refuse => Err(PoolError::Unfunded { sender, limit: 0 }),
            Unfunded::Limit if held >= UNFUNDED_PER_SENDER => {
                Err(PoolError::Unfunded { sender, limit: UNFUNDED_PER_SENDER })
            }
            Unfunded::Limit => {
                let limit = self.config.max_transactions.div_ceil(UNFUNDED_SHARE);
                if self.unfunded < limit { Ok(()) } else { Err(PoolError::Unfunded { sender, limit }) }
            }
        }
    }

    /// Which transactions make room for `new`, when `bytes` and `count` get free by its own replacement.
    fn victims(
        &self,
        new: &PooledTransaction,
        account: AccountState,
        bytes: usize,
        count: usize,
    ) -> Result<Vec<(Address, u64)>, PoolError> {
        let mut over_bytes = (self.bytes + new.bytes).saturating_sub(bytes + self.config.max_bytes);
        let mut over_count = (self.by_hash.len() + 1).saturating_sub(count + self.config.max_transactions);
        let mut victims = Vec::new();
        let worth = self.worth_of_new(new, account);
        for ((tail, sender), pooled) in self.tails.iter().filter_map(|key| Some((key, self.tail(key.1)?))) {
            if over_bytes == 0 && over_count == 0 {
                break;
            }
            // Compared without the arrival: of two that are worth the same, the first one stays.
            let displaces = (tail.0, tail.1, tail.2) < (worth.0, worth.1, worth.2);
            if !displaces || victims.len() == MAX_DISPLACED {
                break;
            }
            if *sender == new.sender {
                continue;
            }
            over_bytes = over_bytes.saturating_sub(pooled.bytes);
            over_count = over_count.saturating_sub(1);
            victims.push((*sender, pooled.nonce()));
        }
        if over_bytes > 0 || over_count > 0 {
            return Err(PoolError::PoolFull { transactions: self.by_hash.len(), bytes: self.bytes });
        }
        Ok(victims)
    }

    fn worth_of_new(&self, new: &PooledTransaction, account: AccountState) -> Worth {
        let queue = self.queues.get(&new.sender);
        let includable = new.nonce() <= queue.map_or(account.nonce, |queue| queue.next_nonce(account.nonce));
        let held = queue.map_or(0, |queue| queue.transactions.len());
        (includable, weight(self.policy, new.tip(0).unwrap_or(0)), Reverse(held + 1), Reverse(new.arrival))
    }

    fn tail(&self, sender: Address) -> Option<&PooledTransaction> {
        self.queues.get(&sender)?.transactions.last_key_value().map(|(_, pooled)| pooled)
    }

    fn with_nonce(&self, sender: Address, nonce: u64) -> Option<&PooledTransaction> {
        self.queues.get(&sender)?.transactions.get(&nonce)
    }

    fn insert(&mut self, new: PooledTransaction, account: AccountState) {
        let (sender, nonce) = (new.sender, new.nonce());
        self.set_account(sender, account);
        self.arrivals += 1;
        self.bytes += new.bytes;
        self.by_hash.insert(new.hash(), (sender, nonce));
        self.change(sender, |queue| queue.transactions.insert(nonce, new));
    }

    fn set_account(&mut self, sender: Address, account: AccountState) {
        self.queues.entry(sender).or_insert_with(|| Queue::new(account));
        let number = self.arrivals;
        if self.change(sender, |queue| queue.set_account(account, number)) == Some(true) {
            self.arrivals += 1;
        }
    }

    /// Changes a queue, and keeps what is counted over all queues right. An empty queue stays until
    /// [`Self::remove`] or the end of [`Self::on_accounts`] takes it out.
    fn change<R>(&mut self, sender: Address, change: impl FnOnce(&mut Queue) -> R) -> Option<R> {
        let policy = self.policy;
        let queue = self.queues.get_mut(&sender)?;
        self.unfunded -= queue.unfunded();
        if let Some(worth) = queue.worth(policy) {
            self.tails.remove(&(worth, sender));
        }
        let result = change(queue);
        self.unfunded += queue.unfunded();
        if let Some(worth) = queue.worth(policy) {
            self.tails.insert((worth, sender));
        }
        Some(result)
    }

    fn remove(&mut self, sender: Address, nonce: u64, reason: DropReason, by: Option<B256>) -> Option<Effect> {
        let transaction = self.change(sender, |queue| queue.transactions.remove(&nonce))??;
        self.forget_if_empty(sender);
        self.bytes -= transaction.bytes;
        self.by_hash.remove(&transaction.hash());
        Some(Effect::Dropped { transaction, reason, by })
    }

    fn forget_if_empty(&mut self, sender: Address) {
        if self.queues.get(&sender).is_some_and(|queue| queue.transactions.is_empty()) {
            self.queues.remove(&sender);
        }
    }

    fn remove_all(&mut self, which: &[(Address, u64)], reason: DropReason, by: Option<B256>) -> Vec<Effect> {
        which.iter().filter_map(|(sender, nonce)| self.remove(*sender, *nonce, reason, by)).collect()
    }

    /// These accounts are as a new head (or, after a rollback, an older one) leaves them. What they cannot send any
    /// more is dropped; `included` are the transactions in the blocks up to it.
    pub(super) fn on_accounts(&mut self, accounts: &[(Address, AccountState)], included: &Included) -> Vec<Effect> {
        let mut effects = Vec::new();
        let known = accounts.iter().filter_map(|of| Some((self.queues.get(&of.0)?.waits_since(), of.0, of.1)));
        let mut known: Vec<_> = known.collect();
        // Whom one block serves keep their order at the end of the line.
        known.sort_unstable_by_key(|(waits_since, ..)| *waits_since);
        for (_, sender, account) in known {
            self.set_account(sender, account);
            self.drop_unsendable(sender, account, included, &mut effects);
        }
        effects
    }

    fn drop_unsendable(
        &mut self,
        sender: Address,
        account: AccountState,
        included: &Included,
        effects: &mut Vec<Effect>,
    ) {
        let Some(queue) = self.queues.get(&sender) else { return };
        let mut dropped = Vec::new();
        for (nonce, pooled) in &queue.transactions {
            if *nonce < account.nonce {
                match included.get(&(sender, *nonce)) {
                    Some(hash) if *hash == pooled.hash() => dropped.push((*nonce, DropReason::Included, None)),
                    used => dropped.push((*nonce, DropReason::NonceUsed, used.copied())),
                }
            } else if pooled.cost > account.balance {
                dropped.push((*nonce, DropReason::InsufficientFunds, None));
            }
        }
        effects.extend(dropped.into_iter().filter_map(|(nonce, reason, by)| self.remove(sender, nonce, reason, by)));
    }

    /// Time has passed: drops what is older than the pool keeps.
    pub(super) fn on_tick(&mut self, now: Duration) -> Vec<Effect> {
        let ttl = self.config.ttl;
        let all = self.queues.values().flat_map(|queue| queue.transactions.values());
        let expired: Vec<_> = all
            .filter(|pooled| now.saturating_sub(pooled.arrived) >= ttl)
            .map(|pooled| (pooled.sender, pooled.nonce()))
            .collect();
        self.remove_all(&expired, DropReason::Expired, None)
    }

    /// Takes one transaction out. What the operator drops, and what failed in a block (`detail` says how), is kept out
    /// for a time.
    pub(super) fn on_drop(
        &mut self,
        now: Duration,
        hash: B256,
        reason: DropReason,
        detail: Option<&str>,
    ) -> Option<Effect> {
        let (sender, nonce) = *self.by_hash.get(&hash)?;
        match reason {
            DropReason::Operator => self.barred.on_dropped_by_operator(hash, now.saturating_add(self.config.ttl)),
            DropReason::Invalid => self.barred.on_invalid(now, hash, detail.unwrap_or_default().to_owned()),
            _ => {}
        }
        self.remove(sender, nonce, reason, None)
    }

    /// Transactions for a block, in order; see [`turns`].
    pub(super) fn best(&self, asked: BestTransactions) -> Vec<PooledTransaction> {
        turns::best(self.queues.values(), self.policy, asked)
    }

    /// The nonce for the sender's next transaction: after its gapless pending ones. `confirmed` is the account's
    /// nonce in the newest durable state, which may be ahead of the blocks the pool has heard of.
    pub(super) fn pending_nonce(&self, address: Address, confirmed: u64) -> u64 {
        self.queues.get(&address).map_or(confirmed, |queue| queue.next_nonce(confirmed))
    }

    /// The transaction with this hash.
    pub(super) fn transaction(&self, hash: B256) -> Option<&PooledTransaction> {
        let (sender, nonce) = self.by_hash.get(&hash)?;
        self.with_nonce(*sender, *nonce)
    }

    /// Whether the transaction with this hash is held.
    pub(super) fn holds(&self, hash: &B256) -> bool {
        self.by_hash.contains_key(hash)
    }

    /// What the transaction with this hash waits for; `None` where it is not held.
    pub(super) fn waiting(&self, hash: &B256) -> Option<Waiting> {
        let (sender, nonce) = self.by_hash.get(hash)?;
        Some(self.queues.get(sender)?.waiting(*nonce, self.base_fee))
    }

    /// The next block has this base fee, wei a gas.
    pub(super) fn on_base_fee(&mut self, base_fee: u64) {
        self.base_fee = base_fee;
    }

    /// Whether the pool holds anything of this sender.
    pub(super) fn knows(&self, sender: &Address) -> bool {
        self.queues.contains_key(sender)
    }

    /// Whether this sender has a transaction that could come into the next block.
    pub(super) fn is_ready(&self, sender: Address) -> bool {
        self.queues.get(&sender).is_some_and(|queue| queue.ready().next().is_some())
    }

    /// Whether anyone has.
    pub(super) fn has_ready(&self) -> bool {
        self.queues.values().any(|queue| queue.ready().next().is_some())
    }

    /// All senders with a transaction in the pool.
    pub(super) fn senders(&self) -> Vec<Address> {
        self.queues.keys().copied().collect()
    }

    /// Compares what is counted along the way with what is there.
    #[cfg(test)]
    pub(super) fn check_counts(&self) {
        assert_eq!(self.unfunded, self.queues.values().map(Queue::unfunded).sum::<usize>());
        let tails = self.queues.iter().filter_map(|(sender, queue)| Some((queue.worth(self.policy)?, *sender)));
        assert_eq!(self.tails, tails.collect());
        assert!(self.queues.values().all(|queue| !queue.transactions.is_empty()));
    }

    /// How much the pool holds.
    pub(super) fn status(&self) -> Status {
        let pending = self.queues.values().map(|queue| queue.ready().count()).sum();
        Status { pending, queued: self.by_hash.len() - pending, bytes: self.bytes }
    }

    /// Everything the pool holds, or everything of one sender.
    pub(super) fn content(&self, of: Option<Address>) -> Content {
        let mut content = Content::default();
        for (_, queue) in self.queues.iter().filter(|(sender, _)| of.is_none_or(|of| of == **sender)) {
            let ready = queue.ready().count();
            // Nothing lies below the account's nonce except between a block and the news of it.
            let current = queue.transactions.range(queue.account.nonce..).map(|(_, pooled)| pooled.clone());
            let (pending, queued): (Vec<_>, Vec<_>) = current.enumerate().partition(|(at, _)| *at < ready);
            content.pending.extend(pending.into_iter().map(|(_, pooled)| pooled));
            content.queued.extend(queued.into_iter().map(|(_, pooled)| pooled));
        }
        content
    }
}
