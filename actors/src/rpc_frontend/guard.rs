//! What is checked of every HTTP request before anything reads it: connections, host, origin, content type.

use super::connections::{Connection, Line};
use super::dashboard::is_part;
use super::limits::{Limit, Refusal};
use super::server::Frontend;
use super::unread::{Reader, Room, WatchedBody};
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderMap, HeaderValue};
use actix_web::http::{ConnectionType, Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::{HttpResponse, web};
use std::net::IpAddr;
use std::sync::Arc;

/// How long a browser may keep the answer to a preflight, seconds.
const PREFLIGHT_SECONDS: &str = "600";

/// The middleware around every route.
pub(crate) async fn guard<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let frontend = request
        .app_data::<web::Data<Frontend>>()
        .expect("the server puts the frontend into every application it builds")
        .clone();
    let origin = allowed_origin(request.headers(), &frontend.config.cors);
    let over = request.conn_data::<Connection>().is_some_and(Connection::is_over);
    let line = request.conn_data::<Connection>().map(Connection::line);
    line.iter().for_each(|line| line.on_request());
    let mut response = if let Err(refusal) = admit(&request, &frontend, over) {
        frontend.metrics.refused(refusal.limit);
        request.into_response(refused(&refusal))
    } else if request.method() == Method::OPTIONS {
        request.into_response(HttpResponse::NoContent().finish())
    } else {
        next.call(request).await?.map_into_boxed_body()
    };
    response = watched(response, &frontend, line);
    if over {
        response.response_mut().head_mut().set_connection_type(ConnectionType::Close);
    }
    if !frontend.config.cors.is_empty() {
        add_cors(response.headers_mut(), origin);
    }
    Ok(response)
}

/// The answer, cut off where its client does not read it; refused where it does not fit beside those that others do not read.
fn watched(
    mut response: ServiceResponse<BoxBody>,
    frontend: &Frontend,
    line: Option<Arc<Line>>,
) -> ServiceResponse<BoxBody> {
    let free = is_free(response.request().path());
    let room = response.response_mut().extensions_mut().remove::<Room>();
    let room = match (room, response.response().body().size()) {
        (None, BodySize::Sized(bytes)) if !free => {
            let reader = Reader::at(response.request().peer_addr());
            frontend.limits.answers.room_for(&reader, usize::try_from(bytes).unwrap_or(usize::MAX)).map(Some)
        }
        (room, _) => Ok(room),
    };
    match room {
        Ok(room) => response.map_body(|_, body| BoxBody::new(WatchedBody::new(body, line, room))),
        Err(refusal) => {
            frontend.metrics.refused(refusal.limit);
            response
                .into_response(refused(&refusal))
                .map_body(|_, body| BoxBody::new(WatchedBody::new(body, line, None)))
        }
    }
}

/// Probes, and parts of the page: they are few files out of memory, and texts that do not grow.
fn is_free(path: &str) -> bool {
    PROBES.contains(&path) || is_part(path)
}

/// Paths that probes and Prometheus ask. They are answered however many clients there are: a node that is busy is alive.
const PROBES: [&str; 3] = ["/health/live", "/health/ready", "/metrics"];

fn admit(request: &ServiceRequest, frontend: &Frontend, over: bool) -> Result<(), Refusal> {
    let probe = PROBES.contains(&request.path());
    if over && !probe {
        let most = frontend.config.max_connections;
        return Err(Limit::Connections.refuse(format!("too many connections: at most {most}")));
    }
    // A browser always names a host; a client that names none is none.
    let host = request.headers().get(header::HOST).map(|host| host.to_str().unwrap_or(""));
    if let Some(host) = host.filter(|host| !host_allowed(host, &frontend.config.hosts)) {
        let name: String = host.chars().take(100).collect();
        return Err(Limit::Host.refuse(format!("host {name:?} is not allowed: use an IP address, or name it")));
    }
    if request.method() == Method::POST {
        check_post(request.headers(), &frontend.config.cors)?;
    }
    // A preflight is no request of its own. Blocks that operators post and calls have limits of their own, which take
    // what a body holds into account.
    let counted = request.method() != Method::OPTIONS && !is_free(request.path()) && !limited_by_content(request);
    match frontend.limits.rate.as_ref().zip(request.peer_addr()).filter(|_| counted) {
        Some((rate, from)) => rate.take(from.ip(), 1),
        None => Ok(()),
    }
}

/// A page of another site can post what is no JSON without asking. JSON it may not read the answer to without leave, but
/// what it posts has been done by then.
fn check_post(headers: &HeaderMap, cors: &[String]) -> Result<(), Refusal> {
    if !is_json(headers) {
        let sentence = "the body must be JSON: send the header Content-Type: application/json";
        return Err(Limit::ContentType.refuse(sentence));
    }
    check_origin(headers, cors)
}

fn limited_by_content(request: &ServiceRequest) -> bool {
    request.method() == Method::POST && ["/", "/rpc", "/rpc/importBlock"].contains(&request.path())
}

