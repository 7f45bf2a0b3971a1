//! A running frontend, and an HTTP client that shows every byte.

use super::chain::TestChain;
use super::fakes::{FakeAdmin, FakeEvents, FakeExplain, FakeImport, FakePool, FakeStatus, Fakes};
use crate::rpc_frontend::gate::TraceLane;
use crate::rpc_frontend::rate::RateClock;
use crate::rpc_frontend::server::{Frontend, frontend};
use crate::rpc_frontend::*;
use actix_web::web;
use governor::clock::FakeRelativeClock;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

/// A server and what stands behind it.
pub(super) struct Harness {
    pub(super) server: RpcServer,
    pub(super) limits: SharedLimits,
    pub(super) pool: Arc<FakePool>,
    pub(super) import: Arc<FakeImport>,
    pub(super) status: Arc<FakeStatus>,
    pub(super) admin: Arc<FakeAdmin>,
    pub(super) blocks: Arc<FakeExplain>,
    pub(super) events: Arc<FakeEvents>,
}

impl Harness {
    /// Without a chain.
    pub(super) fn start() -> Self {
        Self::with(|_| ())
    }

    /// Over a chain.
    pub(super) fn over(chain: &TestChain) -> Self {
        Self::serve(chain.access.clone(), |_| ())
    }

    /// Without a chain, configured.
    pub(super) fn with(change: impl FnOnce(&mut RpcConfig)) -> Self {
        Self::serve(ChainAccess::new(), change)
    }

    pub(super) fn serve(chain: ChainAccess, change: impl FnOnce(&mut RpcConfig)) -> Self {
        let mut config = RpcConfig { listen: "127.0.0.1:0".to_owned(), workers: 1, ..RpcConfig::default() };
        change(&mut config);
        // It stands still: however slow a test is, no bucket fills meanwhile.
        let limits = SharedLimits::with_clock(&config, RateClock::ByHand(FakeRelativeClock::default()));
        Self::listen(chain, config, limits)
    }

    /// Over a chain, with a lane of traces of which none may run, and whose turn nobody waits for.
    pub(super) fn without_traces(chain: &TestChain) -> Self {
        let config = RpcConfig { listen: "127.0.0.1:0".to_owned(), workers: 1, ..RpcConfig::default() };
        let limits = SharedLimits { traces: TraceLane::with(0, Duration::ZERO), ..SharedLimits::new(&config) };
        Self::listen(chain.access.clone(), config, limits)
    }

    /// A second listener of the same node.
    pub(super) fn beside(&self, chain: ChainAccess) -> Self {
        let config = RpcConfig { listen: "127.0.0.1:0".to_owned(), workers: 1, ..RpcConfig::default() };
        Self::listen(chain, config, self.limits.clone())
    }

    fn listen(chain: ChainAccess, config: RpcConfig, limits: SharedLimits) -> Self {
        let fakes = Fakes::default();
        let listener = RpcServer::bind(&config).unwrap();
        let (ports, metrics) = fakes.ports(chain);
        let server = RpcServer::start(listener, config, ports, metrics, limits.clone()).unwrap();
        let Fakes { pool, import, status, admin, blocks, events } = fakes;
        Self { server, limits, pool, import, status, admin, blocks, events }
    }

    /// What requests over a chain are handled with, without a server.
    pub(super) fn frontend(chain: &TestChain, change: impl FnOnce(&mut RpcConfig)) -> web::Data<Frontend> {
        let mut config = RpcConfig::default();
        change(&mut config);
        let limits = SharedLimits::new(&config);
        let (ports, metrics) = Fakes::default().ports(chain.access.clone());
        frontend(config, ports, metrics, limits)
    }

    /// POSTs a JSON body.
    pub(super) async fn post(&self, path: &str, body: impl AsRef<[u8]>) -> Response {
        self.request("POST", path, &[("Content-Type", "application/json")], body.as_ref()).await
    }

    pub(super) async fn get(&self, path: &str) -> Response {
        self.request("GET", path, &[], b"").await
    }

    pub(super) async fn request(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Response {
        let stream = TcpStream::connect(self.server.address()).await.unwrap();
        self.request_on(stream, method, path, headers, body).await
    }

    /// The answer to one JSON-RPC call that comes from this loopback address.
    pub(super) async fn call_from(&self, from: [u8; 4], method: &str, params: Value) -> Value {
        let stream = self.connect_from(from).await;
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string();
        let headers = [("Content-Type", "application/json")];
        self.request_on(stream, "POST", "/", &headers, body.as_bytes()).await.json()
    }

    /// A connection that comes from this loopback address.
    pub(super) async fn connect_from(&self, from: [u8; 4]) -> TcpStream {
        self.connect(TcpSocket::new_v4().unwrap(), from).await
    }

    /// Connects this socket, from this loopback address.
    pub(super) async fn connect(&self, socket: TcpSocket, from: [u8; 4]) -> TcpStream {
        socket.bind((from, 0).into()).unwrap();
        socket.connect(self.server.address()).await.unwrap()
    }

    async fn request_on(
        &self,
        mut stream: TcpStream,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Response {
        let host = self.server.address().to_string();
        let mut text = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n");
        if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            text.push_str(&format!("Host: {host}\r\n"));
        }
        for (name, value) in headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
        stream.write_all(text.as_bytes()).await.unwrap();
        // A server that refuses by the headers may close before it has read the body.
        let _ = stream.write_all(body).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        Response::parse(&answer)
    }

    /// How many requests a bound has refused.
    pub(super) async fn refusals(&self, limit: &str) -> u64 {
        let series = format!("callboard_rpc_refusals_total{{limit=\"{limit}\"}} ");
        let metrics = self.get("/metrics").await.body;
        metrics.lines().find_map(|line| line.strip_prefix(&series)?.parse().ok()).unwrap_or(0)
    }

    /// The answer to one JSON-RPC call.
    pub(super) async fn call(&self, method: &str, params: Value) -> Value {
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let response = self.post("/", body.to_string()).await;
        assert_eq!(response.status, 200, "{method}");
        response.json()
    }

    /// The result of a call that succeeds.
    pub(super) async fn result(&self, method: &str, params: Value) -> Value {
        let answer = self.call(method, params).await;
        assert!(answer.get("error").is_none(), "{method}: {answer}");
        answer.get("result").unwrap_or_else(|| panic!("{method}: {answer}")).clone()
    }

    /// Code and message of a call that fails.
    pub(super) async fn error(&self, method: &str, params: Value) -> (i64, String) {
        let answer = self.call(method, params).await;
        let error = answer.get("error").unwrap_or_else(|| panic!("{method}: {answer}"));
        (error["code"].as_i64().unwrap(), error["message"].as_str().unwrap().to_owned())
    }
}

/// An HTTP answer.
#[derive(Debug)]
pub(super) struct Response {
    pub(super) status: u16,
    pub(super) headers: HashMap<String, String>,
    pub(super) body: String,
}

impl Response {
    fn parse(answer: &[u8]) -> Self {
        let text = String::from_utf8(answer.to_vec()).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no HTTP answer: {text:?}"));
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        Self { status, headers, body: body.to_owned() }
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    pub(super) fn error(&self) -> String {
        self.json()["error"].as_str().unwrap_or_default().to_owned()
    }
}
