//! Dying at any instant. Every call that redb makes on its storage is logged; each prefix of the log is what a kill
//! at that instant leaves, and a prefix without some of the writes since the last sync is what a power cut leaves.

use super::differential::dump;
use super::fixture::{Action, Fixture};
use super::recomputed;
use crate::disk::{OpenDatabase, Watched};
use crate::{CommitBatch, Head, NewChain, Store, StoreConfig, StoreWriter, create, open};
use redb::{Database, StorageBackend};
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};

const CONFIG: StoreConfig = StoreConfig { cache_bytes: 4 << 20, quick_repair: true };

/// One call on the storage, or a word from the test.
#[derive(Debug, Clone)]
enum Call {
    Write(u64, Vec<u8>),
    SetLength(u64),
    Sync,
    /// The test was told that this head is durable; from here on it must be there.
    Acknowledged(u64),
    /// The test asked for a rollback to this height.
    RollingBack(u64),
}

/// The content of a file, and what was done to it.
#[derive(Debug, Clone, Default)]
struct Disk {
    content: Vec<u8>,
    calls: Arc<Mutex<Vec<Call>>>,
    /// Calls that still succeed; afterwards the storage fails.
    healthy: Option<usize>,
}

#[derive(Debug, Clone, Default)]
struct Backend(Arc<Mutex<Disk>>);

impl Backend {
    fn holding(content: Vec<u8>) -> Self {
        Self(Arc::new(Mutex::new(Disk { content, ..Disk::default() })))
    }

    fn say(&self, call: Call) {
        self.0.lock().unwrap().calls.lock().unwrap().push(call);
    }

    /// Logs a call and does it.
    fn call(&self, call: Call) -> io::Result<()> {
        let mut disk = self.0.lock().unwrap();
        if let Some(healthy) = &mut disk.healthy {
            *healthy = healthy.checked_sub(1).ok_or_else(|| io::Error::other("the disk is gone"))?;
        }
        apply(&mut disk.content, &call);
        disk.calls.lock().unwrap().push(call);
        Ok(())
    }
}

fn apply(content: &mut Vec<u8>, call: &Call) {
    match call {
        Call::Write(offset, data) => {
            let offset = *offset as usize;
            content[offset..offset + data.len()].copy_from_slice(data);
        }
        Call::SetLength(length) => content.resize(*length as usize, 0),
        Call::Sync | Call::Acknowledged(_) | Call::RollingBack(_) => {}
    }
}

impl StorageBackend for Backend {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.lock().unwrap().content.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let disk = self.0.lock().unwrap();
        if disk.healthy == Some(0) {
            return Err(io::Error::other("the disk is gone"));
        }
        let range = offset as usize..offset as usize + out.len();
        out.copy_from_slice(disk.content.get(range).ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.call(Call::SetLength(length))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.call(Call::Sync)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.call(Call::Write(offset, data.to_vec()))
    }
}

/// A small chain's life: commits of one and of several blocks, a rollback, another branch, pruning.
struct Run {
    /// The file with the genesis, closed.
    start: Vec<u8>,
    calls: Vec<Call>,
    /// Every row at each head that was ever durable, by the head's hash and what was pruned below it.
    rows: BTreeMap<(alloy_primitives::B256, u64), Rows>,
}

type Rows = Vec<(Vec<u8>, Vec<u8>)>;

fn database(backend: Backend) -> Result<Database, redb::DatabaseError> {
    Database::builder().set_cache_size(1 << 20).create_with_backend(backend)
}

fn opened(backend: Backend, config: &StoreConfig) -> (Store, StoreWriter) {
    open::opened(database(backend).unwrap(), "memory".as_ref(), config, None).unwrap()
}

fn created() -> (Fixture, Vec<u8>) {
    let backend = Backend::default();
    let (mut fixture, trie) = Fixture::new(4);
    let chain = NewChain { chain_id: 1337, genesis_json: b"{}", genesis: fixture.genesis(), trie: &trie };
    create::fill(&database(backend.clone()).unwrap(), chain).unwrap();
    fixture.take_updates();
    let content = backend.0.lock().unwrap().content.clone();
    (fixture, content)
}

fn block(number: usize) -> Vec<Action> {
    let contract = number % 2;
    vec![
        Action::Transfer { from: number % 4, to: (number + 1) % 5, value: 10 + number as u64 },
        Action::Deploy { from: 1, contract, code: number as u8 },
        Action::Store { from: 2, contract, slot: number as u8 % 3, value: number as u8 },
    ]
}

fn batch(fixture: &mut Fixture, numbers: std::ops::Range<usize>, salt: u64) -> CommitBatch {
    let blocks = numbers.map(|number| fixture.add(&block(number), salt)).collect();
    CommitBatch { blocks, trie: fixture.take_updates() }
}

impl Run {
    fn record(config: &StoreConfig) -> Self {
        let (mut fixture, start) = created();
        let backend = Backend::holding(start.clone());
        let (store, mut writer) = opened(backend.clone(), config);
        let mut run = Self { start, calls: Vec::new(), rows: BTreeMap::new() };
        run.durable(&store, &backend);
        for numbers in [0..1, 1..2, 2..5, 5..6] {
            writer.commit(batch(&mut fixture, numbers, 1)).unwrap();
            run.durable(&store, &backend);
        }
        backend.say(Call::RollingBack(3));
        writer.rollback(3).unwrap();
        run.durable(&store, &backend);
        let mut other = Fixture::new(4).0;
        other.take_updates();
        for number in 0..3 {
            other.add(&block(number), 1);
        }
        other.take_updates();
        writer.commit(batch(&mut other, 7..9, 2)).unwrap();
        run.durable(&store, &backend);
        writer.prune_history(2).unwrap();
        run.durable(&store, &backend);
        drop((store, writer));
        run.calls = backend.0.lock().unwrap().calls.lock().unwrap().clone();
        run
    }

