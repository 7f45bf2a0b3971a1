//! JSON-RPC 2.0 over HTTP POST and WebSocket: the envelope, batches and their bounds. Which method does what is decided in
//! [`super::eth`] and [`super::callboard`].

mod envelope;
mod error;
mod params;

#[cfg(test)]
pub(crate) use envelope::MAX_ID_BYTES;
pub(crate) use envelope::into_bytes;
pub use error::RpcError;
pub(crate) use error::{EXECUTION_REVERTED, INVALID_PARAMS, INVALID_REQUEST, METHOD_NOT_FOUND, SERVER_ERROR};
pub(crate) use params::Params;

use super::body::{BodyBounds, read_body};
use super::config::RpcConfig;
use super::guard::retry_after;
use super::limits::{Limit, Refusal};
use super::server::Frontend;
use super::text::Text;
use super::unread::{Reader, Room, UNCOUNTED};
use super::{callboard, debug, eth, openrpc, websocket};
use actix_web::guard::fn_guard;
use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use envelope::{Call, Envelope, parse, parse_call};
use serde::Serialize;
use serde_json::value::RawValue;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// The one call that may have to be longer than a body.
const LONG_BLOCKS: &str = "; a longer block is posted to /rpc/importBlock";
/// How long a batch may take. Calls that are not begun by then are answered with an error.
const BATCH_WITHIN: Duration = Duration::from_secs(30);
/// How long calls of a batch that need no other thread are answered before other clients of the server's thread have a turn.
const BATCH_TURN: Duration = Duration::from_millis(1);
/// Room that is kept for a call of a batch whose answer does not fit: a refusal is shorter, but for the id in the call.
const REFUSAL_BYTES: usize = 512;

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
    let from = request.peer_addr();
    let caller = Caller { from, reader: &Reader::at(from), subscriptions: None };
    let RpcConfig { max_body_bytes: bytes, body_within: within, .. } = frontend.config;
    match read_body(&request, payload, BodyBounds { bytes, within, limit: Limit::Body, remedy: LONG_BLOCKS }).await {
        Ok(body) => answer(&frontend, &body, caller).await,
        Err(error) => {
            let error = RpcError::from(error);
            let status = error.limit.map_or(StatusCode::BAD_REQUEST, Limit::status);
            Reply { status, ..refuse_body(&frontend, caller, error) }
        }
    }
    .into_response()
}

/// Who calls.
#[derive(Clone, Copy)]
pub(crate) struct Caller<'a> {
    /// From where.
    pub(crate) from: Option<SocketAddr>,
    /// Who reads the answer.
    pub(crate) reader: &'a Reader,
    /// What the connection is subscribed to; `None` over HTTP, which nothing can be pushed over.
    pub(crate) subscriptions: Option<websocket::Asking<'a>>,
}

/// The answer to a body.
pub(crate) struct Reply {
    /// `None` where the body holds notifications only.
    pub(crate) text: Option<Text>,
    /// Kept until the text has been read.
    pub(crate) room: Room,
    status: StatusCode,
    retry_after: Option<u64>,
}

impl Reply {
    fn new(text: Option<Text>, room: Room) -> Self {
        let status = if text.is_some() { StatusCode::OK } else { StatusCode::NO_CONTENT };
        Self { text, room, status, retry_after: None }
    }

    /// The answer to a single call or to a body that is none. Who asks too often, or for more than there is room for, is
    /// told so by HTTP as well, which clients look at before anything else.
    fn single(frontend: &Frontend, reader: &Reader, id: Option<&RawValue>, outcome: RpcResult) -> Self {
        let mut refusal = outcome.as_ref().err().map(|error| (error.limit, error.retry_after));
        let mut text = write(frontend, id, outcome);
        let mut room = frontend.limits.answers.room(reader);
        if let Err(full) = room.grow(text.len()) {
            refusal = Some((Some(full.limit), full.retry_after));
            text = write(frontend, id, Err(full.into()));
        }
        let reply = Self::new(Some(text), room);
        match refusal {
            Some((Some(limit @ (Limit::Requests | Limit::Imports | Limit::Unread)), retry_after)) => {
                Self { status: limit.status(), retry_after, ..reply }
            }
            _ => reply,
        }
    }

