//! `cargo bench --bench rpc [-- BLOCKS TRANSFERS SECONDS]`: what a node's RPC does in a second, idle and while it catches up.
//!
//! Sixteen connections that are kept ask one thing again and again, each when it has its last answer. First of an
//! authority at rest, then of a follower while it catches up with it, then of the same follower at rest; the last two
//! make the ratios. Default: 20,000 blocks of 10 transfers, 3 seconds for each figure at rest.
//!
//! `CALLBOARD_BENCH_URL` (`http://HOST:PORT`) names another node with the same ten funded accounts, without a block time:
//! `anvil --port 8555` is one. It gets a newest block of as many transfers of the same accounts, and is asked the same as
//! the authority, turn by turn, but for the route that only this program has; the rates of the two make ratios, too. That
//! the answers are alike shows in how long they are.
//!
//! All processes share one machine, the client too: its share of the processors is printed. It parses nothing but the
//! length of an answer.

#[path = "../common/accounts.rs"]
mod accounts;
#[path = "../common/connection.rs"]
mod connection;
#[expect(dead_code, reason = "the tests use the rest")]
#[path = "../../tests/it/forge.rs"]
mod forge;
mod other;
#[expect(dead_code, reason = "other benches use the rest")]
#[path = "../common/process.rs"]
mod process;
#[expect(dead_code, reason = "other benches use the rest")]
#[path = "../common/statistics.rs"]
mod statistics;
#[expect(dead_code, reason = "the tests use the rest")]
#[path = "../../tests/it/support/mod.rs"]
mod support;

use connection::Connection;
use futures_util::future::join_all;
use serde_json::json;
use statistics::quantile;
use std::time::{Duration, Instant};
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
/// Turns in which two nodes are asked one thing at rest, so that both have the same of what else the machine does.
const TURNS: u32 = 5;

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
        "{:<22}  {:<28}  {:>10}  {:>8}  {:>8}  {:>7}  {:>7}",
        "node", "question", "requests/s", "p50 ms", "p99 ms", "bytes", "client"
    );

    let mut authority = Node::authority_over(blocks, transfers);
    authority.start();
    let mut compared = vec![authority.rpc_url()];
    let other = std::env::var("CALLBOARD_BENCH_URL").ok();
    if let Some(url) = &other {
        runtime.block_on(other::prepare(url, transfers)).expect("a node that can be compared");
        compared.push(url.clone());
    }
    let figures = at_rest(&runtime, &compared, rest);
    print("authority, idle", &figures[0]);
    if let Some(url) = &other {
        runtime.block_on(other::check(url, transfers)).expect("the newest block is still the same");
        print(url, &figures[1]);
    }
    let mut follower = Node::follower("follower", &[&authority]);
    follower.start().reaches(1);
    let busy = while_catching_up(&runtime, &follower, blocks);
    print("follower, catching up", &busy);
    let idle = at_rest(&runtime, &[follower.rpc_url()], rest);
    print("follower, idle", &idle[0]);

    println!("\n{:<22}  {:<28}  {:>10}  {:>8}  {:>8}", "ratio", "question", "requests/s", "p50", "p99");
    if let [ours, others] = &figures[..] {
        print_ratios("ours / the other's", ours, others);
    }
    print_ratios("catching up / idle", &busy, &idle[0]);
}

/// Each question for so long, of the nodes at these URLs turn by turn; the second one has no route of ours.
fn at_rest(runtime: &Runtime, urls: &[String], rest: Duration) -> Vec<Vec<Figures>> {
    let mut clients: Vec<_> = urls.iter().map(|url| runtime.block_on(Clients::connect(url))).collect();
    let mut figures: Vec<Vec<Figures>> = urls.iter().map(|_| Vec::new()).collect();
    for question in 0..QUESTIONS.len() {
        for _ in 0..TURNS {
            for (node, (clients, figures)) in clients.iter_mut().zip(&mut figures).enumerate() {
                if node == 0 || question != ROUTE {
                    let turn = runtime.block_on(clients.ask(question, rest / TURNS));
                    figures.resize_with(question + 1, Figures::default);
                    figures[question].add(turn);
                }
            }
        }
    }
    figures
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
            "{node:<22}  {question:<28}  {:>10.0}  {:>8.2}  {:>8.2}  {:>7}  {:>5.0} %",
            figures.per_second(),
            figures.at(0.5),
            figures.at(0.99),
            figures.bytes,
            figures.client_share() * 100.0,
        );
    }
}

/// Of the questions that both were asked, how many times as much the first ones are.
fn print_ratios(of: &str, first: &[Figures], second: &[Figures]) {
    for ((question, first), second) in QUESTIONS.iter().zip(first).zip(second) {
        println!(
            "{of:<22}  {question:<28}  {:>10.2}  {:>8.2}  {:>8.2}",
            first.per_second() / second.per_second(),
            first.at(0.5) / second.at(0.5),
            first.at(0.99) / second.at(0.99),
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
    /// Of the longest answer.
    bytes: usize,
}

impl Figures {
    fn add(&mut self, other: Self) {
        self.micros.extend(other.micros);
        self.elapsed += other.elapsed;
        self.client += other.client;
        self.bytes = self.bytes.max(other.bytes);
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
        let answers = join_all(asking).await;
        let (elapsed, client) = (began.elapsed(), own_time().saturating_sub(client));
        let bytes = answers.iter().map(|(_, bytes)| *bytes).max().unwrap_or_default();
        let micros = answers.into_iter().flat_map(|(micros, _)| micros).collect();
        Figures { micros, elapsed, client, bytes }
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

/// Asks, waits for the answer, and asks again; how long each answer took, µs, and the bytes of the longest.
async fn ask_until(connection: &mut Connection, request: &[u8], until: Instant) -> (Vec<u32>, usize) {
    let (mut micros, mut bytes) = (Vec::new(), 0);
    while Instant::now() < until {
        let began = Instant::now();
        let body = connection.ask(request).await.expect("an answer");
        micros.push(u32::try_from(began.elapsed().as_micros()).unwrap_or(u32::MAX));
        bytes = bytes.max(body.len());
        // An error would be a quick answer.
        let start = String::from_utf8_lossy(&body[..body.len().min(200)]);
        assert!(!start.contains(r#""error""#) && !start.contains(r#""success":false"#), "{start}");
    }
    (micros, bytes)
}

/// The processor time of this process so far.
fn own_time() -> Duration {
    Duration::from_secs_f64(process::cpu(std::process::id()))
}
