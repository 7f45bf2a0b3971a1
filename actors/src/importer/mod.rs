//! The one way in for blocks from outside: the routing table, the verifier, then ConfirmedState.
//!
//! Peers' streams, `importBlock` and files all come through here, so a block is treated alike whoever sent it.

mod connected;
mod difference;
mod explain;
mod in_order;
mod ledger;
mod passports;
mod patience;
mod questions;
mod refusals;
mod seals;
#[cfg(test)]
mod tests;

pub use connected::Connected;
pub use explain::{ConfirmedBlock, Explanation, Rejection};
pub use in_order::Next;
pub use passports::{MAX_PASSPORTS, Moment, Passport, Passports, Served};
pub use refusals::{MAX_LISTED, Refusals, Refused};
pub use seals::{Meeting, SealWatch};

use crate::block_span;
use crate::callboard::{Callboard, Delivery, Kind, Path, Phase, Provenance};
use crate::confirmed_state::{ImportBlock, ImportBlocks, ImportError, Imported};
use crate::monitor::{Metrics, StageMeter};
use crate::proposer::HoldProposing;
use crate::send::{AskError, Inbox};
use crate::sync_coordinator::{KnownHead, LiveFloor, OwnBlockMet, UnconfirmableMet};
use crate::transport::SealedHead;
use crate::verifier::{VerificationError, Verifier};
use alloy_primitives::{B256, Bytes};
use callboard_chain::live::ConfirmError;
use callboard_chain::verify::VerifyError;
use callboard_chain::{Blame, Block, Check, Verified};
use callboard_store::{Head, NodeStore, StorageError};
use parking_lot::Mutex;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::watch;
use tracing::Span;

/// A block of the largest size executes in well under a minute on any machine this runs on; an actor that is silent
/// for longer hangs.
const EXECUTE_DEADLINE: Duration = Duration::from_secs(120);

/// What became of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// It extends the chain now; `false` where it was known already.
    pub imported: bool,
    /// Its height.
    pub height: u64,
    /// Its hash.
    pub hash: B256,
}

/// Why a block was not imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportFailure {
    /// The routing table says no.
    #[error("blocks from {} are not imported while this node is {phase}", provenance.origin)]
    NotRouted {
        /// Where it came from.
        provenance: Provenance,
        /// The phase.
        phase: Phase,
    },
    /// The block is not what it claims to be.
    #[error(transparent)]
    Refused(#[from] VerifyError),
    /// It does not extend the confirmed state.
    #[error(transparent)]
    Confirm(#[from] ConfirmError),
    /// This authority sealed it, or this follower's operator rolled it back or accepted its branch as dead, and gave it up
    /// knowingly.
    #[error("block {height} {hash} is of the branch that this node gave up above block {after}; it is not taken back")]
    GivenUp {
        /// Its height.
        height: u64,
        /// Its hash.
        hash: B256,
        /// The highest block that was kept.
        after: u64,
    },
    /// A follower that knows a living head, or whose seeds may still show one, takes old blocks only from where they lead
    /// there.
    #[error(
        "block {height} {hash} is of {timestamp}, and what is brought unasked is not taken where it is older than \
         {older_than}: it may be of a branch that nobody extends. If it is of the living one, it is fetched"
    )]
    NoNews {
        /// Its height.
        height: u64,
        /// Its hash.
        hash: B256,
        /// Its time, in unix seconds.
        timestamp: u64,
        /// Three heartbeats ago.
        older_than: u64,
    },
    /// ConfirmedState has too much to do, or is too slow. Try again; the block may have been imported all the same.
    #[error("the node is busy: {reason}")]
    Busy {
        /// What was met.
        reason: String,
    },
    /// The node is stopping.
    #[error("the node is stopping: {reason}")]
    Stopping {
        /// What was met.
        reason: String,
    },
}

impl ImportFailure {
    /// Who is at fault.
    pub fn blame(&self) -> Blame {
        match self {
            Self::NotRouted { .. } => Blame::Nobody,
            Self::Refused(error) => error.blame(),
            Self::Confirm(error) => error.blame(),
            Self::GivenUp { .. } | Self::NoNews { .. } | Self::Busy { .. } | Self::Stopping { .. } => Blame::Nobody,
        }
    }

