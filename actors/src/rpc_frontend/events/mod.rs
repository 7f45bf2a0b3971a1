//! Server-sent events (WHATWG HTML §9.2): confirmed blocks and transactions, pending transactions, the sync status and
//! deliveries, for `curl -N` and browsers.

mod feed;
mod frame;
mod replay;
mod topics;

use super::guard::{Connection, refuse};
use super::server::Frontend;
use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use feed::Feed;
use std::time::Instant;
use topics::Wanted;

/// The route of the events.
pub(crate) fn routes(services: &mut web::ServiceConfig) {
    services.route("/rpc/events", web::get().to(events));
}

async fn events(frontend: web::Data<Frontend>, request: HttpRequest) -> HttpResponse {
    let begun = Instant::now();
    let response = match open(&frontend, &request).await {
        Ok(feed) => HttpResponse::Ok()
            .content_type("text/event-stream")
            .insert_header(("Cache-Control", "no-store"))
            .insert_header(("X-Accel-Buffering", "no"))
            .streaming(feed.into_stream()),
        Err((status, message)) => refuse(status, &message),
    };
    frontend.metrics.record("rest_events", response.status().is_success(), begun.elapsed());
    response
}

async fn open(frontend: &web::Data<Frontend>, request: &HttpRequest) -> Result<Feed, (StatusCode, String)> {
    let bad = |message: String| (StatusCode::BAD_REQUEST, message);
    let wanted = Wanted::parse(request.query_string()).map_err(bad)?;
    let after = match request.headers().get("Last-Event-ID") {
        None => None,
        Some(id) => Some(last_event_id(id.as_bytes()).map_err(bad)?),
    };
    let unavailable = |message: String| (StatusCode::SERVICE_UNAVAILABLE, message);
    frontend.chain().map_err(|error| unavailable(error.message))?;
    let subscription = frontend.ports.events.subscribe(wanted.topics());
    let subscription = subscription.await.map_err(|error| unavailable(error.to_string()))?;
    // The head is read after subscribing: no block can fall between what is read and what is heard.
    let replay = match after {
        Some(after) if wanted.confirmed() => {
            Some(replay::Replay::after(frontend, after).await.map_err(|error| unavailable(error.message))?)
        }
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
