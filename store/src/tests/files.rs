//! Files: made whole or not at all, refused with a plain sentence, and free to be copied.

use super::fixture::{Action, Fixture};
use crate::tables::{METADATA, SCHEMA};
use crate::{CommitBatch, CreateError, NewChain, OpenError, Store, StoreConfig, StoreWriter};
use alloy_primitives::B256;
use callboard_chain::trie::TrieUpdates;
use proptest::prelude::*;
use redb::Database;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

const CONFIG: StoreConfig = StoreConfig { cache_bytes: 4 << 20, quick_repair: true };

struct Folder {
    folder: TempDir,
    fixture: Fixture,
    trie: TrieUpdates,
}

impl Folder {
    fn new() -> Self {
        let (fixture, trie) = Fixture::new(4);
        Self { folder: tempfile::tempdir().unwrap(), fixture, trie }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("chain.redb")
    }

    fn create(&self, genesis_json: &[u8]) -> Result<(Store, StoreWriter), CreateError> {
        let chain = NewChain { chain_id: 1337, genesis_json, genesis: self.fixture.genesis(), trie: &self.trie };
        Store::create(self.path(), &CONFIG, chain)
    }

    /// A closed file with three blocks above the genesis.
    fn filled() -> Self {
        let mut this = Self::new();
        let (_store, mut writer) = this.create(b"{}").unwrap();
        let deploy = Action::Deploy { from: 1, contract: 0, code: 1 };
        let set = Action::Store { from: 1, contract: 0, slot: 1, value: 1 };
        this.fixture.take_updates();
        for _ in 0..3 {
            let blocks = vec![this.fixture.add(&[deploy.clone(), set.clone()], 1)];
            writer.commit(CommitBatch { blocks, trie: this.fixture.take_updates() }).unwrap();
        }
        this
    }
}

fn open(path: &Path) -> Result<(Store, StoreWriter), OpenError> {
    Store::open(path, &CONFIG, None)
}

fn refused(path: &Path) -> OpenError {
    open(path).map(drop).unwrap_err()
}

#[test]
fn a_chain_is_created_once_and_nothing_else_stays_in_the_folder() {
    let folder = Folder::new();
    let leftover = folder.folder.path().join("chain.creating-1");
    fs::write(&leftover, b"left by a killed creation").unwrap();
    let (store, writer) = folder.create(b"{\"x\": 1}").unwrap();
    let snapshot = store.snapshot().unwrap();
    assert_eq!(writer.head().height, 0);
    assert_eq!(snapshot.genesis_json().unwrap(), b"{\"x\": 1}"[..]);
    assert_eq!(snapshot.genesis_hash().unwrap(), folder.fixture.genesis().value().hash());
    assert_eq!(snapshot.chain_id().unwrap(), 1337);
    assert_eq!(fs::read_dir(folder.folder.path()).unwrap().count(), 1);
    drop((store, writer, snapshot));
    let before = fs::read(folder.path()).unwrap();
    let error = folder.create(b"{}").map(drop).unwrap_err();
    assert!(matches!(error, CreateError::Exists { .. }), "{error}");
    assert_eq!(fs::read(folder.path()).unwrap(), before);
}

#[test]
fn a_chain_starts_with_block_zero() {
    let mut folder = Folder::new();
    folder.fixture.add(&[], 1);
    folder.fixture.blocks.remove(0);
    let error = folder.create(b"{}").map(drop).unwrap_err();
    assert!(matches!(error, CreateError::NotGenesis { actual: 1 }), "{error}");
    assert_eq!(fs::read_dir(folder.folder.path()).unwrap().count(), 0);
}

#[test]
fn a_folder_that_cannot_be_written_is_named() {
    let folder = Folder::new();
    let chain = NewChain { chain_id: 1, genesis_json: b"{}", genesis: folder.fixture.genesis(), trie: &folder.trie };
    let error = Store::create(folder.folder.path().join("missing/chain.redb"), &CONFIG, chain).map(drop).unwrap_err();
    assert!(error.to_string().contains("missing/chain.redb"), "{error}");
}

#[test]
fn a_large_genesis_file_comes_back_byte_for_byte() {
    let folder = Folder::new();
    let json: Vec<u8> = (0..5_000_000u32).map(|number| (number % 251) as u8).collect();
    let (store, _writer) = folder.create(&json).unwrap();
    let snapshot = store.snapshot().unwrap();
    assert_eq!(snapshot.genesis_json().unwrap(), json);
    assert_eq!(snapshot.genesis_length().unwrap(), 5_000_000);
    assert_eq!(snapshot.genesis_chunk(1).unwrap().unwrap(), json[1 << 20..2 << 20]);
    assert_eq!(snapshot.genesis_chunk(5).unwrap(), None);
}

#[test]
fn a_second_handle_is_refused() {
    let folder = Folder::new();
    let open_one = folder.create(b"{}").unwrap();
    let error = refused(&folder.path());
    assert!(matches!(error, OpenError::InUse { .. }), "{error}");
    assert!(error.to_string().contains("is in use by another process; stop that node first"));
    drop(open_one);
    open(&folder.path()).unwrap();
}

