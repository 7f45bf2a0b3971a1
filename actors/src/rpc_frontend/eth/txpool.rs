//! `txpool_*`: what waits in the pool, in geth's shapes. A pool may hold more than an answer may, so what is too long is
//! refused and never cut: nobody can see that something is missing.

use super::node::unavailable;
use super::shape::{self, RpcTransaction};
use crate::rpc_frontend::jsonrpc::{Params, RpcError, RpcResult, json};
use crate::rpc_frontend::limits::{Limit, Refusal};
use crate::rpc_frontend::server::Frontend;
use crate::tx_pool::{Content, PooledTransaction};
use alloy_consensus::Transaction as _;
use alloy_primitives::Address;
use serde::Serialize;
use std::collections::BTreeMap;

/// Bytes of a transaction's JSON beside its own bytes in hex.
const TRANSACTION_BYTES: usize = 1_024;
/// Longest sentence of `txpool_inspect`, with its key: three numbers of up to 78 digits, and an address.
const SENTENCE_BYTES: usize = 320;

/// Transactions of one sender, by nonce.
type ByNonce<T> = BTreeMap<u64, T>;
/// By sender, whose address is written with the checksum as geth does.
type BySender<T> = BTreeMap<String, ByNonce<T>>;

#[derive(Serialize)]
struct Answer<T> {
    pending: T,
    queued: T,
}

pub(super) async fn content(frontend: &Frontend) -> RpcResult {
    let held = held(frontend, None).await?;
    let most = frontend.config.max_batch_answer_bytes;
    let work = move || {
        check(&held, most, content_bytes, "ask txpool_contentFrom for one sender or txpool_inspect for a summary")?;
        json(Answer { pending: by_sender(&held.pending, whole), queued: by_sender(&held.queued, whole) })
    };
    frontend.gate.read(work).await
}

pub(super) async fn content_from(frontend: &Frontend, params: &Params<'_>) -> RpcResult {
    let sender: Address = params.required(0, "address")?;
    let held = held(frontend, Some(sender)).await?;
    let most = frontend.config.max_batch_answer_bytes;
    let work = move || {
        check(&held, most, content_bytes, "ask eth_getTransactionByHash for single transactions")?;
        json(Answer { pending: by_nonce(&held.pending, whole), queued: by_nonce(&held.queued, whole) })
    };
    frontend.gate.read(work).await
}

pub(super) async fn inspect(frontend: &Frontend) -> RpcResult {
    let held = held(frontend, None).await?;
    let most = frontend.config.max_batch_answer_bytes;
    let work = move || {
        check(&held, most, |_| SENTENCE_BYTES, "ask txpool_contentFrom for one sender")?;
        json(Answer { pending: by_sender(&held.pending, sentence), queued: by_sender(&held.queued, sentence) })
    };
    frontend.gate.read(work).await
}

async fn held(frontend: &Frontend, sender: Option<Address>) -> Result<Content, RpcError> {
    frontend.chain()?;
    frontend.ports.pool.content(sender).await.map_err(unavailable)
}

/// Refuses an answer that would be too long, before anything of it is made.
fn check(
    held: &Content,
    most: usize,
    bytes: impl Fn(&PooledTransaction) -> usize,
    remedy: &str,
) -> Result<(), Refusal> {
    let all = held.pending.iter().chain(&held.queued);
    let bytes = all.map(bytes).fold(0, usize::saturating_add);
    if bytes <= most {
        return Ok(());
    }
    let sentence = format!("the pool's content would be some {bytes} bytes, at most {most} are given out: {remedy}");
    Err(Limit::PoolContent.refuse(sentence))
}

fn content_bytes(pooled: &PooledTransaction) -> usize {
    pooled.bytes.saturating_mul(2).saturating_add(TRANSACTION_BYTES)
}

fn by_sender<T>(pooled: &[PooledTransaction], write: fn(&PooledTransaction) -> T) -> BySender<T> {
    let mut senders = BySender::new();
    for one in pooled {
        senders.entry(one.sender.to_checksum(None)).or_default().insert(one.nonce(), write(one));
    }
    senders
}

fn by_nonce<T>(pooled: &[PooledTransaction], write: fn(&PooledTransaction) -> T) -> ByNonce<T> {
    pooled.iter().map(|one| (one.nonce(), write(one))).collect()
}

fn whole(pooled: &PooledTransaction) -> RpcTransaction {
    shape::pending(pooled.transaction.as_ref().clone(), pooled.sender)
}

/// Geth's sentence, word by word: tools take it apart.
fn sentence(pooled: &PooledTransaction) -> String {
    let transaction = &pooled.transaction;
    let to = transaction.to().map_or_else(|| "contract creation".to_owned(), |to| to.to_checksum(None));
    let (value, gas, price) = (transaction.value(), transaction.gas_limit(), transaction.max_fee_per_gas());
    format!("{to}: {value} wei + {gas} gas × {price} wei")
}
