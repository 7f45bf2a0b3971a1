//! *Role*: checks what peers bring before it reaches the pool or the importer. *Owns*: nothing.
//! *Receives*: PeerTransactions, PeerBlock. *Sends*: HeldTransactions, SubmitTransactions and TransactionsRefused to the
//! pool, PeerMisbehaved to peer discovery.
//! *When behind*: its bounded mailbox refuses, and the peer server answers that it is busy.
//! *On failure*: the death guard stops the node.

use super::metrics::{IntakeMetrics, WrongTransaction};
use crate::callboard::Provenance;
use crate::guard::Stop;
use crate::importer::Importer;
use crate::peer_discovery::{Offence, PeerMisbehaved};
use crate::send::{Inbox, Timed};
use crate::transport::NodeId;
use crate::transport::server::{PeerBlock, PeerTransactions};
use crate::transport::wire::{TransactionAnswer, TransactionResult, printable};
use crate::tx_pool::{HeldTransactions, Source, SubmitTransactions, Taken, TransactionsRefused};
use actix::{Actor, ActorContext, Context, Handler, WrapFuture};
use alloy_primitives::{Address, B256};
use bytes::Bytes;
use callboard_chain::transaction::{decode_transaction, recover_sender, validate_transaction};
use callboard_chain::verify::next_base_fee;
use callboard_chain::{Blame, ChainConfig, Transaction, keccak256};
use callboard_store::Store;
use std::sync::Arc;
use std::time::Duration;
use tracing::Instrument;

/// The pool answers within milliseconds; one that is silent for this long hangs.
const POOL_DEADLINE: Duration = Duration::from_secs(10);

/// Where the intake sends.
#[derive(Debug, Clone)]
pub struct Ports {
    /// The pool: what it holds already.
    pub held: Inbox<HeldTransactions>,
    /// The pool.
    pub pool: Inbox<SubmitTransactions>,
    /// The pool: what does not come as far.
    pub refused: Inbox<TransactionsRefused>,
    /// Peer discovery.
    pub misbehaved: Inbox<PeerMisbehaved>,
}

/// The actor.
pub struct PeerIntake {
    ports: Ports,
    importer: Importer,
    rules: Rules,
}

/// What a transaction is checked against before the pool sees it.
#[derive(Clone)]
pub(super) struct Rules {
    pub(super) config: Arc<ChainConfig>,
    pub(super) store: Store,
    pub(super) metrics: IntakeMetrics,
}

/// What is known of a transaction before the pool has seen it.
enum Checked {
    /// The pool holds it already.
    Held,
    /// Valid by itself, with its sender.
    Valid(Box<Transaction>, Address),
    /// Not valid by itself.
    Wrong(String),
    /// It could not be looked at now.
    Unread(String),
}

impl PeerIntake {
    /// Ready to run.
    pub fn new(
        ports: Ports,
        importer: Importer,
        config: Arc<ChainConfig>,
        store: Store,
        metrics: IntakeMetrics,
    ) -> Self {
        Self { ports, importer, rules: Rules { config, store, metrics } }
    }
}

impl Rules {
    /// Checks what is not held: a signature costs more than everything else, and most peers send the same.
    fn check_all(&self, transactions: &[Bytes], held: &[bool]) -> Vec<Checked> {
        let next = self.next_block();
        let check = |(bytes, held): (&Bytes, &bool)| match &next {
            _ if *held => Checked::Held,
            Ok((height, base_fee)) => match self.check(bytes, *height, *base_fee) {
                Ok((transaction, sender)) => Checked::Valid(Box::new(transaction), sender),
                Err(refused) => {
                    self.metrics.refused(&refused);
                    Checked::Wrong(refused.to_string())
                }
            },
            Err(reason) => Checked::Unread(reason.clone()),
        };
        transactions.iter().zip(held).map(check).collect()
    }

    /// Height and base fee of the block after the head.
    fn next_block(&self) -> Result<(u64, u64), String> {
        let snapshot = self.store.snapshot().map_err(|error| error.to_string())?;
        let height = snapshot.head().height;
        let header = snapshot.header(height).map_err(|error| error.to_string())?;
        let header = header.ok_or_else(|| format!("the header of block {height} is missing"))?;
        Ok((height.saturating_add(1), next_base_fee(&header, &self.config)))
    }

    fn check(&self, bytes: &[u8], height: u64, base_fee: u64) -> Result<(Transaction, Address), WrongTransaction> {
        let transaction = decode_transaction(bytes)?;
        validate_transaction(&transaction, &self.config, height, base_fee)?;
        let sender = recover_sender(&transaction)?;
        Ok((transaction, sender))
    }

    /// Says of what was refused that a block has it, where one has. Looked up behind the pool's answer, so that a block
    /// that became durable meanwhile is seen: who forwarded the transaction must not take it for a bad one.
    fn name_confirmed(&self, mut answers: Vec<TransactionAnswer>) -> Vec<TransactionAnswer> {
        let Ok(snapshot) = self.store.snapshot() else { return answers };
        for TransactionAnswer { hash, result } in &mut answers {
            if let TransactionResult::Refused { reason, later, confirmed } = result
                && let Ok(Some(location)) = snapshot.transaction_location(*hash)
            {
                *reason = printable(&format!("already confirmed in block {}: {reason}", location.height));
                (*later, *confirmed) = (false, Some(location.height));
            }
        }
        answers
    }
}

