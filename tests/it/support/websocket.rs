//! A WebSocket for tests: enough of the protocol to call methods and to hear what is pushed.

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// A client's end.
pub(crate) struct WebSocket(BufReader<TcpStream>);

impl WebSocket {
    /// Opens a WebSocket over this connection.
    pub(crate) async fn over(stream: TcpStream) -> Self {
        let mut stream = BufReader::new(stream);
        let request = "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                       Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        stream.write_all(request.as_bytes()).await.expect("written");
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.expect("an answer"));
        }
        assert!(head.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&head));
        Self(stream)
    }

    /// Subscribes; the subscription's id.
    pub(crate) async fn subscribe(&mut self, params: Value) -> String {
        let call = json!({ "jsonrpc": "2.0", "id": 1, "method": "eth_subscribe", "params": params }).to_string();
        // One frame, under a mask of zeros.
        let mut frame = vec![0x81, 0x80 | 127];
        frame.extend((call.len() as u64).to_be_bytes());
        frame.extend([0; 4]);
        frame.extend(call.as_bytes());
        self.0.write_all(&frame).await.expect("written");
        let answer = self.next().await;
        answer["result"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
    }

    /// The next message, whatever the pieces it comes in.
    pub(crate) async fn next(&mut self) -> Value {
        let mut whole = Vec::new();
        loop {
            let (kind, last, payload) = self.frame().await;
            match kind {
                // Pings want an answer after 90 s only.
                9 => continue,
                8 => panic!("closed: {}", String::from_utf8_lossy(payload.get(2..).unwrap_or_default())),
                _ => whole.extend(payload),
            }
            if last {
                return serde_json::from_slice(&whole).expect("JSON");
            }
        }
    }

    async fn frame(&mut self) -> (u8, bool, Vec<u8>) {
        let first = self.0.read_u8().await.expect("a frame");
        let length = match self.0.read_u8().await.expect("a length") {
            126 => u64::from(self.0.read_u16().await.expect("a length")),
            127 => self.0.read_u64().await.expect("a length"),
            length => u64::from(length),
        };
        let mut payload = vec![0; usize::try_from(length).expect("it fits")];
        self.0.read_exact(&mut payload).await.expect("the frame");
        (first & 0x0f, first & 0x80 != 0, payload)
    }

    /// The connection, for those who do not read any more.
    pub(crate) fn into_stream(self) -> TcpStream {
        self.0.into_inner()
    }
}
