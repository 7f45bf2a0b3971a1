//! *Role*: seals the authority's blocks. *Owns*: the signing key, the high-water mark, the slot clock.
//! *Receives*: ProposePermission, HoldProposing, HeadStored, PendingChanged. *Sends*: BestTransactions to the pool; BuildBlock and SealBlock to
//! ConfirmedState. *When behind*: it asks for one block at a time and seals nothing meanwhile.
//! *On failure*: a high-water mark that cannot be written panics; the death guard stops the node.

use super::clock::ReadClock;
use super::high_water::{HighWater, HighWaterError};
use super::messages::{HoldProposing, ProposePermission};
use super::state::{Effect, Schedule, State};
use crate::block_store::HeadStored;
use crate::confirmed_state::{BuildBlock, SealBlock};
use crate::guard::Stop;
use crate::importer::Passports;
use crate::monitor::{Alarm, Alarms};
use crate::send::{Inbox, OnTimer, Reply, Timed, Timers};
use crate::tx_pool::{BestTransactions, DropReason, DropTransaction, PendingChanged};
use actix::{Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, WrapFuture};
use callboard_chain::live::{Built, Proposal};
use callboard_chain::{ChainConfig, Seal, SecretKey, Transaction};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often the slot clock is read: fine enough for blocks of 100 ms, and nothing at all to compute.
const TICK: Duration = Duration::from_millis(5);
/// Transactions are taken into a block for at most this long; what is left goes into the next one.
const BUILD_TIME: Duration = Duration::from_millis(500);
/// Blocks' worth of gas limits asked of the pool: transactions mostly use less than they may.
const GAS_ASKED_FOR: u64 = 4;
/// Whoever does not answer the proposer for this long hangs.
const DEADLINE: Duration = Duration::from_secs(120);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Timer {
    Tick,
}

/// Where the proposer sends.
#[derive(Debug, Clone)]
pub struct Ports {
    /// The pool: what to put into a block.
    pub best: Inbox<BestTransactions>,
    /// The pool: what can never be executed.
    pub drop: Inbox<DropTransaction>,
    /// ConfirmedState: build.
    pub build: Inbox<BuildBlock>,
    /// ConfirmedState: seal.
    pub seal: Inbox<SealBlock>,
    /// Where the moment of each seal is kept.
    pub passports: Passports,
}

/// The actor.
pub struct Proposer {
    ports: Ports,
    state: State,
    config: Arc<ChainConfig>,
    key: Arc<SecretKey>,
    mark: Option<HighWater>,
    /// Who waits for the proposal under way to end.
    holding: Vec<Reply<HoldProposing>>,
    pending: bool,
    next_base_fee: u64,
    has_room: HasRoom,
    alarms: Alarms,
    out_of_room: bool,
    clock: ReadClock,
    timers: Timers<Timer>,
}

/// Everything a proposer is made of.
pub struct Setup {
    /// When blocks are sealed.
    pub schedule: Schedule,
    /// The chain's rules.
    pub config: Arc<ChainConfig>,
    /// The authority's key.
    pub key: SecretKey,
    /// The authority's high-water mark.
    pub mark: HighWater,
    /// Base fee of the next block, wei a gas.
    pub next_base_fee: u64,
    /// The height of the durable head.
    pub head_height: u64,
    /// The timestamp of the durable head, unix seconds.
    pub head_timestamp: u64,
    /// Whether the disk has room for more blocks; asked before each.
    pub has_room: HasRoom,
    /// Where a clock that was moved is told.
    pub alarms: Alarms,
    /// Reads the clocks: [`super::system_clock`], but in tests.
    pub clock: ReadClock,
}

/// Whether the disk has room; `Err` with one sentence where it has not.
pub type HasRoom = Box<dyn Fn() -> Result<(), String> + Send>;

/// The block that is due.
struct Wanted {
    timestamp: u64,
    may_be_empty: bool,
    base_fee: u64,
}

