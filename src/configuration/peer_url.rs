//! Addresses of peers.

use serde::{Deserialize, Serialize};
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use url::{Host, Url};

/// Where a peer is reached: `http(s)://host:port`, the port always written, nothing after it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PeerUrl(Url);

/// The text is not `http(s)://host:port`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{text}\" is not a peer address; it must be http(s)://host:port")]
pub struct InvalidPeerUrl {
    /// What was given.
    pub text: String,
}

impl PeerUrl {
    /// The URL, ending in `/`.
    pub fn url(&self) -> &Url {
        &self.0
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.0.port_or_known_default().unwrap_or_default()
    }

    /// Whether this URL leads to a listener of this machine at `listen`. Names are not looked up, except that
    /// `localhost` is loopback.
    pub fn reaches(&self, listen: SocketAddr) -> bool {
        let same_address = |ip: IpAddr| {
            let ip = ip.to_canonical();
            ip == listen.ip().to_canonical()
                || ip.is_unspecified()
                || (listen.ip().is_unspecified() && ip.is_loopback())
        };
        self.port() == listen.port()
            && match self.0.host() {
                Some(Host::Ipv4(ip)) => same_address(ip.into()),
                Some(Host::Ipv6(ip)) => same_address(ip.into()),
                Some(Host::Domain(name)) => {
                    let local = name.trim_end_matches('.').eq_ignore_ascii_case("localhost");
                    local && (listen.ip().is_loopback() || listen.ip().is_unspecified())
                }
                None => false,
            }
    }
}

impl FromStr for PeerUrl {
    type Err = InvalidPeerUrl;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidPeerUrl { text: text.to_owned() };
        let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://")).ok_or_else(invalid)?;
        // `url` drops a scheme's default port and reads `http://https://host` as a host named "https", so the
        // text itself must end in a port.
        let (_, port) = rest.trim_end_matches('/').rsplit_once(':').ok_or_else(invalid)?;
        let written = port.parse::<u16>().ok().filter(|port| *port != 0).ok_or_else(invalid)?;
        let url = Url::parse(text).map_err(|_| invalid())?;
        let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        let anonymous = url.username().is_empty() && url.password().is_none();
        let whole = url.has_host() && url.port_or_known_default() == Some(written);
        (bare && anonymous && whole).then(|| Self(url.clone())).ok_or_else(invalid)
    }
}

impl std::fmt::Display for PeerUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}://{}:{}", self.0.scheme(), self.0.host_str().unwrap_or_default(), self.port())
    }
}

impl TryFrom<String> for PeerUrl {
    type Error = InvalidPeerUrl;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<PeerUrl> for String {
    fn from(url: PeerUrl) -> Self {
        url.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_scheme_host_and_port_are_taken() {
        for good in ["http://10.0.0.1:9545", "https://node.example.org:443", "http://[::1]:9545", "http://h:80/"] {
            let url: PeerUrl = good.parse().expect(good);
            assert_eq!(url.to_string(), good.trim_end_matches('/'));
        }
        for bad in [
            "http://https://host",
            "http://https://host:9545",
            "host:9545",
            "10.0.0.1:9545",
            "http://host",
            "http://host:0",
            "http://host:99999",
            "http://host:9545/path",
            "http://host:9545?x=1",
            "http://user@host:9545",
            "http://:9545",
            "ws://host:9545",
            "http:// host:9545",
            "",
        ] {
            assert!(bad.parse::<PeerUrl>().is_err(), "{bad}");
        }
    }

    #[test]
    fn an_own_listener_is_recognised_under_its_other_names() {
        let reaches = |url: &str, listen: &str| {
            url.parse::<PeerUrl>().expect(url).reaches(listen.parse().expect("socket address"))
        };
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
