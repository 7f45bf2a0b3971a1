//! What a key may hold, and how a value from a file or a line of text is checked.

use crate::amount::Wei;
use alloy_primitives::{Address, B256};
use callboard_actors::transport::{NodeId, PeerUrl};
use config::ValueKind;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::str::FromStr;

/// Where the admin methods are served when `rpc.admin = true`.
pub(super) const DEFAULT_ADMIN_LISTEN: &str = "127.0.0.1:8547";

/// What a key may hold.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// `true` or `false`.
    Flag,
    /// A whole number, both ends included.
    Integer {
        /// Smallest allowed.
        min: u64,
        /// Largest allowed.
        max: u64,
    },
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A line of text.
    Text {
        /// Most bytes.
        max: usize,
    },
    /// A file or folder.
    Path,
    /// `IP:PORT` to listen on.
    Socket,
    /// `false`, `true` or `IP:PORT`.
    AdminListener,
    /// An IP address.
    Ip,
    /// `http(s)://host:port`.
    PeerUrl,
    /// Any http(s) URL.
    WebUrl,
    /// An account's address.
    Account,
    /// An account's address, or `create`.
    Owner,
    /// 32 bytes.
    Hash,
    /// A compressed secp256k1 public key.
    NodeId,
    /// An amount of wei.
    Amount,
    /// Directives of a log filter.
    Filter,
    /// Several of one kind.
    List(&'static Kind),
}

impl Kind {
    /// What is allowed, to stand after "must be".
    pub fn allowed(&self) -> String {
        match self {
            Self::Flag => "true or false".into(),
            Self::Integer { min, max } if *max >= i64::MAX as u64 => format!("a whole number of at least {min}"),
            Self::Integer { min, max } => format!("a whole number from {min} to {max}"),
            Self::Choice(words) => words.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(" or "),
            Self::Text { max } => format!("a line of text of 1 to {max} bytes"),
            Self::Path => "a path".into(),
            Self::Socket => "IP:PORT, for example \"127.0.0.1:8545\"".into(),
            Self::AdminListener => format!("false, true (\"{DEFAULT_ADMIN_LISTEN}\") or IP:PORT"),
            Self::Ip => "an IP address".into(),
            Self::PeerUrl => "http(s)://host:port, for example \"http://10.0.0.1:9545\"".into(),
            Self::WebUrl => "an http or https URL".into(),
            Self::Account => "an address of 20 bytes, 0x and 40 hex digits".into(),
            Self::Owner => "an address of 20 bytes, 0x and 40 hex digits, or \"create\"".into(),
            Self::Hash => "a hash of 32 bytes, 0x and 64 hex digits".into(),
            Self::NodeId => "a node id of 33 bytes, 66 hex digits".into(),
            Self::Amount => "an amount above zero in wei, or with a unit as in \"1000ether\"".into(),
            Self::Filter => "a level (error, warn, info, debug, trace) or target=level, comma-separated".into(),
            Self::List(kind) => format!("a list, each entry {}", kind.allowed()),
        }
    }

    /// The value as the typed configuration reads it, or `None` where it is not allowed. Relative paths are taken
    /// from `folder`.
    pub fn accept(&self, value: &ValueKind, folder: &Path) -> Option<ValueKind> {
        match (self, value) {
            (Self::Flag, ValueKind::Boolean(_)) => Some(value.clone()),
            (Self::AdminListener, ValueKind::Boolean(false)) => Some(ValueKind::Nil),
            (Self::AdminListener, ValueKind::Boolean(true)) => Some(DEFAULT_ADMIN_LISTEN.into()),
            (Self::Integer { min, max }, _) => integer(value).filter(|n| (min..=max).contains(&n)).map(Into::into),
            (Self::Amount, ValueKind::I64(_) | ValueKind::U64(_)) => {
                integer(value).filter(|n| *n > 0).map(|n| n.to_string().into())
            }
            (Self::List(kind), ValueKind::Array(entries)) => {
                entries.iter().map(|entry| kind.accept(&entry.kind, folder)).collect::<Option<Vec<_>>>().map(Into::into)
            }
            (_, ValueKind::String(text)) => self.accept_text(text, folder).map(Into::into),
            _ => None,
        }
    }

    /// As [`Kind::accept`], from a line of text: an environment variable or a flag. Lists are comma-separated.
    pub fn parse(&self, text: &str, folder: &Path) -> Option<ValueKind> {
        let value = match self {
            Self::Flag => ValueKind::Boolean(text.parse().ok()?),
            Self::AdminListener if text == "true" || text == "false" => ValueKind::Boolean(text == "true"),
            Self::Integer { .. } => ValueKind::U64(text.parse().ok()?),
            Self::List(kind) => {
                let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
                return entries.map(|entry| kind.parse(entry, folder)).collect::<Option<Vec<_>>>().map(Into::into);
            }
            _ => ValueKind::String(text.to_owned()),
        };
        self.accept(&value, folder)
    }

