//! The hand-over to a real importer.

use crate::block_store::StoreBatch;
use crate::callboard::{Callboard, Phase, Provenance, Role};
use crate::confirmed_state::{
    CommitPolicy, ConfirmedState, ImportBlock, ImportBlocks, ImportError, Imported, Ports, State,
};
use crate::guard::StorageGuard;
use crate::importer::{Executors, Importer, Records, SealWatch};
use crate::monitor::{Alarms, Metrics, StageMeter};
use crate::send::probe::probe;
use crate::send::{ActorRegistry, Mailbox};
use crate::sync_coordinator::messages::ImportEnd;
use crate::sync_coordinator::pipeline::{Fetched, FetchedBlock, HandedOver, Pipeline};
use crate::testing::{StoredChain, genesis, key};
use crate::verifier::Verifier;
use actix::Arbiter;
use alloy_consensus::{Header, SignableTransaction, TxLegacy};
use alloy_primitives::{B256, Signature};
use callboard_chain::Block;
use callboard_store::{Head, LatestState, NodeStore};
use std::time::Duration;
use tokio::sync::watch;

use super::peer;

/// Nothing goes to disk in a test.
const LATER: CommitPolicy =
    CommitPolicy { transactions: usize::MAX, bytes: usize::MAX, age: Duration::from_secs(3_600) };

/// The importer of a follower of `chain` in this phase; the head's other end.
fn importer(chain: &StoredChain, phase: Phase, confirmed_state: Executors) -> (Importer, watch::Sender<Head>) {
    let callboard = Callboard::new(Role::Follower);
    callboard.set_phase(phase);
    let config = chain.genesis.config().clone().into();
    let verifier = Verifier::start(1, config, StageMeter::new("verify", 1)).unwrap();
    let store = NodeStore::open(chain.folder.path().join("node.redb")).unwrap();
    let metrics = Metrics::new();
    let records = Records::new(store.clone(), &metrics);
    let commitment = chain.genesis.config().commitment();
    let (alarms, guard) = (Alarms::new(&metrics), StorageGuard::default());
    let seals = SealWatch::new(chain.store.clone(), commitment, store, None, alarms, &metrics, guard).unwrap();
    let (head, durable) = watch::channel(chain.store.snapshot().unwrap().head());
    (Importer::new(callboard, verifier, confirmed_state, durable, records, seals, None), head)
}

fn chain() -> StoredChain {
    StoredChain::new(genesis(1337, 30_000_000))
}

/// An empty chain's first blocks.
fn blocks(count: usize) -> Vec<Block> {
    let mut authority = chain();
    (0..count).map(|_| authority.seal(&[])).collect()
}

/// A peer brings verified blocks, all at once.
async fn bring(pipeline: &Pipeline, importer: &Importer, blocks: &[Block]) {
    let provenance = Provenance::peer(peer(1));
    let bytes = blocks.iter().map(|block| (block.bytes().clone(), tracing::Span::none())).collect();
    for verified in importer.verify_each(bytes, provenance).await {
        let verified = verified.unwrap();
        let (height, held) = (verified.value().height(), pipeline.hold(verified.value().bytes().len()));
        let (block, span) = (FetchedBlock::Verified(verified), tracing::Span::none());
        pipeline.put(height, Fetched { peer: peer(1), provenance, block, span, _held: held });
    }
}

/// A transfer takes a hundred bytes on its way and three times as many once it is decoded.
#[test]
fn what_waits_counts_with_what_its_decoded_transactions_take() {
    const TRANSFERS: usize = 130_000;
    let unsigned = TxLegacy { chain_id: Some(1337), gas_limit: 21_000, ..TxLegacy::default() };
    let signature = Signature::from_raw_array(&key(9).sign(unsigned.signature_hash())).unwrap();
    let block = Block::sealed(Header::default(), vec![unsigned.into_signed(signature).into(); TRANSFERS], &key(1));
    let (pipeline, far) = (Pipeline::new(0), 1_000);
    let mut held = pipeline.hold(block.bytes().len());
    assert!(pipeline.has_room(far), "{} bytes", block.bytes().len());
    held.decoded(&block);
    assert!(!pipeline.has_room(far) && pipeline.has_room(4), "the front has room whatever waits");
    drop(held);
    assert!(pipeline.has_room(far));
}

fn heights(message: &ImportBlocks) -> Vec<u64> {
    message.blocks.iter().map(|(block, _)| block.block.value().height()).collect()
}

