//! From `eth_sendRawTransaction` to confirmed: `cargo bench --bench live [-- TRANSFERS [RUNS]]`.
//!
//! Four connections send signed transfers of ten accounts to an authority that seals every 100 ms, each the next one when
//! the last is answered; a fifth asks for the receipt of every hundredth, again and again. A transfer that is refused is
//! sent again after a moment, and counted. Then, with nothing else to do, transfers one by one from sending to receipt.
//! Default: 20,000 transfers, 3 runs, medians.
//!
//! `CALLBOARD_BENCH_URL` (`http://HOST:PORT`) names another node with the same ten funded accounts, which gets the same in
//! the same run, turn by turn: `anvil --block-time 0.1` is one.

#[path = "../common/accounts.rs"]
mod accounts;
#[path = "../common/connection.rs"]
mod connection;
#[expect(dead_code, reason = "the tests use the rest")]
#[path = "../../tests/it/forge.rs"]
mod forge;
#[path = "../common/statistics.rs"]
mod statistics;
#[expect(dead_code, reason = "the tests use the rest")]
#[path = "../../tests/it/support/mod.rs"]
mod support;

use accounts::wallets;
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, hex};
use connection::Connection;
use futures_util::future::try_join_all;
use serde_json::json;
use statistics::{median, quantile};
use std::cell::Cell;
use std::time::{Duration, Instant};
use support::chain::{Failure, Wallet};
use support::node::Node;

/// Connections that send.
const CONNECTIONS: usize = 4;
/// Of so many transfers, one is watched to its receipt.
const WATCHED: usize = 100;
/// Transfers sent one by one, with nothing else to do.
const ALONE: usize = 50;
/// Before a transfer that was refused is sent again, and before a receipt is asked for again.
const MOMENT: Duration = Duration::from_millis(2);
/// A transfer that is refused for so long is not wanted.
const PATIENCE: Duration = Duration::from_secs(60);

fn main() -> Result<(), Failure> {
    // `cargo bench` adds a flag of its own, and `cargo test` runs this without one: then there is nothing to measure.
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if !arguments.iter().any(|argument| argument == "--bench") {
        return Ok(());
    }
    let mut numbers = arguments.iter().filter_map(|argument| argument.parse::<usize>().ok());
    let (transfers, runs) = (numbers.next().unwrap_or(20_000), numbers.next().unwrap_or(3));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut authority = Node::authority();
    authority.set("authority.block_interval_ms", 100).start();
    let mut nodes = vec![("callboard".to_owned(), authority.rpc_url(), Vec::new())];
    if let Ok(url) = std::env::var("CALLBOARD_BENCH_URL") {
        nodes.push((url.clone(), url, Vec::new()));
    }
    println!("{transfers} transfers of 10 accounts over {CONNECTIONS} connections; medians of {runs} runs");
    for _ in 0..runs {
        for (_, url, runs) in &mut nodes {
            runs.push(runtime.block_on(run(url, transfers))?);
        }
    }
    println!(
        "{:<28}  {:>12}  {:>12}  {:>8}  {:>22}  {:>22}",
        "node", "accepted/s", "confirmed/s", "refused", "receipt p50, p99 ms", "alone p50, p99 ms"
    );
    for (name, _, runs) in &nodes {
        let figure = |of: fn(&Run) -> f64| median(runs.iter().map(of));
        println!(
            "{name:<28}  {:>12.0}  {:>12.0}  {:>8.0}  {:>22}  {:>22}",
            figure(|run| run.accepted),
            figure(|run| run.confirmed),
            figure(|run| run.refused),
            format!(
                "{:.0}, {:.0}",
                figure(|run| quantile(run.loaded.iter().copied(), 0.5)),
                figure(|run| quantile(run.loaded.iter().copied(), 0.99))
            ),
            format!(
                "{:.0}, {:.0}",
                figure(|run| quantile(run.alone.iter().copied(), 0.5)),
                figure(|run| quantile(run.alone.iter().copied(), 0.99))
            ),
        );
    }
    if let [ours, other] = &nodes[..] {
        let confirmed = |runs: &[Run]| median(runs.iter().map(|run| run.confirmed));
        println!("confirmed, ours over the other's: {:.2}", confirmed(&ours.2) / confirmed(&other.2));
    }
    Ok(())
}

/// What one run showed.
struct Run {
    /// Transfers a second that were taken into the pool.
    accepted: f64,
    /// Transfers a second from the first that was sent to the last that has a receipt.
    confirmed: f64,
    /// Answers that were errors.
    refused: f64,
    /// From sending to the receipt, ms, while all are sent.
    loaded: Vec<f64>,
    /// The same with nothing else to do.
    alone: Vec<f64>,
}

/// A signed transfer: the call that sends it, and the call for its receipt.
struct Signed {
    send: Vec<u8>,
    receipt: Vec<u8>,
}

