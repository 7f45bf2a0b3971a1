//! Many clients that listen to one node, and some that do not read.

use crate::support::node::{Node, SOON};
use crate::support::wallet::{make_blocks, sign, transfer};
use crate::support::{Place, callboard, until};
use alloy_primitives::Bytes;
use callboard::dev;
use serde_json::{Value, json};
use std::io::{BufRead, Read, Write};
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

const READERS: usize = 900;
const STALLED: usize = 100;
/// Large transactions, and how much data each brings: together more than may wait for one subscriber, twice.
const LARGE: u64 = 100;
const DATA: usize = 100_000;
/// What a node's memory may grow by for all of its subscribers, KiB.
const GROWTH: u64 = 300 << 10;

/// Opens the events of `topics`; returns once the first bytes came. A small buffer is full at once.
async fn listen(at: &str, topics: &str, buffer: Option<u32>) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    if let Some(buffer) = buffer {
        socket.set_recv_buffer_size(buffer).expect("set");
    }
    let mut stream = socket.connect(at.parse().expect("an address")).await.expect("connected");
    let request = format!("GET /rpc/events?topics={topics} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("written");
    let mut first = [0; 12];
    stream.read_exact(&mut first).await.expect("an answer");
    assert_eq!(&first, b"HTTP/1.1 200");
    stream
}

/// The ids that come, up to the last one, which is known when they are all under way.
async fn ids(stream: TcpStream, mut last: watch::Receiver<Option<u64>>) -> Vec<u64> {
    let (mut lines, mut ids) = (BufReader::new(stream).lines(), Vec::<u64>::new());
    while last.borrow_and_update().is_none_or(|last| ids.last() != Some(&last)) {
        tokio::select! {
            line = lines.next_line() => {
                let line = line.expect("read").unwrap_or_else(|| panic!("the stream ended after {ids:?}"));
                ids.extend(line.strip_prefix("id: ").map(|id| id.parse::<u64>().expect("a height")));
            }
            known = last.changed() => known.expect("the test goes on"),
        }
    }
    ids
}

fn large(nonce: u64) -> Bytes {
    let mut transaction = transfer(nonce);
    transaction.input = vec![0; DATA].into();
    transaction.gas_limit = 1_100_000;
    sign(&dev::key(1), transaction)
}

#[test]
fn a_thousand_subscribers_of_which_a_tenth_never_reads_cost_the_chain_nothing() {
    let mut node = Node::authority();
    node.set("rpc.max_connections", 1_200).start();
    let at = node.rpc_url().trim_start_matches("http://").to_owned();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let open = |count: usize, topics: &'static str, buffer| {
        let at = at.clone();
        runtime.block_on(async move {
            let mut streams = Vec::new();
            for _ in 0..count {
                streams.push(listen(&at, topics, buffer).await);
            }
            streams
        })
    };
    let readers = open(READERS, "blocks", None);
    let stalled = open(STALLED, "blocks,transactions,pending", Some(4_096));
    let memory = node.peak_memory();

    let (mut reading, (tell_last, last)) = (JoinSet::new(), watch::channel(None));
    for stream in readers {
        reading.spawn_on(ids(stream, last.clone()), runtime.handle());
    }
    let hashes: Vec<_> = (0..LARGE).flat_map(|nonce| node.send(&[large(nonce)])).collect();
    hashes.iter().for_each(|hash| _ = node.receipt(*hash));
    make_blocks(&node, 0, 5);
    let last = node.height();
    tell_last.send_replace(Some(last));
    let heard = async { tokio::time::timeout(SOON, reading.join_all()).await };
    let heard = runtime.block_on(heard).expect("every reader has the last block");
    let all: Vec<u64> = (1..=last).collect();
    assert!(heard.iter().all(|ids| *ids == all), "every reader has every block in order");
    assert_eq!(heard.len(), READERS);

    until("the stalled subscribers are dropped", SOON, || {
        let dropped = node.metric_with("callboard_event_subscribers_dropped_total", "reason=\"too_many_bytes\"");
        (dropped == STALLED as u64).then_some(())
    });
    let grown = node.peak_memory().saturating_sub(memory);
    assert!(grown < GROWTH, "the node has grown by {grown} KiB");
    // Their connections are cut some seconds later: the node's end is gone.
    for mut stream in stalled {
        until("the connection is cut", SOON, || runtime.block_on(stream.write_all(b"x")).is_err().then_some(()));
    }
    make_blocks(&node, 5, 1);
    assert_eq!(node.height(), last + 1);
    node.stop();
}

#[test]
fn subscribers_are_told_that_the_node_stops_and_do_not_hold_it_up() {
    let mut node = Node::authority();
    node.start();
    let at = node.rpc_url().trim_start_matches("http://").to_owned();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let mut stream = runtime.block_on(listen(&at, "blocks", None));
    node.stop();
    let mut text = String::new();
    runtime.block_on(stream.read_to_string(&mut text)).expect("read to the end");
    assert!(
        text.contains("event: end\ndata: {\"message\":\"the node is stopping\",\"reason\":\"stopping\"}"),
        "{text}"
    );
}