#[actix_rt::test]
async fn the_end_of_a_run_that_began_while_the_hand_over_waited_is_told_as_the_end_of_that_run() {
    let (block, _) = probe(|block: &ImportBlock| panic!("no block gets that far: {block:?}")).await;
    let (together, _) = probe(|blocks: &ImportBlocks| panic!("no block gets that far: {blocks:?}")).await;
    let chain = chain();
    // A node that replays its chain: each block is refused for now, and nobody is to blame.
    let (importer, _head) = importer(&chain, Phase::Replaying, Executors { block, blocks: together });
    let pipeline = Pipeline::new(0);
    let (told, mut ends) = probe(|_: &HandedOver| ()).await;
    actix_rt::spawn(pipeline.clone().hand_over(importer.clone(), told));
    // The hand-over waits for block 1 when everything is forgotten.
    tokio::task::yield_now().await;
    pipeline.clear(1);
    bring(&pipeline, &importer, &blocks(1)).await;
    let end = ends.next().await;
    assert_eq!(end.end, Some(ImportEnd::NotNow { peer: peer(1) }));
    assert_eq!(end.run, pipeline.run(), "or the coordinator takes it for an old word, and waits for ever");
}

/// The path that a catch-up takes, with a real ConfirmedState at its end.
#[actix_rt::test]
async fn a_falsified_state_root_amid_blocks_handed_over_together_is_refused_and_an_honest_block_goes_on_in_its_place() {
    let follower = chain();
    let (registry, _deaths) = ActorRegistry::new();
    let mailbox = Mailbox::<ConfirmedState<LatestState>>::open(&Arbiter::current(), registry.actor("State", 64)).await;
    let mailbox = mailbox.unwrap();
    let executors = Executors { block: mailbox.inbox(), blocks: mailbox.inbox() };
    let together = executors.blocks.meter().clone();
    let (importer, _head) = importer(&follower, Phase::CatchingUp, executors);
    let (store, _) = probe(|_: &StoreBatch| ()).await;
    let state = State::new(follower.live, LATER);
    let stage = StageMeter::new("execute", 1);
    mailbox.start(move |_| ConfirmedState::new(Ports { store }, state, stage.clone(), stage));
    let honest = blocks(40);
    let mut sent = honest.clone();
    let header = Header { state_root: B256::repeat_byte(0xee), ..honest[19].header().clone() };
    sent[19] = Block::sealed(header, Vec::new(), &key(1));

    let pipeline = Pipeline::new(0);
    bring(&pipeline, &importer, &sent).await;
    let (told, mut ends) = probe(|_: &HandedOver| ()).await;
    actix_rt::spawn(pipeline.clone().hand_over(importer.clone(), told));
    let end = ends.next().await;
    let Some(ImportEnd::Fault { reason }) = end.end else { panic!("a sealed block that cannot be confirmed: {end:?}") };
    assert!(reason.contains("state root") && end.blame.is_none(), "{reason}");
    assert_eq!(importer.refusals().newest(), Some(reason));
    assert_eq!((importer.refusals().total(), pipeline.imported()), (1, 19), "those before it, and none after it");
    assert_eq!(together.handled(), 1, "all came in one message");

    pipeline.clear(20);
    bring(&pipeline, &importer, &honest[19..]).await;
    while pipeline.imported() < 40 {
        let end = ends.next().await;
        assert_eq!(end.end, None, "every honest block stands on the ones before it");
    }
    assert_eq!(importer.refusals().total(), 1);
}

#[actix_rt::test]
async fn blocks_whose_turn_has_not_come_when_everything_is_forgotten_are_never_tried() {
    let (block, _) = probe(|block: &ImportBlock| panic!("small blocks go together: {block:?}")).await;
    let mut is_first = true;
    // The disk is behind after the third block, and then for one message more.
    let (together, mut asked) = probe(move |message: &ImportBlocks| {
        let taken = if std::mem::take(&mut is_first) { 3 } else { 0 };
        let imported = |block: &Block| Ok(Imported { height: block.height(), hash: block.hash() });
        let taken = message.blocks.iter().take(taken).map(|(block, _)| imported(block.block.value()));
        taken.chain([Err(ImportError::Backlogged { blocks: 1 })]).collect()
    })
    .await;
    let chain = chain();
    let (importer, head) = importer(&chain, Phase::CatchingUp, Executors { block, blocks: together });
    let (pipeline, sealed) = (Pipeline::new(0), blocks(8));
    bring(&pipeline, &importer, &sealed[..6]).await;
    let (told, mut ends) = probe(|_: &HandedOver| ()).await;
    actix_rt::spawn(pipeline.clone().hand_over(importer.clone(), told));
    assert_eq!(heights(&asked.next().await), [1, 2, 3, 4, 5, 6]);
    assert_eq!(heights(&asked.next().await), [4, 5, 6]);
    assert_eq!(pipeline.imported(), 3);
    pipeline.clear(7);
    head.send_modify(|head| head.height = 3);
    assert_eq!(ends.next().await.end, None);
    assert_eq!(pipeline.imported(), 3);
    bring(&pipeline, &importer, &sealed[6..]).await;
    assert_eq!(heights(&asked.next().await), [7, 8], "and not the rest of what was forgotten");
}
