//! When what is confirmed goes to disk.

use super::state::{CommitPolicy, Effect, State};
use super::{ImportError, error};
use crate::callboard::Provenance;
use crate::testing::{StoredChain, genesis, key};
use alloy_consensus::{SignableTransaction, TxLegacy};
use alloy_primitives::{Address, Signature, TxKind};
use callboard_chain::live::Proposal;
use callboard_chain::verify::verify_block;
use callboard_chain::{Block, Seal, Transaction, Verified};
use callboard_store::{CommitBatch, LatestState, Store, StoreWriter};
use std::time::Duration;

/// Never reached in a test that does not mean it.
const LONG: Duration = Duration::from_secs(3_600);
const BY_AGE: CommitPolicy = CommitPolicy { transactions: usize::MAX, bytes: usize::MAX, age: Duration::from_secs(1) };

/// A core over a chain on disk, and the authority whose blocks it gets.
struct Bench {
    authority: StoredChain,
    state: State<LatestState>,
    store: Store,
    writer: StoreWriter,
    _folder: tempfile::TempDir,
    nonce: u64,
}

impl Bench {
    fn new(policy: CommitPolicy) -> Self {
        let chain = || StoredChain::new(genesis(1337, 30_000_000));
        let StoredChain { store, writer, live, folder, .. } = chain();
        Self { authority: chain(), state: State::new(live, policy), store, writer, _folder: folder, nonce: 0 }
    }

    fn transfer(&mut self) -> Transaction {
        let to = TxKind::Call(Address::ZERO);
        let unsigned =
            TxLegacy { chain_id: Some(1337), nonce: self.nonce, gas_limit: 21_000, to, ..TxLegacy::default() };
        self.nonce += 1;
        let signature = Signature::from_raw_array(&key(9).sign(unsigned.signature_hash())).unwrap();
        unsigned.into_signed(signature).into()
    }

    /// The authority's next block.
    fn block(&mut self, transactions: usize) -> Verified<Block> {
        let transactions: Vec<_> = (0..transactions).map(|_| self.transfer()).collect();
        let block = self.authority.seal(&transactions);
        verify_block(block.bytes().clone(), self.authority.genesis.config()).unwrap()
    }

    fn try_import(&mut self, now: Duration, transactions: usize) -> Result<Option<Effect>, ImportError> {
        let block = self.block(transactions);
        self.state.on_import(now, block, Provenance::OPERATOR, &mut |_| ()).map(|(_, effect)| effect)
    }

    /// The heights that the import of the authority's next block hands over to disk.
    fn import(&mut self, now: Duration, transactions: usize) -> Vec<u64> {
        let effect = self.try_import(now, transactions).unwrap();
        self.stored(effect)
    }

    /// The disk takes what it was handed: the heights. It is not reported to the core yet.
    fn stored(&mut self, effect: Option<Effect>) -> Vec<u64> {
        let Some(Effect::Store { batch, origins }) = effect else { return Vec::new() };
        assert_eq!(origins.len(), batch.blocks.len());
        let heights = batch.blocks.iter().map(|block| block.value().height()).collect();
        self.writer.commit(CommitBatch { blocks: batch.blocks, trie: batch.trie }).unwrap();
        heights
    }

    fn report_stored(&mut self, now: Duration) -> Vec<u64> {
        let height = self.store.snapshot().unwrap().head().height;
        let effect = self.state.on_stored(now, height);
        self.stored(effect)
    }
}

const NONE: [u64; 0] = [];

#[test]
fn batch_is_handed_over_once_it_has_enough_transactions() {
    let mut bench = Bench::new(CommitPolicy { transactions: 3, bytes: usize::MAX, age: LONG });
    assert_eq!(bench.import(Duration::ZERO, 2), NONE);
    assert_eq!(bench.import(Duration::ZERO, 0), NONE);
    assert_eq!(bench.import(Duration::ZERO, 1), [1, 2, 3]);
}

#[test]
fn batch_is_handed_over_once_it_has_enough_bytes() {
    let first = Bench::new(BY_AGE).block(0).value().bytes().len();
    let mut bench = Bench::new(CommitPolicy { transactions: usize::MAX, bytes: first + 1, age: LONG });
    assert_eq!(bench.import(Duration::ZERO, 0), NONE);
    assert_eq!(bench.import(Duration::ZERO, 0), [1, 2]);
}

#[test]
fn batch_is_handed_over_once_its_oldest_block_is_old_enough() {
    let mut bench = Bench::new(BY_AGE);
    assert_eq!(bench.import(Duration::from_millis(500), 0), NONE);
    assert_eq!(bench.import(Duration::from_millis(1_400), 0), NONE);
    assert!(bench.state.on_tick(Duration::from_millis(1_499)).is_none());
    let effect = bench.state.on_tick(Duration::from_millis(1_500));
    assert_eq!(bench.stored(effect), [1, 2]);
    assert!(bench.state.on_tick(LONG).is_none(), "nothing is left");
}

