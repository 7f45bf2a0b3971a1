//! `message agent`: answers each message that an account receives, one after another, each once.
//!
//! An answer is signed once, kept, and the same bytes are sent until their receipt is there: a node that is killed loses
//! its pool, and an answer with a fresh nonce beside one that is still under way could answer twice.

use super::inbox::{Inbox, Message};
use super::patience::Patience;
use super::state::{Answer, State, StateFile};
use crate::cli::args::{AgentArgs, GasArgs};
use crate::cli::output::{json_line, line, note, plain, quantity};
use crate::cli::subscribe::say_lost;
use crate::cli::tx::sign::{Content, Place, build, receipt, signing_key, succeeded};
use crate::cli::{CliError, Output};
use crate::event_client::{Heard, Listener};
use crate::rpc_client::{RpcClient, RpcClientError};
use alloy_consensus::Transaction as _;
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::B256;
use callboard_chain::keys::SecretKey;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::Instant;

/// After so long without a receipt the same bytes are sent again.
const SEND_AGAIN_AFTER: Duration = Duration::from_secs(1);
/// Between two looks for the receipt.
const LOOK_EVERY: Duration = Duration::from_millis(25);
/// JSON-RPC: a call ran and reverted.
const REVERTED: i64 = 3;

/// Answers until it is interrupted, or has given so many answers. A node that does not answer at first is an error.
pub(in crate::cli) async fn run(args: &AgentArgs) -> Result<(), CliError> {
    let key = signing_key(args.address, &args.key)?;
    let rpc = RpcClient::new(args.client.rpc.as_deref())?;
    let (mut agent, mut inbox) = Agent::start(args, key, &rpc).await?;
    let mut listener = Listener::open(&rpc, "blocks", None).await?;
    note(&format!("answering messages to {} at {}", args.address, rpc.url()));
    loop {
        while !agent.is_done() {
            let Some(message) = Patience::default().next(&mut inbox).await? else { break };
            agent.on_message(&message).await?;
        }
        if agent.is_done() {
            return Ok(());
        }
        agent.state.after = inbox.place().to_owned();
        if let Heard::Lost(reason) = listener.next().await {
            say_lost(&rpc, &reason);
        }
    }
}

struct Agent {
    rpc: RpcClient,
    key: SecretKey,
    reply: String,
    count: Option<u64>,
    gas: GasArgs,
    output: Output,
    file: StateFile,
    state: State,
}

/// What became of an answer.
enum Delivered {
    /// It is in a block.
    Confirmed(Value),
    /// It can never be: another transaction of the account has its nonce.
    Superseded,
}

impl Agent {
    async fn start(args: &AgentArgs, key: SecretKey, rpc: &RpcClient) -> Result<(Self, Inbox), CliError> {
        let file = StateFile::new(args.state.as_deref())?;
        let genesis = rpc.block_hash(0).await?;
        let genesis = genesis.ok_or_else(|| CliError::failed(format!("the node at {} has no block 0", rpc.url())))?;
        let kept = file.read(args.address, genesis)?;
        let inbox = match &kept {
            Some(kept) => Inbox::after(rpc, args.address, kept.after.clone()),
            None => Inbox::from(rpc, args.address, args.from).await?,
        };
        let after = inbox.place().to_owned();
        let fresh = State { address: args.address, genesis, after, answered: 0, answering: None };
        let state = kept.unwrap_or(fresh);
        // Also where nobody writes for a long time, a restart begins where this start did.
        file.write(&state)?;
        let agent = Self {
            rpc: rpc.clone(),
            key,
            reply: args.reply.clone(),
            count: args.count,
            gas: args.gas.clone(),
            output: Output::from(&args.client.json),
            file,
            state,
        };
        Ok((agent, inbox))
    }

    fn is_done(&self) -> bool {
        self.count.is_some_and(|count| self.state.answered >= count)
    }

    /// Answers it, unless it is the agent's own or did not happen. What is printed is settled: the state is kept first.
    async fn on_message(&mut self, message: &Message) -> Result<(), CliError> {
        let wants_answer = message.from != self.state.address && message.status == "confirmed";
        let given = if wants_answer { self.answer(message).await? } else { None };
        self.state.after = message.place();
        self.state.answering.take_if(|answer| answer.message == message.hash);
        if given.is_some() {
            self.state.answered = self.state.answered.saturating_add(1);
        }
        self.file.write(&self.state)?;
        given.map_or(Ok(()), |(answer, receipt)| self.print(message, &answer, &receipt))
    }

