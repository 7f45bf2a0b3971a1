use super::actor::{Ports, Reconciler, ReconcilerMetrics, Setup, Verification};
use super::check::{Fault, Meaning, check_block, check_genesis};
use super::messages::{VerifyRange, VerifyState};
use super::range::{RangeCheck, RangeProgress};
use super::state::{BLOCKS_A_ROUND, Effect, Outcome, RETRY, SHARE_PERCENT, State, Step};
use crate::callboard::{Callboard, Phase, Role};
use crate::guard::Stop;
use crate::send::{ActorRegistry, Inbox, Mailbox};
use crate::testing::{StoredChain, genesis, key};
use alloy_consensus::{SignableTransaction, TxLegacy};
use alloy_primitives::{Address, Bytes, Signature, TxKind, U256};
use callboard_chain::Transaction;
use callboard_store::{NodeStore, Store, StoreConfig};
use std::sync::Arc;
use std::time::Duration;

const EVERY: Duration = Duration::from_secs(3_600);

/// Takes the core through one step that ends as said; the step, and what follows but the pause.
fn step(state: &mut State, now: &mut Duration, head: u64, outcome: Outcome) -> (Step, Vec<Effect>) {
    loop {
        match state.on_wake(*now, Phase::Following, head) {
            Effect::Wake(after) => *now += after,
            // Counted in one step, and forgotten: the tests below are of what comes before and after.
            Effect::Run(Step::Rows { .. }) if outcome != Outcome::RowsAreCounted => {
                state.on_done(*now, 7, Duration::ZERO, Outcome::RowsAreCounted);
            }
            Effect::Run(step) => {
                let took = Duration::from_millis(10);
                let mut effects = state.on_done(*now + took, 7, took, outcome);
                let Some(Effect::Wake(pause)) = effects.pop() else { panic!("no pause") };
                *now += took + pause;
                return (step, effects);
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_round_hashes_the_state_and_then_executes_blocks_from_the_bookmark_on() {
    let (mut state, mut now) = (State::new(EVERY, 3), Duration::ZERO);
    assert_eq!(step(&mut state, &mut now, 5, Outcome::RootGoesOn), (Step::BeginRoot { height: 5 }, vec![]));
    // The head moves; the state that is hashed does not.
    assert_eq!(step(&mut state, &mut now, 6, Outcome::RootGoesOn), (Step::Root, vec![]));
    assert_eq!(step(&mut state, &mut now, 7, Outcome::RootIsRight), (Step::Root, vec![]));
    for height in [3, 4] {
        assert_eq!(step(&mut state, &mut now, 7, Outcome::BlockIsRight), (Step::Block { height }, vec![]));
    }
    let (last, effects) = step(&mut state, &mut now, 7, Outcome::BlockIsRight);
    assert_eq!(last, Step::Block { height: 5 });
    let [Effect::Save { next: 6 }, Effect::Publish(result)] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!((result.height, result.at, result.ok), (5, 7, true));

    // The next round begins an hour after this one began, and goes on at block 6.
    let begun = now;
    assert_eq!(step(&mut state, &mut now, 8, Outcome::RootIsRight).0, Step::BeginRoot { height: 8 });
    assert!(now >= EVERY && begun < EVERY, "{now:?}");
    assert_eq!(step(&mut state, &mut now, 8, Outcome::BlockIsRight).0, Step::Block { height: 6 });
}

#[test]
fn what_the_look_up_by_address_lists_is_counted_before_the_blocks_are_executed() {
    let (mut state, mut now) = (State::new(EVERY, 3), Duration::ZERO);
    step(&mut state, &mut now, 5, Outcome::RootIsRight);
    let rows = Effect::Run(Step::Rows { from: 3, to: 5 });
    for outcome in [Outcome::RowsGoOn, Outcome::RowsAreCounted] {
        now += EVERY;
        assert_eq!(state.on_wake(now, Phase::Following, 7), rows);
        state.on_done(now, 7, Duration::ZERO, outcome);
    }
    assert_eq!(state.on_wake(now, Phase::Following, 7), Effect::Run(Step::Block { height: 3 }));
}

#[test]
fn after_the_head_it_begins_again_at_block_1_and_a_round_is_bounded() {
    let (mut state, mut now) = (State::new(EVERY, 6), Duration::ZERO);
    step(&mut state, &mut now, 5, Outcome::RootIsRight);
    assert_eq!(step(&mut state, &mut now, 5, Outcome::BlockIsRight).0, Step::Block { height: 1 });

    let (mut state, mut now) = (State::new(EVERY, 1), Duration::ZERO);
    step(&mut state, &mut now, 1_000_000, Outcome::RootIsRight);
    let (mut blocks, mut saved) = (0, 0);
    loop {
        let (_, effects) = step(&mut state, &mut now, 1_000_000, Outcome::BlockIsRight);
        blocks += 1;
        saved += effects.iter().filter(|effect| matches!(effect, Effect::Save { .. })).count();
        if effects.iter().any(|effect| matches!(effect, Effect::Publish(_))) {
            break;
        }
    }
    assert_eq!(blocks, BLOCKS_A_ROUND);
    assert!(saved > 10, "a restart repeats little");
}

#[test]
fn work_takes_its_share_of_the_time_and_rests_while_the_node_catches_up() {
    let mut state = State::new(Duration::from_secs(1), 1);
    let mut now = Duration::from_secs(10);
    assert!(matches!(state.on_wake(now, Phase::CatchingUp, 9), Effect::Wake(_)));
    assert!(matches!(state.on_wake(now, Phase::Following, 9), Effect::Run(_)));
    let effects = state.on_done(now, 0, Duration::from_millis(50), Outcome::RootGoesOn);
    let pause = Duration::from_millis(50) * (100 / SHARE_PERCENT) - Duration::from_millis(50);
    assert_eq!(effects, [Effect::Wake(pause)]);
    now += pause;
    assert!(matches!(state.on_wake(now, Phase::CatchingUp, 9), Effect::Wake(_)));
    assert_eq!(state.on_wake(now, Phase::Stalled, 9), Effect::Run(Step::Root));
}

#[test]
fn a_state_forgotten_before_it_was_read_is_begun_again_at_the_head_and_faster() {
    let (mut state, mut now) = (State::new(EVERY, 1), Duration::ZERO);
    step(&mut state, &mut now, 50, Outcome::RootGoesOn);
    let slow = now;
    step(&mut state, &mut now, 90, Outcome::Pruned { oldest: 60 });
    let fast = now - slow;
    assert_eq!(step(&mut state, &mut now, 95, Outcome::RootIsRight).0, Step::BeginRoot { height: 95 });
    assert!(fast < Duration::from_millis(150), "{fast:?}");
    // Blocks whose state is gone are left out.
    step(&mut state, &mut now, 95, Outcome::Pruned { oldest: 60 });
    assert_eq!(step(&mut state, &mut now, 95, Outcome::BlockIsRight).0, Step::Block { height: 61 });
}

#[test]
fn a_fault_is_published_and_the_bookmark_stays_before_it() {
    let (mut state, mut now) = (State::new(EVERY, 4), Duration::ZERO);
    step(&mut state, &mut now, 9, Outcome::RootIsRight);
    let wrong = Outcome::Wrong { height: 4, fault: "broken".to_owned() };
    let (_, effects) = step(&mut state, &mut now, 9, wrong);
    let [Effect::Publish(result)] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!((result.height, result.ok, result.fault.as_deref()), (4, false, Some("broken")));
    assert_eq!(state.on_wake(now + EVERY, Phase::Following, 9), Effect::Wake(EVERY), "it stays wrong");
}

fn call(nonce: u64, to: TxKind, value: u64, input: Bytes) -> Transaction {
    let transaction =
        TxLegacy { chain_id: Some(1337), nonce, gas_price: 0, gas_limit: 200_000, to, value: U256::from(value), input };
    let signature = Signature::from_raw_array(&key(9).sign(transaction.signature_hash())).unwrap();
    transaction.into_signed(signature).into()
}

/// A chain of six blocks: transfers, a contract that stores the block number, calls of it.
fn chain() -> StoredChain {
    let mut chain = StoredChain::new(genesis(1337, 30_000_000));
    // number sstore(number, number), as code that is deployed by copying it.
    let code: Bytes = vec![0x63, 0x43, 0x43, 0x55, 0x00, 0x60, 0, 0x52, 0x60, 4, 0x60, 28, 0xf3].into();
    let contract = key(9).address().create(0);
    let blocks = [
        vec![call(0, TxKind::Create, 0, code), call(1, TxKind::Call(Address::repeat_byte(5)), 3, Bytes::new())],
        vec![call(2, TxKind::Call(contract), 0, Bytes::new())],
        vec![],
        vec![call(3, TxKind::Call(contract), 0, Bytes::new()), call(4, TxKind::Call(contract), 0, Bytes::new())],
        vec![call(5, TxKind::Call(Address::repeat_byte(5)), 1, Bytes::new())],
        vec![call(6, TxKind::Call(contract), 0, Bytes::new())],
    ];
    for transactions in blocks {
        chain.seal(&transactions);
        chain.store();
    }
    chain
}

fn check_range(chain: &StoredChain, from: Option<u64>, to: Option<u64>) -> Result<Vec<u64>, Fault> {
    let config = Arc::new(chain.genesis.config().clone());
    let mut check = RangeCheck::new(chain.store.clone(), config, chain.folder.path(), from, to)?;
    let mut blocks = Vec::new();
    loop {
        match check.step()? {
            RangeProgress::State { .. } => {}
            RangeProgress::Block { height } => blocks.push(height),
            RangeProgress::Done => break,
        }
    }
    drop(check);
    let left = std::fs::read_dir(chain.folder.path()).unwrap().count();
    assert_eq!(left, 1, "only the database is left");
    Ok(blocks)
}

#[test]
fn every_range_of_a_whole_chain_is_right() {
    let chain = chain();
    let config = chain.genesis.config();
    let snapshot = chain.store.snapshot().unwrap();
    check_genesis(&snapshot, config).unwrap();
    for height in 1..=6 {
        check_block(&snapshot, config, height).unwrap();
    }
    assert!(snapshot.receipts(4).unwrap().unwrap().iter().all(|receipt| receipt.success));
    for from in 0..=6 {
        for to in from..=6 {
            let expected: Vec<_> = (from.max(1)..=to).collect();
            assert_eq!(check_range(&chain, Some(from), Some(to)).unwrap(), expected, "{from} to {to}");
        }
    }
    assert!(matches!(check_range(&chain, Some(5), Some(4)), Err(Fault::Range { from: 5, to: 4 })));
    assert!(check_range(&chain, None, Some(7)).unwrap_err().is_history());
}

#[test]
fn a_bloom_by_which_a_search_would_pass_over_a_log_is_a_fault_of_its_block() {
    let mut chain = StoredChain::new(genesis(1337, 30_000_000));
    // PUSH0 PUSH0 LOG0 STOP, as code that is deployed by copying it.
    let code: Bytes = vec![0x63, 0x5f, 0x5f, 0xa0, 0x00, 0x60, 0, 0x52, 0x60, 4, 0x60, 28, 0xf3].into();
    chain.seal(&[call(0, TxKind::Create, 0, code)]);
    chain.seal(&[call(1, TxKind::Call(key(9).address().create(0)), 0, Bytes::new())]);
    for _ in 0..70 {
        chain.seal(&[]);
    }
    chain.store();
    let StoredChain { genesis, store, writer, live, folder } = chain;
    check_block(&store.snapshot().unwrap(), genesis.config(), 2).unwrap();
    drop((store, writer, live));
    let path = folder.path().join("chain.redb");
    let database = redb::Database::open(&path).unwrap();
    let write = database.begin_write().unwrap();
    {
        let blooms = redb::TableDefinition::<u64, &[u8; 288]>::new("blooms");
        let mut table = write.open_table(blooms).unwrap();
        let mut row = *redb::ReadableTable::get(&table, 0).unwrap().unwrap().value();
        row[32..].fill(0);
        table.insert(0, &row).unwrap();
    }
    write.commit().unwrap();
    drop(database);
    let (store, _writer) = Store::open(&path, &StoreConfig::default(), None).unwrap();
    let snapshot = store.snapshot().unwrap();
    let fault = check_block(&snapshot, genesis.config(), 2).unwrap_err();
    assert!(matches!(fault, Fault::Stored { height: 2, what: "logs blooms of its group" }), "{fault}");
    check_block(&snapshot, genesis.config(), 3).unwrap();
}

#[test]
fn a_range_of_pruned_history_begins_where_it_can_or_is_refused() {
    let mut chain = chain();
    chain.writer.prune_history(3).unwrap();
    assert_eq!(check_range(&chain, None, None).unwrap(), [4, 5, 6]);
    let refused = check_range(&chain, Some(3), None).unwrap_err();
    assert!(refused.is_history(), "{refused}");
}

/// What comes of a check that runs by itself.
fn end_of(running: &Verification) -> VerifyState {
    let begun = std::time::Instant::now();
    loop {
        match running.shared.state.lock().clone() {
            VerifyState::Running { .. } if begun.elapsed() < Duration::from_secs(60) => {}
            state => return state,
        }
        std::thread::yield_now();
    }
}

#[test]
fn a_check_whose_first_state_is_forgotten_meanwhile_goes_on_further_up_and_says_nothing_of_damage() {
    let mut chain = chain();
    let config = Arc::new(chain.genesis.config().clone());
    let begin = |chain: &StoredChain, from| {
        RangeCheck::new(chain.store.clone(), config.clone(), chain.folder.path(), from, None).unwrap()
    };
    let (all, part) = (begin(&chain, None), begin(&chain, Some(2)));
    chain.writer.prune_history(3).unwrap();
    let asked = |from| VerifyRange { from, to: None };
    let done = end_of(&Verification::start(asked(None), all).unwrap());
    assert_eq!(done, VerifyState::Done { from: 5, to: 6, fault: None });
    let not_done = end_of(&Verification::start(asked(Some(2)), part).unwrap());
    let VerifyState::NotDone { from: 2, to: 6, reason } = not_done else { panic!("{not_done:?}") };
    assert!(reason.contains("was pruned") && reason.contains("a later one"), "{reason}");
}

#[test]
fn a_check_that_ends_abnormally_is_not_waited_for() {
    let asked = VerifyRange { from: None, to: None };
    let running = Verification::spawn(asked, (1, 6), |_| panic!("on purpose")).unwrap();
    let VerifyState::NotDone { from: 1, to: 6, .. } = end_of(&running) else { panic!("it ended") };
}

#[test]
fn a_step_that_could_not_be_made_is_no_damage_and_is_made_again() {
    let (mut state, mut now) = (State::new(EVERY, 1), Duration::from_secs(10));
    step(&mut state, &mut now, 9, Outcome::RootGoesOn);
    assert_eq!(state.on_wake(now, Phase::Following, 9), Effect::Run(Step::Root));
    let full = Outcome::NotDone { reason: "no space".to_owned() };
    let effects = state.on_done(now, 7, Duration::ZERO, full);
    assert_eq!(effects, [Effect::Warn { reason: "no space".to_owned() }, Effect::Wake(RETRY)]);
    assert_eq!(state.on_wake(now + RETRY, Phase::Following, 9), Effect::Run(Step::BeginRoot { height: 9 }));
}

#[test]
fn a_full_disk_and_a_disk_that_fails_are_told_from_damage() {
    let full = || std::io::Error::from(std::io::ErrorKind::StorageFull);
    let folder = std::path::PathBuf::from("data");
    let no_file = Fault::Root { height: 1, source: callboard_store::RootError::File { folder, source: full() } };
    assert_eq!(no_file.means(), Meaning::NoTemporaryFile);
    let disk = || callboard_store::StorageError::Database(Box::new(redb::Error::Io(full())));
    let executing = || callboard_chain::execution::ExecutionError::State(callboard_chain::StateReadError::from(disk()));
    assert_eq!(Fault::ScratchWrite(disk()).means(), Meaning::NoTemporaryFile);
    for failed in [
        Fault::Storage(disk()),
        Fault::History(callboard_store::HistoryError::Storage(disk())),
        Fault::Root { height: 1, source: disk().into() },
        Fault::Base { height: 1, source: disk().into() },
        Fault::Execution { height: 1, source: executing() },
    ] {
        assert_eq!(failed.means(), Meaning::DiskFailure, "{failed}");
    }
    let damaged = Fault::Storage(callboard_store::StorageError::damaged("blocks", "no"));
    assert_eq!(damaged.means(), Meaning::Damage);
    assert_eq!(Fault::Missing { height: 1 }.means(), Meaning::Damage);
}

/// A process's background check until it has published: how many blocks it has executed.
async fn checked_in_a_run(chain: &StoredChain, node_store: &NodeStore) -> u64 {
    let (registry, _deaths) = ActorRegistry::new();
    let mailbox = Mailbox::open(&actix::Arbiter::current(), registry.actor("Reconciler", 8)).await.unwrap();
    let stop: Inbox<Stop> = mailbox.inbox();
    let callboard = Callboard::new(Role::Follower);
    callboard.set_phase(Phase::Following);
    let metrics = ReconcilerMetrics::default();
    let setup = Setup {
        every: EVERY,
        store: chain.store.clone(),
        config: Arc::new(chain.genesis.config().clone()),
        node_store: node_store.clone(),
        folder: chain.folder.path().to_owned(),
        callboard,
        metrics: metrics.clone(),
    };
    let (published, mut results) = tokio::sync::watch::channel(None);
    mailbox.start(move |_| Reconciler::new(Ports { published }, setup));
    results.changed().await.unwrap();
    assert_eq!(results.borrow().as_ref().and_then(|result| result.fault.clone()), None);
    stop.ask(Stop, Duration::from_secs(20)).await.unwrap();
    metrics.blocks()
}

#[actix::test]
async fn a_round_after_a_restart_goes_on_where_the_last_one_has_come() {
    let mut chain = StoredChain::new(genesis(1337, 30_000_000));
    let path = chain.folder.path().join("node.redb");
    for (ends_at, expected) in [(3, 3), (5, 2)] {
        while chain.live.head().number < ends_at {
            chain.seal(&[]);
            chain.store();
        }
        let blocks = checked_in_a_run(&chain, &NodeStore::open(&path).unwrap()).await;
        assert_eq!(blocks, expected);
    }
}