    /// The stable name of the check that failed.
    pub fn check(&self) -> &'static str {
        match self {
            Self::NotRouted { .. } => "route",
            Self::Refused(error) => error.check(),
            Self::Confirm(error) => error.check(),
            Self::GivenUp { .. } => "givenUp",
            Self::NoNews { .. } => "news",
            Self::Busy { .. } => "busy",
            Self::Stopping { .. } => "stopping",
        }
    }

    /// The check that failed; `None` where the block was not judged.
    pub fn failed(&self) -> Option<Check> {
        match self {
            Self::Refused(error) => Some(error.failed()),
            Self::Confirm(error) => error.failed(),
            Self::NotRouted { .. } | Self::GivenUp { .. } | Self::NoNews { .. } => None,
            Self::Busy { .. } | Self::Stopping { .. } => None,
        }
    }

    /// Whether the block is known to be under the authority's valid seal.
    pub fn is_sealed(&self) -> bool {
        match self {
            Self::Refused(VerifyError::Decode(_) | VerifyError::Seal(_)) => false,
            Self::Refused(_) | Self::Confirm(_) | Self::GivenUp { .. } | Self::NoNews { .. } => true,
            Self::NotRouted { .. } | Self::Busy { .. } | Self::Stopping { .. } => false,
        }
    }

    /// What was expected, and what came.
    pub fn expected_and_actual(&self) -> (String, String) {
        match self {
            Self::Refused(error) => error.expected_and_actual(),
            Self::Confirm(error) => error.expected_and_actual(),
            Self::NotRouted { phase, .. } => ("a phase that imports".to_owned(), phase.to_string()),
            Self::GivenUp { hash, .. } => ("a block that was not given up".to_owned(), hash.to_string()),
            Self::NoNews { timestamp, older_than, .. } => {
                (format!("a time from {older_than} on"), timestamp.to_string())
            }
            Self::Busy { reason } => ("a node with time for it".to_owned(), reason.clone()),
            Self::Stopping { reason } => ("a running node".to_owned(), reason.clone()),
        }
    }
}

impl From<VerificationError> for ImportFailure {
    fn from(error: VerificationError) -> Self {
        match error {
            VerificationError::Refused(error) => Self::Refused(error),
            VerificationError::Stopped => Self::Stopping { reason: error.to_string() },
        }
    }
}

impl From<AskError> for ImportFailure {
    fn from(error: AskError) -> Self {
        let reason = error.to_string();
        match error {
            AskError::Full { .. } | AskError::Timeout { .. } => Self::Busy { reason },
            AskError::Closed { .. } => Self::Stopping { reason },
        }
    }
}

impl From<StorageError> for ImportFailure {
    fn from(error: StorageError) -> Self {
        Self::Stopping { reason: format!("the chain database cannot be read: {error}") }
    }
}

/// Whom an authority tells of a block that it lacks and that carries its own seal.
#[derive(Debug, Clone)]
pub struct OwnBlocks {
    /// The proposer, which seals nothing until that block is there.
    pub hold: Inbox<HoldProposing>,
    /// The sync coordinator, which looks for what is missing below it.
    pub met: Inbox<OwnBlockMet>,
}

/// What is kept of the blocks that come through here.
#[derive(Debug, Clone)]
pub struct Records {
    /// Those that were refused.
    pub refusals: Refusals,
    /// The way of the newest ones.
    pub passports: Passports,
}

impl Records {
    /// Refused blocks go to `store`; see [`Refusals::new`].
    pub fn new(store: NodeStore, metrics: &Metrics) -> Self {
        let connected = Connected::default();
        let refusals = Refusals::new(store, connected.clone(), metrics);
        Self { refusals, passports: Passports::new(connected) }
    }
}

/// Where ConfirmedState takes blocks.
#[derive(Debug, Clone)]
pub struct Executors {
    /// One.
    pub block: Inbox<ImportBlock>,
    /// Several small ones.
    pub blocks: Inbox<ImportBlocks>,
}

/// Imports blocks. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Importer {
    callboard: Callboard,
    verifier: Verifier,
    confirmed_state: Executors,
    head: watch::Receiver<Head>,
    refusals: Refusals,
    passports: Passports,
    seals: SealWatch,
    own_blocks: Option<OwnBlocks>,
    /// Hears of every sealed block that cannot be confirmed.
    faults: Arc<OnceLock<Inbox<UnconfirmableMet>>>,
    /// What a follower takes of what it did not ask for.
    live_floor: Arc<Mutex<Option<LiveFloor>>>,
    /// Counts the time in which blocks wait for the disk.
    waits: Arc<OnceLock<Arc<StageMeter>>>,
}