async fn run(url: &str, transfers: usize) -> Result<Run, Failure> {
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS {
        connections.push(Connection::open(url).await?);
    }
    let mut watcher = Connection::open(url).await?;
    let mut wallets = wallets(&mut watcher).await?;
    let queues = sign(&watcher, &mut wallets, transfers)?;
    let lonely = (0..ALONE).map(|_| signed(&watcher, &mut wallets[0])).collect::<Result<Vec<_>, _>>()?;
    let watched: Vec<_> = queues.iter().map(|_| Cell::new((None, 0))).collect();
    let (began, refused) = (Instant::now(), Cell::new(0u32));
    let sending = connections.iter_mut().zip(&queues).zip(&watched).map(|((connection, queue), sent)| {
        let refused = &refused;
        async move {
            for (place, transfer) in queue.iter().enumerate() {
                let at = Instant::now();
                send(connection, transfer, refused).await?;
                if place.is_multiple_of(WATCHED) && sent.get().0.is_none() {
                    sent.set((Some(at), place));
                }
            }
            Ok::<_, Failure>(())
        }
    });
    let is_sent = Cell::new(false);
    let watching = async {
        let mut loaded = Vec::new();
        while !is_sent.get() {
            for (queue, sent) in queues.iter().zip(&watched) {
                if let (Some(at), place) = sent.get()
                    && has_receipt(&mut watcher, &queue[place]).await?
                {
                    loaded.push(at.elapsed().as_secs_f64() * 1e3);
                    sent.set((None, place));
                }
            }
            tokio::time::sleep(MOMENT).await;
        }
        Ok::<_, Failure>(loaded)
    };
    let sending = async {
        try_join_all(sending).await?;
        is_sent.set(true);
        Ok::<_, Failure>(began.elapsed())
    };
    let (accepted, loaded) = futures_util::future::try_join(sending, watching).await?;
    for queue in &queues {
        for last in queue.iter().rev().take(wallets.len()) {
            until_receipt(&mut watcher, last).await?;
        }
    }
    let confirmed = began.elapsed();
    let mut alone = Vec::new();
    for transfer in &lonely {
        let at = Instant::now();
        send(&mut watcher, transfer, &refused).await?;
        until_receipt(&mut watcher, transfer).await?;
        alone.push(at.elapsed().as_secs_f64() * 1e3);
    }
    let per_second = |time: Duration| transfers as f64 / time.as_secs_f64();
    let (accepted, confirmed) = (per_second(accepted), per_second(confirmed));
    Ok(Run { accepted, confirmed, refused: f64::from(refused.get()), loaded, alone })
}

/// One list of transfers for each connection; each account sends over one connection, in the order of its nonces.
fn sign(connection: &Connection, wallets: &mut [Wallet], transfers: usize) -> Result<Vec<Vec<Signed>>, Failure> {
    let mut queues: Vec<Vec<Signed>> = (0..CONNECTIONS).map(|_| Vec::new()).collect();
    for place in 0..transfers {
        let account = place % wallets.len();
        queues[account % CONNECTIONS].push(signed(connection, &mut wallets[account])?);
    }
    Ok(queues)
}

fn signed(connection: &Connection, wallet: &mut Wallet) -> Result<Signed, Failure> {
    let (transaction, _) = wallet.transfer(Address::repeat_byte(0x55), 1)?;
    let send = connection.call("eth_sendRawTransaction", &json!([hex::encode_prefixed(transaction.encoded_2718())]));
    let receipt = connection.call("eth_getTransactionReceipt", &json!([transaction.tx_hash()]));
    Ok(Signed { send, receipt })
}

/// Sends until it is taken.
async fn send(connection: &mut Connection, transfer: &Signed, refused: &Cell<u32>) -> Result<(), Failure> {
    let began = Instant::now();
    loop {
        let answer = connection.json(&transfer.send).await?;
        if answer["result"].is_string() {
            return Ok(());
        }
        refused.set(refused.get() + 1);
        if began.elapsed() > PATIENCE {
            return Err(format!("refused for {PATIENCE:?}: {answer}").into());
        }
        tokio::time::sleep(MOMENT).await;
    }
}

async fn has_receipt(connection: &mut Connection, transfer: &Signed) -> Result<bool, Failure> {
    Ok(connection.json(&transfer.receipt).await?["result"].is_object())
}

async fn until_receipt(connection: &mut Connection, transfer: &Signed) -> Result<(), Failure> {
    let began = Instant::now();
    while !has_receipt(connection, transfer).await? {
        if began.elapsed() > PATIENCE {
            return Err(format!("a transfer that was taken has no receipt after {PATIENCE:?}").into());
        }
        tokio::time::sleep(MOMENT).await;
    }
    Ok(())
}
