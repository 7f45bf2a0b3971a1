//! Errors of the REST routes: a status, and a sentence as JSON.

use crate::rpc_frontend::body::BodyError;
use crate::rpc_frontend::guard::refuse;
use crate::rpc_frontend::jsonrpc::{INVALID_PARAMS, RpcError, SERVER_ERROR};
use actix_web::http::StatusCode;
use actix_web::{HttpResponse, ResponseError};

/// `{success: false, error: sentence}` with a status.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct RestError {
    status: StatusCode,
    message: String,
}

impl RestError {
    pub(super) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }

    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }
}

impl From<RpcError> for RestError {
    /// A read is refused only while the genesis is not known or the node is busy: both pass.
    fn from(error: RpcError) -> Self {
        let status = match error.code {
            INVALID_PARAMS => StatusCode::BAD_REQUEST,
            SERVER_ERROR => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::new(status, error.message)
    }
}

impl From<BodyError> for RestError {
    fn from(error: BodyError) -> Self {
        Self::new(error.status(), error.to_string())
    }
}

impl ResponseError for RestError {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        refuse(self.status, &self.message)
    }
}