#[test]
fn each_block_is_handed_over_at_once_while_following() {
    let mut bench = Bench::new(CommitPolicy { age: LONG, ..BY_AGE });
    assert_eq!(bench.import(Duration::ZERO, 0), NONE);
    let effect = bench.state.on_following(true);
    assert_eq!(bench.stored(effect), [1], "what waits is handed over with the change");
    assert_eq!(bench.import(Duration::ZERO, 0), NONE, "one batch at a time");
    assert_eq!(bench.import(Duration::ZERO, 0), NONE);
    assert_eq!(bench.report_stored(Duration::ZERO), [2, 3]);
    assert_eq!(bench.report_stored(Duration::ZERO), NONE);
    assert_eq!(bench.import(Duration::ZERO, 0), [4]);
    assert_eq!(bench.report_stored(Duration::ZERO), NONE);
    assert!(bench.state.on_following(false).is_none());
    assert_eq!(bench.import(Duration::ZERO, 0), NONE);
}

#[test]
fn blocks_are_refused_while_a_batch_is_in_flight_and_the_next_one_is_full() {
    let mut bench = Bench::new(CommitPolicy { transactions: 2, bytes: usize::MAX, age: LONG });
    assert_eq!(bench.import(Duration::ZERO, 2), [1]);
    assert_eq!(bench.import(Duration::ZERO, 1), NONE, "the next batch is gathered meanwhile");
    assert_eq!(bench.import(Duration::ZERO, 1), NONE);
    let block = bench.block(1);
    let head = bench.state.live().head_hash();
    let refused = bench.state.on_import(Duration::ZERO, block.clone(), Provenance::OPERATOR, &mut |_| ()).unwrap_err();
    assert!(matches!(refused, error::ImportError::Backlogged { blocks: 2 }), "{refused}");
    assert_eq!(bench.state.live().head_hash(), head);
    assert_eq!(bench.report_stored(Duration::ZERO), [2, 3]);
    bench.state.on_import(Duration::ZERO, block, Provenance::OPERATOR, &mut |_| ()).unwrap();
}

#[test]
fn built_block_holds_the_batch_back_until_it_is_sealed() {
    let mut bench = Bench::new(BY_AGE);
    assert_eq!(bench.import(Duration::ZERO, 0), NONE);
    let proposal = Proposal { timestamp: bench.state.live().head().timestamp + 1, candidates: Vec::new() };
    let built = bench.state.on_build(proposal, &|| false).unwrap();
    assert!(bench.state.on_tick(LONG).is_none(), "its trie nodes must not reach the disk");
    let (sealed, effect) = bench.state.on_seal(LONG, built.hash, Seal::sign(&key(1), built.hash)).unwrap();
    assert_eq!(sealed.value().height(), 2);
    let Some(Effect::Store { origins, .. }) = &effect else { panic!("due") };
    assert_eq!(*origins, [Provenance::OPERATOR, Provenance::PROPOSER]);
    assert_eq!(bench.stored(effect), [1, 2]);
}

#[test]
fn stopping_hands_over_what_is_confirmed_and_drops_what_is_not_sealed() {
    let mut bench = Bench::new(CommitPolicy { age: LONG, ..BY_AGE });
    assert_eq!(bench.import(Duration::ZERO, 1), NONE);
    let proposal = Proposal { timestamp: bench.state.live().head().timestamp + 1, candidates: Vec::new() };
    bench.state.on_build(proposal, &|| false).unwrap();
    let effect = bench.state.on_stop().unwrap();
    assert_eq!(bench.stored(effect), [1]);
    let disk = bench.store.snapshot().unwrap().head();
    assert_eq!((disk.hash, disk.state_root), (bench.state.live().head_hash(), bench.state.live().head().state_root));
}

#[test]
fn stopping_waits_for_the_batch_in_flight_before_it_hands_over_the_rest() {
    let mut bench = Bench::new(CommitPolicy { transactions: 1, bytes: usize::MAX, age: LONG });
    assert_eq!(bench.import(Duration::ZERO, 1), [1]);
    assert_eq!(bench.import(Duration::ZERO, 0), NONE);
    assert!(bench.state.on_stop().unwrap().is_none());
    assert_eq!(bench.report_stored(Duration::ZERO), NONE);
    let effect = bench.state.on_stop().unwrap();
    assert_eq!(bench.stored(effect), [2]);
    assert!(bench.state.live().unstored().is_empty());
}
