//! What becomes of a block on its way in; ConfirmedState is a probe.

mod in_order;

use super::*;
use crate::callboard::{Origin, Role};
use crate::guard::StorageGuard;
use crate::monitor::{Alarm, Alarms, Metrics, StageMeter};
use crate::send::probe::{Probe, probe};
use crate::testing::{StoredChain, genesis, key};
use crate::transport::NodeId;
use alloy_consensus::Header;
use alloy_primitives::U256;
use callboard_chain::Seal;
use callboard_store::NodeStore;

struct Bench {
    importer: Importer,
    callboard: Callboard,
    asked: Probe<ImportBlock>,
    head: watch::Sender<Head>,
    store: NodeStore,
    alarms: Alarms,
    block: Block,
    chain: StoredChain,
}

impl Bench {
    /// A follower in this phase whose ConfirmedState answers as it is told.
    async fn new(
        phase: Phase,
        answer: impl FnMut(&ImportBlock) -> Result<Imported, ImportError> + Send + 'static,
    ) -> Self {
        let mut chain = StoredChain::new(genesis(1337, 30_000_000));
        let sealed = chain.seal(&[]);
        let (head, durable) = watch::channel(chain.store.snapshot().unwrap().head());
        let callboard = Callboard::new(Role::Follower);
        callboard.set_phase(phase);
        let config = chain.genesis.config().clone().into();
        let verifier = Verifier::start(1, config, StageMeter::new("verify", 1)).unwrap();
        let (block, asked) = probe(answer).await;
        let (blocks, _) =
            probe(|blocks: &ImportBlocks| panic!("blocks are imported one by one here: {blocks:?}")).await;
        let confirmed_state = Executors { block, blocks };
        let store = NodeStore::open(chain.folder.path().join("node.redb")).unwrap();
        let metrics = Metrics::new();
        let records = Records::new(store.clone(), &metrics);
        let commitment = chain.genesis.config().commitment();
        let alarms = Alarms::new(&metrics);
        let seals = SealWatch::new(
            chain.store.clone(),
            commitment,
            store.clone(),
            None,
            alarms.clone(),
            &metrics,
            StorageGuard::default(),
        )
        .unwrap();
        let importer = Importer::new(callboard.clone(), verifier, confirmed_state, durable, records, seals, None);
        Self { importer, callboard, asked, head, store, alarms, block: sealed, chain }
    }

    fn import(&self, bytes: &Bytes) -> tokio::task::JoinHandle<Result<Outcome, ImportFailure>> {
        let (importer, bytes) = (self.importer.clone(), bytes.clone());
        actix_rt::spawn(async move { importer.import(bytes, Provenance::OPERATOR).await })
    }

    fn becomes_durable(&self) {
        let (height, hash) = (self.block.height(), self.block.hash());
        self.head.send_modify(|head| (head.height, head.hash) = (height, hash));
    }

    fn counted(&self) -> [u64; 3] {
        let count = |delivery| self.callboard.delivered(Origin::Operator, Kind::Block, delivery);
        [count(Delivery::ImportBlock), count(Delivery::IgnoreBlock), count(Delivery::RefuseBlock)]
    }
}

fn imported(message: &ImportBlock) -> Result<Imported, ImportError> {
    Ok(Imported { height: message.block.value().height(), hash: message.block.value().hash() })
}

fn known(message: &ImportBlock) -> Result<Imported, ImportError> {
    Err(ConfirmError::Known { height: message.block.value().height() }.into())
}

/// Lets everything run that can.
async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

#[actix_rt::test]
async fn a_block_is_answered_only_once_it_is_durable() {
    let mut bench = Bench::new(Phase::Following, imported).await;
    let import = bench.import(bench.block.bytes());
    assert_eq!(bench.asked.next().await.block.value(), &bench.block);
    settle().await;
    assert!(!import.is_finished(), "executed, but not durable");
    bench.becomes_durable();
    let outcome = import.await.unwrap().unwrap();
    assert_eq!(outcome, Outcome { imported: true, height: 1, hash: bench.block.hash() });
    assert_eq!(bench.counted(), [1, 0, 0]);
}

