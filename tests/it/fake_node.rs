//! A JSON-RPC server with answers of our choice, for what client commands ask and print.

use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

type Answers = dyn Fn(&str, &Value) -> Value + Send + Sync;

/// A server on a port of its own, until the end of the test process.
pub(crate) struct FakeNode {
    pub(crate) url: String,
    calls: Arc<Mutex<Vec<(String, Value)>>>,
}

impl FakeNode {
    /// Answers each call with `answers(method, params)`.
    pub(crate) fn start(answers: impl Fn(&str, &Value) -> Value + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("address"));
        let (calls, answers): (Arc<Mutex<Vec<_>>>, Arc<Answers>) = (Arc::default(), Arc::new(answers));
        let seen = calls.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (answers, seen) = (answers.clone(), seen.clone());
                std::thread::spawn(move || serve(stream.expect("connection"), &*answers, &seen));
            }
        });
        Self { url, calls }
    }

    /// The parameters of every call of `method` so far.
    pub(crate) fn calls(&self, method: &str) -> Vec<Value> {
        let calls = self.calls.lock().expect("no panic");
        calls.iter().filter(|(called, _)| called == method).map(|(_, params)| params.clone()).collect()
    }
}

fn serve(stream: TcpStream, answers: &Answers, seen: &Mutex<Vec<(String, Value)>>) {
    let mut reader = BufReader::new(stream);
    while let Some(request) = read_request(&mut reader) {
        let method = request["method"].as_str().expect("method").to_owned();
        let result = answers(&method, &request["params"]);
        seen.lock().expect("no panic").push((method, request["params"].clone()));
        let body = json!({ "jsonrpc": "2.0", "id": request["id"], "result": result }).to_string();
        let head =
            format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", body.len());
        if reader.get_mut().write_all(format!("{head}{body}").as_bytes()).is_err() {
            return;
        }
    }
}

fn read_request(reader: &mut BufReader<TcpStream>) -> Option<Value> {
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
