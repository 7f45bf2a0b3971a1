//! Reading a request body within bounds of size and time.

use actix_web::http::StatusCode;
use actix_web::web::{self, BytesMut};
use futures_util::StreamExt;
use std::time::Duration;

/// How long a client may take to send a body.
const BODY_WITHIN: Duration = Duration::from_secs(30);

/// A body that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BodyError {
    #[error("request body too large: at most {limit} bytes")]
    TooLarge { limit: usize },
    #[error("request body did not arrive within {} seconds", BODY_WITHIN.as_secs())]
    Late,
    #[error("request body could not be read: {0}")]
    Broken(String),
}

impl BodyError {
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Late => StatusCode::REQUEST_TIMEOUT,
            Self::Broken(_) => StatusCode::BAD_REQUEST,
        }
    }
}

/// Reads the body; never holds more than `limit` bytes and one chunk of it.
pub(crate) async fn read_body(payload: web::Payload, limit: usize) -> Result<web::Bytes, BodyError> {
    tokio::time::timeout(BODY_WITHIN, collect(payload, limit)).await.unwrap_or(Err(BodyError::Late))
}

async fn collect(mut payload: web::Payload, limit: usize) -> Result<web::Bytes, BodyError> {
    let mut body = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|error| BodyError::Broken(error.to_string()))?;
        if body.len() + chunk.len() > limit {
            return Err(BodyError::TooLarge { limit });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}
