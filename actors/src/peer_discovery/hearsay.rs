//! Limits for addresses that others told. An address may be a victim's: whoever tells it must not be able to make
//! this node, or all nodes together, knock there again and again.

use crate::transport::PeerUrl;
use crate::transport::bucket::{Bucket, Rate};
use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

/// Dials of a told address that nobody answers: a node that restarts is back by then.
pub(super) const MAX_DIALS_TOLD: u32 = 3;
/// How long a told address that came to nothing is not tried again, whoever tells it.
pub(super) const TRIED_FOR: Duration = Duration::from_secs(3_600);
/// Told addresses that came to nothing, remembered at a time. While so many are, no further one is tried.
pub(super) const MAX_TRIED: usize = 4_096;
/// Dials of told addresses, all together: a new network is found within seconds, a victim is not flooded.
pub(super) const DIAL_RATE: Rate = Rate { burst: 16, per_second: 1 };

/// What became of told addresses, and how fast further ones may be dialled.
#[derive(Debug)]
pub(super) struct Hearsay {
    tried: HashMap<PeerUrl, Instant>,
    dials: Bucket,
}

impl Hearsay {
    pub(super) fn new(now: Instant) -> Self {
        Self { tried: HashMap::new(), dials: Bucket::full(DIAL_RATE, now) }
    }

    /// An address came to nothing.
    pub(super) fn give_up(&mut self, now: Instant, url: PeerUrl) {
        self.tried.insert(url, now);
    }

    /// Whether an address may be tried (again).
    pub(super) fn may_try(&mut self, now: Instant, url: &PeerUrl) -> bool {
        if self.tried.len() >= MAX_TRIED {
            self.tried.retain(|_, since| now.saturating_duration_since(*since) < TRIED_FOR);
        }
        let is_fresh = |since: &Instant| now.saturating_duration_since(*since) < TRIED_FOR;
        self.tried.len() < MAX_TRIED && !self.tried.get(url).is_some_and(is_fresh)
    }

    /// Whether a told address may be dialled now.
    pub(super) fn may_dial(&mut self, now: Instant) -> bool {
        self.dials.take(DIAL_RATE, now, 1)
    }
}
