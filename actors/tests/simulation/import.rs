//! Importing: blocks that were fetched, in height order, and blocks that somebody pushed.

use super::env::{Env, Guard};
use super::fetch::Trouble;
use super::node::{Node, known};
use alloy_primitives::Bytes;
use callboard_actors::callboard::{Delivery, Kind, Path, Phase, Provenance};
use callboard_actors::confirmed_state::{self, ImportError};
use callboard_actors::sync_coordinator::{ImportEnd, Staging};
use callboard_actors::transport::NodeId;
use callboard_chain::live::ConfirmError;
use callboard_chain::verify::HeaderError;
use callboard_chain::{Blame, Block, Verified};

/// Blocks between fetching and executing.
#[derive(Debug)]
pub(crate) struct Pipeline {
    staging: Staging<(Provenance, Verified<Block>)>,
    /// Taken out, and waiting for the disk to keep up.
    held: Option<(u64, Provenance, Verified<Block>)>,
    /// Why it does not go on until everything is dropped; told when the block at this height is durable.
    end: Option<(u64, ImportEnd, Option<String>)>,
    is_broken: bool,
    imported: u64,
}

impl Pipeline {
    /// Above the durable head at `height`.
    pub(crate) fn new(height: u64) -> Self {
        let staging = Staging::new(height + 1);
        Self { staging, held: None, end: None, is_broken: false, imported: height }
    }

    pub(crate) fn put(&mut self, provenance: Provenance, block: Verified<Block>) {
        self.staging.put(block.value().height(), (provenance, block));
    }

    pub(crate) fn advance(&mut self, front: u64) {
        self.staging.advance(front);
    }

    pub(crate) fn clear(&mut self, front: u64) {
        self.staging.clear(front);
        (self.held, self.end, self.is_broken) = (None, None, false);
    }

    fn next(&mut self) -> Option<(u64, Provenance, Verified<Block>)> {
        if self.is_broken {
            return None;
        }
        let staged = || self.staging.take().map(|(height, (provenance, block))| (height, provenance, block));
        self.held.take().or_else(staged)
    }
}

/// Why a block is not imported.
enum NotImported {
    Confirm(ConfirmError),
    Backlogged,
    NotRouted,
    GivenUp,
    NoNews,
}

impl Node {
    /// Imports what has come and is next, as far as the disk keeps up.
    pub(crate) fn hand_over(&mut self, env: &mut Env) {
        while let Some((height, provenance, block)) = self.running().pipeline.next() {
            let Some(peer) = provenance.peer else { continue };
            match self.import(block.clone(), provenance, env) {
                Ok(()) | Err(NotImported::Confirm(ConfirmError::Known { .. })) => {
                    let pipeline = &mut self.running().pipeline;
                    pipeline.imported = pipeline.imported.max(height);
                }
                Err(NotImported::Backlogged) => {
                    self.running().pipeline.held = Some((height, provenance, block));
                    break;
                }
                Err(NotImported::GivenUp) => {
                    let common = height.saturating_sub(1);
                    let end = ImportEnd::OtherChain { peer, block: known(block.value()), ours: None };
                    self.break_off(common, end, None);
                }
                Err(NotImported::NotRouted | NotImported::NoNews) => {
                    self.break_off(0, ImportEnd::NotNow { peer }, None)
                }
                Err(NotImported::Confirm(error)) => self.judge(peer, block.value(), error, env),
            }
        }
        self.tell_imported(env);
        self.tell_end(env);
    }

    fn tell_imported(&mut self, env: &mut Env) {
        let process = self.running();
        let height = process.pipeline.imported;
        if height >= process.sync.front() {
            self.tell(env, |sync, now, wall| sync.on_imported(now, wall, height));
        }
    }

    fn break_off(&mut self, durable: u64, end: ImportEnd, blame: Option<String>) {
        let pipeline = &mut self.running().pipeline;
        pipeline.is_broken = true;
        pipeline.end = Some((durable, end, blame));
    }

