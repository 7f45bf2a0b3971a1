//! What the node says of its sync: the answer to `callboard_syncStatus`.

use super::messages::{Divergence, KnownHead};
use crate::callboard::{Phase, Role};
use crate::monitor::StageFigures;
use alloy_primitives::B256;
use serde::Serialize;
use std::collections::VecDeque;
use std::time::Duration;

/// The answer to `callboard_syncStatus`. Heights and counts are numbers, times unix seconds.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SyncReport {
    /// What the node is doing.
    pub phase: Phase,
    /// What it is.
    pub role: Role,
    /// The durable head.
    pub head: HeadReport,
    /// What it catches up to.
    pub target: Option<TargetReport>,
    /// Blocks between head and target.
    pub behind_blocks: u64,
    /// Seconds since the head's timestamp.
    pub head_age_seconds: u64,
    /// Over the last seconds.
    pub blocks_per_second: f64,
    /// Over the last seconds.
    pub transactions_per_second: f64,
    /// Seconds until the target is reached at this pace.
    pub eta_seconds: Option<u64>,
    /// The stage that holds the others up, while catching up.
    pub bottleneck: Option<String>,
    /// Each stage's figures.
    pub stages: Vec<StageFigures>,
    /// Each connected peer.
    pub peers: Vec<PeerReport>,
    /// The divergence found.
    pub divergence: Option<DivergenceReport>,
    /// The newest refusal.
    pub last_rejection: Option<String>,
    /// The newest background verification; `None` while there was none.
    pub last_reconciled: Option<serde_json::Value>,
    /// What the operator should know now. Filled in where the report is shown, from all alarms of the node.
    pub alerts: Vec<String>,
    /// The head when catching up began; for `eth_syncing`.
    #[serde(skip)]
    pub catching_up_from: u64,
    /// Why the node is not ready; `None` while it is. For `/health/ready`.
    #[serde(skip)]
    pub not_ready: Option<String>,
}

impl SyncReport {
    /// What is said before the genesis is known.
    pub fn before_genesis(role: Role) -> Self {
        Self {
            phase: Phase::Genesis,
            role,
            head: HeadReport { height: 0, hash: B256::ZERO, timestamp: 0 },
            target: None,
            behind_blocks: 0,
            head_age_seconds: 0,
            blocks_per_second: 0.0,
            transactions_per_second: 0.0,
            eta_seconds: None,
            bottleneck: None,
            stages: Vec::new(),
            peers: Vec::new(),
            divergence: None,
            last_rejection: None,
            last_reconciled: None,
            alerts: Vec::new(),
            catching_up_from: 0,
            not_ready: Some("genesis not known yet".to_owned()),
        }
    }
}

/// A head.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct HeadReport {
    /// Height.
    pub height: u64,
    /// Block hash.
    pub hash: B256,
    /// Unix seconds.
    pub timestamp: u64,
}

impl From<KnownHead> for HeadReport {
    fn from(head: KnownHead) -> Self {
        Self { height: head.height, hash: head.hash, timestamp: head.timestamp }
    }
}

/// What the node catches up to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TargetReport {
    /// Height.
    pub height: u64,
    /// Block hash.
    pub hash: B256,
    /// The node id of the peer that showed it.
    pub peer: String,
}

/// A connected peer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PeerReport {
    /// Node id.
    pub id: String,
    /// Its address.
    pub url: String,
    /// Height of its newest sealed head.
    pub height: Option<u64>,
    /// Hash of it.
    pub hash: Option<B256>,
    /// How it stands to our chain: `agrees`, `ahead`, `differs` or `unknown`.
    pub state: &'static str,
}

/// A divergence, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DivergenceReport {
    /// The first differing height that is known.
    pub height: u64,
    /// Our block there.
    pub ours: Option<B256>,
    /// Theirs.
    pub theirs: B256,
    /// Who showed it.
    pub peer: String,
    /// The last height at which both agree.
    pub last_common_height: Option<u64>,
    /// What the operator can do.
    pub remedy: String,
}

impl From<&Divergence> for DivergenceReport {
    fn from(found: &Divergence) -> Self {
        Self {
            height: found.height,
            ours: found.ours,
            theirs: found.theirs,
            peer: found.witness.to_string(),
            last_common_height: found.last_common_height,
            remedy: remedy(found.height, found.ours, found.theirs, found.last_common_height),
        }
    }
}

/// What the operator can do about a divergence.
pub fn remedy(height: u64, ours: Option<B256>, theirs: B256, last_common_height: Option<u64>) -> String {
    if ours.is_none() && height > 0 {
        return format!(
            "this node has no block {height}: it was rolled back to before that branch and refuses it, for which nothing is to be done; to take that branch after all, stop this node and run `callboard chain accept {height} {theirs}`"
        );
    }
    let keep = format!("to keep this node's chain, stop it and run `callboard chain accept {height} {theirs}`");
    match last_common_height {
        Some(common) => format!(
            "find out which chain is right; to take theirs, stop this node, run `callboard chain rollback --to {common}` and start it again; {keep}"
        ),
        None if height == 0 => {
            format!("find out which chain is right; to take theirs, start this node with an empty data folder; {keep}")
        }
        None => {
            "where the chains part is not known yet; it is looked for as soon as a connected peer shows the other chain, and a node that dialled this one, which cannot be asked, says it as soon as it has found it; find out which one is right before anything else".to_owned()
        }
    }
}

impl std::fmt::Display for DivergenceReport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { height, theirs, peer, remedy, .. } = self;
        let ours = self.ours.map_or_else(|| "unknown".to_owned(), |ours| ours.to_string());
        let common = match self.last_common_height {
            Some(common) => format!("the last common height is {common}"),
            None => "no common block is known".to_owned(),
        };
        write!(f, "diverged at block {height}: ours is {ours}, that of {peer} is {theirs}; {common}; {remedy}")
    }
}

impl DivergenceReport {
    /// As an alarm about a branch that nobody extends.
    pub(super) fn as_alarm(&self) -> String {
        format!(
            "{} shows another sealed block {}, {}, of a branch that nobody extends",
            self.peer, self.height, self.theirs
        )
    }
}

/// Pace is measured over this long: short enough to follow a change, long enough to be steady at a block a second.
const WINDOW: Duration = Duration::from_secs(10);
/// Entries kept; with many commits a second the window is shorter.
const MAX_ENTRIES: usize = 1_024;

/// Blocks and transactions done lately.
#[derive(Debug, Default)]
pub struct Pace(VecDeque<(Duration, u64, u64)>);

impl Pace {
    /// So many more are done.
    pub fn record(&mut self, now: Duration, blocks: u64, transactions: u64) {
        if self.0.len() == MAX_ENTRIES {
            self.0.pop_front();
        }
        self.0.push_back((now, blocks, transactions));
    }

    /// Blocks and transactions a second.
    pub fn rates(&mut self, now: Duration) -> (f64, f64) {
        while self.0.front().is_some_and(|(at, ..)| now.saturating_sub(*at) > WINDOW) {
            self.0.pop_front();
        }
        let Some((first, ..)) = self.0.front() else { return (0.0, 0.0) };
        let seconds = now.saturating_sub(*first).as_secs_f64().max(1.0);
        let (blocks, transactions) = self.0.iter().fold((0u64, 0u64), |(blocks, transactions), entry| {
            (blocks.saturating_add(entry.1), transactions.saturating_add(entry.2))
        });
        (blocks as f64 / seconds, transactions as f64 / seconds)
    }
}