impl Importer {
    /// Brings the parts together; `head` is the durable head, `own_blocks` is an authority's.
    pub fn new(
        callboard: Callboard,
        verifier: Verifier,
        confirmed_state: Executors,
        head: watch::Receiver<Head>,
        records: Records,
        seals: SealWatch,
        own_blocks: Option<OwnBlocks>,
    ) -> Self {
        let Records { refusals, passports } = records;
        let (faults, live_floor, waits) = (Arc::default(), Arc::default(), Arc::default());
        Self {
            callboard,
            verifier,
            confirmed_state,
            head,
            refusals,
            passports,
            seals,
            own_blocks,
            faults,
            live_floor,
            waits,
        }
    }

    /// From now on, and until this is called again, blocks that are brought unasked and that `floor` holds back are not taken.
    pub fn set_live_floor(&self, floor: Option<LiveFloor>) {
        *self.live_floor.lock() = floor;
    }

    /// From now on the time in which a block waits because ConfirmedState is ahead of the disk counts as that stage's
    /// stalled time. Assembly calls it once.
    pub fn measure_waits_by(&self, execute: Arc<StageMeter>) {
        self.waits.get_or_init(|| execute);
    }

    /// From now on the sync coordinator hears of every validly sealed block that stands on this chain and cannot be
    /// confirmed, whatever brought it. Assembly calls it once.
    pub fn report_faults_to(&self, faults: Inbox<UnconfirmableMet>) {
        self.faults.get_or_init(|| faults);
    }

    /// The span of a block that has just come: whatever is done for it is done within.
    pub fn block_span(&self) -> Span {
        block_span::block_span(self.callboard.phase())
    }

    /// How many blocks can be verified at once, ahead of importing.
    pub fn verifies_at_once(&self) -> usize {
        self.verifier.capacity()
    }

    /// The durable head.
    pub fn durable_head(&self) -> Head {
        *self.head.borrow()
    }

    /// What was refused.
    pub fn refusals(&self) -> &Refusals {
        &self.refusals
    }

    /// What became of the newest blocks.
    pub fn passports(&self) -> &Passports {
        &self.passports
    }

    /// The durable head, as it moves.
    pub fn watch_head(&self) -> watch::Receiver<Head> {
        self.head.clone()
    }

    /// Where sealed blocks and heads that are not imported here are reported.
    pub fn seals(&self) -> &SealWatch {
        &self.seals
    }

    /// Verifies a block that is to be imported later. A refusal is recorded.
    pub async fn verify(&self, bytes: Bytes, provenance: Provenance) -> Result<Verified<Block>, ImportFailure> {
        let received = Moment::now();
        let verdict = self.verifier.verify(bytes.clone()).await.map_err(ImportFailure::from);
        self.on_verdict(verdict, &bytes, provenance, received)
    }

    /// As [`Self::verify`], for small blocks that came together, each within its span. The verdicts are in their order
    /// and end with the first that is a sender's fault: nothing that comes after a forgery is looked at.
    pub async fn verify_each(
        &self,
        blocks: Vec<(Bytes, Span)>,
        provenance: Provenance,
    ) -> Vec<Result<Verified<Block>, ImportFailure>> {
        let received = Moment::now();
        let verdicts = match self.verifier.verify_each(blocks.clone()).await {
            Ok(verdicts) => verdicts,
            Err(stopped) => return vec![Err(stopped.into())],
        };
        let mut judged = Vec::with_capacity(blocks.len());
        for (verdict, (bytes, span)) in verdicts.into_iter().zip(blocks) {
            let verdict = verdict.map_err(ImportFailure::from);
            let verdict = span.in_scope(|| self.on_verdict(verdict, &bytes, provenance, received));
            let is_forged = verdict.as_ref().is_err_and(|failure| failure.blame() == Blame::Peer);
            judged.push(verdict);
            if is_forged {
                break;
            }
        }
        judged
    }

