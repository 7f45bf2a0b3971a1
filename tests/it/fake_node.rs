//! A JSON-RPC server with answers of our choice, for what client commands ask and print.

use crate::support::receiver::read_body;
use serde_json::{Value, json};
use std::io::{BufReader, Write};
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
    while let Some(request) = read_body(&mut reader) {
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
