//! JSON-RPC over WebSocket: every method as over HTTP, and subscriptions.

mod connection;
mod push;
mod subscriptions;

pub(crate) use subscriptions::{METHODS, Subscriptions};

use super::guard::{Connection, refuse};
use super::server::Frontend;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap};
use actix_web::{HttpRequest, HttpResponse, guard, web};
use connection::Peer;

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
    if !origin_allowed(request.headers(), &frontend.config.cors) {
        return Ok(refuse(StatusCode::FORBIDDEN, "this origin is not allowed: name it in rpc.cors"));
    }
    let (response, session, messages) = actix_ws::handle(&request, payload)?;
    let limit = frontend.config.max_body_bytes;
    let messages = messages.max_frame_size(limit).aggregate_continuations().max_continuation_size(limit);
    let cut = request.conn_data::<Connection>().map(Connection::cut_handle);
    let peer = Peer { frontend, from: request.peer_addr(), cut };
    actix_web::rt::spawn(connection::serve(peer, session, messages));
    Ok(response)
}

/// Browsers let every page open a WebSocket and leave it to the server to look at the origin. A page of this very host
/// is no other site's.
fn origin_allowed(headers: &HeaderMap, cors: &[String]) -> bool {
    let Some(origin) = headers.get(header::ORIGIN) else { return true };
    if cors.iter().any(|entry| entry == "*" || entry.as_bytes() == origin.as_bytes()) {
        return true;
    }
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let site = origin.to_str().ok().and_then(|origin| origin.split_once("://")).map(|(_, site)| site);
    site.is_some() && site == host
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::HeaderValue;

    #[test]
    fn a_page_of_another_site_opens_no_socket_unless_it_is_named() {
        let mut headers = HeaderMap::new();
        assert!(origin_allowed(&headers, &[]), "programs name no origin");
        headers.insert(header::HOST, HeaderValue::from_static("127.0.0.1:8545"));
        headers.insert(header::ORIGIN, HeaderValue::from_static("http://127.0.0.1:8545"));
        assert!(origin_allowed(&headers, &[]), "a page of this host");
        for origin in ["http://evil.example", "http://127.0.0.1:3000", "null"] {
            headers.insert(header::ORIGIN, HeaderValue::from_static(origin));
            assert!(!origin_allowed(&headers, &["http://wallet.example".to_owned()]), "{origin}");
            assert!(origin_allowed(&headers, &[origin.to_owned()]) && origin_allowed(&headers, &["*".to_owned()]));
        }
    }
}
