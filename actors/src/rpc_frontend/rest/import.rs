//! POST /rpc/importBlock.

use super::limit::{LONGEST_WAIT, Pacer, TooMany};
use super::posted::{canonical_bytes, sent_bytes};
use crate::rpc_frontend::body::read_body;
use crate::rpc_frontend::guard::refuse;
use crate::rpc_frontend::jsonrpc::RpcError;
use crate::rpc_frontend::ports::{ImportError, ImportErrorKind, Imported};
use crate::rpc_frontend::server::Frontend;
use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, ResponseError, web};
use alloy_primitives::Bytes;
use parking_lot::Mutex;
use serde_json::json;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::sync::{Semaphore, SemaphorePermit};

/// Blocks that are read and decoded at once: each may take tens of megabytes.
const DECODED_AT_ONCE: usize = 4;
/// Longest body as a multiple of the chain's longest block: the JSON of small transfers is six times as long.
const BODY_FACTOR: u64 = 8;

/// What keeps imports from taking the node over.
pub(crate) struct ImportLimits {
    turns: Mutex<Pacer>,
    decoding: Semaphore,
}

impl ImportLimits {
    pub(crate) fn new(blocks_per_second: u32) -> Self {
        Self { turns: Mutex::new(Pacer::new(blocks_per_second)), decoding: Semaphore::new(DECODED_AT_ONCE) }
    }

    /// Waits for the caller's turn; the permit is held until the block is in the chain.
    pub(crate) async fn turn(&self) -> Result<SemaphorePermit<'_>, Wait> {
        let wait = self.turns.lock().take(Instant::now()).map_err(|TooMany { retry_after }| Wait(retry_after))?;
        tokio::time::sleep(wait).await;
        match tokio::time::timeout(LONGEST_WAIT, self.decoding.acquire()).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) | Err(_) => Err(Wait(Duration::from_secs(1))),
        }
    }
}

/// Too many blocks at once; when to try again.
#[derive(Debug)]
pub(crate) struct Wait(Duration);

impl Wait {
    /// Whole seconds, at least one: what Retry-After takes.
    fn seconds(&self) -> u64 {
        self.0.as_secs_f64().ceil().max(1.0) as u64
    }
}

impl std::fmt::Display for Wait {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "too many blocks to import at once: try again in {} s", self.seconds())
    }
}

pub(super) async fn import(frontend: web::Data<Frontend>, request: HttpRequest, payload: web::Payload) -> HttpResponse {
    let begun = Instant::now();
    let answer = answer(&frontend, request.peer_addr(), payload).await;
    frontend.metrics.record("rest_import_block", answer.status().is_success(), begun.elapsed());
    answer
}

async fn answer(frontend: &Frontend, from: Option<SocketAddr>, payload: web::Payload) -> HttpResponse {
    let limit = match frontend.chain() {
        Ok(chain) => chain.config.max_block_bytes.saturating_mul(BODY_FACTOR) as usize,
        Err(error) => return super::RestError::from(error).error_response(),
    };
    let _permit = match frontend.import.turn().await {
        Ok(permit) => permit,
        Err(wait) => return too_many(&wait),
    };
    let body = match read_body(payload, limit).await {
        Ok(body) => body,
        Err(error) => return refuse(error.status(), &error.to_string()),
    };
    match frontend.gate.read(move || Ok(canonical_bytes(&body).map_err(|error| (error, sent_bytes(&body))))).await {
        Err(error) => super::RestError::from(error).error_response(),
        Ok(Err((error, bytes))) => {
            frontend.ports.import.refused(bytes, &error, from);
            refused(&error, from)
        }
        Ok(Ok(bytes)) => match frontend.ports.import.import(bytes, from).await {
            Ok(Imported { imported, height, hash }) => HttpResponse::Ok()
                .json(json!({ "success": true, "imported": imported, "height": height, "hash": hash })),
            Err(error) => refused(&error, from),
        },
    }
}

/// Imports canonical bytes for `callboard_importBlock`, under the same limits.
pub(crate) async fn import_bytes(
    frontend: &Frontend,
    bytes: Bytes,
    from: Option<SocketAddr>,
) -> Result<Imported, RpcError> {
    frontend.chain()?;
    let _permit = frontend.import.turn().await.map_err(|wait| RpcError::refused(wait.to_string()))?;
    frontend.ports.import.import(bytes, from).await.map_err(|error| {
        log(&error, from);
        let data =
            json!({ "check": error.check, "expected": error.expected, "actual": error.actual, "blame": error.blame });
        RpcError { data: Some(data), ..RpcError::refused(error.message) }
    })
}

fn too_many(wait: &Wait) -> HttpResponse {
    let mut answer = refuse(StatusCode::TOO_MANY_REQUESTS, &wait.to_string());
    answer.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from(wait.seconds()));
    answer
}

fn refused(error: &ImportError, from: Option<SocketAddr>) -> HttpResponse {
    log(error, from);
    let status = match error.kind {
        ImportErrorKind::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
        ImportErrorKind::ParentUnknown => StatusCode::CONFLICT,
        ImportErrorKind::Busy => StatusCode::SERVICE_UNAVAILABLE,
    };
    HttpResponse::build(status).json(json!({
        "success": false,
        "error": {
            "check": error.check,
            "expected": error.expected,
            "actual": error.actual,
            "message": error.message,
            "blame": error.blame,
        },
    }))
}

fn log(error: &ImportError, from: Option<SocketAddr>) {
    tracing::warn!(
        ?from,
        check = error.check,
        expected = error.expected,
        actual = error.actual,
        blame = ?error.blame,
        "a posted block was not imported"
    );
}
