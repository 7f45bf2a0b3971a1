//! *Role*: checks what peers bring before it reaches the pool or the importer. *Owns*: nothing.
//! *Receives*: PeerTransactions, PeerBlock. *Sends*: SubmitTransactions to the pool, PeerMisbehaved to peer discovery.
//! *When behind*: its bounded mailbox refuses, and the peer server answers that it is busy.
//! *On failure*: the death guard stops the node.

use crate::callboard::Provenance;
use crate::guard::Stop;
use crate::importer::{ImportFailure, Importer};
use crate::peer_discovery::{Offence, PeerMisbehaved};
use crate::send::{Inbox, Timed};
use crate::transport::server::{PeerBlock, PeerTransactions};
use crate::transport::wire::{TransactionAnswer, TransactionResult, printable};
use crate::tx_pool::{SubmitTransactions, Taken};
use actix::{Actor, ActorContext, Context, Handler, WrapFuture};
use alloy_primitives::{Address, B256};
use callboard_chain::transaction::{decode_transaction, recover_sender, validate_transaction};
use callboard_chain::verify::next_base_fee;
use callboard_chain::{Blame, ChainConfig, Transaction, keccak256};
use callboard_store::Store;
use std::sync::Arc;
use std::time::Duration;

/// The pool answers within milliseconds; one that is silent for this long hangs.
const POOL_DEADLINE: Duration = Duration::from_secs(10);

/// Where the intake sends.
#[derive(Debug, Clone)]
pub struct Ports {
    /// The pool.
    pub pool: Inbox<SubmitTransactions>,
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
struct Rules {
    config: Arc<ChainConfig>,
    store: Store,
}

type Checked = Result<(Transaction, Address), String>;

impl PeerIntake {
    /// Ready to run.
    pub fn new(ports: Ports, importer: Importer, config: Arc<ChainConfig>, store: Store) -> Self {
        Self { ports, importer, rules: Rules { config, store } }
    }
}

impl Rules {
    fn check_all(&self, transactions: &[bytes::Bytes]) -> Vec<(B256, Checked)> {
        let next = self.store.snapshot().map_err(|error| error.to_string()).and_then(|snapshot| {
            let height = snapshot.head().height;
            let header = snapshot.header(height).map_err(|error| error.to_string())?;
            let header = header.ok_or_else(|| format!("the header of block {height} is missing"))?;
            Ok((height.saturating_add(1), next_base_fee(&header, &self.config)))
        });
        let check =
            |bytes: &bytes::Bytes| next.clone().and_then(|(height, base_fee)| self.check(bytes, height, base_fee));
        transactions.iter().map(|bytes| (keccak256(bytes), check(bytes))).collect()
    }

    fn check(&self, bytes: &[u8], height: u64, base_fee: u64) -> Checked {
        let transaction = decode_transaction(bytes).map_err(|error| error.to_string())?;
        validate_transaction(&transaction, &self.config, height, base_fee).map_err(|error| error.to_string())?;
        let sender = recover_sender(&transaction).map_err(|error| error.to_string())?;
        Ok((transaction, sender))
    }
}

async fn take(ports: Ports, rules: Rules, message: PeerTransactions) -> Vec<TransactionAnswer> {
    let PeerTransactions { from, transactions } = message;
    let hashes: Vec<B256> = transactions.iter().map(keccak256).collect();
    let checked = tokio::task::spawn_blocking(move || rules.check_all(&transactions)).await;
    let Ok(checked) = checked else {
        return hashes.into_iter().map(|hash| answer(hash, refused_for_now("the node is stopping"))).collect();
    };
    let valid: Vec<_> = checked.iter().filter_map(|(_, checked)| checked.clone().ok()).collect();
    let submitted = ports.pool.ask(SubmitTransactions { transactions: valid, peer: from }, POOL_DEADLINE).await;
    let mut taken = match submitted {
        Ok(taken) => taken.into_iter().map(result_of).collect::<Vec<_>>().into_iter(),
        Err(error) => {
            return hashes.into_iter().map(|hash| answer(hash, refused_for_now(&error.to_string()))).collect();
        }
    };
    let result = |checked: Checked| match checked {
        Ok(_) => taken.next().unwrap_or_else(|| refused("the pool gave no answer")),
        Err(reason) => refused(&reason),
    };
    let (hashes, checked): (Vec<_>, Vec<_>) = checked.into_iter().unzip();
    hashes
        .into_iter()
        .zip(checked.into_iter().map(result).collect::<Vec<_>>())
        .map(|(hash, result)| answer(hash, result))
        .collect()
}

fn answer(hash: B256, result: TransactionResult) -> TransactionAnswer {
    TransactionAnswer { hash, result }
}

fn refused(reason: &str) -> TransactionResult {
    TransactionResult::Refused { reason: printable(reason), later: false }
}

/// It may be taken when it is sent again.
fn refused_for_now(reason: &str) -> TransactionResult {
    TransactionResult::Refused { reason: printable(reason), later: true }
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
    let provenance = Provenance::peer(block.from);
    let Err(failure) = importer.import(block.canonical.into(), provenance).await else { return };
    let detail = failure.to_string();
    tracing::debug!(peer = %block.from, detail, "a pushed block was not imported");
    if failure.blame() == Blame::Peer && !matches!(failure, ImportFailure::Stopping { .. }) {
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
        message.answer_later(ctx, |block, _| import(self.ports.clone(), self.importer.clone(), block).into_actor(self));
    }
}

impl Handler<Timed<Stop>> for PeerIntake {
    type Result = ();

    fn handle(&mut self, message: Timed<Stop>, ctx: &mut Context<Self>) {
        message.answer(ctx, |Stop, ctx| ctx.stop());
    }
}
