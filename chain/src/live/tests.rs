mod checks;

use super::*;
use crate::testing::{authority, legacy, sender as owner, sign};
use crate::verify::{child_header, mix_hash, verify_block};
use crate::{Account, AccountChange, BaseFeePolicy, Hardfork, Seal, StateReadError, Transaction};
use alloy_consensus::TxLegacy;
use alloy_primitives::{Address, Bytes, KECCAK256_EMPTY, TxKind, U256};
use alloy_trie::Nibbles;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

#[derive(Default)]
struct Disk {
    accounts: BTreeMap<Address, Account>,
    storage: BTreeMap<(Address, U256), U256>,
    code: BTreeMap<B256, Bytes>,
    hashes: BTreeMap<u64, B256>,
    nodes: BTreeMap<(Option<B256>, Nibbles), Bytes>,
}

#[derive(Clone, Default)]
struct MemoryState(Rc<RefCell<Disk>>);

impl MemoryState {
    fn store(&self, batch: Batch) -> u64 {
        let mut height = 0;
        for block in &batch.blocks {
            height = block.value().height();
            self.0.borrow_mut().hashes.insert(height, block.value().hash());
            self.apply(block.changes());
        }
        self.apply_nodes(batch.trie);
        height
    }

    fn apply(&self, changes: &BlockChanges) {
        let mut disk = self.0.borrow_mut();
        for change in &changes.accounts {
            match change.after {
                Some(account) => disk.accounts.insert(change.address, account),
                None => disk.accounts.remove(&change.address),
            };
        }
        for change in &changes.storage {
            disk.storage.insert((change.address, change.slot), change.after);
        }
        disk.code.extend(changes.code.iter().cloned());
    }

    fn apply_nodes(&self, updates: TrieUpdates) {
        let mut disk = self.0.borrow_mut();
        for (key, node) in updates.nodes {
            match node {
                Some(node) => disk.nodes.insert(key, node),
                None => disk.nodes.remove(&key),
            };
        }
    }
}

impl StateReader for MemoryState {
    fn account(&self, address: Address) -> Result<Option<Account>, StateReadError> {
        Ok(self.0.borrow().accounts.get(&address).copied())
    }
    fn storage(&self, address: Address, slot: U256) -> Result<U256, StateReadError> {
        Ok(self.0.borrow().storage.get(&(address, slot)).copied().unwrap_or_default())
    }
    fn code(&self, code_hash: B256) -> Result<Bytes, StateReadError> {
        let none = StateReadError("no such code".into());
        if code_hash == KECCAK256_EMPTY {
            return Ok(Bytes::new());
        }
        self.0.borrow().code.get(&code_hash).cloned().ok_or(none)
    }
    fn block_hash(&self, height: u64) -> Result<Option<B256>, StateReadError> {
        Ok(self.0.borrow().hashes.get(&height).copied())
    }
    fn storage_slots(&self, address: Address) -> Result<Vec<(U256, U256)>, StateReadError> {
        let disk = self.0.borrow();
        Ok(disk
            .storage
            .iter()
            .filter(|((of, _), _)| *of == address)
            .map(|((_, slot), value)| (*slot, *value))
            .collect())
    }
}

impl TrieReader for MemoryState {
    fn trie_node(&self, owner: Option<B256>, path: &Nibbles) -> Result<Option<Bytes>, StateReadError> {
        Ok(self.0.borrow().nodes.get(&(owner, *path)).cloned())
    }
}

fn config() -> Arc<ChainConfig> {
    Arc::new(ChainConfig {
        chain_id: 1337,
        name: "live".to_owned(),
        authority: authority().address(),
        forks: vec![(Hardfork::Osaka, 0)],
        base_fee_policy: BaseFeePolicy::Zero,
        initial_base_fee: 0,
        gas_limit: 30_000_000,
        max_block_bytes: 8_388_608,
        heartbeat_seconds: 60,
    })
}

/// A chain whose genesis gives the owner a million wei.
fn live() -> (LiveState<MemoryState>, MemoryState) {
    let base = MemoryState::default();
    let account = Account { balance: U256::from(1_000_000), ..Account::default() };
    let mut changes = BlockChanges {
        accounts: vec![AccountChange { address: owner().address(), before: None, after: Some(account) }],
        ..BlockChanges::default()
    };
    let mut trie = StateTrie::new(alloy_trie::EMPTY_ROOT_HASH);
    let state_root = trie.apply(&base, &mut changes).unwrap();
    base.apply(&changes);
    base.apply_nodes(trie.take_updates());
    let before = Header { timestamp: 1_000, ..Header::default() };
    let genesis = Header { state_root, number: 0, ..child_header(&before, 1_000, &config()) };
    base.0.borrow_mut().hashes.insert(0, genesis.hash_slow());
    (LiveState::new(config(), base.clone(), genesis), base)
}

