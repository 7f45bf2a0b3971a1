//! *Role*: executes blocks and owns the state after the highest confirmed one.
//! *Owns*: the confirmed state in memory, ahead of disk. *Receives*: ImportBlock, ImportBlocks, BuildBlock, SealBlock,
//! BatchStored, CommitPace. *Sends*: StoreBatch to the block store.
//! *When behind*: refuses blocks as backlogged; the importer waits for the disk.
//! *On failure*: state that cannot be read panics with a plain sentence; the death guard stops the node.

use super::error::ImportError;
use super::messages::{BatchStored, BuildBlock, CommitPace, ImportBlock, ImportBlocks, Imported, SealBlock};
use super::state::{Effect, State};
use crate::block_store::StoreBatch;
use crate::guard::Stop;
use crate::monitor::StageMeter;
use crate::send::{Inbox, OnTimer, Timed, Timers};
use actix::{Actor, ActorContext, Context, Handler};
use callboard_chain::live::{DurableState, SealCandidateError, Step};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often the age of what is not committed is looked at: a tenth of the default commit age.
const FLUSH_TICK: Duration = Duration::from_millis(100);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Timer {
    Flush,
}

/// Where ConfirmedState sends.
#[derive(Debug)]
pub struct Ports {
    /// The block store.
    pub store: Inbox<StoreBatch>,
}

/// The actor.
pub struct ConfirmedState<R: DurableState + Unpin + 'static> {
    ports: Ports,
    state: State<R>,
    execute: Arc<StageMeter>,
    root: Arc<StageMeter>,
    started: Instant,
    timers: Timers<Timer>,
    stopping: bool,
}

impl<R: DurableState + Unpin + 'static> ConfirmedState<R> {
    /// Ready to run; `execute` and `root` count the time spent in each step.
    pub fn new(ports: Ports, state: State<R>, execute: Arc<StageMeter>, root: Arc<StageMeter>) -> Self {
        Self { ports, state, execute, root, started: Instant::now(), timers: Timers::default(), stopping: false }
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    fn apply(&mut self, effect: Option<Effect>) {
        match effect {
            None => {}
            // A batch holds more blocks than the one whose span this is.
            Some(Effect::Store { batch, origins }) => self.ports.store.signal_apart(StoreBatch { batch, origins }),
        }
    }

    /// A state that cannot be read any more must not answer anything: end this actor, which ends the node.
    fn fatal(&self, error: &dyn std::fmt::Display) -> ! {
        panic!("{error}")
    }
}

impl<R: DurableState + Unpin + 'static> Actor for ConfirmedState<R> {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        self.timers.set(ctx, Timer::Flush, FLUSH_TICK);
    }
}

impl<R: DurableState + Unpin + 'static> OnTimer<Timer> for ConfirmedState<R> {
    fn timers(&mut self) -> &mut Timers<Timer> {
        &mut self.timers
    }

    fn on_timer(&mut self, key: Timer, ctx: &mut Context<Self>) {
        let effect = self.state.on_tick(self.now());
        self.apply(effect);
        self.timers.set(ctx, key, FLUSH_TICK);
    }
}

impl<R: DurableState + Unpin + 'static> Handler<Timed<ImportBlock>> for ConfirmedState<R> {
    type Result = ();

    fn handle(&mut self, message: Timed<ImportBlock>, ctx: &mut Context<Self>) {
        message.answer(ctx, |block, _| self.import(block));
    }
}

impl<R: DurableState + Unpin + 'static> Handler<Timed<ImportBlocks>> for ConfirmedState<R> {
    type Result = ();

    fn handle(&mut self, message: Timed<ImportBlocks>, ctx: &mut Context<Self>) {
        message.answer(ctx, |ImportBlocks { blocks }, _| {
            let mut answers = Vec::with_capacity(blocks.len());
            for (block, span) in blocks {
                let answer = span.in_scope(|| self.import(block));
                let ends = answer.as_ref().is_err_and(|error| !error.is_known());
                answers.push(answer);
                if ends {
                    break;
                }
            }
            answers
        });
    }
}

