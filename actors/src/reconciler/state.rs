//! What is checked next, and how long the pauses are.
//!
//! Rounds follow each other. A round hashes the flat state at the height that is the head when it begins, and then
//! executes old blocks again, from where the last round stopped; when it has come to the head it begins anew at block
//! 1. Before that it counts what the look-up by address lists of those blocks. So the state as a whole is checked once a round, and every step from the genesis to it from time to time.
//!
//! The blocks have a bookmark that outlives a restart. The hashing of a state has none, and begins again: what is hashed
//! is the state at one height, whose leaves lie sorted in memory and in files without a name. To keep them would mean to
//! trust, after a crash, files that nothing seals; and the height they belong to may be forgotten by then.

use super::messages::Reconciled;
use crate::callboard::Phase;
use std::time::Duration;

/// Share of one core that the checks may take, percent: a node that seals and serves must not feel them.
pub(super) const SHARE_PERCENT: u32 = 5;
/// As long as the history is forgotten faster than a state can be hashed, the share is doubled up to this.
const MAX_SHARE_PERCENT: u32 = 50;
/// Blocks executed again in one round.
pub(super) const BLOCKS_A_ROUND: u64 = 10_000;
/// How long after the start, or after catching up, the checks begin: what is urgent then is something else.
const SETTLE: Duration = Duration::from_secs(1);
/// How long a step that could not be made is put off: so long that an operator can make room, so short that it is seen
/// whether that helped.
pub(super) const RETRY: Duration = Duration::from_secs(60);
/// The bookmark is written after this many blocks: a restart repeats no more than these.
const SAVE_EVERY: u64 = 100;

/// A piece of work, some tens of milliseconds or one block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Begin to hash the state after this block.
    BeginRoot {
        /// Its height.
        height: u64,
    },
    /// Go on hashing.
    Root,
    /// Count what the look-up by address lists of these blocks, which are executed next.
    Rows {
        /// The first.
        from: u64,
        /// The last.
        to: u64,
    },
    /// Execute this block again.
    Block {
        /// Its height.
        height: u64,
    },
}

/// What came of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// There is more of the state to hash.
    RootGoesOn,
    /// The state has the root that its header says.
    RootIsRight,
    /// There is more to count.
    RowsGoOn,
    /// All is counted.
    RowsAreCounted,
    /// The block is right.
    BlockIsRight,
    /// The history that the step needs is kept only from this height on.
    Pruned {
        /// The oldest state there is.
        oldest: u64,
    },
    /// The step could not be made, which says nothing of the chain.
    NotDone {
        /// Why.
        reason: String,
    },
    /// Something is wrong.
    Wrong {
        /// The height at which it was found.
        height: u64,
        /// What.
        fault: String,
    },
}

