//! HTTP below what a library would send: requests as they came, answers byte by byte.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// Longer than any answer takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// A request to a bad peer.
pub(super) struct Request {
    pub(super) method: String,
    /// What follows `/peer/v1/`.
    pub(super) route: String,
    query: String,
    pub(super) body: Vec<u8>,
}

impl Request {
    /// The next request of a connection; `None` at its end.
    pub(super) fn read(reader: &mut impl BufRead) -> Option<Self> {
        let line = line(reader)?;
        let mut words = line.split(' ');
        let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
        let length = body_length(reader)?;
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let route = path.strip_prefix("/peer/v1/").unwrap_or(path).to_owned();
        Some(Self { method, route, query: query.to_owned(), body })
    }

    /// A value of its query.
    pub(super) fn value(&self, name: &str) -> Option<u64> {
        let mut pairs = self.query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.find(|(key, _)| *key == name).and_then(|(_, value)| value.parse().ok())
    }

    /// Whether it asks for blocks without end.
    pub(super) fn follows(&self) -> bool {
        self.query.split('&').any(|pair| pair == "follow=true")
    }
}

/// What [`frame`] has put together.
pub(super) fn unframe(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut items = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk::<4>() {
        let length = usize::try_from(u32::from_be_bytes(*length)).expect("64 bits");
        let (item, rest) = rest.split_at(length);
        items.push(item);
        bytes = rest;
    }
    items
}

/// A head of a successful answer whose body ends with the connection.
pub(super) const OPEN_HEAD: &[u8] = b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n";

/// A whole answer.
pub(super) fn answer(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n",
        length = body.len()
    );
    [head.as_bytes(), body].concat()
}

/// A successful answer.
pub(super) fn ok(body: &[u8]) -> Vec<u8> {
    answer("200 OK", "", body)
}

/// Bytes with their length before them, as blocks and transactions travel.
pub(super) fn frame(bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).expect("a short frame");
    [&length.to_be_bytes(), bytes].concat()
}

/// Sends a request to `address` on a connection of its own: status and body of the answer. An error where none came.
pub(super) fn ask(
    address: &str,
    method: &str,
    route: &str,
    headers: &str,
    body: &[u8],
) -> std::io::Result<(u16, Vec<u8>)> {
    let mut stream = TcpStream::connect(address)?;
    let length = body.len();
    let head = format!(
        "{method} /peer/v1/{route} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n{headers}content-length: {length}\r\n\r\n"
    );
    // A server that refuses early closes while it is written to; what it said is there all the same.
    stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body)).ok();
    read_answer(stream)
}

/// Status and body of the answer that a connection brings.
pub(super) fn read_answer(stream: TcpStream) -> std::io::Result<(u16, Vec<u8>)> {
    let nothing = || std::io::Error::other("the connection ended before an answer");
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut reader = BufReader::new(stream);
    let status = line(&mut reader).ok_or_else(nothing)?;
    let status = status.split(' ').nth(1).and_then(|code| code.parse().ok()).ok_or_else(nothing)?;
    let mut body = vec![0; body_length(&mut reader).ok_or_else(nothing)?];
    reader.read_exact(&mut body)?;
    Ok((status, body))
}

/// Reads the headers: how long the body is.
fn body_length(reader: &mut impl BufRead) -> Option<usize> {
    let mut length = 0;
    loop {
        let header = line(reader)?;
        if header.is_empty() {
            return Some(length);
        }
        if let Some(value) = header.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
    }
}

fn line(reader: &mut impl BufRead) -> Option<String> {
    let mut line = String::new();
    (reader.read_line(&mut line).ok()? > 0).then(|| line.trim_end().to_owned())
}
