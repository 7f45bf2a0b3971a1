//! JSON-RPC over WebSocket: every method as over HTTP, and subscriptions.

mod calls;
mod connection;
mod push;
mod subscriptions;

pub(crate) use subscriptions::{Asking, METHODS, unguessable};

use super::connections::Connection;
use super::guard::{check_origin, refuse, refused, retry_after};
use super::server::Frontend;
use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, guard, web};
use connection::Peer;

const NO_CHAIN: &str = "the chain is not open yet; try again in a moment";

/// Whether a request asks for a WebSocket.
pub(crate) fn is_upgrade(context: &guard::GuardContext<'_>) -> bool {
    let upgrade = context.head().headers().get(header::UPGRADE);
    upgrade.is_some_and(|protocol| protocol.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

/// Opens a WebSocket.
pub(crate) async fn open(
    frontend: web::Data<Frontend>,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, actix_web::Error> {
    if let Err(refusal) = check_origin(request.headers(), &frontend.config.cors) {
        frontend.metrics.refused(refusal.limit);
        return Ok(refused(&refusal));
    }
    // A client that comes back while the node starts would find every subscription refused, and few try that again. A
    // socket that does not open they do.
    if frontend.chain().is_err() {
        return Ok(retry_after(refuse(StatusCode::SERVICE_UNAVAILABLE, NO_CHAIN), Some(1)));
    }
    let (response, session, messages) = actix_ws::handle(&request, payload)?;
    let limit = frontend.config.max_body_bytes;
    let messages = messages.max_frame_size(limit).aggregate_continuations().max_continuation_size(limit);
    let cut = request.conn_data::<Connection>().map(Connection::cut_handle);
    let peer = Peer { frontend, from: request.peer_addr(), cut };
    actix_web::rt::spawn(connection::serve(peer, session, messages));
    Ok(response)
}
