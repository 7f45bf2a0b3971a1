//! The authority's proposer: build, seal, write the mark, and only then let the seal go.

use super::chain::{FIXTURES, HEARTBEAT};
use super::env::{Env, Event, Guard};
use super::node::Node;
use callboard_actors::callboard::Provenance;
use callboard_actors::confirmed_state;
use callboard_actors::proposer::{self, Effect, Now, Schedule, high_water};
use callboard_chain::live::Proposal;
use callboard_chain::{Block, Seal};
use std::time::Duration;

/// Least time between two blocks.
const INTERVAL: Duration = Duration::from_secs(1);

impl Node {
    pub(crate) fn clocks(&self, env: &Env) -> Now {
        Now { monotonic: self.uptime(env), wall: self.wall(env) }
    }

    pub(crate) fn new_proposer(&self, env: &Env, head: &Block) -> proposer::State {
        let heartbeat = Duration::from_secs(HEARTBEAT);
        let schedule = Schedule { interval: INTERVAL, empty_blocks: false, heartbeat };
        let now = Now { monotonic: Duration::ZERO, wall: self.wall(env) };
        proposer::State::new(schedule, now, head.height(), head.header().timestamp)
    }

    pub(crate) fn tick_proposer(&mut self, env: &mut Env) {
        let clocks = self.clocks(env);
        let pending = self.disk.payer_nonce() < env.submitted;
        let process = self.running();
        if process.sealing.is_some() {
            return;
        }
        match process.proposer.as_mut().and_then(|proposer| proposer.on_tick(clocks, pending)) {
            Some(Effect::Build { timestamp, may_be_empty }) => self.build(timestamp, may_be_empty, env),
            Some(Effect::ClockDisagrees { skew }) => env.note(format_args!("node {}: clocks {skew:?}", self.place)),
            Some(Effect::ClockAgrees) | None => {}
        }
    }

    fn build(&mut self, timestamp: u64, may_be_empty: bool, env: &mut Env) {
        let clocks = self.clocks(env);
        let nonce = self.disk.payer_nonce();
        let candidates = FIXTURES.transfers[nonce.min(env.submitted)..env.submitted].to_vec();
        let process = self.running();
        let proposer = process.proposer.as_mut().expect("only the authority builds");
        match process.confirmed.on_build(Proposal { timestamp, candidates }, &|| false) {
            Ok(built) if built.transactions.is_empty() && !may_be_empty => proposer.on_nothing_to_seal(),
            Ok(built) => {
                let seal = Seal::sign(&FIXTURES.authority, built.hash);
                process.sealing = Some((built, seal));
                let delay = env.rng.millis(1, 10);
                let (place, epoch) = (self.place, self.epoch);
                env.after(delay, Event::Marked { place, epoch });
            }
            Err(_) => proposer.on_build_failed(clocks),
        }
    }

    /// The mark is on disk, and the seal may leave the signer.
    pub(crate) fn on_marked(&mut self, epoch: u64, env: &mut Env) {
        if self.process.is_none() || epoch != self.epoch {
            return;
        }
        let Some((built, seal)) = self.running().sealing.take() else { return };
        let block = built.with_seal(seal);
        if !self.mark_sealed(&block, env) {
            env.note(format_args!("node {}: the mark forbids {}", self.place, block.height()));
            self.crash(env);
            return;
        }
        let (now, clocks) = (self.uptime(env), self.clocks(env));
        let process = self.running();
        match process.confirmed.on_seal(now, built.hash, seal) {
            Ok((_, effect)) => {
                if let Some(confirmed_state::Effect::Store { batch, origins }) = effect {
                    self.store(batch, origins, env);
                }
                if env.is_removed(Guard::DurableBeforeAnnounced) {
                    self.announce(&block, Provenance::PROPOSER.peer, env);
                }
            }
            Err(_) => process.proposer.as_mut().expect("it has just sealed").on_build_failed(clocks),
        }
    }

    /// Writes the high-water file; whether it allows the seal.
    pub(crate) fn mark_sealed(&mut self, block: &Block, env: &mut Env) -> bool {
        let forbids = |mark: &Block| !high_water::allows(mark, block);
        if self.mark.as_ref().is_some_and(forbids) && !env.is_removed(Guard::HighWater) {
            return false;
        }
        env.note(format_args!("node {} seals {} {}", self.place, block.height(), block.hash()));
        env.properties.exists(block);
        env.properties.sealed(block.height(), block.hash());
        self.mark = Some(block.clone());
        true
    }
}