enum Outcome {
    Sealed,
    /// What was pending is in the head already, or cannot be executed.
    NothingToSeal,
}

enum Failure {
    Mark(HighWaterError),
    Other(String),
}

impl Proposer {
    /// Ready to run; it seals nothing before it is permitted to.
    pub fn new(ports: Ports, setup: Setup) -> Self {
        let state = State::new(setup.schedule, (setup.clock)(), setup.head_height, setup.head_timestamp);
        Self {
            ports,
            state,
            config: setup.config,
            key: Arc::new(setup.key),
            mark: Some(setup.mark),
            holding: Vec::new(),
            pending: false,
            next_base_fee: setup.next_base_fee,
            has_room: setup.has_room,
            alarms: setup.alarms,
            out_of_room: false,
            clock: setup.clock,
            timers: Timers::default(),
        }
    }

    fn apply(&mut self, effect: Effect, ctx: &mut Context<Self>) {
        match effect {
            Effect::Build { timestamp, may_be_empty } => self.propose(timestamp, may_be_empty, ctx),
            Effect::ClockDisagrees { skew } => {
                let sentence = format!(
                    "the wall clock has moved {} s against the monotonic clock since the start; nothing is sealed until \
                     they agree again, or, if the new time is right, until this node is restarted",
                    skew.as_secs()
                );
                self.alarms.raise(Alarm::ProposerClock, sentence);
            }
            Effect::ClockAgrees => self.alarms.clear(Alarm::ProposerClock),
        }
    }

    /// Stops sealing before the disk is full, and says so once; a block that cannot be stored would stop the node.
    fn is_out_of_room(&mut self) -> bool {
        let room = (self.has_room)();
        match &room {
            Err(reason) if !self.out_of_room => tracing::error!(reason, "nothing is sealed: the disk is nearly full"),
            Ok(()) if self.out_of_room => tracing::info!("the disk has room again"),
            _ => {}
        }
        self.out_of_room = room.is_err();
        self.out_of_room
    }

    /// Takes transactions, builds, records the sealed block, and only then lets the seal go.
    fn propose(&mut self, timestamp: u64, may_be_empty: bool, ctx: &mut Context<Self>) {
        // Taken out while a proposal runs, and put back when it ends: two never run at once.
        if self.is_out_of_room() {
            self.state.on_build_failed((self.clock)());
            return;
        }
        let Some(mut mark) = self.mark.take() else { return };
        let (ports, config, key) = (self.ports.clone(), self.config.clone(), self.key.clone());
        let base_fee = self.next_base_fee;
        let proposal = async move {
            let outcome = propose(&ports, &config, &key, &mut mark, Wanted { timestamp, may_be_empty, base_fee }).await;
            (mark, outcome)
        };
        let finish = |(mark, outcome), actor: &mut Self, _: &mut Context<Self>| {
            actor.mark = Some(mark);
            actor.holding.drain(..).for_each(|waiting| waiting.send(()));
            match outcome {
                Ok(Outcome::Sealed) => {}
                Ok(Outcome::NothingToSeal) => actor.state.on_nothing_to_seal(),
                Err(Failure::Mark(error)) => panic!("{error}"),
                Err(Failure::Other(reason)) => {
                    tracing::warn!(reason, "no block was sealed");
                    actor.state.on_build_failed((actor.clock)());
                }
            }
        };
        ctx.spawn(proposal.into_actor(self).map(finish));
    }
}