/// What the core wants done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Effect {
    /// Do this now, and say what came of it.
    Run(Step),
    /// Wake the core after this long.
    Wake(Duration),
    /// Remember the next block to execute across restarts.
    Save {
        /// Its height.
        next: u64,
    },
    /// A round has ended, or something is wrong.
    Publish(Reconciled),
    /// Tell the operator why a step was put off.
    Warn {
        /// Why.
        reason: String,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Work {
    Waiting {
        until: Duration,
    },
    Root {
        height: u64,
        begun: bool,
    },
    Rows {
        head: u64,
        last: u64,
    },
    Blocks {
        head: u64,
        last: u64,
    },
    /// Something is wrong, and stays wrong until an operator repairs it.
    Wrong,
}

/// The core.
#[derive(Debug)]
pub(super) struct State {
    every: Duration,
    work: Work,
    round_began: Duration,
    next_block: u64,
    share: u32,
}

impl State {
    /// Rounds begin `every` so often; the first block to execute again is `next_block`.
    pub(super) fn new(every: Duration, next_block: u64) -> Self {
        let work = Work::Waiting { until: SETTLE };
        Self { every, work, round_began: Duration::ZERO, next_block: next_block.max(1), share: SHARE_PERCENT }
    }

    /// Decides what to do now.
    pub(super) fn on_wake(&mut self, now: Duration, phase: Phase, head: u64) -> Effect {
        if matches!(phase, Phase::Genesis | Phase::Replaying | Phase::CatchingUp) {
            return Effect::Wake(SETTLE);
        }
        match self.work {
            Work::Waiting { until } if now < until => Effect::Wake(until.saturating_sub(now)),
            Work::Waiting { .. } => {
                self.round_began = now;
                self.begin_root(head)
            }
            Work::Root { begun: false, height } => self.begin_root(height.max(head)),
            Work::Root { .. } => Effect::Run(Step::Root),
            Work::Rows { last, .. } => Effect::Run(Step::Rows { from: self.next_block, to: last }),
            Work::Blocks { .. } => Effect::Run(Step::Block { height: self.next_block }),
            Work::Wrong => Effect::Wake(self.every),
        }
    }

    fn begin_root(&mut self, height: u64) -> Effect {
        self.work = Work::Root { height, begun: true };
        Effect::Run(Step::BeginRoot { height })
    }

    /// A step has ended after `took`; `wall` is the time of day, unix seconds.
    pub(super) fn on_done(&mut self, now: Duration, wall: u64, took: Duration, outcome: Outcome) -> Vec<Effect> {
        let mut effects = Vec::new();
        match (self.work, outcome) {
            (_, Outcome::Wrong { height, fault }) => {
                self.work = Work::Wrong;
                effects.push(Effect::Publish(Reconciled { height, at: wall, ok: false, fault: Some(fault) }));
            }
            (work, Outcome::NotDone { reason }) => {
                if let Work::Root { height, .. } = work {
                    self.work = Work::Root { height, begun: false };
                }
                return vec![Effect::Warn { reason }, Effect::Wake(RETRY)];
            }
            (Work::Root { height, .. }, Outcome::RootIsRight) => {
                self.share = SHARE_PERCENT;
                self.begin_blocks(height);
            }
            (Work::Root { height, .. }, Outcome::Pruned { .. }) => {
                // The state was forgotten before it was read: once more, at the newest height, and faster.
                self.share = self.share.saturating_mul(2).min(MAX_SHARE_PERCENT);
                self.work = Work::Root { height, begun: false };
            }
            (Work::Rows { head, last }, Outcome::RowsAreCounted) => self.work = Work::Blocks { head, last },
            (Work::Blocks { .. }, Outcome::BlockIsRight) => {
                self.next_block = self.next_block.saturating_add(1);
                if self.next_block.is_multiple_of(SAVE_EVERY) {
                    effects.push(Effect::Save { next: self.next_block });
                }
            }
            (Work::Blocks { .. }, Outcome::Pruned { oldest }) => {
                self.next_block = self.next_block.max(oldest).saturating_add(1);
            }
            _ => {}
        }
        effects.extend(self.end_round(now, wall));
        effects.push(Effect::Wake(self.pause(took)));
        effects
    }

    fn begin_blocks(&mut self, head: u64) {
        if self.next_block > head {
            self.next_block = 1;
        }
        self.work = Work::Rows { head, last: head.min(self.next_block.saturating_add(BLOCKS_A_ROUND - 1)) };
    }

    /// The round has ended where all of its blocks are done.
    fn end_round(&mut self, now: Duration, wall: u64) -> Vec<Effect> {
        // A chain of block 0 alone has none to count either.
        let (Work::Rows { head, last } | Work::Blocks { head, last }) = self.work else { return Vec::new() };
        if self.next_block <= last {
            return Vec::new();
        }
        self.work = Work::Waiting { until: self.round_began.saturating_add(self.every).max(now) };
        let right = Reconciled { height: head, at: wall, ok: true, fault: None };
        vec![Effect::Save { next: self.next_block }, Effect::Publish(right)]
    }

    /// So long that work takes its share of the time, and no more.
    fn pause(&self, took: Duration) -> Duration {
        took.saturating_mul(100 / self.share.max(1)).saturating_sub(took)
    }
}
