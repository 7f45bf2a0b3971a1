//! *Role*: holds pending transactions. *Owns*: the pool; nothing durable. *Receives*: `SubmitTransaction`,
//! `SubmitTransactions`, `HeldTransactions`, `TransactionsRefused`, `TransactionFate`, `BestTransactions`,
//! `PendingNonce`, `PendingTransaction`, `PoolContent`, `PoolStatus`, `DropTransaction`, `BlocksStored`,
//! `ChainRolledBack`, `TransactionForwarded`, `Stop`. *Sends*: `TransactionAccepted` (broadcaster), `PendingChanged` (proposer),
//! `TransactionPending` (event stream).
//! *When behind*: submissions are refused by the full mailbox. *On failure*: the death guard stops the node; an account
//! that cannot be read refuses that transaction only.

use super::config::PoolConfig;
use super::error::PoolError;
use super::forwarding::Forwarding;
use super::messages::{
    BestTransactions, BlocksStored, ChainRolledBack, DropTransaction, HeldTransactions, PendingChanged, PendingNonce,
    PendingTransaction, PoolContent, PoolStatus, SubmitTransaction, SubmitTransactions, Taken, TransactionAccepted,
    TransactionFate, TransactionsRefused,
};
use super::metrics::PoolMetrics;
use super::queue::AccountState;
use super::state::{DropReason, Effect, Included, State};
use super::timeline::{Fate, Source, Step, Story, Timeline};
use crate::broadcaster::{ForwardOutcome, TransactionForwarded};
use crate::callboard::{Callboard, Delivery, Kind, Origin};
use crate::event_stream::TransactionPending;
use crate::guard::Stop;
use crate::send::{Inbox, OnTimer, Timed, Timers};
use crate::transport::NodeId;
use crate::transport::wire::{TransactionAnswer, TransactionResult};
use actix::{Actor, ActorContext, Context, Handler};
use alloy_consensus::Transaction as _;
use alloy_primitives::{Address, B256};
use callboard_chain::{BaseFeePolicy, Block, StateReadError, Transaction};
use callboard_store::Durable;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::Instant;

/// How often expired transactions are looked for. A ttl is hours.
const EXPIRY_INTERVAL: Duration = Duration::from_secs(5);
/// How often what is to be forwarded again is looked at: the pause after a broadcaster that was behind.
const FORWARD_INTERVAL: Duration = Duration::from_millis(500);

/// Hashes that a stopping node names in its log.
const SHOWN_LOST: usize = 10;

/// Reads an account from the newest durable state; the default where there is none.
pub type ReadAccount = Arc<dyn Fn(Address) -> Result<AccountState, StateReadError> + Send + Sync>;

/// Where the pool sends, and what it reads.
#[derive(Clone)]
pub struct Ports {
    /// The broadcaster: taken transactions that are to go on.
    pub accepted: Inbox<TransactionAccepted>,
    /// The event stream: taken transactions.
    pub events: Inbox<TransactionPending>,
    /// The proposer, on an authority.
    pub proposer: Option<Inbox<PendingChanged>>,
    /// Accounts.
    pub accounts: ReadAccount,
    /// The routing table.
    pub callboard: Callboard,
}

/// The timers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Tick {
    /// Drops what is older than the pool keeps.
    Expiry,
    /// Forwards what is due.
    Forward,
}

/// The actor.
pub struct TxPool {
    ports: Ports,
    state: State,
    forwarding: Forwarding,
    timeline: Timeline,
    metrics: PoolMetrics,
    timers: Timers<Tick>,
    start: Instant,
    /// What the proposer has last been told.
    told_pending: bool,
}

impl TxPool {
    /// An empty pool of a chain with this policy, whose next block has this base fee.
    pub fn new(
        config: PoolConfig,
        policy: BaseFeePolicy,
        next_base_fee: u64,
        ports: Ports,
        metrics: PoolMetrics,
    ) -> Self {
        let mut state = State::new(config, policy);
        state.on_base_fee(next_base_fee);
        Self {
            ports,
            state,
            forwarding: Forwarding::default(),
            timeline: Timeline::default(),
            metrics,
            timers: Timers::default(),
            start: Instant::now(),
            told_pending: false,
        }
    }

