//! What the coordinator says of itself, put together from core, stages and sessions.

use super::actor::{SyncCoordinator, wall_seconds};
use super::messages::{PeerFigures, Standing};
use super::report::{DivergenceReport, PeerReport, SyncReport, TargetReport};
use crate::callboard::Phase;
use crate::monitor::Stages;
use std::time::Instant;

impl SyncCoordinator {
    pub(super) fn report(&mut self) -> SyncReport {
        let now = self.now();
        let (blocks_per_second, transactions_per_second) = self.pace.rates(now);
        let head = self.state.head();
        let behind = self.state.behind_blocks();
        let catching_up = self.state.phase() == Phase::CatchingUp;
        let stages = self.stages.figures(Instant::now());
        SyncReport {
            phase: self.state.phase(),
            role: self.callboard.role(),
            head: head.into(),
            target: self.state.target().map(|target| TargetReport {
                height: target.head.height,
                hash: target.head.hash,
                peer: target.peer.to_string(),
            }),
            behind_blocks: behind,
            head_age_seconds: wall_seconds().saturating_sub(head.timestamp),
            blocks_per_second,
            transactions_per_second,
            eta_seconds: (behind > 0 && blocks_per_second > 0.0).then(|| (behind as f64 / blocks_per_second) as u64),
            bottleneck: catching_up.then(|| Stages::bottleneck(&stages).to_owned()),
            stages,
            peers: self.state.peers().map(|figures| self.peer_report(figures)).collect(),
            divergence: self.state.divergence().map(DivergenceReport::from),
            last_rejection: self.tools.importer.refusals().newest(),
            last_reconciled: None,
            alerts: Vec::new(),
            catching_up_from: self.catching_up_from,
            not_ready: self.not_ready(),
        }
    }

    /// Ready: following, and the head is fresh. Otherwise the one reason why not.
    fn not_ready(&self) -> Option<String> {
        (!self.state.is_ready(self.now(), wall_seconds())).then(|| self.reason())
    }

    /// Why the node is not in sync.
    pub(super) fn reason(&self) -> String {
        let (state, now) = (&self.state, self.now());
        if let Some(found) = state.divergence() {
            return DivergenceReport::from(found).to_string();
        }
        if let Some(reason) = state.halted() {
            return format!("this node or the authority is wrong: {reason}");
        }
        if let Some(reason) = state.waiting_for(now) {
            return reason;
        }
        match state.target() {
            Some(target) if state.is_stuck(now) => format!(
                "block {} is sealed, and no peer has given a block above {} for a while",
                target.head.height,
                state.head().height
            ),
            Some(_) => format!("catching up: {} blocks behind", state.behind_blocks()),
            None if state.phase() == Phase::CatchingUp => "waiting for its peers to answer".to_owned(),
            None => format!("the newest block is {} s old", wall_seconds().saturating_sub(state.head().timestamp)),
        }
    }

    fn peer_report(&self, figures: PeerFigures) -> PeerReport {
        PeerReport {
            id: figures.peer.to_string(),
            url: self.sessions.get(&figures.peer).map(|session| session.url().to_string()).unwrap_or_default(),
            height: figures.head.map(|head| head.height),
            hash: figures.head.map(|head| head.hash),
            state: match figures.standing {
                Standing::Unknown => "unknown",
                Standing::Agrees => "agrees",
                Standing::Ahead => "ahead",
                Standing::Differs => "differs",
                Standing::Accepted => "accepted",
            },
        }
    }
}