    fn into_response(self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status);
        let response = match self.text {
            Some(text) => {
                let counted = text.len() > UNCOUNTED;
                let mut response = response.content_type("application/json").body(text.into_body());
                if counted {
                    response.extensions_mut().insert(self.room);
                }
                response
            }
            None => response.finish(),
        };
        retry_after(response, self.retry_after)
    }
}

/// The answer to a body.
pub(crate) async fn answer(frontend: &Frontend, body: &[u8], caller: Caller<'_>) -> Reply {
    let envelope = match parse(body, frontend.config.max_batch) {
        Ok(envelope) => envelope,
        Err(error) => return refuse_body(frontend, caller, error),
    };
    if let Err(refusal) = charge(frontend, &envelope, caller.from) {
        let id = match &envelope {
            Envelope::Single(call) => parse_call(call).ok().and_then(|call| call.id),
            Envelope::Batch(_) => None,
        };
        frontend.metrics.record(INVALID, false, Duration::ZERO);
        return Reply::single(frontend, caller.reader, id, Err(refusal.into()));
    }
    match envelope {
        Envelope::Single(call) => match answer_one(frontend, call, caller).await {
            Some((id, outcome)) => Reply::single(frontend, caller.reader, id, outcome),
            None => Reply::new(None, frontend.limits.answers.room(caller.reader)),
        },
        Envelope::Batch(calls) => answer_batch(frontend, &calls, caller).await,
    }
}

/// The answer to a body that holds no calls. It counts as one request.
fn refuse_body(frontend: &Frontend, caller: Caller<'_>, error: RpcError) -> Reply {
    frontend.metrics.record(INVALID, false, Duration::ZERO);
    let charged = match caller.from.zip(frontend.limits.rate.as_ref()) {
        Some((from, rate)) => rate.take(from.ip(), 1),
        None => Ok(()),
    };
    Reply::single(frontend, caller.reader, None, Err(charged.map_or_else(Into::into, |()| error)))
}

/// Takes the calls from what the caller may still ask. Blocks that an operator posts have a limit of their own.
fn charge(frontend: &Frontend, envelope: &Envelope<'_>, from: Option<SocketAddr>) -> Result<(), Refusal> {
    let Some((rate, from)) = frontend.limits.rate.as_ref().zip(from) else { return Ok(()) };
    let calls = match envelope {
        Envelope::Single(call) => std::slice::from_ref(call),
        Envelope::Batch(calls) => calls,
    };
    let counted = calls.iter().filter(|call| !parse_call(call).is_ok_and(|call| call.method == IMPORT_BLOCK));
    rate.take(from.ip(), counted.count())
}

/// Answers one after the other, in order: a batch gets no more of the machine than a single caller. Once an answer does not
/// fit any more, the calls after it are not made.
async fn answer_batch(frontend: &Frontend, calls: &[&RawValue], caller: Caller<'_>) -> Reply {
    let until = Instant::now() + BATCH_WITHIN;
    let most = frontend.config.max_batch_answer_bytes;
    let (mut text, mut room) = (Text::from([Bytes::from_static(b"[")]), frontend.limits.answers.room(caller.reader));
    // What refusals may take of the calls that are still to come.
    let mut kept = calls.iter().map(|call| refusal_bytes(call)).sum::<usize>();
    if let Err(full) = room.grow(kept) {
        return Reply::single(frontend, caller.reader, None, Err(full.into()));
    }
    let mut turn = Instant::now();
    let mut full: Option<Refusal> = None;
    for call in calls {
        kept = kept.saturating_sub(refusal_bytes(call));
        // A small call is answered without a wait: a batch of them makes way for others by itself.
        if turn.elapsed() >= BATCH_TURN {
            tokio::task::yield_now().await;
            turn = Instant::now();
        }
        let mut answer = if let Some(full) = &full {
            skip(frontend, call, full.clone())
        } else if Instant::now() > until {
            skip(frontend, call, Limit::BatchTime.refuse("the batch took too long: ask for less in one batch"))
        } else {
            answer_one(frontend, call, caller).await.map(|(id, outcome)| write(frontend, id, outcome))
        };
        if full.is_none()
            && let Some(length) = answer.as_ref().map(|answer| text.len().saturating_add(answer.len()))
            && let Err(refusal) = fits(length, kept, most, &mut room)
        {
            answer = skip(frontend, call, refusal.clone());
            full = Some(refusal);
        }
        if let Some(answer) = answer {
            if text.len() > 1 {
                text.write(b",");
            }
            text.append(answer);
        }
    }
    text.write(b"]");
    Reply::new((text.len() > 2).then_some(text), room)
}