    fn account(&self, sender: Address) -> Result<AccountState, PoolError> {
        (self.ports.accounts)(sender).map_err(|error| {
            tracing::error!(%sender, %error, "account could not be read");
            PoolError::State { sender, reason: error.to_string() }
        })
    }

    /// What the authority refused for good will be in no block. Everything else is forwarded for as long as the pool
    /// holds it.
    fn on_forwarded(&mut self, hash: B256, outcome: ForwardOutcome) {
        match outcome {
            ForwardOutcome::Answered { by, answer: TransactionAnswer { result, .. } } => {
                self.on_answer(hash, by, result)
            }
            ForwardOutcome::NotNow { by, reason } => {
                tracing::debug!(%hash, %by, reason, "a forwarded transaction is not taken now");
                self.forwarding.on_not_taken(&hash);
                self.timeline.on_step(unix_now(), &hash, Step::NotNow { by, reason });
            }
            ForwardOutcome::Sent { to } => self.timeline.on_step(unix_now(), &hash, Step::Forwarded { to }),
            ForwardOutcome::Unacknowledged => {
                tracing::debug!(%hash, "nobody has acknowledged a forwarded transaction");
                self.forwarding.on_not_taken(&hash);
            }
        }
    }

    fn on_answer(&mut self, hash: B256, by: NodeId, result: TransactionResult) {
        match result {
            TransactionResult::Refused { reason, later: false, confirmed: None } => {
                tracing::warn!(%hash, %by, reason, "a forwarded transaction was refused; it is dropped");
                let dropped =
                    self.state.on_drop(self.start.elapsed(), hash, DropReason::RefusedByAuthority, None).is_some();
                if dropped {
                    self.left(hash, DropReason::RefusedByAuthority, Step::RefusedBy { by, reason });
                }
            }
            result => {
                tracing::debug!(%hash, %by, ?result, "a forwarded transaction was answered");
                self.forwarding.on_acknowledged(&hash, by);
                self.timeline.on_step(unix_now(), &hash, Step::Acknowledged { by });
            }
        }
    }

    /// Hands on again what is due. While the broadcaster is behind, the rest waits for the next tick.
    fn forward_due(&mut self) {
        let now = self.start.elapsed();
        for (hash, progress) in self.forwarding.take_due(now) {
            let Some(transaction) = self.state.transaction(hash).cloned() else { continue };
            // Also to the peer that sent it, which may have forgotten it.
            let (origin, peer, deliveries) = (progress.origin, None, vec![Delivery::ForwardTransaction]);
            self.hand_on(TransactionAccepted { transaction, origin, peer, deliveries });
        }
    }

    fn hand_on(&mut self, accepted: TransactionAccepted) {
        let hash = accepted.transaction.hash();
        // A relay that the broadcaster has no room for is skipped, and counted at its mailbox.
        if self.ports.accepted.offer(accepted).is_err() {
            self.forwarding.on_not_forwarded(self.start.elapsed(), hash);
        }
    }

    fn story(&self, hash: &B256) -> Option<Story> {
        let line = self.timeline.of(hash)?;
        let held = self.state.waiting(hash).map(|waiting| {
            let progress = self.forwarding.progress(hash);
            let acknowledged_by = progress.and_then(|progress| progress.acknowledged_by);
            Fate::Held { waiting, forwarded: progress.is_some(), acknowledged_by }
        });
        Some(Story { fate: held.or_else(|| line.end())?, timeline: line.entries().to_vec() })
    }

    fn on_refused(&mut self, hash: B256, from: Source, error: &PoolError) {
        self.metrics.refused(error.name());
        let step = match error {
            PoolError::AlreadyKnown => return,
            error if error.is_barred() => Step::KeptOut { from },
            error => Step::Refused { from, reason: error.to_string() },
        };
        self.timeline.on_refused(unix_now(), hash, step);
    }

    fn submit(&mut self, transaction: Transaction, sender: Address, way: Way) -> Result<B256, PoolError> {
        let hash = *transaction.hash();
        self.take(transaction, sender, way).inspect_err(|error| {
            self.on_refused(hash, way.source(), error);
            tracing::debug!(%hash, %sender, origin = %way.origin, %error, "transaction refused");
        })?;
        Ok(hash)
    }

