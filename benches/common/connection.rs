//! One HTTP connection that is kept, and no more work than it takes: no pool, no parsing but of the length.

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Error, ErrorKind, Result};
use tokio::net::TcpStream;

/// A connection to one node.
pub(crate) struct Connection {
    host: String,
    stream: BufReader<TcpStream>,
    line: String,
    body: Vec<u8>,
}

impl Connection {
    /// Connects to `http://HOST:PORT`.
    pub(crate) async fn open(url: &str) -> Result<Self> {
        let host = url.trim_start_matches("http://").trim_end_matches('/').to_owned();
        let stream = TcpStream::connect(&host).await.map_err(|error| invalid(format!("{host}: {error}")))?;
        stream.set_nodelay(true)?;
        Ok(Self { host, stream: BufReader::new(stream), line: String::new(), body: Vec::new() })
    }

    /// The bytes of a request.
    pub(crate) fn request(&self, method: &str, path: &str, body: &str) -> Vec<u8> {
        let (host, length) = (&self.host, body.len());
        let head = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n");
        format!("{head}Content-Length: {length}\r\n\r\n{body}").into_bytes()
    }

    /// The bytes of a call.
    pub(crate) fn call(&self, method: &str, params: &Value) -> Vec<u8> {
        let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{params}}}"#);
        self.request("POST", "/", &body)
    }

    /// Sends a request and waits for its answer, of any status.
    pub(crate) async fn ask(&mut self, request: &[u8]) -> Result<&[u8]> {
        self.stream.write_all(request).await?;
        let mut length = None;
        loop {
            self.line.clear();
            if self.stream.read_line(&mut self.line).await? == 0 {
                return Err(invalid(format!("{} closed the connection", self.host)));
            }
            if self.line == "\r\n" {
                break;
            }
            if let Some((name, value)) = self.line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().ok();
            }
        }
        let length = length.ok_or_else(|| invalid(format!("{} does not say how long its answer is", self.host)))?;
        self.body.resize(length, 0);
        self.stream.read_exact(&mut self.body).await?;
        Ok(&self.body)
    }

    /// The answer's JSON.
    pub(crate) async fn json(&mut self, request: &[u8]) -> Result<Value> {
        Ok(serde_json::from_slice(self.ask(request).await?)?)
    }
}

fn invalid(reason: String) -> Error {
    Error::new(ErrorKind::InvalidData, reason)
}