/// A page of another site may call only where it is named. Programs name no origin.
pub(crate) fn check_origin(headers: &HeaderMap, cors: &[String]) -> Result<(), Refusal> {
    match headers.get(header::ORIGIN) {
        Some(origin) if !origin_allowed(origin, headers, cors) => {
            let name: String = String::from_utf8_lossy(origin.as_bytes()).chars().take(100).collect();
            Err(Limit::Origin.refuse(format!("origin {name:?} is not allowed: name it")))
        }
        _ => Ok(()),
    }
}

/// Browsers let every page send requests and open WebSockets and leave it to the server to look at the origin. A page of
/// this very host is no other site's.
fn origin_allowed(origin: &HeaderValue, headers: &HeaderMap, cors: &[String]) -> bool {
    if cors.iter().any(|entry| entry == "*" || entry.as_bytes() == origin.as_bytes()) {
        return true;
    }
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let site = origin.to_str().ok().and_then(|origin| origin.split_once("://")).map(|(_, site)| site);
    site.is_some() && site == host
}

/// The answer to a request that a bound refuses.
pub(crate) fn refused(refusal: &Refusal) -> HttpResponse {
    retry_after(refuse(refusal.limit.status(), &refusal.message), refusal.retry_after)
}

/// Says after how many seconds to try again, where that helps.
pub(crate) fn retry_after(mut response: HttpResponse, seconds: Option<u64>) -> HttpResponse {
    if let Some(seconds) = seconds {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// A refusal before any route: one JSON shape for all of them.
pub(crate) fn refuse(status: StatusCode, message: &str) -> HttpResponse {
    HttpResponse::build(status).json(serde_json::json!({ "success": false, "error": message }))
}

/// DNS rebinding lets a web page reach this port under the page's own name: only names that this node goes by are
/// answered. An IP address is never a page's name.
fn host_allowed(host: &str, allowed: &[String]) -> bool {
    let name = host_name(host);
    let loopback = name.eq_ignore_ascii_case("localhost") || name.to_ascii_lowercase().ends_with(".localhost");
    loopback
        || name.parse::<IpAddr>().is_ok()
        || allowed.iter().any(|entry| entry == "*" || entry.eq_ignore_ascii_case(name))
}

/// The name in `name:port` or `[v6]:port`.
fn host_name(host: &str) -> &str {
    if let Some(rest) = host.strip_prefix('[') {
        return rest.split(']').next().unwrap_or(rest);
    }
    host.rsplit_once(':').map_or(host, |(name, _)| name)
}

fn is_json(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/json"))
}

fn allowed_origin(headers: &HeaderMap, cors: &[String]) -> Option<HeaderValue> {
    let origin = headers.get(header::ORIGIN)?;
    if cors.iter().any(|entry| entry == "*") {
        return Some(HeaderValue::from_static("*"));
    }
    cors.iter().any(|entry| entry.as_bytes() == origin.as_bytes()).then(|| origin.clone())
}

fn add_cors(headers: &mut HeaderMap, origin: Option<HeaderValue>) {
    headers.insert(header::VARY, HeaderValue::from_static("Origin"));
    let Some(origin) = origin else { return };
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, POST, OPTIONS"));
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static("Content-Type, Last-Event-ID"));
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("Retry-After"));
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static(PREFLIGHT_SECONDS));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_names_and_addresses_are_hosts_of_every_node() {
        for host in
            ["localhost", "localhost:8545", "LOCALHOST:1", "node.localhost", "127.0.0.1:8545", "[::1]:8545", "10.1.2.3"]
        {
            assert!(host_allowed(host, &[]), "{host}");
        }
    }

    #[test]
    fn a_page_of_another_site_calls_nothing_unless_it_is_named() {
        let allowed = |headers: &HeaderMap, cors: &[String]| check_origin(headers, cors).is_ok();
        let mut headers = HeaderMap::new();
        assert!(allowed(&headers, &[]), "programs name no origin");
        headers.insert(header::HOST, HeaderValue::from_static("127.0.0.1:8545"));
        headers.insert(header::ORIGIN, HeaderValue::from_static("http://127.0.0.1:8545"));
        assert!(allowed(&headers, &[]), "a page of this host");
        for origin in ["http://evil.example", "http://127.0.0.1:3000", "null"] {
            headers.insert(header::ORIGIN, HeaderValue::from_static(origin));
            assert!(!allowed(&headers, &["http://wallet.example".to_owned()]), "{origin}");
            assert!(allowed(&headers, &[origin.to_owned()]) && allowed(&headers, &["*".to_owned()]));
        }
    }

    #[test]
    fn other_names_must_be_configured() {
        for host in
            ["evil.example", "evil.example:8545", "localhost.evil.example", "127.0.0.1.evil.example", "", "[", ":80"]
        {
            assert!(!host_allowed(host, &["node.example".to_owned()]), "{host}");
        }
        assert!(host_allowed("Node.example:8545", &["node.example".to_owned()]));
        assert!(host_allowed("anything", &["*".to_owned()]));
    }
}
