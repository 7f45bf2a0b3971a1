//! Every bound of the frontend: its name, the key that sets it, and the refusal of a request that goes beyond it.
//!
//! A bound is told to clients by its key and to operators by the counter `callboard_rpc_refusals_total{limit}`, so that
//! "it does not work" has a name on both sides.

use super::jsonrpc::{INVALID_REQUEST, SERVER_ERROR};
use actix_web::http::StatusCode;

/// Seconds after which a client may try again what was refused because the node was busy: its lanes empty in less.
pub(crate) const BUSY_SECONDS: u64 = 1;

/// A bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Limit {
    /// Bytes of a request body or WebSocket message.
    Body,
    /// Time for a request body to arrive.
    BodyTime,
    /// Bytes of a body of importBlock.
    ImportBody,
    /// Calls in a batch.
    Batch,
    /// Bytes of the answer to a batch.
    BatchAnswer,
    /// Time for a batch.
    BatchTime,
    /// Bytes of a genesis given out in one answer.
    Genesis,
    /// Bytes of what the pool holds given out in one answer.
    PoolContent,
    /// Blocks of a search for logs.
    LogRange,
    /// Logs found by a search.
    Logs,
    /// Bytes of the logs found by a search.
    LogBytes,
    /// Gas of a call.
    CallGas,
    /// Time of a call or search.
    CallTime,
    /// Instructions of a trace.
    TraceSteps,
    /// Bytes of a trace.
    TraceBytes,
    /// Time of a trace.
    TraceTime,
    /// Traces at once.
    Traces,
    /// Open connections.
    Connections,
    /// Subscriptions of a connection.
    Subscriptions,
    /// Filters that are installed.
    Filters,
    /// Requests a second from one address.
    Requests,
    /// Requests at once from one address.
    Burst,
    /// Blocks a second by importBlock.
    Imports,
    /// Work at once.
    Busy,
    /// Time for a client to read what it asked for.
    Reading,
    /// Bytes of answers that clients have not read.
    Unread,
    /// Names of this node.
    Host,
    /// Pages that may call.
    Origin,
    /// The kind of a body.
    ContentType,
}

impl Limit {
    /// Every bound.
    #[cfg(test)]
    pub(crate) const ALL: [Self; 29] = [
        Self::Body,
        Self::BodyTime,
        Self::ImportBody,
        Self::Batch,
        Self::BatchAnswer,
        Self::BatchTime,
        Self::Genesis,
        Self::PoolContent,
        Self::LogRange,
        Self::Logs,
        Self::LogBytes,
        Self::CallGas,
        Self::CallTime,
        Self::TraceSteps,
        Self::TraceBytes,
        Self::TraceTime,
        Self::Traces,
        Self::Connections,
        Self::Subscriptions,
        Self::Filters,
        Self::Requests,
        Self::Burst,
        Self::Imports,
        Self::Busy,
        Self::Reading,
        Self::Unread,
        Self::Host,
        Self::Origin,
        Self::ContentType,
    ];

