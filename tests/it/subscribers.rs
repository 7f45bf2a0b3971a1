//! Many clients that listen to one node, and some that do not read.

use crate::support::node::{Node, SOON, hex_number};
use crate::support::wallet::{make_blocks, sign, transfer, transfers};
use crate::support::websocket::WebSocket;
use crate::support::{Place, callboard, until};
use alloy_consensus::TxLegacy;
use alloy_primitives::{Bytes, TxKind};
use callboard::dev;
use serde_json::{Value, json};
use std::io::{BufRead, Lines, Read, Write};
use std::process::{Child, ChildStderr, ChildStdout, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Init code that logs topic 7 and makes an empty contract: PUSH1 7, PUSH1 0, PUSH1 0, LOG1, STOP.
const LOGS: [u8; 8] = [0x60, 7, 0x60, 0, 0x60, 0, 0xa1, 0];
/// Half of each over server-sent events, half over WebSockets.
const READERS: usize = 900;
const STALLED: usize = 100;
/// Large transactions, and how much data each brings: each is told of twice, pending and in its block, and together that is
/// nearly twice what may wait for one subscriber.
const LARGE: u64 = 150;
const DATA: usize = 100_000;
/// What a node's memory may grow by for all of its subscribers, beyond what the same load takes without any, KiB: some
/// 75 MiB are expected. A connection takes 30 to 40 KiB, 1,000 of them 40 MiB. What waits for those that do not read is
/// shared: 16 MiB of blocks and transactions for all of them, and what is on its way to one, at most half a MiB of pieces
/// of one written form. A queue of its own for each would be 100 times 16 MiB.
const GROWTH: u64 = 128 << 10;

/// Connects; a small buffer is full at once.
async fn connect(at: &str, buffer: Option<u32>) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    if let Some(buffer) = buffer {
        socket.set_recv_buffer_size(buffer).expect("set");
    }
    socket.connect(at.parse().expect("an address")).await.expect("connected")
}