#[actix_rt::test]
async fn a_known_block_is_ignored_and_counted_and_answered_once_it_is_durable() {
    let mut bench = Bench::new(Phase::Following, known).await;
    let import = bench.import(bench.block.bytes());
    bench.asked.next().await;
    settle().await;
    assert!(!import.is_finished());
    bench.becomes_durable();
    let outcome = import.await.unwrap().unwrap();
    assert_eq!(outcome, Outcome { imported: false, height: 1, hash: bench.block.hash() });
    assert_eq!(bench.counted(), [0, 1, 0]);
    assert_eq!(bench.importer.refusals().newest(), None);
}

#[actix_rt::test]
async fn a_node_that_replays_its_chain_imports_nothing_and_counts_the_refusal() {
    let mut bench = Bench::new(Phase::Replaying, imported).await;
    let failure = bench.import(bench.block.bytes()).await.unwrap().unwrap_err();
    assert!(matches!(failure, ImportFailure::NotRouted { phase: Phase::Replaying, .. }), "{failure}");
    assert_eq!((failure.check(), failure.blame()), ("route", Blame::Nobody));
    assert_eq!(bench.counted(), [0, 0, 1]);
    assert!(bench.asked.try_next().is_none());
}

#[test]
fn a_mailbox_that_is_full_or_slow_is_not_a_node_that_stops() {
    let (actor, message) = ("ConfirmedState", "ImportBlock");
    let full = ImportFailure::from(AskError::Full { actor, message, capacity: 1 });
    let late = ImportFailure::from(AskError::Timeout { actor, message, deadline: Duration::from_secs(1) });
    let gone = ImportFailure::from(AskError::Closed { actor, message });
    let said = [full, late, gone].map(|failure| (failure.check(), failure.blame()));
    assert_eq!(said, [("busy", Blame::Nobody), ("busy", Blame::Nobody), ("stopping", Blame::Nobody)]);
}

#[actix_rt::test]
async fn a_backlogged_block_is_offered_again_once_the_disk_has_moved() {
    let mut first = true;
    let mut bench = Bench::new(Phase::CatchingUp, move |message| match std::mem::take(&mut first) {
        true => Err(ImportError::Backlogged { blocks: 1 }),
        false => imported(message),
    })
    .await;
    let import = bench.import(bench.block.bytes());
    bench.asked.next().await;
    settle().await;
    assert!(bench.asked.try_next().is_none(), "not before the disk has moved");
    bench.becomes_durable();
    assert_eq!(bench.asked.next().await.block.value(), &bench.block);
    assert!(import.await.unwrap().unwrap().imported);
    assert_eq!(bench.counted(), [1, 0, 0]);
}

#[actix_rt::test]
async fn a_forged_block_never_reaches_confirmed_state_and_is_recorded() {
    let mut bench = Bench::new(Phase::Following, imported).await;
    let seal = Seal::sign(&key(2), bench.block.hash());
    let forged = Block::from_parts(bench.block.header().clone(), Vec::new(), seal);
    let failure = bench.import(forged.bytes()).await.unwrap().unwrap_err();
    assert_eq!((failure.check(), failure.blame()), ("seal", Blame::Peer));
    assert_eq!(bench.importer.refusals().newest(), Some(failure.to_string()));
    assert!(bench.asked.try_next().is_none());
    assert_eq!(bench.counted(), [0, 0, 0]);
    // It is written beside the import.
    let written = async {
        loop {
            match bench.store.refused(1).unwrap().pop() {
                Some(refused) => return refused,
                None => tokio::task::yield_now().await,
            }
        }
    };
    let refused = tokio::time::timeout(Duration::from_secs(20), written).await.unwrap();
    let (expected, actual) = failure.expected_and_actual();
    assert_eq!(
        (refused.hash, refused.check, refused.expected, refused.actual),
        (forged.hash(), "seal".into(), expected, actual)
    );
}

#[actix_rt::test]
async fn who_waits_for_a_block_store_that_stops_is_told() {
    let mut bench = Bench::new(Phase::Following, imported).await;
    let import = bench.import(bench.block.bytes());
    bench.asked.next().await;
    drop(bench.head);
    let failure = import.await.unwrap().unwrap_err();
    assert!(matches!(failure, ImportFailure::Stopping { .. }), "{failure}");
}

/// Another block of the bench's height under the authority's valid seal.
fn sibling(block: &Block) -> Block {
    let header = alloy_consensus::Header { timestamp: block.header().timestamp + 1, ..block.header().clone() };
    Block::sealed(header, Vec::new(), &key(1))
}

