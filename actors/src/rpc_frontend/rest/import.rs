//! POST /rpc/importBlock.

use super::limit::{Pacer, TooMany};
use super::posted::{canonical_bytes, sent_bytes};
use super::{RestResult, record};
use crate::rpc_frontend::body::{BodyBounds, BodyBudget, read_counted_body};
use crate::rpc_frontend::guard::retry_after;
use crate::rpc_frontend::jsonrpc::RpcError;
use crate::rpc_frontend::limits::{BUSY_SECONDS, Limit, Refusal};
use crate::rpc_frontend::ports::{ImportError, ImportErrorKind, Imported};
use crate::rpc_frontend::server::Frontend;
use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use alloy_primitives::Bytes;
use parking_lot::Mutex;
use serde_json::json;
use std::net::SocketAddr;
use std::time::Instant;
use tokio::sync::Semaphore;

/// Blocks that are decoded at once: each may take tens of megabytes.
const DECODED_AT_ONCE: usize = 4;
/// Longest body as a multiple of the chain's longest block: the JSON of small transfers is six times as long.
const BODY_FACTOR: u64 = 8;

/// Memory of all bodies that are being received and blocks that wait to be imported: four of the longest bodies of the
/// longest blocks.
const BODIES_BYTES: usize = 256 << 20;

/// What keeps imports from taking the node over.
pub(crate) struct ImportLimits {
    pacer: Mutex<Pacer>,
    decoding: Semaphore,
    bodies: BodyBudget,
}

impl ImportLimits {
    pub(crate) fn new(blocks_per_second: u32) -> Self {
        let pacer = Mutex::new(Pacer::new(blocks_per_second));
        Self { pacer, decoding: Semaphore::new(DECODED_AT_ONCE), bodies: BodyBudget::new(BODIES_BYTES) }
    }

    /// Waits for the caller's turn. Who gives up waiting gives the turn back.
    async fn turn(&self) -> Result<(), Refusal> {
        let now = Instant::now();
        let too_many = |TooMany { retry_after }| {
            Limit::Imports.refuse("too many blocks to import at once, try again later").until(retry_after)
        };
        let at = self.pacer.lock().take(now).map_err(too_many)?;
        let mut turn = Turn { pacer: &self.pacer, at: Some(at) };
        tokio::time::sleep(at.saturating_duration_since(now)).await;
        turn.at = None;
        Ok(())
    }
}

/// A turn that is waited for.
struct Turn<'a> {
    pacer: &'a Mutex<Pacer>,
    at: Option<Instant>,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if let Some(at) = self.at {
            self.pacer.lock().give_back(at);
        }
    }
}

pub(super) async fn import(frontend: web::Data<Frontend>, request: HttpRequest, payload: web::Payload) -> RestResult {
    let begun = Instant::now();
    let answer = answer(&frontend, &request, payload).await;
    record(&frontend, "rest_import_block", begun, answer)
}

async fn answer(frontend: &Frontend, request: &HttpRequest, payload: web::Payload) -> RestResult {
    let longest = frontend.chain()?.config.max_block_bytes.saturating_mul(BODY_FACTOR);
    let limit = usize::try_from(longest).unwrap_or(usize::MAX);
    let bounds = BodyBounds { bytes: limit, within: frontend.config.body_within, limit: Limit::ImportBody, remedy: "" };
    let limits = &frontend.limits.import;
    // Nothing that others wait for is taken before the body is here: a client may take its time to send it.
    let mut held = limits.bodies.hold();
    let body = read_counted_body(request, payload, bounds, &mut held).await?;
    limits.turn().await?;
    let from = request.peer_addr();
    let decoded = {
        let _permit = limits.decoding.acquire().await;
        let decode = move || Ok(canonical_bytes(&body).map_err(|error| (error, sent_bytes(&body))));
        frontend.gate.read(decode).await?
    };
    Ok(match decoded {
        Err((error, bytes)) => {
            frontend.ports.import.refused(bytes, &error, from);
            refused(frontend, &error, from)
        }
        Ok(bytes) => {
            held.shrink(bytes.len());
            match frontend.ports.import.import(bytes, from).await {
                Ok(Imported { imported, height, hash }) => HttpResponse::Ok()
                    .json(json!({ "success": true, "imported": imported, "height": height, "hash": hash })),
                Err(error) => refused(frontend, &error, from),
            }
        }
    })
}

/// Imports canonical bytes for `callboard_importBlock`, under the same limits.
pub(crate) async fn import_bytes(
    frontend: &Frontend,
    bytes: Bytes,
    from: Option<SocketAddr>,
) -> Result<Imported, RpcError> {
    frontend.chain()?;
    frontend.limits.import.turn().await?;
    frontend.ports.import.import(bytes, from).await.map_err(|error| {
        log(&error, from);
        let data =
            json!({ "check": error.check, "expected": error.expected, "actual": error.actual, "blame": error.blame });
        let refusal = match error.kind {
            ImportErrorKind::Busy => Limit::Busy.refuse(error.message).into(),
            _ => RpcError::refused(error.message),
        };
        RpcError { data: Some(data), ..refusal }
    })
}

fn refused(frontend: &Frontend, error: &ImportError, from: Option<SocketAddr>) -> HttpResponse {
    log(error, from);
    let (status, seconds) = match error.kind {
        ImportErrorKind::Invalid => (StatusCode::UNPROCESSABLE_ENTITY, None),
        ImportErrorKind::ParentUnknown => (StatusCode::CONFLICT, None),
        ImportErrorKind::Busy => {
            frontend.metrics.refused(Limit::Busy);
            (Limit::Busy.status(), Some(BUSY_SECONDS))
        }
    };
    let answer = HttpResponse::build(status).json(json!({
        "success": false,
        "error": {
            "check": error.check,
            "expected": error.expected,
            "actual": error.actual,
            "message": error.message,
            "blame": error.blame,
        },
    }));
    retry_after(answer, seconds)
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

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::poll;
    use std::time::Duration;

    #[actix_web::test]
    async fn who_hangs_up_while_waiting_gives_the_turn_back() {
        let limits = ImportLimits::new(1);
        let first = limits.pacer.lock().take(Instant::now()).unwrap();
        let mut waiting = Box::pin(limits.turn());
        assert!(poll!(&mut waiting).is_pending());
        drop(waiting);
        let next = limits.pacer.lock().take(Instant::now());
        assert_eq!(next, Ok(first + Duration::from_secs(1)), "the turn of who hung up");
    }
}
