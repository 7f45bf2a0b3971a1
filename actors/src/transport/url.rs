//! Where a peer can be reached.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    str::FromStr,
};
use url::{Host, Url};

/// Longest peer address that is read, bytes: a host name has at most 253.
pub const MAX_URL_BYTES: usize = 300;

/// A peer's address: `http(s)://host:port` and nothing else. An address is a hint; identity is the node id.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerUrl(Url);

/// The text is no peer address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{text}\" is no peer address: {reason}; write http://host:port or https://host:port")]
pub struct InvalidPeerUrl {
    /// What was given, at most 300 characters of it.
    pub text: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

impl PeerUrl {
    /// The URL of a route of the peer protocol, such as `status`.
    pub fn route(&self, route: &str) -> Url {
        self.0.join("/peer/v1/").and_then(|base| base.join(route)).expect("routes are plain relative paths")
    }

    /// `http` or `https`.
    pub fn scheme(&self) -> &str {
        self.0.scheme()
    }

    /// Host name or address.
    pub fn host(&self) -> Host<&str> {
        self.0.host().expect("a peer address without a host is refused")
    }

    /// The address, where it is written as a number.
    pub fn ip(&self) -> Option<IpAddr> {
        match self.host() {
            Host::Domain(_) => None,
            Host::Ipv4(ip) => Some(ip.into()),
            Host::Ipv6(ip) => Some(ip.into()),
        }
    }

    /// Port.
    pub fn port(&self) -> u16 {
        self.0.port_or_known_default().expect("http and https have a default port")
    }

    /// Whether the address is written as one of this machine or of this link only. Such an address is dialled only
    /// when a peer told it who is itself on this machine or link.
    pub fn is_local_only(&self) -> bool {
        match self.host() {
            Host::Domain(name) => is_localhost(name),
            _ => self.ip().is_some_and(is_local_only),
        }
    }

    /// Whether this address leads to a listener of this machine at `listen`. Names are not looked up, except that
    /// `localhost` is loopback.
    pub fn reaches(&self, listen: SocketAddr) -> bool {
        let same_address = |ip: IpAddr| {
            let ip = ip.to_canonical();
            ip == listen.ip().to_canonical()
                || ip.is_unspecified()
                || (listen.ip().is_unspecified() && ip.is_loopback())
        };
        self.port() == listen.port()
            && match self.host() {
                Host::Ipv4(ip) => same_address(ip.into()),
                Host::Ipv6(ip) => same_address(ip.into()),
                Host::Domain(name) => is_localhost(name) && (listen.ip().is_loopback() || listen.ip().is_unspecified()),
            }
    }
}

/// Whether a name is one that stands for loopback everywhere (RFC 6761).
fn is_localhost(name: &str) -> bool {
    let name = name.trim_end_matches('.');
    name.eq_ignore_ascii_case("localhost") || name.to_ascii_lowercase().ends_with(".localhost")
}

/// Whether `ip` reaches no further than this machine or this link: loopback, link-local, unspecified, multicast and
/// broadcast addresses, also where they are written as IPv4 inside IPv6.
pub fn is_local_only(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            ip.is_loopback()
                || ip.is_link_local()
                || ip.is_unspecified()
                || ip.is_multicast()
                || ip.octets()[0] == 0
                || ip == Ipv4Addr::BROADCAST
        }
        IpAddr::V6(ip) => match ip.to_ipv4_mapped().or_else(|| ip.to_ipv4().filter(|v4| v4.octets()[0] != 0)) {
            Some(v4) => is_local_only(IpAddr::V4(v4)),
            None => ip.is_loopback() || ip.is_unspecified() || ip.is_multicast() || ip.is_unicast_link_local(),
        },
    }
}

impl FromStr for PeerUrl {
    type Err = InvalidPeerUrl;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text).map_err(|reason| InvalidPeerUrl { text: text.chars().take(MAX_URL_BYTES).collect(), reason })
    }
}