async fn propose(
    ports: &Ports,
    config: &ChainConfig,
    key: &SecretKey,
    mark: &mut HighWater,
    wanted: Wanted,
) -> Result<Outcome, Failure> {
    let other = |error: &dyn std::fmt::Display| Failure::Other(error.to_string());
    let bytes = usize::try_from(config.max_block_bytes).unwrap_or(usize::MAX);
    let gas = config.gas_limit.saturating_mul(GAS_ASKED_FOR);
    let question = BestTransactions { gas, bytes, base_fee: wanted.base_fee, block_gas: config.gas_limit };
    let best = ports.best.ask(question, DEADLINE).await.map_err(|error| other(&error))?;
    if best.is_empty() && !wanted.may_be_empty {
        return Ok(Outcome::NothingToSeal);
    }
    let candidates = best.into_iter().map(|pooled| (Transaction::clone(&pooled.transaction), pooled.sender)).collect();
    let until = Instant::now() + BUILD_TIME;
    let proposal = Proposal { timestamp: wanted.timestamp, candidates };
    let built = ports.build.ask(BuildBlock { proposal, until }, DEADLINE).await.map_err(|error| other(&error))?;
    let built: Built = built.map_err(|error| other(&error))?;
    for skipped in &built.skipped {
        tracing::info!(hash = %skipped.hash, reason = skipped.reason, "a transaction could not be executed and is dropped");
        // A pool too busy to hear of it offers it again, and it is skipped again.
        let detail = Some(skipped.reason.clone());
        ports.drop.offer(DropTransaction { hash: skipped.hash, reason: DropReason::Invalid, detail }).ok();
    }
    if built.transactions.is_empty() && !wanted.may_be_empty {
        return Ok(Outcome::NothingToSeal);
    }
    let seal = Seal::sign(key, built.hash);
    let block = built.with_seal(seal);
    ports.passports.sealed(&block);
    mark.record(&block).map_err(Failure::Mark)?;
    let sealed = ports.seal.ask(SealBlock { hash: built.hash, seal }, DEADLINE).await;
    sealed.map_err(|error| other(&error))?.map_err(|error| other(&error))?;
    Ok(Outcome::Sealed)
}

impl Actor for Proposer {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        self.timers.set(ctx, Timer::Tick, TICK);
    }
}

impl OnTimer<Timer> for Proposer {
    fn timers(&mut self) -> &mut Timers<Timer> {
        &mut self.timers
    }

    fn on_timer(&mut self, key: Timer, ctx: &mut Context<Self>) {
        // While a proposal runs the mark is with it. The head may be there before its answer is.
        let is_idle = self.mark.is_some();
        if let Some(effect) = is_idle.then(|| self.state.on_tick((self.clock)(), self.pending)).flatten() {
            self.apply(effect, ctx);
        }
        self.timers.set(ctx, key, TICK);
    }
}

impl Handler<Timed<ProposePermission>> for Proposer {
    type Result = ();

    fn handle(&mut self, message: Timed<ProposePermission>, ctx: &mut Context<Self>) {
        message.answer(ctx, |ProposePermission { may_propose }, _| self.state.on_permission(may_propose));
    }
}

impl Handler<Timed<HoldProposing>> for Proposer {
    type Result = ();

    fn handle(&mut self, message: Timed<HoldProposing>, ctx: &mut Context<Self>) {
        let (HoldProposing { height }, reply) = message.open(ctx);
        self.state.on_hold(height);
        match self.mark {
            Some(_) => reply.send(()),
            None => self.holding.push(reply),
        }
    }
}

impl Handler<Timed<HeadStored>> for Proposer {
    type Result = ();

    fn handle(&mut self, message: Timed<HeadStored>, ctx: &mut Context<Self>) {
        message.answer(ctx, |head, _| {
            self.next_base_fee = head.next_base_fee;
            self.state.on_head((self.clock)(), head.height, head.timestamp);
        });
    }
}

impl Handler<Timed<PendingChanged>> for Proposer {
    type Result = ();

    fn handle(&mut self, message: Timed<PendingChanged>, ctx: &mut Context<Self>) {
        message.answer(ctx, |PendingChanged { pending }, _| self.pending = pending);
    }
}

impl Handler<Timed<Stop>> for Proposer {
    type Result = ();

    fn handle(&mut self, message: Timed<Stop>, ctx: &mut Context<Self>) {
        message.answer(ctx, |Stop, ctx| ctx.stop());
    }
}