    fn accept_text(&self, text: &str, folder: &Path) -> Option<String> {
        match self {
            Self::Choice(words) => words.contains(&text).then(|| text.to_owned()),
            Self::Text { max } => {
                let fits = (1..=*max).contains(&text.len()) && !text.chars().any(char::is_control);
                fits.then(|| text.to_owned())
            }
            Self::Path => (!text.is_empty()).then(|| folder.join(text).to_string_lossy().into_owned()),
            Self::Socket | Self::AdminListener => canonical::<SocketAddr>(text),
            Self::Ip => canonical::<IpAddr>(text),
            Self::PeerUrl => canonical::<PeerUrl>(text),
            Self::WebUrl => url::Url::parse(text)
                .ok()
                .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
                .map(String::from),
            Self::Account => account(text),
            Self::Owner if text == "create" => Some(text.to_owned()),
            Self::Owner => account(text),
            Self::Hash => canonical::<B256>(text).filter(|_| text.starts_with("0x")),
            Self::NodeId => canonical::<NodeId>(text),
            Self::Amount => Wei::from_str(text).ok().filter(|wei| !wei.0.is_zero()).map(|wei| wei.0.to_string()),
            Self::Filter => tracing_subscriber::EnvFilter::try_new(text).ok().map(|_| text.to_owned()),
            Self::Flag | Self::Integer { .. } | Self::List(_) => None,
        }
    }
}

fn integer(value: &ValueKind) -> Option<u64> {
    match value {
        ValueKind::I64(n) => u64::try_from(*n).ok(),
        ValueKind::U64(n) => Some(*n),
        _ => None,
    }
}

fn canonical<T: FromStr + ToString>(text: &str) -> Option<String> {
    text.parse::<T>().ok().map(|value| value.to_string())
}

fn account(text: &str) -> Option<String> {
    canonical::<Address>(text).filter(|_| text.starts_with("0x"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(kind: Kind, text: &str) -> Option<ValueKind> {
        kind.parse(text, Path::new("/base"))
    }

    #[test]
    fn text_becomes_the_typed_value() {
        assert_eq!(parse(Kind::Flag, "true"), Some(true.into()));
        assert_eq!(parse(Kind::Integer { min: 1, max: 9 }, "9"), Some(9u64.into()));
        assert_eq!(parse(Kind::Path, "data"), Some("/base/data".into()));
        assert_eq!(parse(Kind::Path, "/data"), Some("/data".into()));
        assert_eq!(parse(Kind::AdminListener, "false"), Some(ValueKind::Nil));
        assert_eq!(parse(Kind::Amount, "2ether"), Some("2000000000000000000".into()));
        assert_eq!(
            parse(Kind::List(&Kind::Ip), "127.0.0.1, ::1"),
            Some(vec![ValueKind::from("127.0.0.1"), ValueKind::from("::1")].into())
        );
        assert_eq!(parse(Kind::List(&Kind::Ip), ""), Some(Vec::<ValueKind>::new().into()));
    }

    #[test]
    fn values_that_are_not_allowed_are_refused() {
        for (kind, text) in [
            (Kind::Flag, "yes"),
            (Kind::Integer { min: 1, max: 9 }, "0"),
            (Kind::Integer { min: 1, max: 9 }, "10"),
            (Kind::Integer { min: 0, max: 9 }, "-1"),
            (Kind::Choice(&["a", "b"]), "c"),
            (Kind::Text { max: 9 }, ""),
            (Kind::Text { max: 9 }, "two\nlines"),
            (Kind::Text { max: 9 }, "ten bytes."),
            (Kind::Socket, "localhost:1"),
            (Kind::Account, "0x00"),
            (Kind::Owner, "created"),
            (Kind::Hash, "0x1234"),
            (Kind::NodeId, "0x1234"),
            (Kind::Amount, "0"),
            (Kind::Amount, "0ether"),
            (Kind::WebUrl, "ftp://a/b"),
            (Kind::Filter, "info,callboard=loud"),
            (Kind::List(&Kind::Ip), "127.0.0.1,nowhere"),
        ] {
            assert_eq!(parse(kind, text), None, "{kind:?} {text:?}");
        }
    }

    #[test]
    fn a_number_in_quotes_is_not_a_number_in_a_file() {
        let kind = Kind::Integer { min: 0, max: 9 };
        assert_eq!(kind.accept(&ValueKind::String("5".into()), Path::new("/")), None);
        assert_eq!(Kind::Flag.accept(&ValueKind::String("true".into()), Path::new("/")), None);
        assert_eq!(Kind::Text { max: 9 }.accept(&ValueKind::I64(5), Path::new("/")), None);
    }
}
