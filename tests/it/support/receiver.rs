//! A server that takes what a webhook posts.

use serde_json::Value;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::mpsc;
use std::time::Duration;

/// Its bodies, in order. It listens until the end of the test process.
pub(crate) struct Receiver {
    pub(crate) url: String,
    bodies: mpsc::Receiver<Value>,
}

impl Receiver {
    /// Answers with these statuses, one after the other, and with the last of them from then on.
    pub(crate) fn start(statuses: &'static [&'static str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("address"));
        let (seen, bodies) = mpsc::channel();
        std::thread::spawn(move || {
            for (at, stream) in listener.incoming().enumerate() {
                let mut reader = BufReader::new(stream.expect("a connection"));
                let Some(body) = read_body(&mut reader) else { continue };
                let status = statuses[at.min(statuses.len() - 1)];
                let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
                // Who has posted may have ended.
                let _ = reader.get_mut().write_all(answer.as_bytes());
                if seen.send(body).is_err() {
                    return;
                }
            }
        });
        Self { url, bodies }
    }

    /// The next body.
    #[track_caller]
    pub(crate) fn next(&self, within: Duration) -> Value {
        self.bodies.recv_timeout(within).expect("something is posted")
    }
}

/// The JSON body of the next HTTP request; `None` where there is none.
pub(crate) fn read_body(reader: &mut impl BufRead) -> Option<Value> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if line == "\r\n" {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().expect("a length");
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    serde_json::from_slice(&body).ok()
}
