//! `cargo bench --bench rpc [-- BLOCKS TRANSFERS SECONDS]`: what a node's RPC does in a second, idle and while it catches up.
//!
//! Sixteen connections that are kept ask one thing again and again, each when it has its last answer. First of an
//! authority at rest, then of a follower while it catches up with it, then of the same follower at rest; the last two
//! make the ratios. Default: 20,000 blocks of 10 transfers, 3 seconds for each figure at rest. `CALLBOARD_BENCH_URL`
//! (`http://HOST:PORT`) names another node, which is asked the same, but for the route that only this program has.
//!
//! All processes share one machine, the client too: its share of the processors is printed. It parses nothing but the
//! length of an answer.

#[expect(dead_code, reason = "other benches use the rest")]
#[path = "common/connection.rs"]
mod connection;
#[expect(dead_code, reason = "the tests use the rest")]
#[path = "../tests/it/forge.rs"]
mod forge;
#[expect(dead_code, reason = "other benches use the rest")]
#[path = "common/process.rs"]
mod process;
#[expect(dead_code, reason = "other benches use the rest")]
#[path = "common/statistics.rs"]
mod statistics;
#[expect(dead_code, reason = "the tests use the rest")]
#[path = "../tests/it/support/mod.rs"]
mod support;

use connection::Connection;
use futures_util::future::join_all;
use serde_json::json;
use statistics::quantile;
use std::time::{Duration, Instant};
use support::chain;
use support::node::Node;
use support::wallet::address;
use tokio::runtime::Runtime;

/// Connections that ask at the same time.
const CONNECTIONS: usize = 16;
/// How long one thing is asked before the next one's turn: short, so that all are asked over the whole catching up.
const TURN: Duration = Duration::from_millis(200);
/// What is asked.
const QUESTIONS: [&str; 4] =
    ["eth_blockNumber", "eth_getBalance", "eth_getBlockByNumber (full)", "GET /rpc/transactions"];
/// The place of the route that only this program has.
const ROUTE: usize = 3;

fn main() {
    // `cargo bench` adds a flag of its own, and `cargo test` runs this without one: then there is nothing to measure.
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if !arguments.iter().any(|argument| argument == "--bench") {
        return;
    }
    let mut numbers = arguments.iter().filter_map(|argument| argument.parse::<u64>().ok());
    let (blocks, transfers) = (numbers.next().unwrap_or(20_000), numbers.next().unwrap_or(10));
    let rest = Duration::from_secs(numbers.next().unwrap_or(3));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    println!("{CONNECTIONS} connections; {blocks} blocks of {transfers} transfers; client: share of all processors");
    println!(
        "{:<22}  {:<28}  {:>10}  {:>8}  {:>8}  {:>7}",
        "node", "question", "requests/s", "p50 ms", "p99 ms", "client"
    );

    let mut authority = Node::authority();
    chain::build(&authority.path(""), blocks, transfers).expect("a chain");
    authority.set("genesis.heartbeat_s", 3_600).start();
    print("authority, idle", &at_rest(&runtime, &authority.rpc_url(), rest, true));
    if let Ok(url) = std::env::var("CALLBOARD_BENCH_URL") {
        print(&url, &at_rest(&runtime, &url, rest, false));
    }
    let mut follower = Node::follower("follower", &[&authority]);
    follower.start().reaches(1);
    let busy = while_catching_up(&runtime, &follower, blocks);
    print("follower, catching up", &busy);
    let idle = at_rest(&runtime, &follower.rpc_url(), rest, true);
    print("follower, idle", &idle);
    println!();
    for ((question, busy), idle) in QUESTIONS.iter().zip(&busy).zip(&idle) {
        let (requests, p99) = (busy.per_second() / idle.per_second(), busy.at(0.99) / idle.at(0.99));
        println!("catching up / idle      {question:<28}  {requests:>10.2}  {:>8}  {p99:>8.2}", "");
    }
}

/// Each question for so long.
fn at_rest(runtime: &Runtime, url: &str, rest: Duration, has_route: bool) -> Vec<Figures> {
    let mut clients = runtime.block_on(Clients::connect(url));
    let questions = 0..if has_route { QUESTIONS.len() } else { ROUTE };
    questions.map(|question| runtime.block_on(clients.ask(question, rest))).collect()
}