async fn is_alarmed(bench: &Bench, alarm: Alarm) {
    let raised = async {
        while !bench.alarms.is_raised(alarm) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), raised).await.expect("the alarm is raised");
}

#[actix_rt::test]
async fn a_second_sealed_block_is_kept_whether_it_is_posted_pushed_or_has_another_body() {
    let conflict = |message: &ImportBlock| {
        let (height, theirs) = (message.block.value().height(), message.block.value().hash());
        Err(ConfirmError::Conflict { height, ours: B256::ZERO, theirs }.into())
    };
    let peer = crate::transport::NodeId::of(&key(7));
    for (provenance, body) in
        [(Provenance::OPERATOR, false), (Provenance::peer(peer), false), (Provenance::peer(peer), true)]
    {
        let mut bench = Bench::new(Phase::Following, conflict).await;
        bench.chain.store();
        let other = sibling(&bench.block);
        let header = alloy_consensus::Header { transactions_root: B256::ZERO, ..other.header().clone() };
        let sent = if body { Block::sealed(header, Vec::new(), &key(1)) } else { other };
        let failure = bench.importer.import(sent.bytes().clone(), provenance).await.unwrap_err();
        assert_eq!(failure.check(), if body { "transactionsRoot" } else { "hash" });
        is_alarmed(&bench, Alarm::Equivocation).await;
        let evidence = bench.store.evidence().unwrap().remove(0);
        assert_eq!([evidence.ours.hash(), evidence.theirs.hash()], [bench.block.hash(), sent.hash()]);
    }
}

#[actix_rt::test]
async fn an_authority_that_meets_its_own_seal_stops_sealing_before_it_takes_the_block_back() {
    let mut bench = Bench::new(Phase::Following, imported).await;
    bench.callboard.set_role(Role::Authority);
    let (hold, mut held) = probe(|_: &HoldProposing| ()).await;
    let (met, mut told) = probe(|_: &OwnBlockMet| ()).await;
    bench.importer.own_blocks = Some(OwnBlocks { hold, met });
    let import = bench.import(bench.block.bytes());
    assert_eq!(held.next().await, HoldProposing { height: 1 });
    assert_eq!(told.next().await, OwnBlockMet { height: 1 });
    bench.asked.next().await;
    bench.becomes_durable();
    assert!(import.await.unwrap().unwrap().imported);
    assert_eq!(bench.callboard.delivered(Origin::Operator, Kind::Block, Delivery::AlarmBlock), 1);
    // The same block again is nothing new.
    bench.chain.store();
    bench.import(bench.block.bytes()).await.unwrap().unwrap();
    assert!(held.try_next().is_none() && told.try_next().is_none());
    assert_eq!(bench.importer.seals().own_block_met(), 0, "a follower's watch remembers nothing of its own");
}

#[actix_rt::test]
async fn an_old_block_that_nobody_asked_for_is_not_taken_where_a_living_head_is_known() {
    let mut bench = Bench::new(Phase::CatchingUp, imported).await;
    let peer = NodeId::of(&key(7));
    let time = bench.block.header().timestamp;
    let brought = async |bench: &Bench, provenance| {
        let verified = bench.importer.verify(bench.block.bytes().clone(), provenance).await.unwrap();
        bench.importer.import_verified(verified, provenance).await
    };
    bench.importer.set_live_floor(Some(LiveFloor { older_than: time + 1, living: None }));
    for provenance in [Provenance::pushed(peer), Provenance::live(peer)] {
        let failure = brought(&bench, provenance).await.unwrap_err();
        assert_eq!((failure.check(), failure.blame(), failure.is_sealed()), ("news", Blame::Nobody, true));
        let expected = (format!("a time from {} on", time + 1), time.to_string());
        assert_eq!(failure.expected_and_actual(), expected);
    }
    assert!(bench.asked.try_next().is_none());
    written(&bench, |all| all.iter().any(|refused| refused.check == "news")).await;
    // A range is asked for where it leads to the living head, and an operator knows what it posts.
    for provenance in [Provenance::peer(peer), Provenance::OPERATOR] {
        assert!(brought(&bench, provenance).await.unwrap().imported);
    }
    for floor in [Some(LiveFloor { older_than: time, living: None }), None] {
        bench.importer.set_live_floor(floor);
        assert!(brought(&bench, Provenance::pushed(peer)).await.unwrap().imported);
    }
}

