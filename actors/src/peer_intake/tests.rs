use super::actor::{Rules, take};
use super::{IntakeMetrics, Ports};
use crate::peer_discovery::PeerMisbehaved;
use crate::send::probe::{Probe, probe};
use crate::transport::NodeId;
use crate::transport::server::PeerTransactions;
use crate::transport::testing::{TestChain, key};
use crate::transport::wire::TransactionResult;
use crate::tx_pool::{HeldTransactions, PoolError, Source, SubmitTransactions, Taken, TransactionsRefused};
use alloy_consensus::{SignableTransaction, TxLegacy};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{B256, Signature, keccak256};
use bytes::Bytes;
use callboard_chain::Transaction;
use std::sync::Arc;

fn signed(nonce: u64) -> Transaction {
    let unsigned = TxLegacy { chain_id: Some(1337), nonce, gas_limit: 53_000, ..TxLegacy::default() };
    let signature = Signature::from_raw_array(&key(9).sign(unsigned.signature_hash())).unwrap();
    unsigned.into_signed(signature).into()
}

fn raw(nonce: u64) -> Bytes {
    signed(nonce).encoded_2718().into()
}

/// An intake before a pool that holds `held` and takes everything else but nonce 0.
async fn intake(
    chain: &TestChain,
    held: Vec<B256>,
) -> (Ports, Rules, Probe<SubmitTransactions>, Probe<TransactionsRefused>) {
    let is_held = move |hash: &B256| held.contains(hash);
    let (held, _) = probe(move |asked: &HeldTransactions| asked.hashes.iter().map(&is_held).collect()).await;
    let take = |(transaction, _): &(Transaction, _)| match *transaction.hash() == *signed(0).hash() {
        true => Taken::Refused(PoolError::NonceTooLow { expected: 1, actual: 0 }),
        false => Taken::Taken,
    };
    let (pool, submitted) =
        probe(move |batch: &SubmitTransactions| batch.transactions.iter().map(take).collect()).await;
    let (refused, told) = probe(|_: &TransactionsRefused| ()).await;
    let (misbehaved, _) = probe(|_: &PeerMisbehaved| ()).await;
    let config = Arc::new(chain.genesis.config().clone());
    let rules = Rules { config, store: chain.store.clone(), metrics: IntakeMetrics::default() };
    (Ports { held, pool, refused, misbehaved }, rules, submitted, told)
}

#[actix_rt::test]
async fn each_transaction_gets_its_answer_in_order_and_what_is_held_is_not_looked_at() {
    let chain = TestChain::new();
    // Held transactions are known by their hash; these bytes would be no transaction.
    let held = Bytes::from_static(b"held");
    let (ports, rules, mut submitted, mut told) = intake(&chain, vec![keccak256(&held)]).await;
    let transactions = vec![held, raw(0), Bytes::from_static(b"garbage"), raw(1)];
    let hashes: Vec<_> = transactions.iter().map(keccak256).collect();
    let from = NodeId::of(&key(2));
    let answers = take(ports, rules, PeerTransactions { from, transactions }).await;
    assert_eq!(answers.iter().map(|answer| answer.hash).collect::<Vec<_>>(), hashes);
    let results: Vec<_> = answers.into_iter().map(|answer| answer.result).collect();
    assert_eq!((&results[0], &results[3]), (&TransactionResult::Known, &TransactionResult::Taken));
    let reason = "nonce too low: next nonce 1, tx nonce 0".to_owned();
    assert_eq!(results[1], TransactionResult::Refused { reason, later: false, confirmed: None });
    assert!(matches!(results[2], TransactionResult::Refused { later: false, confirmed: None, .. }));
    let batch = submitted.next().await;
    assert_eq!(batch.peer, from);
    let sender = key(9).address();
    assert_eq!(batch.transactions, [(signed(0), sender), (signed(1), sender)], "only what is valid");
    // What the pool refuses it knows itself.
    let told = told.next().await;
    assert_eq!(told.from, Source::Peer(from));
    assert_eq!(told.refused.iter().map(|(hash, _)| *hash).collect::<Vec<_>>(), [hashes[2]]);
}

#[actix_rt::test]
async fn what_is_no_valid_transaction_by_itself_is_counted_by_reason() {
    let chain = TestChain::new();
    let (ports, rules, _submitted, _told) = intake(&chain, Vec::new()).await;
    let foreign = TxLegacy { chain_id: Some(1), gas_limit: 53_000, ..TxLegacy::default() };
    let signature = Signature::from_raw_array(&key(9).sign(foreign.signature_hash())).unwrap();
    let foreign: Transaction = foreign.into_signed(signature).into();
    // No point of the curve has this r.
    let unsigned = TxLegacy { chain_id: Some(1337), gas_limit: 53_000, ..TxLegacy::default() };
    let nobody = Signature::new(alloy_primitives::U256::MAX, alloy_primitives::U256::from(1), false);
    let nobodys: Transaction = unsigned.into_signed(nobody).into();
    let transactions: Vec<Bytes> = [foreign, nobodys].iter().map(|one| one.encoded_2718().into()).collect();
    let transactions = [vec![Bytes::from_static(b"garbage"), Bytes::new(), raw(1)], transactions].concat();
    let metrics = rules.metrics.clone();
    let answers = take(ports, rules, PeerTransactions { from: NodeId::of(&key(2)), transactions }).await;
    let refused = answers.iter().filter(|answer| matches!(answer.result, TransactionResult::Refused { .. })).count();
    assert_eq!(refused, 4);
    assert_eq!(["decode", "rule", "signature"].map(|reason| metrics.count(reason)), [2, 1, 1]);
}
