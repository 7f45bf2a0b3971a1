//! Server-sent events (WHATWG HTML §9.2): confirmed blocks and transactions, pending transactions, the sync status and
//! deliveries, for `curl -N` and browsers.

mod feed;
mod frame;
mod replay;
mod topics;

use super::connections::Connection;
use super::jsonrpc::RpcError;
use super::rest::{RestError, RestResult, record};
use super::server::Frontend;
use actix_web::{HttpRequest, HttpResponse, web};
use feed::Feed;
use std::time::Instant;
use topics::Wanted;

/// The route of the events.
pub(crate) fn routes(services: &mut web::ServiceConfig) {
    services.route("/rpc/events", web::get().to(events));
}

async fn events(frontend: web::Data<Frontend>, request: HttpRequest) -> RestResult {
    let begun = Instant::now();
    let response = open(&frontend, &request).await.map(|feed| {
        HttpResponse::Ok()
            .content_type("text/event-stream")
            .insert_header(("Cache-Control", "no-store"))
            .insert_header(("X-Accel-Buffering", "no"))
            .streaming(feed.into_stream())
    });
    record(&frontend, "rest_events", begun, response)
}

async fn open(frontend: &web::Data<Frontend>, request: &HttpRequest) -> Result<Feed, RestError> {
    let wanted = Wanted::parse(request.query_string()).map_err(RestError::bad_request)?;
    let after = match request.headers().get("Last-Event-ID") {
        None => None,
        Some(id) => Some(last_event_id(id.as_bytes()).map_err(RestError::bad_request)?),
    };
    frontend.chain()?;
    let subscription = frontend.ports.events.subscribe(wanted.topics());
    let subscription = subscription.await.map_err(|error| RpcError::unavailable(error.to_string()))?;
    // The head is read after subscribing: no block can fall between what is read and what is heard.
    let replay = match after {
        Some(after) if wanted.confirmed() => Some(replay::Replay::after(frontend, after)?),
        _ => None,
    };
    let connection = request.conn_data::<Connection>();
    let cutter = connection.map(|connection| connection.cut_handle().after(subscription.end()));
    Ok(Feed::new(frontend.clone(), wanted, subscription, replay, cutter))
}

/// The height that a client has got last; empty is none.
fn last_event_id(id: &[u8]) -> Result<u64, String> {
    let id = String::from_utf8_lossy(id);
    id.trim().parse().map_err(|_| {
        let id: String = id.chars().take(40).collect();
        format!("Last-Event-ID: {id:?} is not a height")
    })
}