#[actix_rt::test]
async fn a_sealed_block_that_cannot_be_confirmed_is_told_whatever_brought_it_and_a_bad_peers_block_is_not() {
    const NOBODY: [u64; 0] = [];
    let wrong_gas = |_: &ImportBlock| {
        Err(ConfirmError::GasUsed { height: 1, expected: 1, actual: 2, receipts: Vec::new().into() }.into())
    };
    let gap =
        |message: &ImportBlock| Err(ConfirmError::Gap { expected: 0, actual: message.block.value().height() }.into());
    let told_of = async |answer: fn(&ImportBlock) -> Result<Imported, ImportError>, change: fn(&mut Header)| {
        let bench = Bench::new(Phase::Following, answer).await;
        let (faults, mut told) = probe(|_: &UnconfirmableMet| ()).await;
        bench.importer.report_faults_to(faults);
        let mut header = bench.block.header().clone();
        change(&mut header);
        let block = Block::sealed(header, Vec::new(), &key(1));
        bench.importer.import(block.bytes().clone(), Provenance::pushed(NodeId::of(&key(7)))).await.unwrap_err();
        bench.importer.import(block.bytes().clone(), Provenance::OPERATOR).await.unwrap_err();
        settle().await;
        let mut heights = Vec::new();
        while let Some(UnconfirmableMet { height, hash, .. }) = told.try_next() {
            assert_eq!(hash, block.hash());
            heights.push(height);
        }
        heights
    };
    assert_eq!(told_of(wrong_gas, |_| ()).await, [1, 1], "it is executed to another result");
    assert_eq!(told_of(wrong_gas, |header| header.difficulty = U256::from(1)).await, [1, 1], "it breaks a rule");
    let elsewhere = |header: &mut Header| {
        header.difficulty = U256::from(1);
        header.parent_hash = B256::ZERO;
    };
    assert_eq!(told_of(wrong_gas, elsewhere).await, NOBODY, "it does not stand on our chain");
    assert_eq!(told_of(gap, |_| ()).await, NOBODY, "nobody is wrong");
    assert_eq!(told_of(wrong_gas, |header| header.transactions_root = B256::ZERO).await, NOBODY, "the sender is wrong");
}

fn refusal(bench: &Bench, check: &str, blame: Blame) -> Refused {
    Refused {
        check: check.to_owned(),
        passed: Vec::new(),
        expected: "one".to_owned(),
        actual: "another".to_owned(),
        message: format!("{check} of block {} differs", bench.block.height()),
        blame,
    }
}

/// Blocks of rising heights that nobody sealed.
fn strangers(count: u64) -> Vec<Bytes> {
    let block = |number| {
        Block::sealed(alloy_consensus::Header { number, ..alloy_consensus::Header::default() }, Vec::new(), &key(8))
    };
    (0..count).map(|number| block(number).bytes().clone()).collect()
}

/// Waits until the records are as `wanted`.
async fn written(bench: &Bench, wanted: impl Fn(&[callboard_store::RefusedBlock]) -> bool) {
    let found = async {
        while !wanted(&bench.importer.refusals().listed(MAX_LISTED).unwrap()) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), found).await.expect("the records");
}

#[actix_rt::test]
async fn no_guest_flushes_the_record_of_a_fault_or_makes_the_node_write_without_end() {
    let bench = Bench::new(Phase::Following, imported).await;
    let refusals = bench.importer.refusals().clone();
    let guest = Provenance::pushed(crate::transport::NodeId::of(&key(7)));
    refusals.record_unchecked(refusal(&bench, "stateRoot", Blame::Local), guest, bench.block.bytes());
    let strangers = strangers(2_000);
    for bytes in &strangers {
        refusals.record_unchecked(refusal(&bench, "parent", Blame::Nobody), guest, bytes);
        // The same once more tells nothing new.
        refusals.record_unchecked(refusal(&bench, "stateRoot", Blame::Local), guest, bench.block.bytes());
    }
    written(&bench, |all| all.iter().any(|one| one.blame == Blame::Local && one.count == 2_001)).await;
    settle().await;
    let all = bench.store.refused(usize::MAX).unwrap();
    assert_eq!(all.iter().filter(|one| one.blame == Blame::Local).count(), 1);
    assert!(all.len() <= 17, "{} records by one guest", all.len());
}

