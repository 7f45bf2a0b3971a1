//! How many hellos an address may try: each one costs a signature and perhaps a recovery.

use std::{
    collections::HashMap,
    net::IpAddr,
    time::{Duration, Instant},
};

/// Hello messages at once: ten hellos.
const BURST: u32 = 20;
/// One more for each of these.
const REFILL: Duration = Duration::from_millis(500);
/// Addresses remembered at a time; beyond them nobody is metered who was not before.
const MAX_ADDRESSES: usize = 4_096;

/// A bucket for each address, except those of this machine and of private networks, behind which a whole deployment
/// may sit.
#[derive(Debug, Default)]
pub(super) struct HelloMeter(HashMap<IpAddr, (u32, Instant)>);

impl HelloMeter {
    /// Whether `remote` may send another hello message.
    pub(super) fn admit(&mut self, now: Instant, remote: IpAddr) -> bool {
        if is_exempt(remote) {
            return true;
        }
        if self.0.len() >= MAX_ADDRESSES {
            self.0.retain(|_, (left, since)| *left + refilled(*since, now) < BURST);
        }
        if self.0.len() >= MAX_ADDRESSES && !self.0.contains_key(&remote) {
            return true;
        }
        let (left, since) = self.0.entry(remote).or_insert((BURST, now));
        let refill = refilled(*since, now);
        if refill > 0 {
            *left = left.saturating_add(refill).min(BURST);
            *since = now;
        }
        match left.checked_sub(1) {
            Some(rest) => {
                *left = rest;
                true
            }
            None => false,
        }
    }
}

fn refilled(since: Instant, now: Instant) -> u32 {
    let refills = now.saturating_duration_since(since).as_millis() / REFILL.as_millis();
    u32::try_from(refills).unwrap_or(BURST).min(BURST)
}

fn is_exempt(remote: IpAddr) -> bool {
    match remote.to_canonical() {
        IpAddr::V4(ip) => ip.is_loopback() || ip.is_private() || ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stranger_is_metered_and_earns_further_hellos_with_time() {
        let (mut meter, now) = (HelloMeter::default(), Instant::now());
        let stranger: IpAddr = "203.0.113.5".parse().unwrap();
        let admitted = (0..100).filter(|_| meter.admit(now, stranger)).count();
        assert_eq!(admitted, BURST as usize);
        assert!(meter.admit(now + REFILL, stranger));
        assert!(!meter.admit(now + REFILL, stranger));
        assert!(meter.admit(now, "203.0.113.6".parse().unwrap()), "another address has a bucket of its own");
    }

    #[test]
    fn this_machine_and_private_networks_are_exempt() {
        for ip in ["127.0.0.1", "10.1.2.3", "192.168.0.9", "::1", "fd00::1", "::ffff:10.0.0.1"] {
            let mut meter = HelloMeter::default();
            assert!((0..100).all(|_| meter.admit(Instant::now(), ip.parse().unwrap())), "{ip}");
        }
    }

    #[test]
    fn table_of_addresses_is_bounded() {
        let (mut meter, now) = (HelloMeter::default(), Instant::now());
        for number in 0..2 * MAX_ADDRESSES as u32 {
            meter.admit(now, IpAddr::from((0xcb00_0000 + number).to_be_bytes()));
        }
        assert!(meter.0.len() <= MAX_ADDRESSES);
    }
}
