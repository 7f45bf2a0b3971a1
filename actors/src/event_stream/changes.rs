//! What has changed since subscribers last heard of it.

use crate::callboard::RouteCount;
use crate::sync_coordinator::SyncReport;

/// The sync status and the deliveries that were last told.
#[derive(Debug, Default)]
pub(super) struct Changes {
    sync: Option<SyncReport>,
    routes: Vec<RouteCount>,
}

impl Changes {
    /// The report, where it says more than that time has passed and blocks have come.
    pub(super) fn on_report(&mut self, report: SyncReport) -> Option<SyncReport> {
        let told = self.sync.as_ref().is_some_and(|last| is_same(last, &report));
        if told {
            return None;
        }
        self.sync = Some(report.clone());
        Some(report)
    }

    /// The counts that have changed.
    pub(super) fn on_counts(&mut self, counts: Vec<RouteCount>) -> Vec<RouteCount> {
        let changed = counts.iter().filter(|count| !self.routes.contains(count)).copied().collect();
        self.routes = counts;
        changed
    }
}

fn is_same(last: &SyncReport, report: &SyncReport) -> bool {
    last.phase == report.phase
        && last.behind_blocks == report.behind_blocks
        && last.divergence == report.divergence
        && last.last_rejection == report.last_rejection
        && last.last_reconciled == report.last_reconciled
        && last.alerts == report.alerts
        && last.not_ready == report.not_ready
        && last.peers.len() == report.peers.len()
}
