//! Errors of the REST routes: a status, and a sentence as JSON.

use crate::rpc_frontend::body::BodyError;
use crate::rpc_frontend::guard::{refuse, retry_after};
use crate::rpc_frontend::jsonrpc::{INVALID_PARAMS, RpcError, SERVER_ERROR};
use crate::rpc_frontend::limits::{BUSY_SECONDS, Limit, Refusal};
use actix_web::http::StatusCode;
use actix_web::{HttpResponse, ResponseError};

/// `{success: false, error: sentence}` with a status.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct RestError {
    status: StatusCode,
    message: String,
    /// The bound that refuses the request, where one does.
    pub(crate) limit: Option<Limit>,
    retry_after: Option<u64>,
}

impl RestError {
    pub(crate) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), limit: None, retry_after: None }
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }
}

impl From<RpcError> for RestError {
    /// A read is refused only while the genesis is not known or the node is busy: both pass.
    fn from(error: RpcError) -> Self {
        let status = match (error.limit, error.code) {
            (Some(limit), _) => limit.status(),
            (None, INVALID_PARAMS) => StatusCode::BAD_REQUEST,
            (None, SERVER_ERROR) => StatusCode::SERVICE_UNAVAILABLE,
            (None, _) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let RpcError { message, limit, retry_after, .. } = error;
        let passes = (status == StatusCode::SERVICE_UNAVAILABLE).then_some(BUSY_SECONDS);
        let retry_after = retry_after.or(passes);
        Self { status, message, limit, retry_after }
    }
}

impl From<Refusal> for RestError {
    fn from(Refusal { limit, message, retry_after }: Refusal) -> Self {
        Self { status: limit.status(), message, limit: Some(limit), retry_after }
    }
}

impl From<BodyError> for RestError {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::Refused(refusal) => refusal.into(),
            BodyError::Broken(_) => Self::bad_request(error.to_string()),
        }
    }
}

impl ResponseError for RestError {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        retry_after(refuse(self.status, &self.message), self.retry_after)
    }
}
