//! Requests a second from one address: a token bucket each (the generic cell rate algorithm, by `governor`).

use super::config::RateConfig;
use super::limits::{Limit, Refusal};
#[cfg(test)]
use governor::clock::FakeRelativeClock;
use governor::clock::{Clock, Reference};
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::keyed::HashMapStateStore;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use parking_lot::Mutex;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

/// Addresses that have a bucket of their own; further ones share one. An address is forgotten as soon as its bucket is
/// full again, so this many at a time are an attack.
const MAX_ADDRESSES: usize = 65_536;
/// How often full buckets are forgotten.
const FORGET_EVERY: Duration = Duration::from_secs(1);

/// One holder may have one of so many parts of what all have together.
pub(crate) const SHARES: usize = 4;

type Limiter<K, S, C> = RateLimiter<K, S, C, NoOpMiddleware<<C as Clock>::Instant>>;

/// Who is counted as one: an address, or the 64 bits of an IPv6 address that a provider gives a customer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Client(IpAddr);

impl Client {
    /// Who this address is counted as.
    pub(crate) fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V6(address) => Self(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into()),
            address => Self(address),
        }
    }
}

/// Who holds a part of what all have together; where it is not known from where they ask, they are one.
pub(crate) type Holder = Option<Client>;

/// Who holds what is asked for from here.
pub(crate) fn holder(from: Option<SocketAddr>) -> Holder {
    from.map(|from| Client::of(from.ip()))
}

/// The clock by which buckets fill.
#[derive(Debug, Clone)]
pub(crate) enum RateClock {
    /// The monotonic one, since this instant.
    Running(Instant),
    /// One that a test moves.
    #[cfg(test)]
    ByHand(FakeRelativeClock),
}

impl Clock for RateClock {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        match self {
            Self::Running(since) => since.elapsed().into(),
            #[cfg(test)]
            Self::ByHand(clock) => clock.now(),
        }
    }
}

/// The buckets.
pub(crate) struct Rate<C: Clock = RateClock> {
    config: RateConfig,
    buckets: Limiter<Client, HashMapStateStore<Client>, C>,
    /// For addresses beyond [`MAX_ADDRESSES`].
    crowd: Limiter<NotKeyed, InMemoryState, C>,
    max_addresses: usize,
    clock: C,
    forgotten: Mutex<C::Instant>,
}

impl Rate {
    pub(crate) fn new(config: RateConfig, clock: RateClock) -> Self {
        Self::with(config, MAX_ADDRESSES, clock)
    }
}

impl<C: Clock + Clone> Rate<C> {
    fn with(config: RateConfig, max_addresses: usize, clock: C) -> Self {
        let quota = Quota::per_second(config.requests_per_second).allow_burst(config.burst);
        let buckets = RateLimiter::hashmap_with_clock(quota, clock.clone());
        let crowd = RateLimiter::direct_with_clock(quota, clock.clone());
        let forgotten = Mutex::new(clock.now());
        Self { config, buckets, crowd, max_addresses, clock, forgotten }
    }

    /// Takes `requests` from the bucket of an address. Refused, nothing is taken.
    pub(crate) fn take(&self, address: IpAddr, requests: usize) -> Result<(), Refusal> {
        let client = Client::of(address);
        let Some(cells) = u32::try_from(requests).ok().and_then(NonZeroU32::new) else {
            return if requests == 0 { Ok(()) } else { Err(self.over_burst(requests)) };
        };
        if self.config.exempt.iter().any(|exempt| exempt.to_canonical() == address.to_canonical()) {
            return Ok(());
        }
        self.forget();
        let taken = if self.buckets.len() < self.max_addresses {
            self.buckets.check_key_n(&client, cells)
        } else {
            self.crowd.check_n(cells)
        };
        match taken {
            Ok(Ok(())) => Ok(()),
            Ok(Err(not_until)) => Err(self.too_many(not_until.wait_time_from(self.clock.now()))),
            Err(_) => Err(self.over_burst(requests)),
        }
    }

    fn too_many(&self, wait: Duration) -> Refusal {
        let most = self.config.requests_per_second;
        let refusal = Limit::Requests.refuse(format!("too many requests from your address: at most {most} a second"));
        refusal.until(wait)
    }