    fn take(&mut self, transaction: Transaction, sender: Address, way: Way) -> Result<(), PoolError> {
        let mut deliveries = self.ports.callboard.deliveries(way.origin, Kind::Transaction);
        if deliveries.contains(&Delivery::DropTransaction) {
            self.ports.callboard.count(way.origin, Kind::Transaction, Delivery::DropTransaction);
            return Err(PoolError::NotNow { phase: self.ports.callboard.phase() });
        }
        let now = self.start.elapsed();
        self.state.check_barred(now, transaction.hash(), way.origin)?;
        let account = self.account(sender)?;
        let effects = self.state.on_submit(now, transaction, sender, account)?;
        self.ports.callboard.count(way.origin, Kind::Transaction, Delivery::PoolTransaction);
        deliveries.retain(|delivery| *delivery != Delivery::PoolTransaction);
        for effect in effects {
            self.apply(effect, way, &deliveries);
        }
        Ok(())
    }

    fn apply(&mut self, effect: Effect, way: Way, deliveries: &[Delivery]) {
        match effect {
            Effect::Accepted { transaction } => {
                self.metrics.accepted();
                self.timeline.on_taken(unix_now(), transaction.hash(), way.source());
                // Where the stream is behind, its subscribers miss it: the refusal is counted at its mailbox.
                self.ports.events.offer(TransactionPending { transaction: transaction.clone() }).ok();
                self.tell_proposer(transaction.sender);
                let deliveries = deliveries.to_vec();
                if deliveries.contains(&Delivery::ForwardTransaction) {
                    self.forwarding.on_forwarded(self.start.elapsed(), transaction.hash(), way.origin);
                }
                if !deliveries.is_empty() {
                    self.hand_on(TransactionAccepted { transaction, origin: way.origin, peer: way.peer, deliveries });
                }
            }
            dropped @ Effect::Dropped { .. } => self.on_dropped(dropped, None),
        }
    }

    fn on_dropped(&mut self, effect: Effect, detail: Option<String>) {
        if let Effect::Dropped { transaction, reason, by } = effect {
            tracing::debug!(
                hash = %transaction.hash(), sender = %transaction.sender, nonce = transaction.nonce(),
                reason = reason.name(), "transaction left the pool"
            );
            self.left(transaction.hash(), reason, Step::Dropped { reason, by, detail });
        }
    }

    fn left(&mut self, hash: B256, reason: DropReason, step: Step) {
        self.metrics.dropped(reason.name());
        self.forwarding.remove(&hash);
        match reason {
            DropReason::Included => self.timeline.on_included(&hash),
            _ => self.timeline.on_left(unix_now(), hash, step),
        }
    }

    fn tell_proposer(&mut self, sender: Address) {
        if !self.told_pending && self.state.is_ready(sender) {
            self.signal_pending(true);
        }
    }

    fn signal_pending(&mut self, pending: bool) {
        self.told_pending = pending;
        if let Some(proposer) = &self.ports.proposer {
            proposer.signal(PendingChanged { pending });
        }
    }

    fn submit_batch(&mut self, batch: SubmitTransactions) -> Vec<Taken> {
        let answers = batch.transactions.into_iter().map(|(transaction, sender)| {
            match self.submit(transaction, sender, Way { origin: Origin::Peer, peer: Some(batch.peer) }) {
                Ok(_) => Taken::Taken,
                Err(PoolError::AlreadyKnown) => Taken::Known,
                Err(error) => Taken::Refused(error),
            }
        });
        answers.collect()
    }

    fn on_blocks(&mut self, blocks: &[Durable<Block>]) {
        let transactions =
            blocks.iter().flat_map(|block| block.senders().iter().copied().zip(block.value().transactions()));
        let ours = transactions.filter(|(sender, _)| self.state.knows(sender));
        let included = ours.map(|(sender, tx)| ((sender, tx.nonce()), *tx.hash())).collect();
        // The last block that changed an account says how it is now.
        let changes = blocks.iter().flat_map(|block| &block.changes().accounts);
        let accounts: BTreeMap<_, _> = changes
            .map(|change| {
                let account = change.after.unwrap_or_default();
                (change.address, AccountState { nonce: account.nonce, balance: account.balance })
            })
            .collect();
        self.on_accounts(&accounts.into_iter().collect::<Vec<_>>(), &included);
    }