#[test]
fn a_file_that_is_missing_or_something_else_is_refused_by_name() {
    let folder = Folder::new();
    let error = refused(&folder.path());
    assert!(matches!(error, OpenError::Missing { .. }), "{error}");
    for content in [&b""[..], b"hello", &[0; 100_000]] {
        fs::write(folder.path(), content).unwrap();
        let error = refused(&folder.path());
        assert!(matches!(error, OpenError::NotADatabase { .. }), "{error}");
        assert_eq!(fs::read(folder.path()).unwrap(), content, "it was written to");
    }
    fs::remove_file(folder.path()).unwrap();
    drop(Database::create(folder.path()).unwrap());
    let error = refused(&folder.path());
    assert!(matches!(error, OpenError::NotADatabase { .. }), "{error}");
    let error = refused(folder.folder.path());
    assert!(error.to_string().contains(&folder.folder.path().display().to_string()), "{error}");
}

#[test]
fn another_chain_is_refused_with_both_hashes() {
    let folder = Folder::filled();
    let actual = folder.fixture.genesis().value().hash();
    let expected = B256::repeat_byte(9);
    let error = Store::open(folder.path(), &CONFIG, Some(expected)).map(drop).unwrap_err();
    assert!(error.to_string().contains(&expected.to_string()) && error.to_string().contains(&actual.to_string()));
    Store::open(folder.path(), &CONFIG, Some(actual)).unwrap();
}

#[test]
fn a_newer_schema_is_refused() {
    let folder = Folder::filled();
    let database = Database::open(folder.path()).unwrap();
    let write = database.begin_write().unwrap();
    write.open_table(METADATA).unwrap().insert(SCHEMA, 2u32.to_be_bytes().as_slice()).unwrap();
    write.commit().unwrap();
    drop(database);
    let error = refused(&folder.path());
    assert!(matches!(error, OpenError::NewerSchema { expected: 1, actual: 2, .. }), "{error}");
}

#[test]
fn a_copied_file_is_the_same_chain() {
    let folder = Folder::filled();
    let copy = folder.folder.path().join("copy.redb");
    fs::copy(folder.path(), &copy).unwrap();
    let (one, two) = (open(&folder.path()).unwrap(), open(&copy).unwrap());
    assert_eq!(one.1.head(), two.1.head());
    assert_eq!(super::differential::dump(&one.0), super::differential::dump(&two.0));
}

/// Each row is taken away or changed, so that head, block and state no longer belong together.
#[test]
fn a_head_that_does_not_belong_to_its_block_or_state_is_refused() {
    use crate::tables::{ACCOUNT_TRIE, BLOCKS, HEAD};
    let damage: [&dyn Fn(&redb::WriteTransaction); 5] = [
        &|write| drop(write.open_table(BLOCKS).unwrap().remove(3).unwrap()),
        &|write| drop(write.open_table(BLOCKS).unwrap().insert(3, &b"no block"[..]).unwrap()),
        &|write| drop(write.open_table(ACCOUNT_TRIE).unwrap().remove(&b""[..]).unwrap()),
        &|write| drop(write.open_table(METADATA).unwrap().remove(HEAD).unwrap()),
        &|write| drop(write.open_table(METADATA).unwrap().insert(HEAD, &[0; 80][..]).unwrap()),
    ];
    for (number, damage) in damage.iter().enumerate() {
        let folder = Folder::filled();
        let database = Database::open(folder.path()).unwrap();
        let write = database.begin_write().unwrap();
        damage(&write);
        write.commit().unwrap();
        drop(database);
        let error = refused(&folder.path());
        assert!(matches!(error, OpenError::Damaged { .. }), "{number}: {error}");
        assert!(error.to_string().contains("is damaged"), "{error}");
    }
}

/// Opening this either refuses in a sentence, or gives a store. Closing that one may panic inside redb, which does not
/// check its own list of free pages, and once more while that panic unwinds, which ends the process: that is what the
/// Reconciler and the death guard are for. So it stays open, with its lock, on a file that no other one is.
fn opens_or_refuses(path: &Path, bytes: &[u8]) {
    fs::remove_file(path).unwrap();
    fs::write(path, bytes).unwrap();
    match open(path) {
        Ok(opened) => std::mem::forget(opened),
        Err(error) => assert!(error.to_string().contains("chain.redb"), "{error}"),
    }
}

#[test]
fn a_file_cut_anywhere_is_refused_in_a_sentence() {
    let folder = Folder::filled();
    let whole = fs::read(folder.path()).unwrap();
    let cuts = (0..200).chain((1..64).map(|part| whole.len() * part / 64)).chain(whole.len() - 10..whole.len());
    for cut in cuts {
        opens_or_refuses(&folder.path(), &whole[..cut]);
    }
    fs::remove_file(folder.path()).unwrap();
    fs::write(folder.path(), &whole).unwrap();
    open(&folder.path()).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn opening_a_garbled_file_is_never_a_panic(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20),
        in_header in any::<bool>(),
    ) {
        thread_local! {
            static WHOLE: (Folder, Vec<u8>) = {
                let folder = Folder::filled();
                let whole = fs::read(folder.path()).unwrap();
                (folder, whole)
            };
        }
        WHOLE.with(|(folder, whole)| {
            let mut garbled = whole.clone();
            for (index, byte) in changes {
                let end = if in_header { 512 } else { garbled.len() };
                garbled[index.index(end)] = byte;
            }
            opens_or_refuses(&folder.path(), &garbled);
        });
    }
}
