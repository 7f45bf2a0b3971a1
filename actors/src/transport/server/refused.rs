//! Refusals, so that the other side can read why.

use super::meter::NotAdmitted;
use crate::send::{AskError, OfferError};
use crate::transport::ChainFacts;
use crate::transport::hello::HelloError;
use crate::transport::sessions::SessionError;
use crate::transport::wire::{Refusal, RefusalBody, printable};
use actix_web::{HttpResponse, ResponseError, http::StatusCode};

/// An answer that is no success.
#[derive(Debug)]
pub(super) struct Refused {
    status: StatusCode,
    code: &'static str,
    refusal: Refusal,
}

impl Refused {
    pub(super) fn new(status: StatusCode, code: &'static str, message: impl ToString) -> Self {
        let message = printable(&message.to_string());
        Self { status, code, refusal: Refusal { code: code.to_owned(), message, genesis_hash: None, chain: None } }
    }

    /// For counters.
    pub(super) fn code(&self) -> &'static str {
        self.code
    }

    pub(super) fn too_many(code: &'static str, message: impl ToString) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, code, message)
    }

    /// With what this node's chain is, so that the other side can say in what the two differ.
    pub(super) fn with_chain(mut self, chain: ChainFacts) -> Self {
        self.refusal.chain = Some(chain);
        self
    }

    pub(super) fn malformed(message: impl ToString) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "malformed", message)
    }

    pub(super) fn busy(message: impl ToString) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", message)
    }

    pub(super) fn no_session() -> Self {
        let message = "this request needs a session: say hello first, and send its token in callboard-session";
        Self::new(StatusCode::UNAUTHORIZED, "no_session", message)
    }

    pub(super) fn internal(error: impl std::fmt::Display) -> Self {
        tracing::error!(%error, "a peer's request failed");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "this node could not read its own data")
    }
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.refusal.message)
    }
}

impl ResponseError for Refused {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        HttpResponse::build(self.status).json(RefusalBody { error: self.refusal.clone() })
    }
}

impl From<HelloError> for Refused {
    fn from(error: HelloError) -> Self {
        let status = match error {
            HelloError::Malformed { .. } | HelloError::Version { .. } => StatusCode::BAD_REQUEST,
            HelloError::Full { .. } | HelloError::RangeFull { .. } => StatusCode::SERVICE_UNAVAILABLE,
            HelloError::ThisNode
            | HelloError::CopiedDirectory { .. }
            | HelloError::TwoProcesses { .. }
            | HelloError::WrongChain { .. } => StatusCode::CONFLICT,
            _ => StatusCode::FORBIDDEN,
        };
        let mut refused = Self::new(status, error.code(), &error);
        // As the asker sees it: "there" is this node.
        if let HelloError::WrongChain { expected, actual } = error {
            refused.refusal.genesis_hash = Some(expected);
            refused.refusal.message = format!("wrong chain: this node's genesis is {expected}, yours is {actual}");
        }
        refused
    }
}

impl From<NotAdmitted> for Refused {
    fn from(refused: NotAdmitted) -> Self {
        match refused {
            NotAdmitted::TooManyHellos => Self::too_many("too_many_hellos", "too many hellos from your address"),
            NotAdmitted::Banned { seconds } => {
                let message = format!("your address is banned here for another {seconds} s");
                Self::new(StatusCode::FORBIDDEN, "banned_address", message)
            }
        }
    }
}

impl From<SessionError> for Refused {
    fn from(error: SessionError) -> Self {
        match error {
            SessionError::Unknown => Self::no_session(),
            SessionError::TwoProcesses(node_id) => HelloError::TwoProcesses { node_id }.into(),
            SessionError::TooManyRequests => Self::too_many("too_many_requests", "too many requests from your node"),
        }
    }
}

impl From<AskError> for Refused {
    fn from(error: AskError) -> Self {
        Self::busy(error)
    }
}

impl<M> From<OfferError<M>> for Refused {
    fn from(error: OfferError<M>) -> Self {
        Self::busy(error)
    }
}
