//! JSON-RPC errors, with the codes and texts that Ethereum clients match on.

use crate::rpc_frontend::body::BodyError;
use crate::rpc_frontend::limits::{Limit, Refusal};
use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::Value;

/// Not JSON.
pub(crate) const PARSE_ERROR: i64 = -32700;
/// JSON, but no JSON-RPC 2.0 request.
pub(crate) const INVALID_REQUEST: i64 = -32600;
/// No such method.
pub(crate) const METHOD_NOT_FOUND: i64 = -32601;
/// The parameters cannot be understood.
pub(crate) const INVALID_PARAMS: i64 = -32602;
/// This node failed; clients may retry.
pub(crate) const INTERNAL_ERROR: i64 = -32603;
/// The request was understood and refused; clients do not retry on it.
pub(crate) const SERVER_ERROR: i64 = -32000;
/// A call ran and reverted (geth's code; `data` is what it returned).
pub(crate) const EXECUTION_REVERTED: i64 = 3;

/// The `error` member of an answer.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{message} ({code})")]
pub struct RpcError {
    /// One of the codes of this module.
    pub code: i64,
    /// For people; begins as clients match it.
    pub message: String,
    /// More, for programs; left out of the answer where there is none.
    pub data: Option<Value>,
    /// The bound that refuses the request, where one does.
    pub(crate) limit: Option<Limit>,
    /// Whole seconds after which to try again, where that helps.
    pub(crate) retry_after: Option<u64>,
}

impl RpcError {
    /// An error without data.
    pub fn new(code: i64, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), data: None, limit: None, retry_after: None }
    }

    /// What the caller sent is no JSON.
    pub fn parse(message: impl Into<String>) -> Self {
        Self::new(PARSE_ERROR, message)
    }

    /// What the caller sent is no request.
    pub fn invalid_request(message: impl Into<String>) -> Self {
        Self::new(INVALID_REQUEST, message)
    }

    /// The method is unknown or not offered here; the text is geth's, clients match it.
    pub fn method_not_found(method: &str) -> Self {
        let name: String = method.chars().take(100).collect();
        Self::new(METHOD_NOT_FOUND, format!("the method {name} does not exist/is not available"))
    }

    /// Nothing can be pushed over HTTP; the text is geth's.
    pub fn no_notifications() -> Self {
        Self::new(METHOD_NOT_FOUND, "notifications not supported")
    }

    /// A parameter cannot be understood.
    pub fn invalid_params(message: impl Into<String>) -> Self {
        Self::new(INVALID_PARAMS, message)
    }

    /// The request is refused.
    pub fn refused(message: impl Into<String>) -> Self {
        Self::new(SERVER_ERROR, message)
    }

    /// This node failed.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(INTERNAL_ERROR, message)
    }

    /// A part of this node does not answer: nothing the caller did, and it passes.
    pub(crate) fn unavailable(message: impl Into<String>) -> Self {
        Self { code: INTERNAL_ERROR, ..Limit::Busy.refuse(message.into()).into() }
    }
}

impl From<Refusal> for RpcError {
    fn from(Refusal { limit, message, retry_after }: Refusal) -> Self {
        Self { limit: Some(limit), retry_after, ..Self::new(limit.code(), message) }
    }
}

impl From<BodyError> for RpcError {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::Refused(refusal) => refusal.into(),
            BodyError::Broken(_) => Self::invalid_request(error.to_string()),
        }
    }
}

impl Serialize for RpcError {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("code", &self.code)?;
        map.serialize_entry("message", &self.message)?;
        if let Some(data) = &self.data {
            map.serialize_entry("data", data)?;
        }
        map.end()
    }
}