    fn durable(&mut self, store: &Store, backend: &Backend) {
        let snapshot = store.snapshot().unwrap();
        backend.say(Call::Acknowledged(snapshot.head().height));
        self.rows.insert((snapshot.head().hash, snapshot.pruned_below()), dump(store));
    }

    /// Opens what is on the disk and compares every row with what was there when its head became durable.
    fn check(&self, content: Vec<u8>, calls: &[Call]) -> Head {
        let (store, writer) = opened(Backend::holding(content), &CONFIG);
        let snapshot = store.snapshot().unwrap();
        let expected = self.rows.get(&(snapshot.head().hash, snapshot.pruned_below()));
        assert_eq!(Some(&dump(&store)), expected, "head, state, receipts and indexes do not belong together");
        assert_eq!(recomputed(&snapshot).unwrap(), snapshot.head().state_root);
        assert!(writer.head().height >= least_height(calls), "a durable block is gone");
        writer.head()
    }
}

/// The height below which the head cannot be after these calls.
fn least_height(calls: &[Call]) -> u64 {
    calls.iter().fold(0, |least, call| match call {
        Call::Acknowledged(height) => *height,
        Call::RollingBack(to) => *to,
        _ => least,
    })
}

/// The disk after `calls`, where of the writes since the last sync only those happened that `happened` picks.
fn disk_after(start: &[u8], calls: &[Call], mut happened: impl FnMut(usize) -> bool) -> Vec<u8> {
    let mut content = start.to_vec();
    let synced = calls.iter().rposition(|call| matches!(call, Call::Sync)).map_or(0, |last| last + 1);
    for (number, call) in calls.iter().enumerate() {
        let write = matches!(call, Call::Write(..));
        if number < synced || !write || happened(number) {
            apply(&mut content, call);
        }
    }
    content
}

fn every_instant(config: &StoreConfig) {
    let run = Run::record(config);
    let mut heads = BTreeMap::new();
    for instant in 0..=run.calls.len() {
        let calls = &run.calls[..instant];
        let killed = run.check(disk_after(&run.start, calls, |_| true), calls);
        heads.entry(killed.hash).or_insert(killed.height);
        run.check(disk_after(&run.start, calls, |_| false), calls);
        for bit in 0..2 {
            run.check(disk_after(&run.start, calls, |number| number % 2 == bit), calls);
        }
    }
    let syncs = run.calls.iter().filter(|call| matches!(call, Call::Sync)).count();
    assert!(syncs >= 7, "{syncs} syncs: the run was not recorded");
    assert_eq!(heads.len(), 7, "every durable head was met: {heads:?}");
}

#[test]
fn whatever_the_instant_of_dying_everything_on_disk_belongs_to_one_block() {
    every_instant(&CONFIG);
}

#[test]
fn whatever_the_instant_of_dying_a_full_repair_ends_at_one_block() {
    every_instant(&StoreConfig { quick_repair: false, ..CONFIG });
}

#[test]
fn a_failing_disk_is_a_fatal_error_and_leaves_the_last_whole_block() {
    let (_, start) = created();
    for healthy in 0..40 {
        let backend = Backend::holding(start.clone());
        let (store, mut writer) = opened(backend.clone(), &CONFIG);
        backend.0.lock().unwrap().healthy = Some(healthy);
        let (mut fixture, _) = created();
        let result = writer.commit(batch(&mut fixture, 0..1, 1));
        let content = backend.0.lock().unwrap().content.clone();
        if let Err(error) = result {
            assert!(error.is_fatal() && error.to_string().contains("could not be read or written"), "{error}");
            assert_eq!(writer.head().height, 0);
            drop((store, writer));
            let (_, writer) = opened(Backend::holding(content), &CONFIG);
            assert!(writer.head().height <= 1);
        } else {
            assert!(healthy > 2, "the commit did not touch the disk");
            return;
        }
    }
    panic!("a commit took 40 calls");
}

#[test]
fn a_failing_disk_is_told_of_whoever_meets_it() {
    let (mut fixture, start) = created();
    for is_write in [false, true] {
        let (backend, failures) = (Backend::holding(start.clone()), Default::default());
        let file = Watched::new(backend.clone(), Clone::clone(&failures));
        // No cache: every read is the disk's.
        let database = Database::builder().set_cache_size(0).create_with_backend(file).unwrap();
        let open = OpenDatabase { database, failures };
        let (store, mut writer) = open::opened(open, "memory".as_ref(), &CONFIG, None).unwrap();
        let told = Arc::new(Mutex::new(Vec::new()));
        let telling = told.clone();
        store.report_failures_to(move |error| telling.lock().unwrap().push(error.to_string()));
        store.snapshot().unwrap().block(0).unwrap();
        assert!(told.lock().unwrap().is_empty());
        backend.0.lock().unwrap().healthy = Some(0);
        match is_write {
            true => drop(writer.commit(batch(&mut fixture, 0..1, 1)).unwrap_err()),
            // Not what the snapshot above has opened and read.
            false => drop(store.view().and_then(|view| view.block(0)).err().unwrap()),
        }
        assert_eq!(told.lock().unwrap().first().map(String::as_str), Some("the disk is gone"));
    }
}