    fn on_verdict(
        &self,
        verdict: Result<Verified<Block>, ImportFailure>,
        bytes: &Bytes,
        provenance: Provenance,
        received: Moment,
    ) -> Result<Verified<Block>, ImportFailure> {
        match &verdict {
            Ok(block) => self.passports.verified(block.value(), provenance, received, self.durable_head().height),
            Err(failure) => {
                self.refusals.record(failure, provenance, bytes);
                self.meet_refused(failure, bytes, provenance);
            }
        }
        verdict
    }

    /// What fails after the seal was checked is still under the authority's seal.
    fn meet_refused(&self, failure: &ImportFailure, bytes: &Bytes, provenance: Provenance) {
        if failure.is_sealed()
            && let Ok(block) = Block::decode(bytes.clone())
        {
            self.meet(&block, provenance);
        }
    }

    fn meet(&self, block: &Block, provenance: Provenance) {
        // A storage error has been reported there, and stops the node.
        self.seals.meet(&SealedHead::of(block), provenance.peer).ok();
    }

    /// Verifies and executes a block, and waits until it is durable.
    pub async fn import(&self, bytes: Bytes, provenance: Provenance) -> Result<Outcome, ImportFailure> {
        self.check_route(provenance)?;
        let verified = self.verify(bytes.clone(), provenance).await;
        let block = verified.inspect_err(|failure| self.tell_unverified(failure, &bytes))?;
        let outcome = self.import_verified(block, provenance).await?;
        self.durable(outcome.height).await?;
        Ok(outcome)
    }

    /// A block that breaks a rule under a valid seal matters only where it stands on our chain.
    fn tell_unverified(&self, failure: &ImportFailure, bytes: &Bytes) {
        if failure.blame() != Blame::Local {
            return;
        }
        let Ok(block) = Block::decode(bytes.clone()) else { return };
        let head = self.durable_head();
        if block.header().parent_hash == head.hash && block.height() == head.height.saturating_add(1) {
            self.tell_fault(&block, failure);
        }
    }

    fn tell_fault(&self, block: &Block, failure: &ImportFailure) {
        let Some(faults) = self.faults.get().filter(|_| failure.blame() == Blame::Local) else { return };
        let met = UnconfirmableMet { height: block.height(), hash: block.hash(), reason: failure.to_string() };
        // A coordinator that is behind fetches the block by itself, and hears of it then.
        faults.offer(met).ok();
    }

    /// Executes a verified block. It is durable when [`Importer::durable`] says so. A refusal is recorded.
    pub async fn import_verified(
        &self,
        block: Verified<Block>,
        provenance: Provenance,
    ) -> Result<Outcome, ImportFailure> {
        self.check_route(provenance)?;
        if let Err(failure) = self.hold_proposing(block.value(), provenance).await {
            self.passports.refused(block.value().hash(), provenance);
            self.refusals.record(&failure, provenance, block.value().bytes());
            return Err(failure);
        }
        let value = block.value().clone();
        let outcome = self.execute(block, provenance).await;
        if let Err(failure) = &outcome {
            self.on_refused(&value, provenance, failure);
        }
        outcome
    }

    fn on_refused(&self, block: &Block, provenance: Provenance, failure: &ImportFailure) {
        // One that was not judged may be imported all the same.
        if failure.failed().is_some() {
            self.passports.refused(block.hash(), provenance);
        }
        self.refusals.record(failure, provenance, block.bytes());
        self.meet(block, provenance);
        self.tell_fault(block, failure);
    }

    /// An authority that meets its own seal on a block it lacks seals nothing more until it has that block: whatever
    /// it is sealing now ends before this returns, and a restart does not make it forget. What it gave up knowingly it
    /// does not take back.
    async fn hold_proposing(&self, block: &Block, provenance: Provenance) -> Result<(), ImportFailure> {
        let Some(own) = &self.own_blocks else { return self.check_wanted(block, provenance) };
        let (met, height) = (SealedHead::of(block), block.height());
        match self.seals.meet(&met, provenance.peer)? {
            Meeting::Ahead { may_extend: true } => {}
            Meeting::GivenUp { after } => return Err(ImportFailure::GivenUp { height, hash: block.hash(), after }),
            _ => return Ok(()),
        }
        own.hold.ask(HoldProposing { height }, EXECUTE_DEADLINE).await?;
        self.seals.remember_own((&met).into()).await?;
        if self.callboard.deliveries(provenance.origin, Kind::Block).contains(&Delivery::AlarmBlock) {
            self.callboard.count(provenance.origin, Kind::Block, Delivery::AlarmBlock);
        }
        if self.callboard.phase() != Phase::CatchingUp {
            // Where the mailbox is full, the next block or status tells it again; the proposer holds anyway.
            own.met.offer(OwnBlockMet { height }).ok();
        }
        Ok(())
    }