    /// Answers it: the answer and its receipt; `None` where its recipient takes none.
    async fn answer(&mut self, message: &Message) -> Result<Option<(Answer, Value)>, CliError> {
        loop {
            let kept = self.state.answering.clone().filter(|answer| answer.message == message.hash);
            let answer = match kept {
                Some(answer) => answer,
                None => match self.sign(message).await? {
                    Some(answer) => answer,
                    None => return Ok(None),
                },
            };
            self.keep(&answer)?;
            match self.deliver(&answer).await? {
                Delivered::Superseded => self.state.answering = None,
                Delivered::Confirmed(receipt) => return Ok(Some((answer, receipt))),
            }
        }
    }

    /// Before it is sent for the first time, the answer is on disk.
    fn keep(&mut self, answer: &Answer) -> Result<(), CliError> {
        if self.state.answering.as_ref() == Some(answer) {
            return Ok(());
        }
        self.state.answering = Some(answer.clone());
        self.file.write(&self.state)
    }

    /// Signs the answer; `None` where its recipient takes none.
    async fn sign(&self, message: &Message) -> Result<Option<Answer>, CliError> {
        let content = Content::message(self.state.address, message.from, &self.reply);
        let mut patience = Patience::default();
        loop {
            match build(&self.rpc, content.clone(), Place::default(), &self.gas).await {
                Ok(unsigned) => {
                    let signed = unsigned.sign(&self.key);
                    let (hash, nonce) = (*signed.tx_hash(), signed.nonce());
                    return Ok(Some(Answer { message: message.hash, hash, nonce, raw: signed.encoded_2718().into() }));
                }
                // The sender is an account with code that takes no message. It must not end the agent.
                Err(CliError::Node(RpcClientError::Refused { code: REVERTED, message: why, .. })) => {
                    note(&format!(
                        "{} is not answered, {} takes no message: {}",
                        message.hash,
                        message.from,
                        plain(&why)
                    ));
                    return Ok(None);
                }
                Err(error) => patience.bear(error).await?,
            }
        }
    }

    /// Sends the same bytes until it is known what became of them.
    async fn deliver(&self, answer: &Answer) -> Result<Delivered, CliError> {
        let mut patience = Patience::default();
        loop {
            match self.attempt(answer).await {
                Ok(Some(delivered)) => return Ok(delivered),
                Ok(None) => {}
                Err(error) if is_in_the_way(&error) => patience.wait(&error.to_string()).await,
                Err(error) => patience.bear(error).await?,
            }
        }
    }

    async fn attempt(&self, answer: &Answer) -> Result<Option<Delivered>, CliError> {
        let sent = self.rpc.call::<B256>("eth_sendRawTransaction", json!([answer.raw])).await.map_err(CliError::from);
        match sent {
            Err(error) if refusal(&error).starts_with("nonce too low") => return self.outcome(answer).await,
            Err(error) if !refusal(&error).starts_with("already known") => return Err(error),
            _ => {}
        }
        let until = Instant::now() + SEND_AGAIN_AFTER;
        while Instant::now() < until {
            if let Some(receipt) = receipt(&self.rpc, answer.hash).await? {
                return Ok(Some(Delivered::Confirmed(receipt)));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(None)
    }

    /// Its nonce is used: by itself, or by another one. The nonce is looked at first: where it is used in a confirmed
    /// block and a later look finds no receipt, the answer is in no block and never will be.
    async fn outcome(&self, answer: &Answer) -> Result<Option<Delivered>, CliError> {
        let next = self.rpc.account(self.state.address, "latest").await?.1;
        match receipt(&self.rpc, answer.hash).await? {
            Some(receipt) => Ok(Some(Delivered::Confirmed(receipt))),
            None if next > answer.nonce => Ok(Some(Delivered::Superseded)),
            None => {
                tokio::time::sleep(LOOK_EVERY).await;
                Ok(None)
            }
        }
    }

    fn print(&self, message: &Message, answer: &Answer, receipt: &Value) -> Result<(), CliError> {
        if !succeeded(receipt) {
            note(&format!("the answer {} to {} is in a block and was reverted", answer.hash, message.from));
        }
        match self.output {
            Output::Json => json_line(&json!({ "message": message, "answer": answer.hash, "receipt": receipt })),
            Output::Text => {
                let block = quantity(&receipt["blockNumber"]);
                line(&format!("{}  answered in block {block}  {}", message.line(), answer.hash))
            }
        }
    }
}

/// The words with which the node refused; empty where it did not.
fn refusal(error: &CliError) -> &str {
    match error {
        CliError::Node(RpcClientError::Refused { message, .. }) => message,
        _ => "",
    }
}

/// Whether something else must end first: another transaction of the account with the same nonce, or a base fee that is
/// too high for now.
fn is_in_the_way(error: &CliError) -> bool {
    ["replacement transaction underpriced", "max fee per gas less than block base fee"]
        .iter()
        .any(|begin| refusal(error).starts_with(begin))
}
