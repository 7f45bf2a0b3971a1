//! How far work is, and the one text for it.

use crate::units::{rate, seconds};
use callboard_actors::callboard::Phase;
use callboard_actors::sync_coordinator::SyncReport;

/// How far work is that goes from block to block.
#[derive(Debug, Clone, PartialEq)]
pub struct Standing {
    /// What is being done: `catching up`, `exporting`.
    pub what: &'static str,
    /// The block it has reached.
    pub height: u64,
    /// The block it is to reach.
    pub target: u64,
    /// Lately.
    pub blocks_per_second: f64,
    /// Lately; `None` where transactions are not counted.
    pub transactions_per_second: Option<f64>,
    /// Seconds until the target is reached at this pace, where that is known.
    pub eta_seconds: Option<u64>,
    /// The stage that holds the others up, where there are stages.
    pub bottleneck: Option<String>,
}

impl Standing {
    /// A node's, while it catches up.
    pub fn of(report: &SyncReport) -> Option<Self> {
        let target = report.target.as_ref().filter(|_| report.phase == Phase::CatchingUp)?;
        Some(Self {
            what: "catching up",
            height: report.head.height,
            target: target.height,
            blocks_per_second: report.blocks_per_second,
            transactions_per_second: Some(report.transactions_per_second),
            eta_seconds: report.eta_seconds,
            bottleneck: report.bottleneck.clone(),
        })
    }

    /// The text of bar and line, in 80 columns unless heights are very long.
    pub fn text(&self) -> String {
        let Self { what, height, target, .. } = self;
        let mut text = format!("{what}: {height}/{target}, {} blocks/s", rate(self.blocks_per_second));
        if let Some(transactions) = self.transactions_per_second {
            text += &format!(", {} tx/s", rate(transactions));
        }
        if let Some(eta) = self.eta_seconds {
            text += &format!(", {} left", seconds(eta));
        }
        if let Some(bottleneck) = &self.bottleneck {
            text += &format!(", limit: {bottleneck}");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing() -> Standing {
        Standing {
            what: "catching up",
            height: 12_345,
            target: 21_000,
            blocks_per_second: 1_250.0,
            transactions_per_second: Some(13_400.0),
            eta_seconds: Some(870),
            bottleneck: Some("execute".to_owned()),
        }
    }

    #[test]
    fn the_text_says_height_target_pace_time_left_and_limit_in_eighty_columns() {
        let text = standing().text();
        assert_eq!(text, "catching up: 12345/21000, 1.2k blocks/s, 13k tx/s, 14m30s left, limit: execute");
        assert!(text.len() <= 80, "{}", text.len());
    }

    #[test]
    fn what_is_not_known_is_not_said() {
        let bare = Standing {
            what: "exporting",
            transactions_per_second: None,
            eta_seconds: None,
            bottleneck: None,
            ..standing()
        };
        assert_eq!(bare.text(), "exporting: 12345/21000, 1.2k blocks/s");
    }
}
