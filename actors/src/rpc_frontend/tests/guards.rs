//! What is checked before a route is reached: host, origin, content type, connections; and the server's own life.

use super::harness::Harness;
use crate::rpc_frontend::{BindError, RpcConfig, RpcServer};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const JSON: (&str, &str) = ("Content-Type", "application/json");
const CALL: &[u8] = br#"{"jsonrpc":"2.0","id":1,"method":"net_listening"}"#;

#[actix_web::test]
async fn a_foreign_host_name_is_refused_on_every_path() {
    let harness = Harness::with(|config| config.hosts = vec!["node.example".to_owned()]);
    for path in ["/", "/rpc", "/rpc/importBlock"] {
        let response = harness.request("POST", path, &[JSON, ("Host", "evil.example:8545")], CALL).await;
        assert_eq!(response.status, 403, "{path}");
        assert!(response.error().contains("evil.example"), "{}", response.body);
        assert!(response.error().contains("rpc.hosts"), "{}", response.body);
    }
    assert_eq!(harness.request("GET", "/rpc/head", &[("Host", "evil.example")], b"").await.status, 403);
    for host in ["localhost:1", "127.0.0.1", "[::1]:8545", "node.example"] {
        assert_eq!(harness.request("POST", "/", &[JSON, ("Host", host)], CALL).await.status, 200, "{host}");
    }
}

#[actix_web::test]
async fn a_forwarded_host_does_not_count() {
    let harness = Harness::start();
    let headers = [JSON, ("Host", "evil.example"), ("X-Forwarded-Host", "localhost"), ("Forwarded", "host=localhost")];
    assert_eq!(harness.request("POST", "/", &headers, CALL).await.status, 403);
}

#[actix_web::test]
async fn a_body_that_is_not_announced_as_json_is_refused() {
    let harness = Harness::start();
    for headers in
        [&[][..], &[("Content-Type", "text/plain")], &[("Content-Type", "application/x-www-form-urlencoded")]]
    {
        let response = harness.request("POST", "/", headers, CALL).await;
        assert_eq!(response.status, 415);
        assert!(response.error().contains("application/json"), "{}", response.body);
    }
    let with_charset = [("Content-Type", "Application/JSON; charset=utf-8")];
    assert_eq!(harness.request("POST", "/", &with_charset, CALL).await.status, 200);
}

#[actix_web::test]
async fn pages_of_other_sites_are_let_in_only_as_configured() {
    let closed = Harness::start();
    let origin = ("Origin", "https://app.example");
    let response = closed.request("POST", "/", &[JSON, origin], CALL).await;
    assert!(!response.headers.contains_key("access-control-allow-origin"));
    let expected = "origin \"https://app.example\" is not allowed: name it (rpc.cors)";
    assert_eq!((response.status, response.error().as_str()), (403, expected));
    let own = closed.server.address().to_string();
    let own = closed.request("POST", "/", &[JSON, ("Origin", &format!("http://{own}"))], CALL).await;
    assert_eq!(own.status, 200, "a page of this node");

    let open = Harness::with(|config| config.cors = vec!["https://app.example".to_owned()]);
    let response = open.request("POST", "/", &[JSON, origin], CALL).await;
    assert_eq!((response.status, response.headers["access-control-allow-origin"].as_str()), (200, origin.1));
    assert_eq!(response.headers["access-control-expose-headers"], "Retry-After");
    let preflight = open.request("OPTIONS", "/", &[origin, ("Access-Control-Request-Method", "POST")], b"").await;
    assert_eq!(preflight.status, 204);
    assert_eq!(preflight.headers["access-control-allow-headers"], "Content-Type, Last-Event-ID");
    let stranger = open.request("POST", "/", &[JSON, ("Origin", "https://evil.example")], CALL).await;
    assert!(!stranger.headers.contains_key("access-control-allow-origin"));
    assert_eq!((stranger.status, open.refusals("origin").await), (403, 1));

    let any = Harness::with(|config| config.cors = vec!["*".to_owned()]);
    let response = any.request("POST", "/", &[JSON, origin], CALL).await;
    assert_eq!((response.status, response.headers["access-control-allow-origin"].as_str()), (200, "*"));
}