    /// What a failure means. A block of another chain is told of when all of ours below it is durable.
    fn judge(&mut self, peer: NodeId, block: &Block, error: ConfirmError, env: &mut Env) {
        let ours = match &error {
            ConfirmError::Conflict { ours, .. } => Some(*ours),
            ConfirmError::Header(HeaderError::ParentHash { .. }) => None,
            error if error.blame() == Blame::Peer => {
                return self.break_off(0, ImportEnd::PeerFault { peer }, Some(error.to_string()));
            }
            error if error.blame() == Blame::Local => {
                let reason = error.to_string();
                env.properties.cannot_confirm(self.place, block, &reason);
                return self.break_off(0, ImportEnd::Fault { reason }, None);
            }
            _ => return self.break_off(0, ImportEnd::NotNow { peer }, None),
        };
        let common = if ours.is_some() { block.height() } else { block.height().saturating_sub(1) };
        self.break_off(common, ImportEnd::OtherChain { peer, block: known(block), ours }, None);
    }

    fn tell_end(&mut self, env: &mut Env) {
        let durable = self.disk.height();
        let Some((_, end, blame)) = self.running().pipeline.end.take_if(|(height, ..)| *height <= durable) else {
            return;
        };
        let forger = if let ImportEnd::PeerFault { peer } = &end { Some(*peer) } else { None };
        self.tell(env, |sync, now, wall| sync.on_import_failed(now, wall, end));
        if let (Some(peer), Some(reason)) = (forger, blame) {
            self.blame(peer, Trouble::Forged(reason), env);
        }
    }

    /// The one way in for blocks from outside.
    fn import(&mut self, block: Verified<Block>, provenance: Provenance, env: &mut Env) -> Result<(), NotImported> {
        let met = known(block.value());
        if self.disk.hash(met.height) != Some(met.hash) && self.running().given_up.after(&met).is_some() {
            return Err(NotImported::GivenUp);
        }
        let (now, wall) = (self.uptime(env), self.wall(env).as_secs());
        let floor = self.running().sync.live_floor(now, wall).filter(|_| !env.is_removed(Guard::LivingBranch));
        let is_unasked = matches!(provenance.path, Path::Push | Path::Live);
        if is_unasked && floor.is_some_and(|floor| floor.holds_back(&met)) {
            return Err(NotImported::NoNews);
        }
        self.hold_proposing(block.value(), env);
        let process = self.running();
        if !process.callboard.deliveries(provenance.origin, Kind::Block).contains(&Delivery::ImportBlock) {
            return Err(NotImported::NotRouted);
        }
        let value = block.value().clone();
        let effect = match process.confirmed.on_import(now, block, provenance, &mut |_| {}) {
            Ok((_, effect)) => effect,
            Err(ImportError::Backlogged { .. }) => return Err(NotImported::Backlogged),
            Err(ImportError::Confirm(error)) => return Err(NotImported::Confirm(error)),
        };
        env.properties.imports(env.now, self.place, self.wall(env), &value);
        if let Some(confirmed_state::Effect::Store { batch, origins }) = effect {
            self.store(batch, origins, env);
        }
        Ok(())
    }

    /// An authority that meets its own seal on a block it lacks seals nothing more until it has that block.
    fn hold_proposing(&mut self, block: &Block, env: &mut Env) {
        let (head, height) = (self.disk.header(), block.height());
        let process = self.running();
        let Some(proposer) = &mut process.proposer else { return };
        if height <= head.number || block.header().timestamp < head.timestamp {
            return;
        }
        proposer.on_hold(height);
        if process.callboard.phase() != Phase::CatchingUp {
            self.tell(env, |sync, now, wall| sync.on_own_block(now, wall, height));
        }
    }

    /// The newest block of an authority on an older database may be nowhere but in its high-water file.
    pub(crate) fn take_up_when_reached(&mut self, env: &mut Env) {
        let head = self.disk.head();
        let follows = |mark: &Block| mark.height() == head.height() + 1 && mark.header().parent_hash == head.hash();
        if let Some(mark) = self.running().above_head.take_if(|mark| follows(mark)) {
            let verified = env.memo.verify_block(mark.bytes()).expect("the authority sealed it itself");
            self.import(verified, Provenance::OPERATOR, env).ok();
        }
    }

    /// A block that somebody sent without being asked.
    pub(crate) fn on_push(&mut self, session: u64, block: Bytes, env: &mut Env) {
        let Some((_, peer)) = self.running().guests.get(&session).copied() else { return };
        match env.verify_block(&block) {
            Ok(block) => {
                self.saw(block.value(), env);
                self.import(block, Provenance::pushed(peer), env).ok();
            }
            Err(error) if error.blame() == Blame::Peer => {
                self.blame(peer, Trouble::Forged(error.to_string()), env);
            }
            Err(_) => {}
        }
    }
}