    /// On a follower: what the block is by itself does not say whether it is to be in this chain.
    fn check_wanted(&self, block: &Block, provenance: Provenance) -> Result<(), ImportFailure> {
        self.check_not_given_up(block)?;
        self.check_news(block, provenance)
    }

    /// What its operator gave up may still be in its chain: where the rollback failed.
    fn check_not_given_up(&self, block: &Block) -> Result<(), ImportFailure> {
        let met = KnownHead::from(block);
        let (height, hash) = (met.height, met.hash);
        match self.seals.is_unwanted(&met) {
            Some(after) if !self.seals.has(height, hash)? => Err(ImportFailure::GivenUp { height, hash, after }),
            _ => Ok(()),
        }
    }

    /// A range is asked for only where it leads to the living head; what is pushed or streamed live comes from
    /// anybody.
    fn check_news(&self, block: &Block, provenance: Provenance) -> Result<(), ImportFailure> {
        let (met, floor) = (KnownHead::from(block), *self.live_floor.lock());
        let is_unasked = matches!(provenance.path, Path::Push | Path::Live);
        match floor.filter(|floor| is_unasked && floor.holds_back(&met)) {
            Some(LiveFloor { older_than, .. }) if !self.seals.has(met.height, met.hash)? => {
                let KnownHead { height, hash, timestamp } = met;
                Err(ImportFailure::NoNews { height, hash, timestamp, older_than })
            }
            _ => Ok(()),
        }
    }

    async fn execute(&self, block: Verified<Block>, provenance: Provenance) -> Result<Outcome, ImportFailure> {
        let (height, hash) = (block.value().height(), block.value().hash());
        loop {
            let durable = self.head.borrow().height;
            let message = ImportBlock { block: block.clone(), provenance };
            return match self.confirmed_state.block.ask(message, EXECUTE_DEADLINE).await? {
                Err(ImportError::Backlogged { .. }) => {
                    self.wait_for_disk(durable).await?;
                    continue;
                }
                Err(ImportError::Confirm(error)) => self.conclude(Err(error), (height, hash), provenance),
                Ok(imported) => self.conclude(Ok(imported), (height, hash), provenance),
            };
        }
    }

    /// Counts and notes what became of the block of this height and hash.
    fn conclude(
        &self,
        answer: Result<Imported, ConfirmError>,
        (height, hash): (u64, B256),
        provenance: Provenance,
    ) -> Result<Outcome, ImportFailure> {
        let imported = match answer {
            Ok(_) => true,
            Err(ConfirmError::Known { .. }) => false,
            Err(error) => return Err(error.into()),
        };
        let delivery = if imported { Delivery::ImportBlock } else { Delivery::IgnoreBlock };
        self.callboard.count(provenance.origin, Kind::Block, delivery);
        if imported {
            self.passports.executed(height, hash);
        }
        Ok(Outcome { imported, height, hash })
    }

    /// Waits until the block at `height` is durable.
    pub async fn durable(&self, height: u64) -> Result<(), ImportFailure> {
        self.wait_for(|head| head.height >= height).await
    }

    async fn moved_past(&self, height: u64) -> Result<(), ImportFailure> {
        self.wait_for(|head| head.height > height).await
    }

    async fn wait_for(&self, reached: impl FnMut(&Head) -> bool) -> Result<(), ImportFailure> {
        let mut head = self.head.clone();
        let waited = head.wait_for(reached).await.map(drop);
        waited.map_err(|_| ImportFailure::Stopping { reason: "the block store has stopped".to_owned() })
    }

    fn check_route(&self, provenance: Provenance) -> Result<(), ImportFailure> {
        if self.callboard.deliveries(provenance.origin, Kind::Block).contains(&Delivery::ImportBlock) {
            return Ok(());
        }
        self.callboard.count(provenance.origin, Kind::Block, Delivery::RefuseBlock);
        Err(ImportFailure::NotRouted { provenance, phase: self.callboard.phase() })
    }
}
