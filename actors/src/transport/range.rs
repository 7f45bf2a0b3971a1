//! Address ranges: addresses are cheap by the range, so limits go by range.

use super::is_local_only;
use std::net::IpAddr;

/// What one operator or provider can have many addresses of: a /16 of IPv4, a /32 of IPv6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AddressRange {
    /// The first 16 bits.
    V4([u8; 2]),
    /// The first 32 bits.
    V6([u8; 4]),
}

impl AddressRange {
    /// The range of an address. `None` where no limit applies: on this machine or link and in private networks,
    /// behind which a whole deployment may sit.
    pub fn of(ip: IpAddr) -> Option<Self> {
        if is_exempt(ip) {
            return None;
        }
        Some(match ip.to_canonical() {
            IpAddr::V4(ip) => Self::V4([ip.octets()[0], ip.octets()[1]]),
            IpAddr::V6(ip) => {
                let [a, b, c, d, ..] = ip.octets();
                Self::V6([a, b, c, d])
            }
        })
    }
}

/// Whether limits by address and range leave this address alone.
pub fn is_exempt(ip: IpAddr) -> bool {
    is_local_only(ip)
        || match ip.to_canonical() {
            IpAddr::V4(ip) => ip.is_private(),
            IpAddr::V6(ip) => ip.is_unique_local(),
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(ip: &str) -> Option<AddressRange> {
        AddressRange::of(ip.parse().unwrap())
    }

    #[test]
    fn neighbours_share_a_range_however_they_are_written() {
        assert_eq!(range("203.0.113.5"), range("203.0.255.1"));
        assert_eq!(range("203.0.113.5"), range("::ffff:203.0.1.1"));
        assert_ne!(range("203.0.113.5"), range("203.1.113.5"));
        assert_eq!(range("2001:db8::1"), range("2001:db8:ffff::1"));
        assert_ne!(range("2001:db8::1"), range("2001:db9::1"));
    }

    #[test]
    fn this_machine_this_link_and_private_networks_have_none() {
        for ip in ["127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.0.9", "169.254.0.1", "::1", "fd00::1", "fe80::1"] {
            assert_eq!(range(ip), None, "{ip}");
        }
        assert_eq!(range("::ffff:10.0.0.1"), None);
    }
}
