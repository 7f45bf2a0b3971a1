//! What an address may try before it has a session: each hello costs a signature and perhaps a recovery.

use crate::transport::bucket::{Bucket, Rate};
use crate::transport::is_exempt;
use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    time::{Duration, Instant},
};

/// Ten hellos at once.
const HELLOS: Rate = Rate { burst: 20, per_second: 2 };
/// The same for this machine and private networks, behind which a whole deployment may sit and start at one time: no
/// more than some hundredth parts of a core for all of its signatures.
const LOCAL_HELLOS: Rate = Rate { burst: 2_000, per_second: 200 };
/// Addresses remembered at a time; beyond them nobody is metered who was not before.
const MAX_ADDRESSES: usize = 4_096;
/// Hellos within [`FADE`] that were none, or bore a signature of nobody, until an address is banned.
pub(super) const MAX_ABUSES: u32 = 5;
/// Offences of an address are forgotten after this.
const FADE: Duration = Duration::from_secs(60);
/// How long an address is banned.
pub(super) const ADDRESS_BAN: Duration = Duration::from_secs(600);

/// What is known of each address. Those of this machine and of private networks are not banned: a whole deployment may
/// sit behind one. An address is all there is to go by before the hello; afterwards bans go by node id.
#[derive(Debug, Default)]
pub(super) struct HelloMeter(HashMap<IpAddr, Known>);

#[derive(Debug)]
struct Known {
    hellos: Bucket,
    abuses: u32,
    first_abuse: Instant,
    banned_until: Option<Instant>,
}

/// See [`HelloMeter::admit`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotAdmitted {
    /// Later.
    TooManyHellos,
    /// Much later.
    Banned {
        /// When.
        seconds: u64,
    },
}

impl HelloMeter {
    /// Whether `remote` may send another hello message.
    pub(super) fn admit(&mut self, now: Instant, remote: IpAddr) -> Result<(), NotAdmitted> {
        self.check_ban(now, remote)?;
        match self.known(now, remote).is_none_or(|known| known.hellos.take(hellos(remote), now, 1)) {
            true => Ok(()),
            false => Err(NotAdmitted::TooManyHellos),
        }
    }

    /// Whether `remote` is banned.
    pub(super) fn check_ban(&self, now: Instant, remote: IpAddr) -> Result<(), NotAdmitted> {
        let until = self.0.get(&one_host(remote)).and_then(|known| known.banned_until);
        match until.filter(|until| now < *until) {
            Some(until) => Err(NotAdmitted::Banned { seconds: (until - now).as_secs().max(1) }),
            None => Ok(()),
        }
    }

    /// `remote` sent what no honest node sends, and has not proven who it is. Whether it is banned for it.
    pub(super) fn on_abuse(&mut self, now: Instant, remote: IpAddr) -> bool {
        if is_exempt(remote) {
            return false;
        }
        let Some(known) = self.known(now, remote) else { return false };
        if now.saturating_duration_since(known.first_abuse) > FADE {
            (known.abuses, known.first_abuse) = (0, now);
        }
        known.abuses += 1;
        let is_banned = known.abuses >= MAX_ABUSES;
        if is_banned {
            (known.abuses, known.banned_until) = (0, Some(now + ADDRESS_BAN));
        }
        is_banned
    }

    fn known(&mut self, now: Instant, remote: IpAddr) -> Option<&mut Known> {
        if self.0.len() >= MAX_ADDRESSES {
            self.0.retain(|host, known| !known.is_forgettable(now, hellos(*host)));
        }
        let host = one_host(remote);
        if self.0.len() >= MAX_ADDRESSES && !self.0.contains_key(&host) {
            return None;
        }
        let fresh =
            || Known { hellos: Bucket::full(hellos(remote), now), abuses: 0, first_abuse: now, banned_until: None };
        Some(self.0.entry(host).or_insert_with(fresh))
    }
}

impl Known {
    fn is_forgettable(&self, now: Instant, hellos: Rate) -> bool {
        let has_faded = self.abuses == 0 || now.saturating_duration_since(self.first_abuse) > FADE;
        has_faded && self.hellos.is_full(hellos, now) && self.banned_until.is_none_or(|until| now >= until)
    }
}

fn hellos(remote: IpAddr) -> Rate {
    if is_exempt(remote) { LOCAL_HELLOS } else { HELLOS }
}

/// A host of IPv6 has a /64 to itself.
fn one_host(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.into(),
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn stranger_is_metered_and_earns_further_hellos_with_time() {
        let (mut meter, now) = (HelloMeter::default(), Instant::now());
        let admitted = (0..100).filter(|_| meter.admit(now, ip("203.0.113.5")).is_ok()).count();
        assert_eq!(admitted, HELLOS.burst as usize);
        let later = now + Duration::from_millis(500);
        assert!(meter.admit(later, ip("203.0.113.5")).is_ok());
        assert_eq!(meter.admit(later, ip("203.0.113.5")), Err(NotAdmitted::TooManyHellos));
        assert!(meter.admit(now, ip("203.0.113.6")).is_ok(), "another address has a bucket of its own");
    }

    #[test]
    fn address_that_sends_rubbish_before_a_hello_is_banned_for_a_time() {
        let (mut meter, now) = (HelloMeter::default(), Instant::now());
        let abuser = ip("2001:db8::5");
        assert!((1..MAX_ABUSES).all(|_| !meter.on_abuse(now, abuser)));
        assert!(meter.on_abuse(now, ip("2001:db8::6")), "the same host, by its /64");
        let seconds = ADDRESS_BAN.as_secs();
        assert_eq!(meter.admit(now, abuser), Err(NotAdmitted::Banned { seconds }));
        assert!(meter.admit(now, ip("2001:db8:0:1::5")).is_ok(), "its neighbour is not");
        assert!(meter.admit(now + ADDRESS_BAN, abuser).is_ok());
        let mut now = now + ADDRESS_BAN;
        for _ in 0..100 {
            now += FADE / 2;
            assert!(!meter.on_abuse(now, abuser), "one now and then is forgiven");
        }
    }

    #[test]
    fn this_machine_and_private_networks_are_not_banned_and_have_a_bucket_for_a_whole_deployment() {
        for text in ["127.0.0.1", "10.1.2.3", "192.168.0.9", "::1", "fd00::1", "::ffff:10.0.0.1"] {
            let (mut meter, now) = (HelloMeter::default(), Instant::now());
            assert!((0..100).all(|_| !meter.on_abuse(now, ip(text))), "{text}");
            let admitted = (0..10_000).filter(|_| meter.admit(now, ip(text)).is_ok()).count();
            assert_eq!(admitted as u64, LOCAL_HELLOS.burst, "{text}");
            assert!(meter.admit(now + Duration::from_secs(1), ip(text)).is_ok(), "{text}");
        }
    }

    #[test]
    fn table_of_addresses_is_bounded() {
        let (mut meter, now) = (HelloMeter::default(), Instant::now());
        for number in 0..2 * MAX_ADDRESSES as u32 {
            meter.admit(now, IpAddr::from((0xcb00_0000 + number).to_be_bytes())).unwrap();
        }
        assert!(meter.0.len() <= MAX_ADDRESSES);
    }
}
