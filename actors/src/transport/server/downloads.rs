//! Downloads of the genesis: long, and for everybody, so there are only so many at a time.

use super::connections::Connections;
use crate::transport::is_exempt;
use parking_lot::Mutex;
use std::{
    collections::VecDeque,
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

/// Downloads at a time.
pub(super) const MAX_DOWNLOADS: usize = 8;
/// Downloads of one address, unless it is of this machine or of a private network.
pub(super) const MAX_PER_ADDRESS: usize = 2;
/// A download that takes longer gives way when somebody waits: the longest genesis over 40 Mbit/s.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// The downloads under way. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct Downloads(Arc<Mutex<VecDeque<Download>>>);

#[derive(Debug)]
struct Download {
    remote: Option<IpAddr>,
    since: Instant,
    connection: u64,
}

/// A download's place, until it is dropped.
#[derive(Debug)]
pub(super) struct Slot {
    downloads: Downloads,
    connections: Connections,
    connection: u64,
}

impl Downloads {
    /// Takes a place for a download on this connection; `None` where all are taken.
    pub(super) fn take(
        &self,
        now: Instant,
        remote: Option<IpAddr>,
        connection: u64,
        connections: &Connections,
    ) -> Option<Slot> {
        let mut downloads = self.0.lock();
        let of_address = downloads.iter().filter(|download| download.remote == remote).count();
        if of_address >= MAX_PER_ADDRESS && remote.is_some_and(|remote| !is_exempt(remote)) {
            return None;
        }
        if downloads.len() >= MAX_DOWNLOADS {
            let is_slow = |download: &mut Download| now.saturating_duration_since(download.since) >= PATIENCE;
            let oldest = downloads.pop_front_if(is_slow)?;
            connections.close(oldest.connection);
        }
        downloads.push_back(Download { remote, since: now, connection });
        connections.set_busy(connection, true);
        Some(Slot { downloads: self.clone(), connections: connections.clone(), connection })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.downloads.0.lock().retain(|download| download.connection != self.connection);
        self.connections.set_busy(self.connection, false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::PeerMetrics;

    #[test]
    fn downloads_are_bounded_by_number_and_address_and_a_slow_one_gives_way() {
        let (downloads, connections) = (Downloads::default(), Connections::new(PeerMetrics::default()));
        let now = Instant::now();
        let take = |when: Instant, ip: &str, number: u64| {
            downloads.take(when, Some(ip.parse().unwrap()), number, &connections)
        };
        let mut held: Vec<_> = (0..2).map(|number| take(now, "203.0.113.1", number).unwrap()).collect();
        assert!(take(now, "203.0.113.1", 2).is_none(), "a third of one address");
        held.extend((3..9).map(|number| take(now, "127.0.0.1", number).unwrap()));
        assert!(take(now, "127.0.0.1", 9).is_none(), "a ninth");
        drop(held.pop());
        held.push(take(now, "127.0.0.1", 10).unwrap());
        assert!(take(now + PATIENCE - Duration::from_millis(1), "127.0.0.1", 11).is_none());
        assert!(take(now + PATIENCE, "127.0.0.1", 12).is_some(), "the oldest has had its time");
        assert_eq!(downloads.0.lock().len(), MAX_DOWNLOADS - 1);
    }
}