/// Whether an answer of this length fits, beside the refusals that are to be kept room for.
fn fits(length: usize, kept: usize, most: usize, room: &mut Room) -> Result<(), Refusal> {
    if length > most {
        return Err(too_long(most));
    }
    room.grow(length.saturating_add(kept))
}

/// The most that the refusal of a call takes: its id is a part of the call.
fn refusal_bytes(call: &RawValue) -> usize {
    call.get().len().saturating_add(REFUSAL_BYTES)
}

fn too_long(most: usize) -> Refusal {
    Limit::BatchAnswer.refuse(format!("response too large: at most {most} bytes for a batch, ask for less in one"))
}

/// The answer to a call of a batch that is not looked at any more.
fn skip(frontend: &Frontend, call: &RawValue, why: Refusal) -> Option<Text> {
    match parse_call(call) {
        Ok(call) => call.id.map(|id| write(frontend, Some(id), Err(why.into()))),
        Err(malformed) => Some(write(frontend, malformed.id, Err(malformed.error))),
    }
}

/// Writes an answer, and counts the bound where one refused the call.
fn write(frontend: &Frontend, id: Option<&RawValue>, outcome: RpcResult) -> Text {
    if let Some(limit) = outcome.as_ref().err().and_then(|error| error.limit) {
        frontend.metrics.refused(limit);
    }
    envelope::answer(id, outcome)
}

/// Id and outcome of one call; `None` for a notification.
async fn answer_one<'a>(
    frontend: &Frontend,
    call: &'a RawValue,
    caller: Caller<'_>,
) -> Option<(Option<&'a RawValue>, RpcResult)> {
    let begun = Instant::now();
    let call = match parse_call(call) {
        Ok(call) => call,
        Err(malformed) => {
            frontend.metrics.record(INVALID, false, begun.elapsed());
            return Some((malformed.id, Err(malformed.error)));
        }
    };
    let outcome = dispatch(frontend, &call, caller).await;
    frontend.metrics.record(label(&call.method), outcome.is_ok(), begun.elapsed());
    call.id.map(|id| (Some(id), outcome))
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
    } else if openrpc::METHODS.contains(&call.method.as_ref()) {
        openrpc::discover()
    } else if debug::METHODS.contains(&call.method.as_ref()) {
        debug::call(frontend, &call.method, &params).await
    } else {
        eth::call(frontend, &call.method, &params, caller.from).await
    }
}

const UNKNOWN: &str = "unknown";
/// What is counted for a body or a value of a batch that is no call.
const INVALID: &str = "invalid";
/// Counted by its own limiter.
const IMPORT_BLOCK: &str = "callboard_importBlock";

/// The method's name as a metric label: names from outside make no series.
fn label(method: &str) -> &'static str {
    dispatched().find(|known| *known == method).unwrap_or(UNKNOWN)
}

/// Every method that is answered. Each has an entry in [`super::openrpc`].
pub(crate) fn dispatched() -> impl Iterator<Item = &'static str> {
    let (own, admin) = (callboard::METHODS, callboard::admin::METHODS);
    [eth::METHODS, debug::METHODS, websocket::METHODS, openrpc::METHODS, own, admin].into_iter().flatten().copied()
}
