//! Server-sent events, as a client sees them.

use super::chain::*;
use super::harness::Harness;
use crate::event_stream::Event;
use crate::rpc_frontend::ChainAccess;
use callboard_chain::Transaction;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// An event as it came.
#[derive(Debug, PartialEq)]
struct Frame {
    id: Option<u64>,
    event: String,
    data: Value,
}

/// A client that reads the events of one connection.
struct Client {
    stream: TcpStream,
    text: String,
}

impl Client {
    async fn open(harness: &Harness, topics: &str, last: Option<u64>) -> Self {
        let mut stream = TcpStream::connect(harness.server.address()).await.unwrap();
        let last = last.map_or_else(String::new, |last| format!("Last-Event-ID: {last}\r\n"));
        let request = format!("GET /rpc/events?topics={topics} HTTP/1.1\r\nHost: localhost\r\n{last}\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut client = Self { stream, text: String::new() };
        let head = client.until("\r\n\r\n").await;
        assert!(head.starts_with("HTTP/1.1 200") && head.contains("text/event-stream"), "{head}");
        // The stream is open, so its subscription is there.
        assert!(client.piece().await.contains("retry: 2000"));
        client
    }

    async fn until(&mut self, end: &str) -> String {
        loop {
            if let Some(at) = self.text.find(end) {
                let rest = self.text.split_off(at + end.len());
                return std::mem::replace(&mut self.text, rest);
            }
            let mut bytes = [0; 4096];
            let read = tokio::time::timeout(Duration::from_secs(20), self.stream.read(&mut bytes)).await;
            let count = read.expect("an event comes").unwrap();
            assert!(count > 0, "the connection ended after {:?}", self.text);
            self.text.push_str(std::str::from_utf8(&bytes[..count]).unwrap());
        }
    }

    /// What comes up to the next empty line, without the marks of the chunked encoding.
    async fn piece(&mut self) -> String {
        let is_mark = |line: &&str| !line.is_empty() && line.chars().all(|c| c.is_ascii_hexdigit());
        loop {
            let piece = self.until("\n\n").await.replace('\r', "");
            let lines: Vec<_> = piece.lines().filter(|line| !line.is_empty() && !is_mark(line)).collect();
            if !lines.is_empty() {
                return lines.join("\n");
            }
        }
    }

    async fn next(&mut self) -> Frame {
        let piece = self.piece().await;
        let field = |name: &str| piece.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
        Frame {
            id: field("id: ").map(|id| id.parse().unwrap()),
            event: field("event: ").unwrap_or_default(),
            data: field("data: ").map_or(Value::Null, |data| serde_json::from_str(&data).unwrap()),
        }
    }
}

fn transfer(nonce: u64) -> Transaction {
    sign(legacy(nonce), &user(2))
}

#[actix_web::test]
async fn blocks_and_their_transactions_come_as_the_rest_routes_give_them() {
    let mut chain = TestChain::new();
    let harness = Harness::over(&chain);
    let mut both = Client::open(&harness, "blocks,transactions", None).await;
    let mut transactions = Client::open(&harness, "transactions", None).await;
    let durable = chain.extend_durably(&[transfer(0), transfer(1)]);
    harness.events.publish(&Event::blocks(&[durable]));

    let page = harness.get("/rpc/blocks-range?start=1&end=1").await.json();
    for client in [&mut both, &mut transactions] {
        for index in 0..2 {
            let data = page["blocks"][0]["transactions"][index].clone();
            assert_eq!(client.next().await, Frame { id: None, event: "transactions".to_owned(), data });
        }
    }
    let bare = harness.get("/rpc/blocks-range?start=1&end=1&include_tx=false").await.json();
    let data = bare["blocks"][0].clone();
    assert_eq!(both.next().await, Frame { id: Some(1), event: "blocks".to_owned(), data });
    assert_eq!(transactions.next().await, Frame { id: Some(1), event: String::new(), data: Value::Null });
}

#[actix_web::test]
async fn a_form_that_is_written_is_what_every_client_gets() {
    let mut chain = TestChain::new();
    let harness = Harness::over(&chain);
    let block = Event::blocks(&[chain.extend_durably(&[transfer(0)])]);
    let Event::Blocks(blocks) = &block else { panic!("{block:?}") };
    // Whoever wrote them anew would write a block and its transaction.
    let form = |event: &str| format!("event: {event}\ndata: \"written before\"\n\n").into();
    blocks[0].forms.frame.set(form("blocks")).unwrap();
    blocks[0].forms.transaction_frames.set(form("transactions")).unwrap();
    let mut clients = Vec::new();
    for _ in 0..2 {
        clients.push(Client::open(&harness, "blocks,transactions", None).await);
    }
    harness.events.publish(&block);
    for client in &mut clients {
        for event in ["transactions", "blocks"] {
            let frame = client.next().await;
            assert_eq!((frame.event.as_str(), frame.data), (event, json!("written before")));
        }
    }
}

#[actix_web::test]
async fn a_client_that_comes_back_gets_what_it_missed_once_and_goes_on() {
    let mut chain = TestChain::new();
    let harness = Harness::over(&chain);
    chain.extend(&[transfer(0)]);
    let second = chain.extend_durably(&[transfer(1)]);
    let mut client = Client::open(&harness, "blocks,transactions", Some(0)).await;
    let third = chain.extend_durably(&[]);
    // The second one was read from the store already.
    harness.events.publish(&Event::blocks(&[second, third]));
    let mut seen = Vec::new();
    for _ in 0..5 {
        let frame = client.next().await;
        seen.push((frame.event, frame.id));
    }
    let expected =
        [("transactions", None), ("blocks", Some(1)), ("transactions", None), ("blocks", Some(2)), ("blocks", Some(3))];
    assert_eq!(seen, expected.map(|(event, id)| (event.to_owned(), id)));
}

#[actix_web::test]
async fn a_client_that_is_ahead_of_the_chain_hears_so() {
    let mut chain = TestChain::new();
    chain.extend(&[]);
    let harness = Harness::over(&chain);
    let mut client = Client::open(&harness, "blocks", Some(7)).await;
    let gap = client.next().await;
    assert_eq!((gap.event.as_str(), &gap.data["from"]), ("gap", &json!(8)));
    harness.events.publish(&Event::blocks(&[chain.extend_durably(&[])]));
    assert_eq!(client.next().await.id, Some(2));
}

#[actix_web::test]
async fn a_dropped_subscriber_is_told_why_and_forgotten() {
    let mut chain = TestChain::new();
    let harness = Harness::over(&chain);
    harness.events.allow_waiting(0);
    let mut slow = Client::open(&harness, "blocks", None).await;
    harness.events.publish(&Event::blocks(&[chain.extend_durably(&[])]));
    let end = slow.next().await;
    assert_eq!((end.event.as_str(), &end.data["reason"]), ("end", &json!("too_many_events")));
    slow.until("0\r\n\r\n").await;
    assert_eq!(harness.events.subscribers(), 0);
}

#[actix_web::test]
async fn a_stopping_node_tells_its_subscribers() {
    let chain = TestChain::new();
    let harness = Harness::over(&chain);
    let mut client = Client::open(&harness, "sync", None).await;
    let now = client.next().await;
    assert_eq!((now.event.as_str(), &now.data["phase"]), ("sync", &json!("following")));
    harness.events.stop();
    let end = client.next().await;
    let expected = json!({ "reason": "stopping", "message": "the node is stopping" });
    assert_eq!((end.event.as_str(), end.data), ("end", expected));
}

#[actix_web::test]
async fn what_cannot_be_subscribed_to_is_named() {
    let chain = TestChain::new();
    let harness = Harness::over(&chain);
    let answer = harness.get("/rpc/events?topics=blocks,logs").await;
    assert_eq!(answer.status, 400);
    assert_eq!(answer.error(), "topics: \"logs\" is not one of blocks, transactions, pending, sync, routes");
    let answer = harness.request("GET", "/rpc/events", &[("Last-Event-ID", "x")], b"").await;
    assert_eq!((answer.status, answer.error().as_str()), (400, "Last-Event-ID: \"x\" is not a height"));
    let nothing = Harness::serve(ChainAccess::new(), |_| ());
    assert_eq!(nothing.get("/rpc/events").await.status, 503);
}

/// A client that asks for everything and reads nothing must not make the node hold a block of it, so blocks come in
/// pieces.
#[actix_web::test]
async fn a_block_that_is_sent_in_pieces_comes_whole_in_order_and_once() {
    let mut chain = TestChain::new();
    let large = |nonce| {
        let input = alloy_primitives::Bytes::from(vec![0; 120_000]);
        sign(alloy_consensus::TxLegacy { input, gas_limit: 2_000_000, ..legacy(nonce) }, &user(2))
    };
    let transactions: Vec<_> = (0..8).map(large).collect();
    chain.extend(&transactions);
    chain.extend(&[]);
    let harness = Harness::over(&chain);
    let mut stream = TcpStream::connect(harness.server.address()).await.unwrap();
    let request = "GET /rpc/events?topics=blocks,transactions HTTP/1.1\r\nHost: localhost\r\nLast-Event-ID: 0\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut stream = tokio::io::BufReader::new(stream);
    let mut line = String::new();
    while line != "\r\n" {
        line.clear();
        stream.read_line(&mut line).await.unwrap();
    }
    // Chunks: a length in hexadecimal, so many bytes, and a line break.
    let mut text = Vec::new();
    while !String::from_utf8_lossy(&text[text.len().saturating_sub(1_000)..]).contains("id: 2\n")
        || !text.ends_with(b"\n\n")
    {
        line.clear();
        let head = tokio::time::timeout(Duration::from_secs(20), stream.read_line(&mut line)).await;
        assert!(head.expect("events come").unwrap() > 0, "the stream ended");
        let mut chunk = vec![0; usize::from_str_radix(line.trim_end(), 16).unwrap() + 2];
        stream.read_exact(&mut chunk).await.unwrap();
        text.extend_from_slice(&chunk[..chunk.len() - 2]);
    }
    let text = String::from_utf8(text).unwrap();
    let data = text.split("\n\n").filter_map(|frame| frame.split_once("data: ").map(|(_, data)| data));
    let data: Vec<Value> = data.map(|data| serde_json::from_str(data).unwrap()).collect();
    let hashes: Vec<_> = data.iter().map(|data| data["hash"].clone()).collect();
    let mut expected: Vec<_> = transactions.iter().map(|transaction| json!(transaction.tx_hash())).collect();
    for height in ["0x1", "0x2"] {
        expected.push(harness.result("eth_getBlockByNumber", json!([height, false])).await["hash"].clone());
    }
    assert_eq!(hashes, expected);
}