#[test]
fn callboard_subscribe_prints_a_line_for_each_event_and_goes_on_when_the_node_comes_back() {
    let mut node = Node::authority();
    node.start();
    node.set("rpc.listen", node.rpc_url().trim_start_matches("http://").to_owned());
    let mut command = callboard();
    command.args(["subscribe", "blocks", "--json", "--rpc", &node.rpc_url()]);
    let mut client = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let errors = std::io::BufReader::new(client.stderr.take().expect("piped"));
    let mut errors = errors.lines().map(|line| line.expect("a line"));
    assert!(errors.next().expect("a line").starts_with("listening to blocks"));
    let lines = std::io::BufReader::new(client.stdout.take().expect("piped")).lines();
    let mut heights = lines.map(|line| {
        let block: Value = serde_json::from_str(&line.expect("a line")).expect("JSON");
        block["height"].as_u64().expect("a height")
    });
    make_blocks(&node, 0, 2);
    assert_eq!([heights.next(), heights.next()], [Some(1), Some(2)]);
    node.stop();
    assert!(errors.next().expect("a line").contains("the node is stopping"));
    node.start();
    make_blocks(&node, 2, 2);
    assert_eq!([heights.next(), heights.next()], [Some(3), Some(4)], "what came meanwhile is not missed");
    client.kill().expect("killed");
    client.wait().expect("ended");
}

/// A node whose head is block 6 and that tells of block 7 to each who listens. It goes away when it is first asked for the
/// logs, and is there again. What was sent as `Last-Event-ID`, in order.
fn flickering_node() -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let (asked, listened) = (AtomicUsize::new(0), Arc::new(Mutex::new(Vec::new())));
    let seen = listened.clone();
    std::thread::spawn(move || {
        // Streams of events stay open.
        let mut open = Vec::new();
        for stream in listener.incoming() {
            let mut stream = std::io::BufReader::new(stream.expect("a connection"));
            let head: Vec<String> =
                stream.by_ref().lines().map(|line| line.expect("a line")).take_while(|line| !line.is_empty()).collect();
            let header = |name: &str| {
                head.iter().find_map(|line| line.to_ascii_lowercase().strip_prefix(name).map(str::to_owned))
            };
            if head[0].starts_with("GET /rpc/events") {
                seen.lock().expect("no panic").push(header("last-event-id: ").unwrap_or_default());
                let event = "id: 7\nevent: blocks\ndata: {\"height\":7,\"hash\":\"0x07\"}\n\n";
                let answer = format!("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n{event}");
                stream.get_mut().write_all(answer.as_bytes()).expect("written");
                open.push(stream);
                continue;
            }
            let mut body = vec![0; header("content-length: ").expect("a length").parse().expect("a number")];
            stream.read_exact(&mut body).expect("a body");
            let request: Value = serde_json::from_slice(&body).expect("JSON");
            let logs = request["method"] == "eth_getLogs";
            if logs && asked.fetch_add(1, Ordering::Relaxed) == 0 {
                open.clear();
                continue;
            }
            let log = json!({ "blockNumber": "0x7", "logIndex": "0x0", "address": "0xcc", "topics": [], "data": "0x" });
            let result = if logs { json!([log]) } else { json!("0x6") };
            let body = json!({ "jsonrpc": "2.0", "id": 1, "result": result }).to_string();
            let head = format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
            stream.get_mut().write_all(format!("{head}{body}").as_bytes()).expect("written");
        }
    });
    (url, listened)
}

#[test]
fn callboard_subscribe_logs_goes_on_where_the_node_goes_away_between_a_block_and_its_logs() {
    let (url, listened) = flickering_node();
    let mut command = callboard();
    command.args(["subscribe", "logs", "--rpc", &url]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut client = command.spawn().expect("it starts");
    let mut lines = std::io::BufReader::new(client.stdout.take().expect("piped")).lines();
    let log = lines.next().expect("a line, although the first question was not answered").expect("UTF-8");
    assert!(log.starts_with("0x7:0x0  0xcc"), "{log}");
    client.kill().expect("killed");
    client.wait().expect("ended");
    assert_eq!(*listened.lock().expect("no panic"), ["6", "6"], "the block is told again");
}

#[test]
fn callboard_subscribe_says_what_cannot_be_and_which_nodes_do_not_answer() {
    let place = Place::new();
    let unknown = place.run(&["subscribe", "weather"]);
    assert_eq!(unknown.code, 2);
    assert!(unknown.stderr.contains("blocks, transactions, logs, routes"), "{}", unknown.stderr);
    let error = place.run(&["subscribe", "blocks", "--rpc", "http://127.0.0.1:1"]).refused(1);
    assert!(error.contains("no node answers at http://127.0.0.1:1/"), "{error}");
}