    fn on_accounts(&mut self, accounts: &[(Address, AccountState)], included: &Included) {
        for effect in self.state.on_accounts(accounts, included) {
            self.on_dropped(effect, None);
        }
        self.metrics.holds(self.state.status());
        let pending = self.state.has_ready();
        self.signal_pending(pending);
    }

    fn on_rollback(&mut self, returned: Vec<(Transaction, Address)>) {
        let senders = self.state.senders();
        let accounts: Vec<_> =
            senders.into_iter().filter_map(|sender| Some((sender, self.account(sender).ok()?))).collect();
        self.on_accounts(&accounts, &Included::new());
        let way = Way { origin: Origin::Operator, peer: None };
        for (transaction, sender) in returned {
            // They were routed when they first came; a refusal is counted and logged as any other.
            let Ok(account) = self.account(sender) else { continue };
            match self.state.on_submit(self.start.elapsed(), transaction, sender, account) {
                Ok(effects) => effects.into_iter().for_each(|effect| self.apply(effect, way, &[])),
                Err(error) => self.metrics.refused(error.name()),
            }
        }
    }

    /// The pool is not kept over a restart. What the authority has acknowledged is in its pool; of the rest is said that
    /// it has to be sent again.
    fn say_what_is_lost(&self) {
        let unacknowledged = self.forwarding.unacknowledged();
        if !unacknowledged.is_empty() {
            let (count, first) =
                (unacknowledged.len(), unacknowledged.into_iter().take(SHOWN_LOST).collect::<Vec<_>>());
            tracing::warn!(
                count,
                ?first,
                "this node stops with pending transactions that nobody has acknowledged: send them again"
            );
        }
    }

    fn drop_expired(&mut self) {
        for effect in self.state.on_tick(self.start.elapsed()) {
            self.on_dropped(effect, None);
        }
        self.metrics.holds(self.state.status());
    }

    fn drop_one(&mut self, command: DropTransaction) -> bool {
        let DropTransaction { hash, reason, detail } = command;
        let dropped = self.state.on_drop(self.start.elapsed(), hash, reason, detail.as_deref());
        let was_there = dropped.is_some();
        dropped.into_iter().for_each(|effect| self.on_dropped(effect, detail.clone()));
        was_there
    }
}

/// On which way a transaction came.
#[derive(Debug, Clone, Copy)]
struct Way {
    origin: Origin,
    peer: Option<NodeId>,
}

impl Way {
    fn source(self) -> Source {
        match (self.origin, self.peer) {
            (_, Some(peer)) => Source::Peer(peer),
            (Origin::Rpc, None) => Source::Rpc,
            (Origin::Operator | Origin::Peer | Origin::Proposer, None) => Source::Block,
        }
    }
}

/// For people; what has to be measured is measured on the monotonic clock.
fn unix_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

impl Actor for TxPool {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.metrics.holds(self.state.status());
        self.timers.set(ctx, Tick::Expiry, EXPIRY_INTERVAL);
        self.timers.set(ctx, Tick::Forward, FORWARD_INTERVAL);
    }
}

impl OnTimer<Tick> for TxPool {
    fn timers(&mut self) -> &mut Timers<Tick> {
        &mut self.timers
    }

    fn on_timer(&mut self, tick: Tick, ctx: &mut Self::Context) {
        match tick {
            Tick::Expiry => {
                self.drop_expired();
                self.timers.set(ctx, tick, EXPIRY_INTERVAL);
            }
            Tick::Forward => {
                self.forward_due();
                self.timers.set(ctx, tick, FORWARD_INTERVAL);
            }
        }
    }
}

impl Handler<Timed<SubmitTransaction>> for TxPool {
    type Result = ();

    fn handle(&mut self, timed: Timed<SubmitTransaction>, ctx: &mut Self::Context) {
        timed.answer(ctx, |submit, _| {
            self.submit(submit.transaction, submit.sender, Way { origin: submit.origin, peer: None })
        });
    }
}

impl Handler<Timed<SubmitTransactions>> for TxPool {
    type Result = ();