pub(super) async fn take(ports: Ports, rules: Rules, message: PeerTransactions) -> Vec<TransactionAnswer> {
    let PeerTransactions { from, transactions } = message;
    let hashes: Vec<B256> = transactions.iter().map(keccak256).collect();
    let results = match submit(&ports, &rules, from, transactions, hashes.clone()).await {
        Ok(results) => results,
        Err(reason) => vec![refused_for_now(&reason); hashes.len()],
    };
    let answers = hashes.into_iter().zip(results).map(|(hash, result)| TransactionAnswer { hash, result });
    let answers: Vec<_> = answers.collect();
    if !answers.iter().any(|answer| matches!(answer.result, TransactionResult::Refused { .. })) {
        return answers;
    }
    let unnamed = answers.clone();
    tokio::task::spawn_blocking(move || rules.name_confirmed(answers)).await.unwrap_or(unnamed)
}

/// One result for each transaction, in order; or why none of them could be looked at.
async fn submit(
    ports: &Ports,
    rules: &Rules,
    peer: NodeId,
    transactions: Vec<Bytes>,
    hashes: Vec<B256>,
) -> Result<Vec<TransactionResult>, String> {
    let question = HeldTransactions { hashes: hashes.clone() };
    let held = ports.held.ask(question, POOL_DEADLINE).await.map_err(|error| error.to_string())?;
    let rules = rules.clone();
    let checked = tokio::task::spawn_blocking(move || rules.check_all(&transactions, &held)).await;
    let checked = checked.map_err(|_| "the node is stopping".to_owned())?;
    tell_refused(ports, peer, &hashes, &checked);
    let valid = checked.iter().filter_map(|checked| match checked {
        Checked::Valid(transaction, sender) => Some((transaction.as_ref().clone(), *sender)),
        _ => None,
    });
    let batch = SubmitTransactions { transactions: valid.collect(), peer };
    let taken = ports.pool.ask(batch, POOL_DEADLINE).await.map_err(|error| error.to_string())?;
    let mut taken = taken.into_iter().map(result_of);
    let result = |checked| match checked {
        Checked::Held => TransactionResult::Known,
        Checked::Valid(..) => taken.next().unwrap_or_else(|| refused_for_now("the pool gave no answer")),
        Checked::Wrong(reason) => refused(&reason),
        Checked::Unread(reason) => refused_for_now(&reason),
    };
    Ok(checked.into_iter().map(result).collect())
}

/// In one message, so that a peer's rubbish takes no more room in the pool's mailbox than its transactions would.
fn tell_refused(ports: &Ports, peer: NodeId, hashes: &[B256], checked: &[Checked]) {
    let wrong = hashes.iter().zip(checked).filter_map(|(hash, checked)| match checked {
        Checked::Wrong(reason) => Some((*hash, reason.clone())),
        _ => None,
    });
    let refused: Vec<_> = wrong.collect();
    if !refused.is_empty() {
        // A pool that is behind does not remember it: the peer has the answer.
        ports.refused.offer(TransactionsRefused { refused, from: Source::Peer(peer) }).ok();
    }
}

fn refused(reason: &str) -> TransactionResult {
    TransactionResult::Refused { reason: printable(reason), later: false, confirmed: None }
}

/// It may be taken when it is sent again.
fn refused_for_now(reason: &str) -> TransactionResult {
    TransactionResult::Refused { reason: printable(reason), later: true, confirmed: None }
}

fn result_of(taken: Taken) -> TransactionResult {
    match taken {
        Taken::Taken => TransactionResult::Taken,
        Taken::Known => TransactionResult::Known,
        Taken::Refused(error) if error.is_passing() => refused_for_now(&error.to_string()),
        Taken::Refused(error) => refused(&error.to_string()),
    }
}

async fn import(ports: Ports, importer: Importer, block: PeerBlock) {
    let (provenance, peer) = (Provenance::pushed(block.from), block.from);
    let failure = match importer.import(block.canonical.into(), provenance).await {
        Ok(outcome) => {
            return tracing::debug!(actor = "PeerIntake", %peer, imported = outcome.imported, "block taken from a push");
        }
        Err(failure) => failure,
    };
    let detail = failure.to_string();
    tracing::debug!(actor = "PeerIntake", %peer, detail, "a pushed block was not imported");
    if failure.blame() == Blame::Peer {
        let misbehaved = PeerMisbehaved { node_id: block.from, offence: Offence::Forged, detail };
        // A peer that floods discovery with offences is refused there already.
        ports.misbehaved.offer(misbehaved).ok();
    }
}

impl Actor for PeerIntake {
    type Context = Context<Self>;
}

impl Handler<Timed<PeerTransactions>> for PeerIntake {
    type Result = ();

    fn handle(&mut self, message: Timed<PeerTransactions>, ctx: &mut Context<Self>) {
        message.answer_later(ctx, |message, _| take(self.ports.clone(), self.rules.clone(), message).into_actor(self));
    }
}

impl Handler<Timed<PeerBlock>> for PeerIntake {
    type Result = ();

    fn handle(&mut self, message: Timed<PeerBlock>, ctx: &mut Context<Self>) {
        message.answer_later(ctx, |block, _| {
            let span = self.importer.block_span();
            import(self.ports.clone(), self.importer.clone(), block).instrument(span).into_actor(self)
        });
    }
}

impl Handler<Timed<Stop>> for PeerIntake {
    type Result = ();

    fn handle(&mut self, message: Timed<Stop>, ctx: &mut Context<Self>) {
        message.answer(ctx, |Stop, ctx| ctx.stop());
    }
}