fn parse(text: &str) -> Result<PeerUrl, &'static str> {
    if text.len() > MAX_URL_BYTES {
        return Err("it is longer than 300 bytes");
    }
    let authority = text
        .strip_prefix("http://")
        .or_else(|| text.strip_prefix("https://"))
        .ok_or("it does not start with http:// or https://")?;
    let url = Url::parse(text).map_err(|_| "it is no URL")?;
    if !url.username().is_empty() || url.password().is_some() || authority.contains('@') {
        return Err("it holds a user name or password");
    }
    if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
        return Err("something follows host and port");
    }
    let (host, port) = authority.trim_end_matches('/').rsplit_once(':').ok_or("the port is missing")?;
    if host.is_empty() || port.parse::<u16>().is_err() {
        return Err("the port is missing");
    }
    if url.port_or_known_default() == Some(0) {
        return Err("port 0 cannot be dialled");
    }
    Ok(PeerUrl(url))
}

impl fmt::Display for PeerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}:{}", self.0.scheme(), self.host(), self.port())
    }
}

impl fmt::Debug for PeerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PeerUrl({self})")
    }
}

impl Serialize for PeerUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PeerUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_and_port_are_kept_and_shown_as_written() {
        for text in [
            "http://127.0.0.1:9545",
            "https://node.example.org:443",
            "http://seed:80",
            "http://[::1]:9545",
            "https://[2001:db8::1]:443",
        ] {
            assert_eq!(text.parse::<PeerUrl>().unwrap().to_string(), text);
        }
        assert_eq!("http://seed:9545/".parse::<PeerUrl>().unwrap().to_string(), "http://seed:9545");
        let url: PeerUrl = "http://seed:80".parse().unwrap();
        assert_eq!(url.route("blocks").as_str(), "http://seed/peer/v1/blocks");
    }

    #[test]
    fn anything_else_is_refused_with_the_reason() {
        for (text, reason) in [
            ("127.0.0.1:9545", "http://"),
            ("http://https://host", "follows"),
            ("ftp://host:1", "http://"),
            ("http://host", "port"),
            ("http://[::1]", "port"),
            ("http://host:0", "port 0"),
            ("http://host:99999", "URL"),
            ("http://host:1/path", "follows"),
            ("http://host:1?x", "follows"),
            ("http://user:word@host:1", "user name"),
            ("http://:9545", "URL"),
            ("http://https://host:9545", "follows"),
            ("ws://host:9545", "http://"),
            ("http:// host:9545", "URL"),
            ("host:9545", "http://"),
            ("", "http://"),
            (&format!("http://{}:1", "a".repeat(400)), "300"),
        ] {
            let error = text.parse::<PeerUrl>().unwrap_err();
            assert!(error.to_string().contains(reason), "{text}: {error}");
        }
    }

    #[test]
    fn addresses_of_this_machine_or_link_are_known_as_such() {
        for (text, local) in [
            ("http://localhost:1", true),
            ("http://a.LOCALHOST.:1", true),
            ("http://127.8.9.1:1", true),
            ("http://2130706433:1", true),
            ("http://0.0.0.0:1", true),
            ("http://169.254.169.254:1", true),
            ("http://[::1]:1", true),
            ("http://[::]:1", true),
            ("http://[::ffff:127.0.0.1]:1", true),
            ("http://[::ffff:a9fe:a9fe]:1", true),
            ("http://[fe80::1]:1", true),
            ("http://224.0.0.1:1", true),
            ("http://10.0.0.1:1", false),
            ("http://192.168.1.1:1", false),
            ("http://203.0.113.9:1", false),
            ("http://seed.example:1", false),
            ("http://[2001:db8::1]:1", false),
        ] {
            assert_eq!(text.parse::<PeerUrl>().unwrap().is_local_only(), local, "{text}");
        }
    }

    #[test]
    fn an_own_listener_is_recognised_under_its_other_names() {
        let reaches = |url: &str, listen: &str| url.parse::<PeerUrl>().unwrap().reaches(listen.parse().unwrap());
        assert!(reaches("http://127.0.0.1:9545", "127.0.0.1:9545"));
        assert!(reaches("http://localhost:9545", "127.0.0.1:9545"));
        assert!(reaches("http://localhost:9545", "[::1]:9545"));
        assert!(reaches("http://127.0.0.1:9545", "0.0.0.0:9545"));
        assert!(reaches("http://0.0.0.0:9545", "127.0.0.1:9545"));
        assert!(reaches("http://[::ffff:127.0.0.1]:9545", "127.0.0.1:9545"));
        assert!(!reaches("http://127.0.0.1:9546", "127.0.0.1:9545"));
        assert!(!reaches("http://10.0.0.7:9545", "0.0.0.0:9545"));
        assert!(!reaches("http://node.example.org:9545", "127.0.0.1:9545"));
    }
}
