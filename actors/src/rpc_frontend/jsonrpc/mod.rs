//! JSON-RPC 2.0 over HTTP POST and WebSocket: the envelope, batches and their bounds. Which method does what is decided in
//! [`super::eth`] and [`super::callboard`].

mod envelope;
mod error;
mod params;

pub use error::RpcError;
pub(crate) use error::{EXECUTION_REVERTED, INVALID_PARAMS, METHOD_NOT_FOUND, SERVER_ERROR};
pub(crate) use params::Params;

use super::body::read_body;
use super::server::Frontend;
use super::{callboard, eth, websocket};
use actix_web::guard::fn_guard;
use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use envelope::{Answer, Call, Envelope, parse, parse_call};
use serde::Serialize;
use serde_json::value::RawValue;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Longest answer to a batch, bytes (geth's 25 MB). Calls that do not fit any more are answered with an error.
const MAX_BATCH_ANSWER_BYTES: usize = 25_000_000;
/// How long a batch may take. Calls that are not begun by then are answered with an error.
const BATCH_WITHIN: Duration = Duration::from_secs(30);

/// What a method answers: JSON text, made where the work was done.
pub(crate) type RpcResult = Result<Box<RawValue>, RpcError>;

/// A value as the result of a method.
pub(crate) fn json<T: Serialize>(value: T) -> RpcResult {
    serde_json::value::to_raw_value(&value)
        .map_err(|error| RpcError::internal(format!("the answer could not be written: {error}")))
}

/// The routes of JSON-RPC.
pub(crate) fn routes(services: &mut web::ServiceConfig) {
    for path in ["/", "/rpc"] {
        let websocket = web::get().guard(fn_guard(websocket::is_upgrade)).to(websocket::open);
        services.service(web::resource(path).route(web::post().to(handle)).route(websocket));
    }
}

async fn handle(frontend: web::Data<Frontend>, request: HttpRequest, payload: web::Payload) -> HttpResponse {
    let answer = match read_body(payload, frontend.config.max_body_bytes).await {
        Ok(body) => answer(&frontend, &body, Caller { from: request.peer_addr(), subscriptions: None }).await,
        Err(error) => {
            let text = Answer::new(None, Err(RpcError::invalid_request(error.to_string()))).to_json();
            return respond(error.status(), text);
        }
    };
    match answer {
        Some(text) => respond(StatusCode::OK, text),
        None => HttpResponse::NoContent().finish(),
    }
}

fn respond(status: StatusCode, text: String) -> HttpResponse {
    HttpResponse::build(status).content_type("application/json").body(text)
}

/// Who calls.
#[derive(Clone, Copy)]
pub(crate) struct Caller<'a> {
    /// From where.
    pub(crate) from: Option<SocketAddr>,
    /// What the connection is subscribed to; `None` over HTTP, which nothing can be pushed over.
    pub(crate) subscriptions: Option<&'a websocket::Subscriptions>,
}

/// The answer to a body; `None` where it holds notifications only.
pub(crate) async fn answer(frontend: &Frontend, body: &[u8], caller: Caller<'_>) -> Option<String> {
    match parse(body, frontend.config.max_batch) {
        Err(error) => Some(Answer::new(None, Err(error)).to_json()),
        Ok(Envelope::Single(call)) => answer_one(frontend, call, caller).await,
        Ok(Envelope::Batch(calls)) => answer_batch(frontend, &calls, caller).await,
    }
}

/// Answers one after the other, in order: a batch gets no more of the machine than a single caller.
async fn answer_batch(frontend: &Frontend, calls: &[&RawValue], caller: Caller<'_>) -> Option<String> {
    let until = Instant::now() + BATCH_WITHIN;
    let mut text = String::from("[");
    for call in calls {
        let answer = if text.len() > MAX_BATCH_ANSWER_BYTES {
            skip(call, "response too large: ask for less in one batch")
        } else if Instant::now() > until {
            skip(call, "the batch took too long: ask for less in one batch")
        } else {
            answer_one(frontend, call, caller).await
        };
        if let Some(answer) = answer {
            if text.len() > 1 {
                text.push(',');
            }
            text.push_str(&answer);
        }
    }
    text.push(']');
    (text.len() > 2).then_some(text)
}

fn skip(call: &RawValue, why: &str) -> Option<String> {
    let id = parse_call(call).ok()?.id?;
    Some(Answer::new(Some(id), Err(RpcError::refused(why))).to_json())
}

async fn answer_one(frontend: &Frontend, call: &RawValue, caller: Caller<'_>) -> Option<String> {
    let begun = Instant::now();
    let call = match parse_call(call) {
        Ok(call) => call,
        Err(malformed) => {
            frontend.metrics.record("invalid", false, begun.elapsed());
            return Some(Answer::new(malformed.id, Err(malformed.error)).to_json());
        }
    };
    let outcome = dispatch(frontend, &call, caller).await;
    frontend.metrics.record(label(&call.method), outcome.is_ok(), begun.elapsed());
    call.id.map(|id| Answer::new(Some(id), outcome).to_json())
}

async fn dispatch(frontend: &Frontend, call: &Call<'_>, caller: Caller<'_>) -> RpcResult {
    if label(&call.method) == UNKNOWN {
        return Err(RpcError::method_not_found(&call.method));
    }
    let params = Params::parse(call.params)?;
    if websocket::METHODS.contains(&call.method.as_ref()) {
        match caller.subscriptions {
            Some(subscriptions) => subscriptions.call(frontend, &call.method, &params).await,
            None => Err(RpcError::no_notifications()),
        }
    } else if callboard::admin::METHODS.contains(&call.method.as_ref()) {
        callboard::admin::call(frontend, &call.method, &params).await
    } else if call.method.starts_with("callboard_") {
        callboard::call(frontend, &call.method, &params, caller.from).await
    } else {
        eth::call(frontend, &call.method, &params).await
    }
}

const UNKNOWN: &str = "unknown";

/// The method's name as a metric label: names from outside make no series.
fn label(method: &str) -> &'static str {
    let known =
        eth::METHODS.iter().chain(websocket::METHODS).chain(callboard::METHODS).chain(callboard::admin::METHODS);
    known.copied().find(|known| *known == method).unwrap_or(UNKNOWN)
}