/// Opens the events of `topics`; returns once the first bytes came.
async fn listen(at: &str, topics: &str, buffer: Option<u32>) -> TcpStream {
    let mut stream = connect(at, buffer).await;
    let request = format!("GET /rpc/events?topics={topics} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("written");
    let mut first = [0; 12];
    stream.read_exact(&mut first).await.expect("an answer");
    assert_eq!(&first, b"HTTP/1.1 200");
    stream
}

/// Opens a WebSocket with these subscriptions.
async fn socket(at: &str, subscriptions: &[Value], buffer: Option<u32>) -> WebSocket {
    let mut socket = WebSocket::over(connect(at, buffer).await).await;
    for subscription in subscriptions {
        socket.subscribe(subscription.clone()).await;
    }
    socket
}

/// One that reads.
enum Reader {
    Events(tokio::io::Lines<BufReader<TcpStream>>),
    Socket(WebSocket),
}

impl Reader {
    /// The height of the block that comes next.
    async fn next(&mut self) -> u64 {
        match self {
            Self::Socket(socket) => hex_number(&socket.next().await["params"]["result"]["number"]),
            Self::Events(lines) => loop {
                let line = lines.next_line().await.expect("read").expect("the stream goes on");
                if let Some(id) = line.strip_prefix("id: ") {
                    return id.parse().expect("a height");
                }
            },
        }
    }

    /// The heights that come, up to the last one, which is told before it comes.
    async fn heights(mut self, last: watch::Receiver<Option<u64>>) -> Vec<u64> {
        let mut heights = Vec::new();
        while last.borrow().is_none_or(|last| heights.last() != Some(&last)) {
            heights.push(self.next().await);
        }
        heights
    }
}

fn large(nonce: u64) -> Bytes {
    let mut transaction = transfer(nonce);
    transaction.input = vec![0; DATA].into();
    transaction.gas_limit = 1_100_000;
    sign(&dev::key(1), transaction)
}

/// Sends the large transactions from this nonce on, and waits until they are confirmed.
fn load(node: &Node, from: u64) {
    let hashes: Vec<_> = (from..from + LARGE).flat_map(|nonce| node.send(&[large(nonce)])).collect();
    hashes.iter().for_each(|hash| _ = node.receipt(*hash));
}

#[test]
fn a_thousand_subscribers_of_which_a_tenth_never_reads_cost_the_chain_nothing() {
    let mut node = Node::authority();
    node.set("rpc.max_connections", 1_200).start();
    // What the chain itself takes for the load is no cost of subscribers.
    load(&node, 0);
    let (memory, first) = (node.peak_memory(), node.height() + 1);

    let at = node.rpc_url().trim_start_matches("http://").to_owned();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let (mut reading, (tell_last, last)) = (JoinSet::new(), watch::channel(None));
    let stalled: Vec<TcpStream> = runtime.block_on(async {
        for _ in 0..READERS / 2 {
            let events = BufReader::new(listen(&at, "blocks", None).await).lines();
            let socket = socket(&at, &[json!(["newHeads"])], None).await;
            for reader in [Reader::Events(events), Reader::Socket(socket)] {
                reading.spawn(reader.heights(last.clone()));
            }
        }
        let all = [json!(["newHeads"]), json!(["newPendingTransactions", true])];
        let mut stalled = Vec::new();
        for _ in 0..STALLED / 2 {
            stalled.push(listen(&at, "blocks,transactions,pending", Some(4_096)).await);
            stalled.push(socket(&at, &all, Some(4_096)).await.into_stream());
        }
        stalled
    });

    load(&node, LARGE);
    make_blocks(&node, 0, 4);
    // An authority without empty blocks makes one for the next transaction.
    let last = node.height() + 1;
    tell_last.send_replace(Some(last));
    make_blocks(&node, 4, 1);
    assert_eq!(node.height(), last);
    let heard = async { tokio::time::timeout(SOON, reading.join_all()).await };
    let heard = runtime.block_on(heard).expect("every reader has the last block");
    let all: Vec<u64> = (first..=last).collect();
    assert!(heard.iter().all(|heights| *heights == all), "every reader has every block in order");
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

/// A follower that has the genesis and nothing else.
fn newcomer(name: &'static str, authority: &Node) -> Node {
    let mut follower = Node::follower(name, &[authority]);
    follower.set("sync.commit_ms", 50).start().is_phase("following");
    follower.stop();
    follower
}

/// Starts a follower that hears of the authority's blocks only once it is `watched`; how long it then takes to have them.
fn catches_up<T>(follower: &mut Node, authority: &Node, last: u64, watch: impl FnOnce(&Node) -> T) -> (T, Duration) {
    authority.pause();
    follower.start();
    let watchers = watch(follower);
    assert_eq!(follower.height(), 0);
    authority.resume();
    follower.reaches(1);
    let begun = Instant::now();
    follower.reaches(last);
    (watchers, begun.elapsed())
}

/// What a dashboard listens to while blocks come faster than anybody reads them.
const WHILE_BUSY: &str = "sync,routes";

/// Reads until the node says that it follows at this height.
async fn hears_the_head(mut lines: tokio::io::Lines<BufReader<TcpStream>>, height: u64) {
    loop {
        let line = lines.next_line().await.expect("read").expect("the stream goes on");
        let status = line.strip_prefix("data: ").and_then(|data| serde_json::from_str::<Value>(data).ok());
        if status.is_some_and(|status| status["phase"] == "following" && status["head"]["height"] == height) {
            return;
        }
    }
}

#[test]
fn subscribers_that_stop_reading_while_a_follower_catches_up_cost_neither_its_speed_nor_the_others() {
    const STALLED: usize = 40;
    const READERS: usize = 10;
    let mut authority = Node::authority();
    authority.start();
    let (mut alone, mut watched) = (newcomer("alone", &authority), newcomer("watched", &authority));
    [0, LARGE].iter().for_each(|nonce| load(&authority, *nonce));
    let last = authority.height();
    let ((), unwatched) = catches_up(&mut alone, &authority, last, |_| ());
    let memory = alone.peak_memory();
    alone.stop();

    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let mut reading = JoinSet::new();
    let (stalled, took) = catches_up(&mut watched, &authority, last, |node| {
        let at = node.rpc_url().trim_start_matches("http://").to_owned();
        runtime.block_on(async {
            let mut stalled = Vec::new();
            for _ in 0..STALLED {
                // As a dashboard listens, and with the transactions, which fill every buffer on the way.
                stalled.push(listen(&at, "blocks,transactions,pending,sync,routes", Some(4_096)).await);
            }
            for _ in 0..READERS {
                let lines = BufReader::new(listen(&at, WHILE_BUSY, None).await).lines();
                reading.spawn(hears_the_head(lines, last));
            }
            // One of these stops reading as well.
            (stalled, listen(&at, WHILE_BUSY, Some(4_096)).await)
        })
    });
    let heard = runtime.block_on(async { tokio::time::timeout(SOON, reading.join_all()).await });
    assert_eq!(heard.expect("every reader hears of the head").len(), READERS);
    // Each block is written once for all of them; a follower that waited for one of them would not get on at all.
    assert!(took < unwatched * 3 + Duration::from_secs(3), "{took:?}, and {unwatched:?} with nobody listening");
    until("the stalled subscribers are dropped", SOON, || {
        let dropped = watched.metric_with("callboard_event_subscribers_dropped_total", "reason=\"too_many_bytes\"");
        (dropped == STALLED as u64).then_some(())
    });
    let grown = watched.peak_memory().saturating_sub(memory);
    assert!(grown < GROWTH, "the node has grown by {grown} KiB");
    // What comes once a second may wait for long.
    until("one is left", SOON, || (watched.metric("callboard_event_subscribers") == 1).then_some(()));
    drop(stalled);
    assert_eq!(watched.hash(last), authority.hash(last));
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

/// `callboard subscribe SUBJECT --json`, listening.
struct Listener {
    client: Child,
    errors: Lines<std::io::BufReader<ChildStderr>>,
    lines: Lines<std::io::BufReader<ChildStdout>>,
}

impl Listener {
    /// Starts it, and waits until it listens.
    fn to(subject: &str, node: &Node) -> Self {
        let mut command = callboard();
        command.args(["subscribe", subject, "--json", "--rpc", &node.rpc_url()]);
        let mut client = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
        let errors = std::io::BufReader::new(client.stderr.take().expect("piped")).lines();
        let lines = std::io::BufReader::new(client.stdout.take().expect("piped")).lines();
        let mut listener = Self { client, errors, lines };
        let said = listener.error();
        assert!(said.starts_with("listening to "), "{said}");
        listener
    }

    /// The next line on standard error.
    fn error(&mut self) -> String {
        self.errors.next().expect("it goes on").expect("a line")
    }

    /// The next line.
    fn next(&mut self) -> Value {
        let line = self.lines.next().expect("it goes on").expect("a line");
        serde_json::from_str(&line).expect("JSON")
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let _ = self.client.kill().and_then(|()| self.client.wait());
    }
}

#[test]
fn callboard_subscribe_prints_a_line_for_each_event_and_goes_on_when_the_node_comes_back() {
    let mut node = Node::authority();
    node.start();
    let mut blocks = Listener::to("blocks", &node);
    make_blocks(&node, 0, 2);
    assert_eq!([1, 2].map(|_| blocks.next()["height"].clone()), [1, 2]);
    node.stop();
    assert!(blocks.error().contains("the node is stopping"));
    node.start();
    make_blocks(&node, 2, 2);
    assert_eq!([3, 4].map(|_| blocks.next()["height"].clone()), [3, 4], "what came meanwhile is not missed");
}

#[test]
fn callboard_subscribe_transactions_prints_each_confirmed_one_in_the_order_of_the_chain() {
    let mut node = Node::authority();
    node.start();
    let mut transactions = Listener::to("transactions", &node);
    let sent = node.send(&transfers(0, 0, 20));
    for hash in &sent {
        node.receipt(*hash);
        let heard = transactions.next();
        // They are as the route for one transaction gives them.
        assert_eq!(heard, node.get(&format!("/rpc/transactions/{hash}")).1["transaction"]);
        assert_eq!((&heard["hash"], &heard["status"]), (&json!(hash), &json!("confirmed")));
    }
    node.stop();
    assert!(transactions.error().contains("the node is stopping"));
    node.start();
    let sent = node.send(&transfers(0, 20, 3));
    assert_eq!(
        sent.iter().map(|_| transactions.next()["hash"].clone()).collect::<Vec<_>>(),
        json!(sent).as_array().expect("a list").clone()
    );
}

#[test]
fn callboard_subscribe_logs_prints_what_contracts_log_and_nothing_of_other_blocks() {
    let mut node = Node::authority();
    node.start();
    let mut logs = Listener::to("logs", &node);
    for nonce in [0, 2] {
        // A block without a log between them.
        let emit = TxLegacy { to: TxKind::Create, gas_limit: 100_000, input: LOGS.into(), ..transfer(nonce) };
        let hash = node.send(&[sign(&dev::key(0), emit)])[0];
        let receipt = node.receipt(hash);
        make_blocks(&node, nonce + 1, 1);
        let heard = logs.next();
        assert_eq!(heard, receipt["logs"][0]);
        assert_eq!(heard["topics"], json!([format!("0x{:064x}", 7)]));
        assert_eq!(heard["address"], receipt["contractAddress"]);
    }
}

#[test]
fn callboard_subscribe_routes_prints_each_delivery_that_is_counted() {
    let mut node = Node::authority();
    node.start();
    let mut routes = Listener::to("routes", &node);
    make_blocks(&node, 0, 3);
    until("three blocks went out", SOON, || (node.routed("BroadcastBlock") == 3).then_some(()));
    let counted = node.call("callboard_routes", json!([]))["counts"].clone();
    let mut counts = counted.as_array().expect("counts").iter();
    let broadcasts = counts.find(|count| count["route"] == "BroadcastBlock").expect("they are counted");
    // At first all of them as they are, then those that have changed.
    while routes.next() != *broadcasts {}
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