/// Each question in turn, until the follower has all these blocks and follows.
fn while_catching_up(runtime: &Runtime, follower: &Node, blocks: u64) -> Vec<Figures> {
    let mut clients = runtime.block_on(Clients::connect(&follower.rpc_url()));
    let mut figures: Vec<_> = QUESTIONS.iter().map(|_| Figures::default()).collect();
    for question in (0..QUESTIONS.len()).cycle() {
        let turn = runtime.block_on(clients.ask(question, TURN));
        let status = follower.status();
        if status["phase"] == "following" && status["head"]["height"].as_u64() >= Some(blocks) {
            // What came in this turn may be of a node at rest.
            break;
        }
        figures[question].add(turn);
    }
    assert!(figures.iter().all(|figures| !figures.micros.is_empty()), "it caught up at once: ask for more blocks");
    figures
}

fn print(node: &str, figures: &[Figures]) {
    for (question, figures) in QUESTIONS.iter().zip(figures) {
        println!(
            "{node:<22}  {question:<28}  {:>10.0}  {:>8.2}  {:>8.2}  {:>5.0} %",
            figures.per_second(),
            figures.at(0.5),
            figures.at(0.99),
            figures.client_share() * 100.0,
        );
    }
}

/// What was seen of one question.
#[derive(Default)]
struct Figures {
    /// How long each answer took, µs.
    micros: Vec<u32>,
    elapsed: Duration,
    client: Duration,
}

impl Figures {
    fn add(&mut self, other: Self) {
        self.micros.extend(other.micros);
        self.elapsed += other.elapsed;
        self.client += other.client;
    }

    fn per_second(&self) -> f64 {
        self.micros.len() as f64 / self.elapsed.as_secs_f64()
    }

    /// A quantile, ms.
    fn at(&self, share: f64) -> f64 {
        quantile(self.micros.iter().map(|micros| f64::from(*micros)), share) / 1_000.0
    }

    /// How much of all processors the client took.
    fn client_share(&self) -> f64 {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        self.client.as_secs_f64() / self.elapsed.as_secs_f64() / processors as f64
    }
}

/// Connections to one node.
struct Clients {
    connections: Vec<Connection>,
    requests: Vec<Vec<u8>>,
}

impl Clients {
    async fn connect(url: &str) -> Self {
        let connections = join_all((0..CONNECTIONS).map(|_| Connection::open(url))).await;
        let connections: Vec<_> = connections.into_iter().map(|connection| connection.expect("connected")).collect();
        Self { requests: requests(&connections[0]), connections }
    }

    /// Asks one thing on all connections for so long.
    async fn ask(&mut self, question: usize, during: Duration) -> Figures {
        let request = self.requests[question].as_slice();
        let (began, client) = (Instant::now(), own_time());
        let until = began + during;
        let asking = self.connections.iter_mut().map(|connection| ask_until(connection, request, until));
        let micros = join_all(asking).await.concat();
        Figures { micros, elapsed: began.elapsed(), client: own_time().saturating_sub(client) }
    }
}

/// The bytes of each request.
fn requests(connection: &Connection) -> Vec<Vec<u8>> {
    let account = address(0);
    vec![
        connection.call("eth_blockNumber", &json!([])),
        connection.call("eth_getBalance", &json!([account, "latest"])),
        connection.call("eth_getBlockByNumber", &json!(["latest", true])),
        connection.request("GET", &format!("/rpc/transactions?address={account}"), ""),
    ]
}

/// Asks, waits for the answer, and asks again; how long each answer took, µs.
async fn ask_until(connection: &mut Connection, request: &[u8], until: Instant) -> Vec<u32> {
    let mut micros = Vec::new();
    while Instant::now() < until {
        let began = Instant::now();
        let body = connection.ask(request).await.expect("an answer");
        micros.push(u32::try_from(began.elapsed().as_micros()).unwrap_or(u32::MAX));
        // An error would be a quick answer.
        let start = String::from_utf8_lossy(&body[..body.len().min(200)]);
        assert!(!start.contains(r#""error""#) && !start.contains(r#""success":false"#), "{start}");
    }
    micros
}

/// The processor time of this process so far.
fn own_time() -> Duration {
    Duration::from_secs_f64(process::cpu(std::process::id()))
}
