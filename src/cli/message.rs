//! `message send`, `message inbox`, `message listen` and `message agent`: text between accounts. A message is a
//! transaction with a recipient whose input is text.

mod agent;
mod inbox;
mod patience;
mod state;

pub(super) use agent::run as agent;

use super::args::{ClientArgs, ListArgs, MessageArgs, MessageCommand};
use super::output::{cell, json_line, line, note};
use super::subscribe::say_lost;
use super::tx::print_receipt;
use super::tx::sign::{Content, Place, build, signing_key, submit};
use super::{CliError, Output};
use crate::event_client::{Heard, Listener};
use crate::rpc_client::RpcClient;
use alloy_primitives::Address;
use inbox::{Inbox, Message};
use patience::Patience;
use serde_json::{Value, json};

pub(super) async fn run(command: &MessageCommand) -> Result<(), CliError> {
    match command {
        MessageCommand::Send(args) => send(args).await,
        MessageCommand::Inbox { address, list: args } => list(*address, args).await,
        MessageCommand::Listen { address, from, client } => listen(*address, *from, client).await,
        MessageCommand::Agent(args) => agent(args).await,
    }
}

async fn send(args: &MessageArgs) -> Result<(), CliError> {
    let key = signing_key(args.from, &args.key)?;
    let rpc = RpcClient::new(args.client.rpc.as_deref())?;
    let content = Content::message(args.from, args.to, &args.text);
    let transaction = build(&rpc, content, Place::default(), &args.gas).await?.sign(&key);
    let hash = submit(&rpc, &transaction).await?;
    let output = Output::from(&args.client.json);
    match args.wait {
        true => print_receipt(&rpc, hash, output).await,
        false => output.print(&json!({ "hash": hash }), |_| hash.to_string()),
    }
}

async fn list(address: Address, args: &ListArgs) -> Result<(), CliError> {
    let rpc = RpcClient::new(args.client.rpc.as_deref())?;
    let page: Value = rpc.call("callboard_getMessages", json!([address, args.query()])).await?;
    if args.client.json.json {
        return json_line(&page);
    }
    let messages: Vec<Message> = serde_json::from_value(page["messages"].clone())
        .map_err(|error| CliError::failed(format!("the answer of {}: {error}", rpc.url())))?;
    messages.iter().try_for_each(|message| line(&message.line()))?;
    match &page["next"] {
        Value::Null => Ok(()),
        next => line(&format!("\nmore: {} {}", args.direction(), cell(next))),
    }
}

/// Prints what comes, until it is interrupted. A node that does not answer at first is an error; one that was lost is
/// tried again, and nothing is left out or told twice: events only say when to look.
async fn listen(address: Address, from: Option<u64>, client: &ClientArgs) -> Result<(), CliError> {
    let rpc = RpcClient::new(client.rpc.as_deref())?;
    let mut inbox = Inbox::from(&rpc, address, from).await?;
    let mut listener = Listener::open(&rpc, "blocks", None).await?;
    note(&format!("listening for messages to {address} at {}", rpc.url()));
    loop {
        while let Some(message) = Patience::default().next(&mut inbox).await? {
            match Output::from(&client.json) {
                Output::Json => json_line(&json!(message))?,
                Output::Text => line(&message.line())?,
            }
        }
        if let Heard::Lost(reason) = listener.next().await {
            say_lost(&rpc, &reason);
        }
    }
}