    fn handle(&mut self, timed: Timed<SubmitTransactions>, ctx: &mut Self::Context) {
        timed.answer(ctx, |batch, _| self.submit_batch(batch));
    }
}

impl Handler<Timed<HeldTransactions>> for TxPool {
    type Result = ();

    fn handle(&mut self, timed: Timed<HeldTransactions>, ctx: &mut Self::Context) {
        timed.answer(ctx, |question, _| question.hashes.iter().map(|hash| self.state.holds(hash)).collect());
    }
}

impl Handler<Timed<TransactionsRefused>> for TxPool {
    type Result = ();

    fn handle(&mut self, timed: Timed<TransactionsRefused>, ctx: &mut Self::Context) {
        timed.answer(ctx, |TransactionsRefused { refused, from }, _| {
            for (hash, reason) in refused {
                self.timeline.on_refused(unix_now(), hash, Step::Refused { from, reason });
            }
        });
    }
}

impl Handler<Timed<TransactionFate>> for TxPool {
    type Result = ();

    fn handle(&mut self, timed: Timed<TransactionFate>, ctx: &mut Self::Context) {
        timed.answer(ctx, |question, _| self.story(&question.hash));
    }
}

impl Handler<Timed<BestTransactions>> for TxPool {
    type Result = ();

    fn handle(&mut self, timed: Timed<BestTransactions>, ctx: &mut Self::Context) {
        timed.answer(ctx, |best, _| self.state.best(best));
    }
}

impl Handler<Timed<PendingNonce>> for TxPool {
    type Result = ();

    fn handle(&mut self, timed: Timed<PendingNonce>, ctx: &mut Self::Context) {
        timed.answer(ctx, |PendingNonce { address }, _| {
            Ok(self.state.pending_nonce(address, self.account(address)?.nonce))
        });
    }
}

impl Handler<Timed<PendingTransaction>> for TxPool {
    type Result = ();

    fn handle(&mut self, timed: Timed<PendingTransaction>, ctx: &mut Self::Context) {
        timed.answer(ctx, |question, _| self.state.transaction(question.hash).cloned());
    }
}

impl Handler<Timed<PoolContent>> for TxPool {
    type Result = ();

    fn handle(&mut self, timed: Timed<PoolContent>, ctx: &mut Self::Context) {
        timed.answer(ctx, |question, _| self.state.content(question.sender));
    }
}

impl Handler<Timed<PoolStatus>> for TxPool {
    type Result = ();

    fn handle(&mut self, timed: Timed<PoolStatus>, ctx: &mut Self::Context) {
        timed.answer(ctx, |_, _| self.state.status());
    }
}

impl Handler<Timed<DropTransaction>> for TxPool {
    type Result = ();

    fn handle(&mut self, timed: Timed<DropTransaction>, ctx: &mut Self::Context) {
        timed.answer(ctx, |command, _| self.drop_one(command));
    }
}

impl Handler<Timed<BlocksStored>> for TxPool {
    type Result = ();

    fn handle(&mut self, timed: Timed<BlocksStored>, ctx: &mut Self::Context) {
        timed.answer(ctx, |BlocksStored { blocks, next_base_fee }, _| {
            self.state.on_base_fee(next_base_fee);
            self.on_blocks(&blocks);
        });
    }
}

impl Handler<Timed<ChainRolledBack>> for TxPool {
    type Result = ();

    fn handle(&mut self, timed: Timed<ChainRolledBack>, ctx: &mut Self::Context) {
        timed.answer(ctx, |rollback, _| self.on_rollback(rollback.returned));
    }
}

impl Handler<Timed<TransactionForwarded>> for TxPool {
    type Result = ();

    fn handle(&mut self, message: Timed<TransactionForwarded>, ctx: &mut Context<Self>) {
        message.answer(ctx, |TransactionForwarded { hash, outcome }, _| self.on_forwarded(hash, outcome));
    }
}

impl Handler<Timed<Stop>> for TxPool {
    type Result = ();

    fn handle(&mut self, timed: Timed<Stop>, ctx: &mut Self::Context) {
        timed.answer(ctx, |_, ctx| {
            self.say_what_is_lost();
            ctx.stop();
        });
    }
}