/// A GET on a connection that stays open: status and the headers.
async fn get_kept(stream: &mut TcpStream, path: &str) -> (u16, String) {
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap().to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).expect("a length");
    stream.read_exact(&mut vec![0; length.parse().unwrap()]).await.unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), head)
}

#[actix_web::test]
async fn only_connections_over_the_limit_are_refused_and_probes_never_are() {
    let harness = Harness::with(|config| config.max_connections = 1);
    let mut within = TcpStream::connect(harness.server.address()).await.unwrap();
    assert_eq!(get_kept(&mut within, "/rpc/sync").await.0, 200);
    let mut over = TcpStream::connect(harness.server.address()).await.unwrap();
    let (status, head) = get_kept(&mut over, "/rpc/sync").await;
    assert_eq!(status, 503);
    assert!(head.contains("connection: close") && head.contains("retry-after: 1"), "{head}");
    // One that asks nothing stays. It was accepted before the one that is answered now.
    let idle = TcpStream::connect(harness.server.address()).await.unwrap();
    let response = harness.post("/", CALL).await;
    let expected = "too many connections: at most 1 (rpc.max_connections)";
    assert_eq!((response.status, response.error().as_str()), (503, expected));
    assert_eq!(get_kept(&mut within, "/rpc/sync").await.0, 200, "the one within the limit goes on");
    for probe in ["/health/live", "/health/ready", "/metrics"] {
        assert_eq!(harness.get(probe).await.status, 200, "{probe}");
    }
    assert_eq!(harness.refusals("connections").await, 2);
    drop((within, idle));
    // The server sees the closed connection when it next polls it; each answer is an event to wait on.
    for _ in 0..1_000 {
        if harness.post("/", CALL).await.status == 200 {
            return;
        }
    }
    panic!("a closed connection was never counted out");
}

#[actix_web::test]
async fn a_port_in_use_is_said_in_one_sentence() {
    let harness = Harness::start();
    let listen = harness.server.address().to_string();
    let bind = |listen: &str| {
        let config = RpcConfig { listen: listen.to_owned(), ..RpcConfig::default() };
        RpcServer::bind(&config)
    };
    let error = bind(&listen).unwrap_err();
    assert!(matches!(error, BindError::InUse { .. }));
    assert!(error.to_string().starts_with(&format!("rpc.listen {listen}: the port is in use")), "{error}");
    assert!(matches!(bind("no address").unwrap_err(), BindError::Address { .. }));
}

#[actix_web::test]
async fn after_stop_nothing_listens() {
    let harness = Harness::start();
    let address = harness.server.address();
    let mut idle = TcpStream::connect(address).await.unwrap();
    harness.server.stop().await;
    assert!(TcpStream::connect(address).await.is_err());
    assert_eq!(idle.read(&mut [0; 16]).await.unwrap_or(0), 0, "the idle connection is closed");
}

#[actix_web::test]
async fn health_says_the_one_reason() {
    let harness = Harness::start();
    assert_eq!(harness.get("/health/live").await.status, 200);
    assert_eq!(harness.get("/health/ready").await.json(), json!({ "status": "ready" }));
    *harness.status.not_ready.lock() = Some("diverged at height 7".to_owned());
    let response = harness.get("/health/ready").await;
    assert_eq!(response.status, 503);
    assert_eq!(response.json()["reason"], "diverged at height 7");
}

#[actix_web::test]
async fn unknown_paths_are_said_to_be_unknown() {
    let harness = Harness::start();
    let response = harness.get("/rpc/nothing").await;
    assert_eq!(response.status, 404);
    assert_eq!(response.error(), "there is nothing at GET /rpc/nothing");
}
