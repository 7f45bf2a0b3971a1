//! The hand-over to a real importer that takes nothing now.

use crate::callboard::{Callboard, Phase, Provenance, Role};
use crate::confirmed_state::ImportBlock;
use crate::guard::StorageGuard;
use crate::importer::{Importer, Records, SealWatch};
use crate::monitor::{Alarms, Metrics, StageMeter};
use crate::send::probe::probe;
use crate::sync_coordinator::messages::ImportEnd;
use crate::sync_coordinator::pipeline::{Fetched, FetchedBlock, HandedOver, Pipeline};
use crate::testing::{StoredChain, genesis};
use crate::verifier::Verifier;
use callboard_chain::Block;
use callboard_store::NodeStore;
use tokio::sync::watch;

use super::peer;

/// A node that replays its chain: each block is refused for now, and nobody is to blame.
async fn importer() -> (Importer, Block, StoredChain) {
    let mut chain = StoredChain::new(genesis(1337, 30_000_000));
    let block = chain.seal(&[]);
    let callboard = Callboard::new(Role::Follower);
    callboard.set_phase(Phase::Replaying);
    let config = chain.genesis.config().clone().into();
    let verifier = Verifier::start(1, config, StageMeter::new("verify", 1)).unwrap();
    let (confirmed_state, _) = probe(|block: &ImportBlock| panic!("no block gets that far: {block:?}")).await;
    let store = NodeStore::open(chain.folder.path().join("node.redb")).unwrap();
    let metrics = Metrics::new();
    let records = Records::new(store.clone(), &metrics);
    let commitment = chain.genesis.config().commitment();
    let seals = SealWatch::new(
        chain.store.clone(),
        commitment,
        store,
        None,
        Alarms::new(&metrics),
        &metrics,
        StorageGuard::default(),
    )
    .unwrap();
    let (_, durable) = watch::channel(chain.store.snapshot().unwrap().head());
    (Importer::new(callboard, verifier, confirmed_state, durable, records, seals, None), block, chain)
}

#[actix_rt::test]
async fn the_end_of_a_run_that_began_while_the_hand_over_waited_is_told_as_the_end_of_that_run() {
    let (importer, block, _chain) = importer().await;
    let pipeline = Pipeline::new(0);
    let (told, mut ends) = probe(|_: &HandedOver| ()).await;
    actix_rt::spawn(pipeline.clone().hand_over(importer.clone(), told));
    // The hand-over waits for block 1 when everything is forgotten.
    tokio::task::yield_now().await;
    pipeline.clear(1);
    let bytes = block.bytes();
    let held = pipeline.hold(bytes.len());
    let block = FetchedBlock::Verified(importer.verify(bytes.clone(), Provenance::peer(peer(1))).await.unwrap());
    pipeline.put(
        1,
        Fetched {
            peer: peer(1),
            provenance: Provenance::peer(peer(1)),
            block,
            span: tracing::Span::none(),
            _held: held,
        },
    );
    let end = ends.next().await;
    assert_eq!(end.end, Some(ImportEnd::NotNow { peer: peer(1) }));
    assert_eq!(end.run, pipeline.run(), "or the coordinator takes it for an old word, and waits for ever");
}