    fn over_burst(&self, requests: usize) -> Refusal {
        let most = self.config.burst;
        Limit::Burst.refuse(format!("batch too large: {requests} calls, and one address may make {most} at once"))
    }

    /// Forgets addresses whose buckets are full.
    fn forget(&self) {
        let now = self.clock.now();
        let mut forgotten = self.forgotten.lock();
        if Duration::from(now.duration_since(*forgotten)) >= FORGET_EVERY {
            *forgotten = now;
            self.buckets.retain_recent();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);

    fn rate(requests_per_second: u32, burst: u32, exempt: &[&str]) -> (Rate<FakeRelativeClock>, FakeRelativeClock) {
        let clock = FakeRelativeClock::default();
        let config = RateConfig {
            requests_per_second: NonZeroU32::new(requests_per_second).expect("a rate"),
            burst: NonZeroU32::new(burst).expect("a burst"),
            exempt: exempt.iter().map(|address| address.parse().expect("an address")).collect(),
        };
        (Rate::with(config, 4, clock.clone()), clock)
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn a_burst_passes_and_then_the_rate_holds_with_the_time_to_wait() {
        let (rate, clock) = rate(2, 3, &[]);
        assert!((0..3).all(|_| rate.take(HERE, 1).is_ok()));
        let refusal = rate.take(HERE, 1).unwrap_err();
        assert_eq!((refusal.limit, refusal.retry_after), (Limit::Requests, Some(1)));
        assert!(refusal.message.ends_with("(rpc.limit.requests_per_second)"), "{refusal}");
        clock.advance(Duration::from_millis(500));
        assert!(rate.take(HERE, 1).is_ok() && rate.take(HERE, 1).is_err());
        assert_eq!(rate.take(HERE, 3).unwrap_err().retry_after, Some(2), "1.5 s, rounded up");
    }

    #[test]
    fn several_at_once_count_as_many_and_more_than_the_burst_never_pass() {
        let (rate, _clock) = rate(1, 5, &[]);
        let refusal = rate.take(HERE, 6).unwrap_err();
        assert_eq!((refusal.limit, refusal.retry_after), (Limit::Burst, None));
        assert!(refusal.message.ends_with("(rpc.limit.burst)"), "{refusal}");
        assert!(rate.take(HERE, 4).is_ok(), "what is refused takes nothing");
        assert!(rate.take(HERE, 2).is_err() && rate.take(HERE, 1).is_ok());
        assert!(rate.take(HERE, 0).is_ok());
        assert_eq!(rate.take(HERE, usize::MAX).unwrap_err().limit, Limit::Burst);
    }

    #[test]
    fn addresses_are_counted_for_themselves_and_ipv6_by_its_first_half() {
        let (rate, _clock) = rate(1, 1, &["10.0.0.9"]);
        assert!(rate.take(ip("10.0.0.1"), 1).is_ok() && rate.take(ip("10.0.0.2"), 1).is_ok());
        assert!(rate.take(ip("::ffff:10.0.0.1"), 1).is_err(), "the same address, written as IPv6");
        assert!(rate.take(ip("2001:db8::1"), 1).is_ok());
        assert!(rate.take(ip("2001:db8::ffff:1"), 1).is_err(), "the same network");
        assert!(rate.take(ip("2001:db8:0:1::1"), 1).is_ok(), "another network");
        assert!((0..9).all(|_| rate.take(ip("10.0.0.9"), 1).is_ok()), "exempt");
    }

    #[test]
    fn addresses_are_bounded_and_forgotten_once_their_buckets_are_full() {
        let (rate, clock) = rate(1, 1, &[]);
        for last in 1..=4 {
            assert!(rate.take(ip(&format!("10.0.0.{last}")), 1).is_ok());
        }
        assert!(rate.take(ip("10.0.0.5"), 1).is_ok(), "the first of the crowd");
        assert!(rate.take(ip("10.0.0.6"), 1).is_err(), "the crowd shares a bucket");
        assert_eq!(rate.buckets.len(), 4);
        clock.advance(Duration::from_secs(3));
        assert!(rate.take(ip("10.0.0.6"), 1).is_ok());
        assert_eq!(rate.buckets.len(), 1);
    }
}