    /// The label of the counter.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Body => "body",
            Self::BodyTime => "body_time",
            Self::ImportBody => "import_body",
            Self::Batch => "batch",
            Self::BatchAnswer => "batch_answer",
            Self::BatchTime => "batch_time",
            Self::Genesis => "genesis",
            Self::PoolContent => "pool_content",
            Self::LogRange => "log_range",
            Self::Logs => "logs",
            Self::LogBytes => "log_bytes",
            Self::CallGas => "call_gas",
            Self::CallTime => "call_time",
            Self::TraceSteps => "trace_steps",
            Self::TraceBytes => "trace_bytes",
            Self::TraceTime => "trace_time",
            Self::Traces => "traces",
            Self::Connections => "connections",
            Self::Subscriptions => "subscriptions",
            Self::Filters => "filters",
            Self::Requests => "requests",
            Self::Burst => "burst",
            Self::Imports => "imports",
            Self::Busy => "busy",
            Self::Reading => "reading",
            Self::Unread => "unread",
            Self::Host => "host",
            Self::Origin => "origin",
            Self::ContentType => "content_type",
        }
    }

    /// The key that sets it; `None` where no key does.
    pub(crate) const fn key(self) -> Option<&'static str> {
        match self {
            Self::Body => Some("rpc.max_body_bytes"),
            Self::BodyTime => Some("rpc.body_ms"),
            Self::Batch => Some("rpc.max_batch"),
            Self::BatchAnswer | Self::Genesis | Self::PoolContent => Some("rpc.max_batch_answer_bytes"),
            Self::LogRange => Some("rpc.max_log_blocks"),
            Self::Logs => Some("rpc.max_logs"),
            Self::LogBytes => Some("rpc.max_log_bytes"),
            Self::CallGas => Some("rpc.call_gas"),
            Self::CallTime => Some("rpc.call_ms"),
            Self::TraceSteps => Some("rpc.limit.trace_steps"),
            Self::TraceBytes => Some("rpc.limit.trace_bytes"),
            Self::TraceTime => Some("rpc.limit.trace_ms"),
            Self::Traces => Some("rpc.limit.traces"),
            Self::Connections => Some("rpc.max_connections"),
            Self::Subscriptions => Some("rpc.max_subscriptions"),
            Self::Filters => Some("rpc.max_filters"),
            Self::Requests => Some("rpc.limit.requests_per_second"),
            Self::Burst => Some("rpc.limit.burst"),
            Self::Imports => Some("rpc.limit.import_blocks_per_second"),
            Self::Unread => Some("rpc.limit.unread_bytes"),
            Self::Host => Some("rpc.hosts"),
            Self::Origin => Some("rpc.cors"),
            Self::ImportBody | Self::BatchTime | Self::Busy | Self::Reading | Self::ContentType => None,
        }
    }

    /// The HTTP status of a request that it refuses.
    pub(crate) const fn status(self) -> StatusCode {
        match self {
            Self::Body | Self::ImportBody => StatusCode::PAYLOAD_TOO_LARGE,
            Self::BodyTime => StatusCode::REQUEST_TIMEOUT,
            Self::Connections | Self::Busy | Self::Traces | Self::Unread => StatusCode::SERVICE_UNAVAILABLE,
            Self::Requests | Self::Imports => StatusCode::TOO_MANY_REQUESTS,
            Self::Host | Self::Origin => StatusCode::FORBIDDEN,
            Self::ContentType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            _ => StatusCode::UNPROCESSABLE_ENTITY,
        }
    }

    /// The JSON-RPC code of a request that it refuses. Clients retry on -32005 and -32603, so neither is used for what
    /// a caller did.
    pub(crate) const fn code(self) -> i64 {
        match self {
            Self::Body | Self::BodyTime | Self::Batch | Self::Burst => INVALID_REQUEST,
            _ => SERVER_ERROR,
        }
    }

    /// The refusal with this sentence; the key is added to it.
    pub(crate) fn refuse(self, sentence: impl std::fmt::Display) -> Refusal {
        let message = match self.key() {
            Some(key) => format!("{sentence} ({key})"),
            None => sentence.to_string(),
        };
        let retry_after = matches!(self.status(), StatusCode::SERVICE_UNAVAILABLE).then_some(BUSY_SECONDS);
        Refusal { limit: self, message, retry_after }
    }
}

/// A request that a bound refuses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Refusal {
    /// The bound.
    pub(crate) limit: Limit,
    /// One sentence with the key.
    pub(crate) message: String,
    /// Whole seconds after which to try again, where that helps.
    pub(crate) retry_after: Option<u64>,
}

impl Refusal {
    /// As it is, with the time after which to try again, rounded up to whole seconds: what Retry-After takes.
    pub(crate) fn until(self, wait: std::time::Duration) -> Self {
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        Self { retry_after: Some(seconds.max(1)), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::time::Duration;

    #[test]
    fn every_bound_has_a_name_of_its_own_and_its_key_stands_in_the_sentence() {
        let names: BTreeSet<_> = Limit::ALL.iter().map(|limit| limit.name()).collect();
        assert_eq!(names.len(), Limit::ALL.len());
        for limit in Limit::ALL {
            let refusal = limit.refuse("too much");
            let key = limit.key().map_or_else(|| "too much".to_owned(), |key| format!("too much ({key})"));
            assert_eq!(refusal.message, key);
            assert!(limit.status().is_client_error() || limit.status() == StatusCode::SERVICE_UNAVAILABLE);
            assert!(![-32005, -32603].contains(&limit.code()), "{limit:?}");
        }
    }

    #[test]
    fn waiting_times_are_rounded_up() {
        let after = |millis| Limit::Requests.refuse("").until(Duration::from_millis(millis)).retry_after;
        assert_eq!([after(0), after(1), after(1_000), after(1_001)], [Some(1), Some(1), Some(1), Some(2)]);
    }
}
