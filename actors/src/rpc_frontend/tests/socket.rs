//! A WebSocket's client, frame by frame.

use super::chain::TestChain;
use super::harness::Harness;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const SOON: Duration = Duration::from_secs(20);

/// A chain, a frontend over it, and a client of that.
pub(super) async fn connected() -> (TestChain, Harness, Client) {
    let chain = TestChain::new();
    let harness = Harness::over(&chain);
    let client = Client::open(&harness, "/").await;
    (chain, harness, client)
}

/// A client that shows every message.
pub(super) struct Client(pub(super) TcpStream);

impl Client {
    pub(super) async fn open(harness: &Harness, path: &str) -> Self {
        let (status, client) = Self::try_open(harness, path, "").await;
        assert_eq!(status, "HTTP/1.1 101 Switching Protocols");
        client
    }

    pub(super) async fn try_open(harness: &Harness, path: &str, headers: &str) -> (String, Self) {
        Self::upgrade(TcpStream::connect(harness.server.address()).await.unwrap(), path, headers).await
    }

    /// Over a connection that is there.
    pub(super) async fn over(stream: TcpStream) -> Self {
        let (status, client) = Self::upgrade(stream, "/", "").await;
        assert_eq!(status, "HTTP/1.1 101 Switching Protocols");
        client
    }

    async fn upgrade(mut stream: TcpStream, path: &str, headers: &str) -> (String, Self) {
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        let head = String::from_utf8(head).unwrap();
        (head.lines().next().unwrap().to_owned(), Self(stream))
    }

    /// Sends a ping, under a mask of zeros.
    pub(super) async fn ping(&mut self, payload: &[u8]) {
        let length = u8::try_from(payload.len()).unwrap();
        self.0.write_all(&[&[0x89, 0x80 | length, 0, 0, 0, 0], payload].concat()).await.unwrap();
    }

    /// Sends a close with a code and no reason.
    pub(super) async fn close(&mut self, code: u16) {
        self.0.write_all(&[&[0x88, 0x82, 0, 0, 0, 0], code.to_be_bytes().as_slice()].concat()).await.unwrap();
    }

    /// Sends a text in one frame, under a mask of zeros.
    pub(super) async fn send(&mut self, text: &str) {
        let mut frame = vec![0x81, 0x80 | 127];
        frame.extend((text.len() as u64).to_be_bytes());
        frame.extend([0; 4]);
        frame.extend(text.as_bytes());
        self.0.write_all(&frame).await.unwrap();
    }

    /// One frame: its kind, whether it is the last of its message, and what it holds.
    async fn frame(&mut self) -> (u8, bool, Vec<u8>) {
        let first = self.0.read_u8().await.unwrap();
        let length = match self.0.read_u8().await.unwrap() {
            126 => u64::from(self.0.read_u16().await.unwrap()),
            127 => self.0.read_u64().await.unwrap(),
            length => u64::from(length),
        };
        let mut payload = vec![0; usize::try_from(length).unwrap()];
        self.0.read_exact(&mut payload).await.unwrap();
        (first & 0x0f, first & 0x80 != 0, payload)
    }

    /// The next message that is no ping: its kind and what it holds.
    pub(super) async fn message(&mut self) -> (u8, Vec<u8>) {
        let (mut kind, mut whole) = (0, Vec::new());
        loop {
            let frame = tokio::time::timeout(SOON, self.frame()).await.expect("a message comes");
            let (frame_kind, last, payload) = frame;
            if frame_kind == 9 {
                continue;
            }
            kind = if frame_kind == 0 { kind } else { frame_kind };
            whole.extend(payload);
            if last {
                return (kind, whole);
            }
        }
    }

    pub(super) async fn next(&mut self) -> Value {
        let (kind, text) = self.message().await;
        assert_eq!(kind, 1, "{}", String::from_utf8_lossy(&text));
        serde_json::from_slice(&text).unwrap()
    }

    pub(super) async fn call(&mut self, method: &str, params: Value) -> Value {
        self.send(&json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string()).await;
        self.next().await
    }

    pub(super) async fn subscribe(&mut self, params: Value) -> String {
        self.call("eth_subscribe", params).await["result"].as_str().expect("an id").to_owned()
    }

    /// What is pushed next, for this subscription.
    pub(super) async fn pushed(&mut self, id: &str) -> Value {
        let message = self.next().await;
        let result = message["params"]["result"].clone();
        let params = json!({ "subscription": id, "result": result });
        assert_eq!(message, json!({ "jsonrpc": "2.0", "method": "eth_subscription", "params": params }));
        result
    }

    /// Code and reason of the close frame that comes next.
    pub(super) async fn closed(&mut self) -> (u16, String) {
        let (kind, payload) = self.message().await;
        assert_eq!(kind, 8);
        (u16::from_be_bytes([payload[0], payload[1]]), String::from_utf8(payload[2..].to_vec()).unwrap())
    }
}
