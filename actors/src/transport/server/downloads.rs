//! Downloads of the genesis: long, and for everybody, so there are only so many at a time.

use super::connections::{Busy, Connections};
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

/// Whoever was turned away asks again within this time: until then it is waited for.
const WAITS: Duration = Duration::from_secs(35);
/// An address that had a place within this time leaves the next one to those who wait.
const HAD_ONE: Duration = Duration::from_secs(120);
/// Addresses that had a place and are remembered: as many as can have had one within that time.
const MAX_REMEMBERED: usize = 64;

/// The downloads under way. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct Downloads(Arc<Mutex<Table>>);

#[derive(Debug, Default)]
struct Table {
    open: VecDeque<Download>,
    had_one: VecDeque<(IpAddr, Instant)>,
    /// When somebody who had no place lately was last turned away.
    turned_away: Option<Instant>,
}

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
    connection: u64,
    _busy: Busy,
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
        let mut table = self.0.lock();
        let of_address = table.open.iter().filter(|download| download.remote == remote).count();
        if of_address >= MAX_PER_ADDRESS && remote.is_some_and(|remote| !is_exempt(remote)) {
            return None;
        }
        let gives_precedence = table.had_one_lately(now, remote);
        if gives_precedence && table.somebody_waits(now) {
            return None;
        }
        if table.open.len() >= MAX_DOWNLOADS {
            let is_slow = |download: &mut Download| now.saturating_duration_since(download.since) >= PATIENCE;
            let Some(oldest) = table.open.pop_front_if(is_slow) else {
                table.turned_away = if gives_precedence { table.turned_away } else { Some(now) };
                return None;
            };
            connections.close(oldest.connection);
        }
        table.open.push_back(Download { remote, since: now, connection });
        table.remember(now, remote);
        Some(Slot { downloads: self.clone(), connection, _busy: connections.busy(connection) })
    }
}

impl Table {
    fn had_one_lately(&self, now: Instant, remote: Option<IpAddr>) -> bool {
        let lately = |at: &Instant| now.saturating_duration_since(*at) < HAD_ONE;
        self.had_one.iter().any(|(host, at)| Some(*host) == remote && lately(at))
    }

    fn somebody_waits(&self, now: Instant) -> bool {
        self.turned_away.is_some_and(|at| now.saturating_duration_since(at) < WAITS)
    }

    fn remember(&mut self, now: Instant, remote: Option<IpAddr>) {
        self.had_one.retain(|(host, _)| Some(*host) != remote);
        self.had_one.extend(remote.map(|remote| (remote, now)));
        if self.had_one.len() > MAX_REMEMBERED {
            self.had_one.pop_front();
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.downloads.0.lock().open.retain(|download| download.connection != self.connection);
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
        assert_eq!(downloads.0.lock().open.len(), MAX_DOWNLOADS - 1);
    }

    #[test]
    fn addresses_that_take_places_again_and_again_leave_the_next_one_to_whoever_waits() {
        let (downloads, connections) = (Downloads::default(), Connections::new(PeerMetrics::default()));
        let now = Instant::now();
        let take = |when: Instant, host: u8, number: u64| {
            downloads.take(when, Some([203, 0, 113, host].into()), number, &connections)
        };
        let mut held: Vec<_> = (0..8).map(|number| take(now, number as u8 / 2, number).unwrap()).collect();
        assert!(take(now, 9, 8).is_none(), "all are taken");
        drop(held.pop());
        let soon = now + Duration::from_secs(1);
        assert!(take(soon, 3, 9).is_none(), "it has had one, and another address waits");
        let newcomer = take(soon, 9, 10);
        assert!(newcomer.is_some());
        drop(newcomer);
        assert!(take(soon + WAITS, 3, 11).is_some(), "nobody waits any more");
    }
}