impl<R: DurableState + Unpin + 'static> Handler<Timed<BuildBlock>> for ConfirmedState<R> {
    type Result = ();

    fn handle(&mut self, message: Timed<BuildBlock>, ctx: &mut Context<Self>) {
        message.answer(ctx, |BuildBlock { proposal, until }, _| {
            let _busy = self.execute.busy(proposal.candidates.len() as u64);
            match self.state.on_build(proposal, &|| Instant::now() >= until) {
                Err(error) if error.is_fatal() => self.fatal(&error),
                built => built,
            }
        });
    }
}

impl<R: DurableState + Unpin + 'static> Handler<Timed<SealBlock>> for ConfirmedState<R> {
    type Result = ();

    fn handle(&mut self, message: Timed<SealBlock>, ctx: &mut Context<Self>) {
        message.answer(ctx, |SealBlock { hash, seal }, _| -> Result<(), SealCandidateError> {
            let (_, effect) = self.state.on_seal(self.now(), hash, seal)?;
            self.apply(effect);
            Ok(())
        });
    }
}

impl<R: DurableState + Unpin + 'static> Handler<Timed<BatchStored>> for ConfirmedState<R> {
    type Result = ();

    fn handle(&mut self, message: Timed<BatchStored>, ctx: &mut Context<Self>) {
        message.answer(ctx, |BatchStored { height }, ctx| {
            let effect = self.state.on_stored(self.now(), height);
            self.apply(effect);
            if self.stopping {
                self.finish(ctx);
            }
        });
    }
}

impl<R: DurableState + Unpin + 'static> Handler<Timed<CommitPace>> for ConfirmedState<R> {
    type Result = ();

    fn handle(&mut self, message: Timed<CommitPace>, ctx: &mut Context<Self>) {
        message.answer(ctx, |CommitPace { each_block }, _| {
            let effect = self.state.on_following(each_block);
            self.apply(effect);
        });
    }
}

impl<R: DurableState + Unpin + 'static> Handler<Timed<Stop>> for ConfirmedState<R> {
    type Result = ();

    /// What is confirmed goes to the block store, which stops after this actor and commits it first.
    fn handle(&mut self, message: Timed<Stop>, ctx: &mut Context<Self>) {
        message.answer(ctx, |Stop, ctx| {
            self.stopping = true;
            self.finish(ctx);
        });
    }
}

impl<R: DurableState + Unpin + 'static> ConfirmedState<R> {
    fn import(&mut self, ImportBlock { block, provenance }: ImportBlock) -> Result<Imported, ImportError> {
        let transactions = block.value().transactions().len() as u64;
        let now = self.now();
        let mut busy = None;
        let mut begin = |step| {
            busy.take();
            busy = Some(match step {
                Step::Execute => self.execute.busy(transactions),
                Step::Root => self.root.busy(1),
            });
        };
        let imported = self.state.on_import(now, block, provenance, &mut begin);
        drop(busy);
        let (confirmed, effect) = match imported {
            Ok(done) => done,
            Err(error) if error.is_fatal() => self.fatal(&error),
            Err(error) => return Err(error),
        };
        tracing::debug!(actor = "ConfirmedState", transactions, "block executed");
        self.apply(effect);
        Ok(Imported { height: confirmed.value().height(), hash: confirmed.value().hash() })
    }

    /// Ends once nothing is left to hand over. While a batch is on its way, the rest waits for its answer.
    fn finish(&mut self, ctx: &mut Context<Self>) {
        match self.state.on_stop() {
            Ok(effect) => self.apply(effect),
            Err(error) => self.fatal(&error),
        }
        if self.state.live().unstored().is_empty() {
            ctx.stop();
        }
    }
}