fn transfer(nonce: u64, value: u64) -> (Transaction, Address) {
    transfer_to(Address::repeat_byte(0xaa), nonce, value)
}

fn transfer_to(to: Address, nonce: u64, value: u64) -> (Transaction, Address) {
    let (to, value) = (TxKind::Call(to), U256::from(value));
    let transaction = TxLegacy { gas_price: 0, gas_limit: 21_000, to, value, ..legacy(nonce) };
    (sign(transaction), owner().address())
}

fn build(live: &mut LiveState<MemoryState>, candidates: Vec<(Transaction, Address)>) -> Built {
    let timestamp = live.head().timestamp + 1;
    live.build(Proposal { timestamp, candidates }, &|| false).unwrap()
}

fn propose(live: &mut LiveState<MemoryState>, candidates: Vec<(Transaction, Address)>) -> Block {
    let built = build(live, candidates);
    live.seal_candidate(built.hash, Seal::sign(&authority(), built.hash)).unwrap().value().clone()
}

fn verified(block: &Block) -> Verified<Block> {
    verify_block(block.bytes().clone(), &config()).unwrap()
}

/// The block with another header, sealed again: what a wrong or hostile authority would send.
fn resealed(block: &Block, change: impl FnOnce(&mut Header)) -> Verified<Block> {
    let mut header = block.header().clone();
    change(&mut header);
    verified(&Block::sealed(header, block.transactions().to_vec(), &authority()))
}

#[test]
fn a_follower_confirms_what_the_authority_built_to_the_same_head() {
    let (mut ours, _) = live();
    let (mut theirs, disk) = live();
    for nonce in 0..3 {
        let block = propose(&mut ours, vec![transfer(nonce, 10)]);
        theirs.confirm(verified(&block)).unwrap();
        if nonce == 1 {
            let height = disk.store(theirs.take_batch().unwrap());
            theirs.on_durable(height, 0);
            assert!(theirs.overlay.is_empty());
        }
    }
    assert_eq!(theirs.head_hash(), ours.head_hash());
    assert_eq!(theirs.unstored().len(), 1);
}

#[test]
fn memory_is_given_back_while_catching_up_although_newer_blocks_wait() {
    let (mut source, _) = live();
    let (mut theirs, disk) = live();
    for nonce in 0..40 {
        let block = propose(&mut source, vec![transfer_to(Address::with_last_byte(nonce as u8), nonce, 1)]);
        theirs.confirm(verified(&block)).unwrap();
        if nonce % 4 == 1 {
            let batch = theirs.take_batch().unwrap();
            // The next block is confirmed while the batch is on its way.
            let next = propose(&mut source, Vec::new());
            theirs.confirm(verified(&next)).unwrap();
            let height = disk.store(batch);
            theirs.on_durable(height, 0);
            assert!(theirs.trie_nodes() < 8, "{} nodes", theirs.trie_nodes());
        }
    }
    assert_eq!(theirs.head_hash(), source.head_hash());
}

#[test]
fn a_stored_chain_goes_on_where_it_stopped() {
    let (mut first, disk) = live();
    propose(&mut first, vec![transfer(0, 10)]);
    disk.store(first.take_batch().unwrap());
    let mut second = LiveState::new(config(), disk, first.head().clone());
    let block = propose(&mut first, vec![transfer(1, 10)]);
    assert_eq!(second.confirm(verified(&block)).unwrap().value().hash(), block.hash());
}

#[test]
fn every_root_is_compared_and_a_refused_block_leaves_no_trace() {
    let (mut source, _) = live();
    let block = propose(&mut source, vec![transfer(0, 10)]);
    let (mut live, _) = live();
    let wrong = B256::repeat_byte(9);
    let cases: [(&str, Verified<Block>); 6] = [
        ("gasUsed", resealed(&block, |header| header.gas_used += 1)),
        ("receiptsRoot", resealed(&block, |header| header.receipts_root = wrong)),
        ("logsBloom", resealed(&block, |header| header.logs_bloom = Bloom::repeat_byte(1))),
        ("stateRoot", resealed(&block, |header| header.state_root = wrong)),
        (
            "parentHash",
            resealed(&block, |header| {
                header.parent_hash = wrong;
                header.mix_hash = mix_hash(wrong);
            }),
        ),
        ("timestamp", resealed(&block, |header| header.timestamp = 999)),
    ];
    for (check, falsified) in cases {
        let refused = live.confirm(falsified).unwrap_err();
        assert_eq!(refused.check(), check, "{refused}");
        let nobodys = check == "parentHash";
        assert_eq!(refused.blame(), if nobodys { crate::Blame::Nobody } else { crate::Blame::Local });
        assert!(live.unstored().is_empty());
    }
    live.confirm(verified(&block)).unwrap();
}

