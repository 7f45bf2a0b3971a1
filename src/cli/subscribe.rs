//! `subscribe`: a line for each event, for as long as somebody reads.

use super::CliError;
use super::args::SubscribeArgs;
use super::output::{cell, line, note, plain};
use crate::event_client::{Heard, Listener, ServerEvent};
use crate::rpc_client::RpcClient;
use clap::ValueEnum;
use serde_json::{Value, json};

/// What can be listened to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Subject {
    /// Confirmed blocks
    Blocks,
    /// Confirmed transactions
    Transactions,
    /// What contracts log
    Logs,
    /// Deliveries of the routing table
    Routes,
}

impl Subject {
    /// The topic of the node's event stream. Logs are asked for block by block.
    fn topic(self) -> &'static str {
        match self {
            Self::Blocks | Self::Logs => "blocks",
            Self::Transactions => "transactions",
            Self::Routes => "routes",
        }
    }
}

/// Listens until it is interrupted. A node that does not answer at first is an error; one that was lost is tried again,
/// and nothing that was confirmed meanwhile is left out.
pub(super) async fn run(args: &SubscribeArgs) -> Result<(), CliError> {
    let client = RpcClient::new(args.client.rpc.as_deref())?;
    let topic = args.subject.topic();
    let head = client.height().await?;
    let after = (args.subject != Subject::Routes).then_some(head);
    let mut listener = Listener::open(&client, topic, after).await?;
    note(&format!("listening to {topic} of {}", client.url()));
    loop {
        let mut heard = listener.next().await;
        if let Heard::Event(event) = &heard
            && let Err(error) = print(args, &client, event).await
        {
            // The node went away between telling of a block and giving its logs: the block is told again.
            heard = if error.may_pass() { listener.lose(error.to_string()) } else { return Err(error) };
        }
        if let Heard::Lost(reason) = heard {
            say_lost(&client, &reason);
        }
    }
}

/// Says why a connection was lost.
pub(super) fn say_lost(client: &RpcClient, reason: &str) {
    note(&format!("connection to {} lost: {}; trying again", client.url(), plain(reason)));
}

async fn print(args: &SubscribeArgs, client: &RpcClient, event: &ServerEvent) -> Result<(), CliError> {
    if event.event == "gap" {
        note(&format!(
            "blocks {} to {} are missing: {}",
            event.data["from"],
            event.data["to"],
            cell(&event.data["message"])
        ));
        return Ok(());
    }
    if event.event != args.subject.topic() {
        return Ok(());
    }
    let (found, text): (Vec<Value>, fn(&Value) -> String) = match args.subject {
        Subject::Blocks => (vec![event.data.clone()], block),
        Subject::Transactions => (vec![event.data.clone()], transaction),
        Subject::Logs => (client.call("eth_getLogs", json!([{ "blockHash": event.data["hash"] }])).await?, log),
        Subject::Routes => (event.data["counts"].as_array().cloned().unwrap_or_default(), route),
    };
    found.iter().try_for_each(|value| line(&if args.client.json.json { value.to_string() } else { text(value) }))
}

fn block(block: &Value) -> String {
    let [height, hash, time, count] = ["height", "hash", "timestamp", "tx_count"].map(|field| cell(&block[field]));
    format!("{height}  {hash}  {time}  {count} transactions")
}

fn transaction(transaction: &Value) -> String {
    let fields = ["block_height", "index", "hash", "sender", "recipient", "value", "status"];
    let [height, index, hash, from, to, value, status] = fields.map(|field| cell(&transaction[field]));
    format!("{height}:{index}  {hash}  {from} -> {to}  {value} wei  {status}")
}

fn log(log: &Value) -> String {
    let [block, index, address, data] = ["blockNumber", "logIndex", "address", "data"].map(|field| cell(&log[field]));
    let topics: Vec<_> = log["topics"].as_array().into_iter().flatten().map(cell).collect();
    format!("{block}:{index}  {address}  [{}]  {data}", topics.join(" "))
}

fn route(count: &Value) -> String {
    let [origin, kind, route, count] = ["origin", "kind", "route", "count"].map(|field| cell(&count[field]));
    format!("{origin}  {kind}  {route}  {count}")
}
