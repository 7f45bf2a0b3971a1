//! What is pushed for an event, in the shapes of Ethereum's execution API.

use super::subscriptions::Kind;
use crate::callboard::Phase;
use crate::event_stream::{BlockEvent, PendingEvent, WrittenLog, WrittenReceipt};
use crate::rpc_frontend::eth::{Quantity, shape};
use crate::rpc_frontend::view::ExecutedBlock;
use crate::sync_coordinator::SyncReport;
use alloy_primitives::B256;
use alloy_rpc_types_eth::Filter;
use bytes::Bytes;
use serde::Serialize;
use serde_json::json;
use std::collections::HashSet;

/// Whether the node catches up, and how far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Syncing {
    No,
    Yes { starting: u64, current: u64, highest: u64 },
}

impl Syncing {
    pub(super) fn of(report: &SyncReport) -> Self {
        match &report.target {
            Some(target) if report.phase == Phase::CatchingUp => {
                Self::Yes { starting: report.catching_up_from, current: report.head.height, highest: target.height }
            }
            _ => Self::No,
        }
    }

    pub(super) fn text(self) -> Bytes {
        match self {
            Self::No => Bytes::from_static(b"false"),
            Self::Yes { starting, current, highest } => text(&json!({
                "syncing": true,
                "status": {
                    "startingBlock": Quantity::from(starting),
                    "currentBlock": Quantity::from(current),
                    "highestBlock": Quantity::from(highest),
                },
            })),
        }
    }
}

/// A notification for the subscription `id`, in parts: the result is the one that all subscriptions share.
pub(super) fn notification(id: &str, result: Bytes) -> [Bytes; 3] {
    let head = format!(r#"{{"jsonrpc":"2.0","method":"eth_subscription","params":{{"subscription":"{id}","result":"#);
    [Bytes::from(head), result, Bytes::from_static(b"}}")]
}

/// What a block gives a subscription: its header, or those of its logs that match, one after the other.
pub(super) fn block<'a>(kind: &'a Kind, event: &'a BlockEvent) -> Box<dyn Iterator<Item = Bytes> + 'a> {
    match kind {
        Kind::NewHeads => Box::new(std::iter::once(head(event))),
        Kind::Logs(filter) => Box::new(logs(filter, event)),
        Kind::Receipts(hashes) => Box::new(receipts(hashes, event).into_iter()),
        Kind::PendingHashes | Kind::PendingBodies | Kind::Syncing => Box::new(std::iter::empty()),
    }
}

fn head(event: &BlockEvent) -> Bytes {
    event.forms.head.get_or_init(|| text(&shape::header(event.block.value()))).clone()
}

fn logs<'a>(filter: &'a Filter, event: &'a BlockEvent) -> impl Iterator<Item = Bytes> + 'a {
    let may_match = filter.matches_bloom(event.block.value().header().logs_bloom);
    let written: &[WrittenLog] = if may_match { all_logs(event) } else { &[] };
    written.iter().filter(|log| filter.matches(&log.log)).map(|log| log.text.clone())
}

fn all_logs(event: &BlockEvent) -> &[WrittenLog] {
    event.forms.logs.get_or_init(|| {
        let logs = shape::logs(event.block.value(), event.block.receipts());
        logs.map(|log| WrittenLog { text: text(&log), log: log.inner }).collect()
    })
}

/// The receipts of a block's transactions with these hashes, of all where there is none; nothing for a block without.
fn receipts(hashes: &HashSet<B256>, event: &BlockEvent) -> Option<Bytes> {
    let is_wanted = |hash: &B256| hashes.is_empty() || hashes.contains(hash);
    if !event.block.value().transactions().iter().any(|transaction| is_wanted(transaction.tx_hash())) {
        return None;
    }
    let wanted = all_receipts(event).iter().filter(|receipt| is_wanted(&receipt.hash));
    let texts: Vec<_> = wanted.map(|receipt| receipt.text.as_ref()).collect();
    Some([b"[".as_slice(), &texts.join(b",".as_slice()), b"]"].concat().into())
}

fn all_receipts(event: &BlockEvent) -> &[WrittenReceipt] {
    event.forms.receipts.get_or_init(|| {
        let executed = ExecutedBlock {
            block: event.block.value().clone(),
            senders: event.block.senders().to_vec(),
            receipts: event.block.receipts().to_vec(),
        };
        let receipts = shape::receipts(&executed).into_iter();
        receipts.map(|receipt| WrittenReceipt { text: text(&receipt), hash: receipt.transaction_hash }).collect()
    })
}

/// What a pending transaction gives a subscription.
pub(super) fn pending(kind: &Kind, event: &PendingEvent) -> Option<Bytes> {
    let transaction = &event.transaction;
    match kind {
        Kind::PendingHashes => Some(event.forms.hash.get_or_init(|| text(&transaction.hash())).clone()),
        Kind::PendingBodies => {
            let body = || text(&shape::pending(transaction.transaction.as_ref().clone(), transaction.sender));
            Some(event.forms.body.get_or_init(body).clone())
        }
        Kind::NewHeads | Kind::Logs(_) | Kind::Receipts(_) | Kind::Syncing => None,
    }
}

/// Bytes as `0x` and hex digits.
pub(super) fn prefixed(bytes: &[u8]) -> String {
    format!("0x{}", hex::encode(bytes))
}

fn text<T: Serialize>(value: &T) -> Bytes {
    serde_json::to_vec(value).expect("strings, numbers and raw JSON always serialise").into()
}