#[test]
fn a_falsified_root_in_the_middle_of_a_batch_is_refused() {
    let (mut source, _) = live();
    let blocks: Vec<Block> = (0..3).map(|nonce| propose(&mut source, vec![transfer(nonce, 1)])).collect();
    let (mut live, _) = live();
    live.confirm(verified(&blocks[0])).unwrap();
    let falsified = resealed(&blocks[1], |header| header.state_root = B256::ZERO);
    assert_eq!(live.confirm(falsified).unwrap_err().check(), "stateRoot");
    live.confirm(verified(&blocks[1])).unwrap();
    live.confirm(verified(&blocks[2])).unwrap();
    assert_eq!(live.head_hash(), blocks[2].hash());
}

#[test]
fn known_conflicting_and_early_blocks_are_told_apart() {
    let (mut source, _) = live();
    let blocks: Vec<Block> = (0..3).map(|nonce| propose(&mut source, vec![transfer(nonce, 1)])).collect();
    let (mut live, _) = live();
    assert_eq!(live.confirm(verified(&blocks[2])).unwrap_err().check(), "parent");
    live.confirm(verified(&blocks[0])).unwrap();
    assert_eq!(live.confirm(verified(&blocks[0])).unwrap_err().check(), "known");
    let other = resealed(&blocks[0], |header| header.timestamp += 5);
    assert_eq!(live.confirm(other).unwrap_err().check(), "hash");
}

#[test]
fn an_unsealed_candidate_reaches_neither_head_nor_disk() {
    let (mut live, disk) = live();
    let genesis = live.head_hash();
    let built = build(&mut live, vec![transfer(0, 10)]);
    assert_eq!(live.head_hash(), genesis);
    assert!(live.take_batch().is_none());
    let forged = Seal::sign(&owner(), built.hash);
    assert!(matches!(live.seal_candidate(built.hash, forged), Err(SealCandidateError::Seal(_))));
    live.discard_candidate().unwrap();
    let block = propose(&mut live, vec![transfer(0, 11)]);
    disk.store(live.take_batch().unwrap());
    assert_eq!(disk.account(Address::repeat_byte(0xaa)).unwrap().unwrap().balance, U256::from(11));
    assert_eq!(block.height(), 1);

    let next = propose(&mut live, vec![transfer(1, 12)]);
    build(&mut live, vec![transfer(2, 99)]);
    assert!(live.take_batch().is_none(), "its trie nodes would be stored with the block before it");
    live.discard_candidate().unwrap();
    let batch = live.take_batch().unwrap();
    assert_eq!(batch.blocks.last().unwrap().value().hash(), next.hash());
}

#[test]
fn an_imported_block_takes_the_place_of_an_unsealed_candidate() {
    let (mut source, _) = live();
    let block = propose(&mut source, vec![transfer(0, 10)]);
    let (mut live, _) = live();
    let built = build(&mut live, vec![transfer(0, 99)]);
    live.confirm(verified(&block)).unwrap();
    let late = live.seal_candidate(built.hash, Seal::sign(&authority(), built.hash));
    assert!(matches!(late, Err(SealCandidateError::NoCandidate { .. })));
    assert_eq!(live.head_hash(), block.hash());
}

#[test]
fn candidates_that_cannot_run_are_left_out_with_a_reason() {
    let (mut live, _) = live();
    let gap = transfer(5, 1);
    let built = build(&mut live, vec![transfer(0, 1), gap.clone(), transfer(1, 1)]);
    assert_eq!(built.transactions.len(), 1);
    assert_eq!(built.skipped.len(), 1);
    assert_eq!(built.skipped[0].hash, *gap.0.tx_hash());
    assert!(built.skipped[0].reason.starts_with("nonce too high"), "{}", built.skipped[0].reason);
}

#[test]
fn a_block_closes_when_its_time_is_over() {
    let (mut live, _) = live();
    let asked = std::cell::Cell::new(0);
    let out_of_time = || asked.replace(asked.get() + 1) >= 2;
    let candidates = (0..5).map(|nonce| transfer(nonce, 1)).collect();
    let built = live.build(Proposal { timestamp: 1_001, candidates }, &out_of_time).unwrap();
    assert_eq!(built.transactions.len(), 2);
}

#[test]
fn a_built_block_keeps_to_the_size_limit() {
    let (base, _) = live();
    let config = Arc::new(ChainConfig { max_block_bytes: 1_500, ..(*base.config().as_ref()).clone() });
    let mut live = LiveState { config: config.clone(), ..base };
    let built = build(&mut live, (0..40).map(|nonce| transfer(nonce, 1)).collect());
    assert!(!built.transactions.is_empty());
    let block = built.with_seal(Seal::sign(&authority(), built.hash));
    assert!(block.bytes().len() as u64 <= config.max_block_bytes, "{}", block.bytes().len());
}

#[test]
fn the_clock_must_not_go_below_the_parent() {
    let (mut live, _) = live();
    let refused = live.build(Proposal { timestamp: 999, candidates: Vec::new() }, &|| false);
    assert!(matches!(refused, Err(BuildError::Timestamp { parent: 1_000, actual: 999 })));
}