#[actix_rt::test]
async fn a_fault_is_written_and_looked_into_however_much_else_is_being_written() {
    let bench = Bench::new(Phase::Following, imported).await;
    let refusals = bench.importer.refusals().clone();
    let _busy = refusals.hold_all_writes().await;
    let guest = Provenance::pushed(crate::transport::NodeId::of(&key(7)));
    refusals.record_unchecked(refusal(&bench, "parent", Blame::Nobody), guest, &strangers(1)[0]);
    let failed = ConfirmError::GasUsed { height: 1, expected: 1, actual: 2, receipts: Vec::new().into() };
    refusals.record(&ImportFailure::Confirm(failed), guest, bench.block.bytes());
    written(&bench, |all| all.iter().any(|one| one.finding.is_some())).await;
    let all = bench.store.refused(usize::MAX).unwrap();
    assert_eq!(all.iter().map(|one| &*one.check).collect::<Vec<_>>(), ["gasUsed"]);
}

#[actix_rt::test]
async fn the_newest_refusal_is_known_after_a_restart() {
    let bench = Bench::new(Phase::Following, imported).await;
    let refused = refusal(&bench, "seal", Blame::Peer);
    bench.importer.refusals().record_unchecked(refused.clone(), Provenance::OPERATOR, bench.block.bytes());
    written(&bench, |all| !all.is_empty()).await;
    let again = Records::new(bench.store.clone(), &Metrics::new());
    assert_eq!(again.refusals.newest(), Some(refused.message));
}

#[actix_rt::test]
async fn a_block_posted_twice_at_once_keeps_the_passport_of_the_first() {
    let mut first = true;
    let mut bench = Bench::new(Phase::Following, move |message| match std::mem::take(&mut first) {
        true => imported(message),
        false => known(message),
    })
    .await;
    let posts = [bench.import(bench.block.bytes()), bench.import(bench.block.bytes())];
    bench.asked.next().await;
    bench.asked.next().await;
    settle().await;
    // Both have been answered; now it becomes durable, which the block store tells the passports.
    let passports = bench.importer.passports().clone();
    passports.stored(&bench.block, Provenance::OPERATOR, &[]);
    bench.becomes_durable();
    let mut imported = Vec::new();
    for post in posts {
        imported.push(post.await.unwrap().unwrap().imported);
    }
    assert!(imported.contains(&true) && imported.contains(&false), "{imported:?}");
    let passport = passports.find(1, bench.block.hash()).unwrap();
    let times = [passport.received_at, passport.verified_at, passport.executed_at, passport.durable_at];
    assert!(times.iter().all(Option::is_some), "{times:?}");
}

#[actix_rt::test]
async fn checks_are_told_with_the_time_of_their_stage_and_a_block_built_here_claims_none() {
    let mut bench = Bench::new(Phase::Following, imported).await;
    let import = bench.import(bench.block.bytes());
    bench.asked.next().await;
    bench.becomes_durable();
    import.await.unwrap().unwrap();
    let (height, hash) = (bench.block.height(), bench.block.hash());
    let confirmed = Some(ConfirmedBlock { height, hash, proposer: bench.block.header().beneficiary });
    let explained = |bench: &Bench| {
        let explained = bench.importer.explain(Some(height), None, confirmed, false).unwrap().unwrap();
        serde_json::to_value(explained).unwrap()["confirmed"].clone()
    };
    bench.importer.passports().stored(&bench.block, Provenance::OPERATOR, &[]);
    let told = explained(&bench);
    for check in told["checks"].as_array().unwrap() {
        let stage = if check["stage"] == "verify" { "verifiedAt" } else { "executedAt" };
        assert_eq!((&check["outcome"], &check["passed"]), (&"passed".into(), &true.into()));
        assert!(check["at"].is_f64() && check["at"] == told["passport"][stage], "{check}");
    }
    let counts = serde_json::json!([{ "origin": "operator", "kind": "block", "route": "ImportBlock", "count": 1 }]);
    assert_eq!(told["routeCounts"], counts);

    bench.importer.passports().stored(&bench.block, Provenance::PROPOSER, &[]);
    for check in explained(&bench)["checks"].as_array().unwrap() {
        assert_eq!(check["outcome"], "built");
        assert!(check["passed"].is_null() && check["at"].is_null(), "{check}");
    }
}
