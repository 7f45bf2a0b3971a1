//! `node.redb`: what one node remembers for itself. It has a writer of its own, so that a stranger's bad block never
//! costs the chain's writer anything, and it is not copied when a chain is.

use crate::disk::{DiskFailures, OpenDatabase};
use crate::open::{open_or_create, unreadable};
use crate::{OpenError, StorageError};
use alloy_consensus::Header;
use alloy_primitives::{B256, Bytes};
use callboard_chain::{Blame, Block, Seal, keccak256};
use redb::{
    Database, ReadableDatabase, ReadableTable, ReadableTableMetadata, Table, TableDefinition, WriteTransaction,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// Most refused blocks that are remembered, and most of them that are this node's or the authority's fault. Of both
/// groups the newest are kept: none of the others, which anybody can send, makes one of these forgotten.
pub const MAX_REFUSED_BLOCKS: u64 = 1_000;
pub(crate) const MAX_LOCAL_BLOCKS: u64 = 250;
/// Most bytes that remembered refused blocks take together; half of them are for either group.
pub const MAX_REFUSED_BYTES: u64 = 64 << 20;
const MAX_GROUP_BYTES: u64 = MAX_REFUSED_BYTES / 2;
/// Most characters of a text in a refused block's record: long enough for two roots and a sentence.
pub const MAX_REFUSED_TEXT: usize = 1_024;
/// Most pairs of blocks kept as evidence. The first are kept: one proves as much as a thousand.
pub const MAX_EVIDENCE: u64 = 1_000;

/// Most blocks of other branches that an operator can accept. A chain with more forks than this has other troubles.
pub const MAX_ACCEPTED: u64 = 256;

/// Page cache. All of this is small and rarely read.
const CACHE_BYTES: usize = 8 << 20;

/// Node id → JSON record.
const PEERS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("peers");
/// Order of arrival → JSON record.
const REFUSED: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("refused_blocks");
/// The same order → the bytes that were sent, where they are worth keeping.
const REFUSED_BYTES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("refused_bytes");
/// Height → JSON record.
const EVIDENCE: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("evidence");
/// Height and hash of a block of another branch that the operator knows.
pub(crate) const ACCEPTED: TableDefinition<'_, (u64, [u8; 32]), ()> = TableDefinition::new("accepted_forks");
/// Name → height.
const BOOKMARKS: TableDefinition<'_, &str, u64> = TableDefinition::new("bookmarks");

/// A block that was refused, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedBlock {
    /// Its place in the order of arrival. Given by [`NodeStore::add_refused`].
    #[serde(skip)]
    pub number: u64,
    /// The height it claimed.
    pub height: u64,
    /// Its hash.
    pub hash: B256,
    /// The check that failed.
    pub check: String,
    /// The checks it had passed, in order.
    pub passed: Vec<String>,
    /// What the check expected.
    pub expected: String,
    /// What the block had.
    pub actual: String,
    /// The refusal as a sentence.
    pub message: String,
    /// Who is at fault.
    pub blame: Blame,
    /// Who sent it: a node id, or an operator with the address of the client.
    pub sender: String,
    /// Where the sender answers, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Which way it came: a stream, live, a push, `importBlock`, a file.
    pub path: String,
    /// What was found out afterwards: the first key or transaction that differs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finding: Option<String>,
    /// When it came first, unix seconds.
    pub time: u64,
    /// When it came last, unix seconds.
    #[serde(default)]
    pub last_time: u64,
    /// How often it came.
    #[serde(default = "once")]
    pub count: u64,
    /// How many bytes were sent.
    pub length: u64,
}

const fn once() -> u64 {
    1
}

impl RefusedBlock {
    /// Whether it is the same block that failed the same check, from the same sender. Who brings a block of which no
    /// sender is at fault does not matter: only the authority can have made it.
    pub fn is_same_as(&self, other: &Self) -> bool {
        let sent = |block: &Self| (block.blame != Blame::Local).then(|| block.sender.clone());
        (self.hash, &self.check, sent(self)) == (other.hash, &other.check, sent(other))
    }
}

/// A header and its seal: as much of a block as proves that the authority made it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedHeader {
    /// RLP of the header.
    pub header: Bytes,
    /// The seal, r ‖ s ‖ yParity.
    pub seal: Bytes,
}

impl SealedHeader {
    /// A header and the seal over it.
    pub fn new(header: &Header, seal: &Seal) -> Self {
        Self { header: alloy_rlp::encode(header).into(), seal: Bytes::copy_from_slice(&seal.0) }
    }

    /// Header and seal of `block`.
    pub fn of(block: &Block) -> Self {
        Self::new(block.header(), block.seal())
    }

    /// The block's hash.
    pub fn hash(&self) -> B256 {
        keccak256(&self.header)
    }
}

/// Two different blocks of one height, both with a valid seal: the authority equivocated, or went on from a restored
/// backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// The height of both.
    pub height: u64,
    /// The one in this chain, or, above its head, the one that was met first.
    pub ours: SealedHeader,
    /// The other.
    pub theirs: SealedHeader,
    /// When it was found, unix seconds.
    pub time: u64,
}

/// What one node remembers for itself. Cheap to clone; writers wait for each other.
#[derive(Clone)]
pub struct NodeStore {
    database: Arc<Database>,
    failures: DiskFailures,
}

impl NodeStore {
    /// Opens `path`, and makes it where it does not exist.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        let OpenDatabase { database, failures } = open_or_create(path.as_ref(), CACHE_BYTES)?;
        let store = Self { database: Arc::new(database), failures };
        store.create_tables().map_err(|error| unreadable(path.as_ref(), error))?;
        Ok(store)
    }

    /// As [`crate::Store::report_failures_to`]. After a failed write redb refuses every further one, so that nothing
    /// would be remembered any more: no evidence, no guest, no own block that an authority has met.
    pub fn report_failures_to(&self, tell: impl Fn(&io::Error) + Send + Sync + 'static) {
        self.failures.report_to(tell);
    }

    /// Remembers peers, replacing what was known of them. The caller bounds how many it knows.
    pub fn put_peers<'a, R: Serialize + 'a>(
        &self,
        peers: impl IntoIterator<Item = (&'a str, &'a R)>,
    ) -> Result<(), StorageError> {
        self.write(|write| {
            let mut table = write.open_table(PEERS)?;
            for (id, record) in peers {
                table.insert(id, encode("peers", record)?.as_slice())?;
            }
            Ok(())
        })
    }

    /// Forgets a peer.
    pub fn remove_peer(&self, id: &str) -> Result<(), StorageError> {
        self.write(|write| {
            write.open_table(PEERS)?.remove(id)?;
            Ok(())
        })
    }

    /// All remembered peers, by node id.
    pub fn peers<R: DeserializeOwned>(&self) -> Result<Vec<(String, R)>, StorageError> {
        let table = self.database.begin_read()?.open_table(PEERS)?;
        let mut peers = Vec::new();
        for entry in table.iter()? {
            let (id, record) = entry?;
            peers.push((id.value().to_owned(), decode("peers", record.value())?));
        }
        Ok(peers)
    }

    /// Remembers a refused block and the bytes that were sent, and forgets the oldest ones where there are too many or
    /// they are too large. One that is remembered already is counted there. Returns its place in the order of arrival.
    pub fn add_refused(&self, mut block: RefusedBlock, bytes: &[u8]) -> Result<u64, StorageError> {
        let RefusedBlock { check, expected, actual, message, sender, path, .. } = &mut block;
        [check, expected, actual, message, sender, path].into_iter().for_each(shorten);
        block.url.as_mut().map(shorten);
        block.length = bytes.len() as u64;
        let record = encode("refused_blocks", &block)?;
        self.write(|write| {
            let mut records = write.open_table(REFUSED)?;
            if let Some(known) = find_same(&records, &block)? {
                repeat(&mut records, known, block.count, block.last_time)?;
                return Ok(known);
            }
            let mut kept = write.open_table(REFUSED_BYTES)?;
            let number = records.last()?.map_or(0, |(number, _)| number.value()).saturating_add(1);
            records.insert(number, record.as_slice())?;
            if is_kept(block.length) {
                kept.insert(number, bytes)?;
            }
            for old in too_many(&records)? {
                records.remove(old)?;
                kept.remove(old)?;
            }
            Ok(number)
        })
    }

    /// A refused block that is remembered came again so many times; whether it still is.
    pub fn add_repeats(&self, number: u64, times: u64, last_time: u64) -> Result<bool, StorageError> {
        self.write(|write| repeat(&mut write.open_table(REFUSED)?, number, times, last_time))
    }

    /// Adds what was found out about a refused block; nothing where it was forgotten meanwhile. What is `certain` takes
    /// the place of what was found out before; what is not does not.
    pub fn add_finding(&self, number: u64, mut finding: String, certain: bool) -> Result<(), StorageError> {
        shorten(&mut finding);
        self.write(|write| {
            let mut records = write.open_table(REFUSED)?;
            let Some(mut block) = read_refused(&records, number)? else { return Ok(()) };
            if certain || block.finding.is_none() {
                block.finding = Some(finding);
                records.insert(number, encode("refused_blocks", &block)?.as_slice())?;
            }
            Ok(())
        })
    }

    /// The newest `limit` refused blocks, newest first.
    pub fn refused(&self, limit: usize) -> Result<Vec<RefusedBlock>, StorageError> {
        self.refused_where(limit, |_| true)
    }

    /// As [`Self::refused`], of those for which `wanted` says yes.
    pub fn refused_where(
        &self,
        limit: usize,
        wanted: impl Fn(&RefusedBlock) -> bool,
    ) -> Result<Vec<RefusedBlock>, StorageError> {
        let table = self.database.begin_read()?.open_table(REFUSED)?;
        let mut found = Vec::new();
        for entry in table.iter()?.rev() {
            if found.len() >= limit {
                break;
            }
            let (number, record) = entry?;
            let block = decoded(number.value(), record.value())?;
            if wanted(&block) {
                found.push(block);
            }
        }
        Ok(found)
    }

    /// The bytes of a refused block, where they were kept.
    pub fn refused_bytes(&self, number: u64) -> Result<Option<Bytes>, StorageError> {
        let table = self.database.begin_read()?.open_table(REFUSED_BYTES)?;
        Ok(table.get(number)?.map(|bytes| Bytes::copy_from_slice(bytes.value())))
    }

    /// Remembers two sealed blocks of one height; whether it was new. Of one height the first pair is kept.
    pub fn add_evidence(&self, evidence: &Evidence) -> Result<bool, StorageError> {
        let record = encode("evidence", evidence)?;
        self.write(|write| {
            let mut table = write.open_table(EVIDENCE)?;
            if table.len()? >= MAX_EVIDENCE || table.get(evidence.height)?.is_some() {
                return Ok(false);
            }
            table.insert(evidence.height, record.as_slice())?;
            Ok(true)
        })
    }

    /// At most `limit` pieces of evidence from height `from` on, by height.
    pub fn evidence_from(&self, from: u64, limit: usize) -> Result<Vec<Evidence>, StorageError> {
        let table = self.database.begin_read()?.open_table(EVIDENCE)?;
        table.range(from..)?.take(limit).map(|entry| decode("evidence", entry?.1.value())).collect()
    }

    /// All evidence, by height.
    pub fn evidence(&self) -> Result<Vec<Evidence>, StorageError> {
        let table = self.database.begin_read()?.open_table(EVIDENCE)?;
        table.iter()?.map(|entry| decode("evidence", entry?.1.value())).collect()
    }

    /// Remembers how far some background work has come.
    pub fn put_bookmark(&self, name: &str, height: u64) -> Result<(), StorageError> {
        self.write(|write| {
            write.open_table(BOOKMARKS)?.insert(name, height)?;
            Ok(())
        })
    }

    /// How far it has come; `None` where nothing was remembered.
    pub fn bookmark(&self, name: &str) -> Result<Option<u64>, StorageError> {
        let table = self.database.begin_read()?.open_table(BOOKMARKS)?;
        Ok(table.get(name)?.map(|height| height.value()))
    }

    /// Remembers that the branch with this block is known to the operator, and dead; whether there was room for it.
    pub fn accept_fork(&self, height: u64, hash: B256) -> Result<bool, StorageError> {
        self.write(|write| {
            let mut table = write.open_table(ACCEPTED)?;
            if table.len()? >= MAX_ACCEPTED {
                return Ok(table.get((height, hash.0))?.is_some());
            }
            table.insert((height, hash.0), ())?;
            Ok(true)
        })
    }

    /// Height and hash of every block that was accepted.
    pub fn accepted_forks(&self) -> Result<BTreeSet<(u64, B256)>, StorageError> {
        let table = self.database.begin_read()?.open_table(ACCEPTED)?;
        let mut accepted = BTreeSet::new();
        for entry in table.iter()? {
            let (height, hash) = entry?.0.value();
            accepted.insert((height, B256::from(hash)));
        }
        Ok(accepted)
    }

    fn create_tables(&self) -> Result<(), StorageError> {
        self.write(|write| {
            write.open_table(PEERS)?;
            write.open_table(REFUSED)?;
            write.open_table(REFUSED_BYTES)?;
            write.open_table(EVIDENCE)?;
            write.open_table(ACCEPTED)?;
            write.open_table(BOOKMARKS)?;
            crate::told::create_tables(write)?;
            crate::own::create_tables(write)
        })
    }

    /// A snapshot.
    pub(crate) fn begin_read(&self) -> Result<redb::ReadTransaction, StorageError> {
        Ok(self.database.begin_read()?)
    }

    /// One durable transaction; dropped without a trace where `rows` fails.
    pub(crate) fn write<T>(
        &self,
        rows: impl FnOnce(&WriteTransaction) -> Result<T, StorageError>,
    ) -> Result<T, StorageError> {
        let mut write = self.database.begin_write()?;
        write.set_quick_repair(true);
        let result = rows(&write)?;
        write.commit()?;
        Ok(result)
    }
}

impl std::fmt::Debug for NodeStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NodeStore").finish_non_exhaustive()
    }
}

/// Whether a block of this length is worth keeping: one alone must not push out all others of its group.
const fn is_kept(length: u64) -> bool {
    length <= MAX_REFUSED_BYTES / 4
}

type Refused<'t> = Table<'t, u64, &'static [u8]>;

fn decoded(number: u64, record: &[u8]) -> Result<RefusedBlock, StorageError> {
    let block: RefusedBlock = decode("refused_blocks", record)?;
    Ok(RefusedBlock { number, last_time: block.last_time.max(block.time), ..block })
}

fn read_refused(records: &Refused<'_>, number: u64) -> Result<Option<RefusedBlock>, StorageError> {
    records.get(number)?.map(|record| decoded(number, record.value())).transpose()
}

fn find_same(records: &Refused<'_>, block: &RefusedBlock) -> Result<Option<u64>, StorageError> {
    for entry in records.iter()?.rev() {
        let (number, record) = entry?;
        if decoded(number.value(), record.value())?.is_same_as(block) {
            return Ok(Some(number.value()));
        }
    }
    Ok(None)
}

fn repeat(records: &mut Refused<'_>, number: u64, times: u64, last_time: u64) -> Result<bool, StorageError> {
    let Some(mut block) = read_refused(records, number)? else { return Ok(false) };
    block.count = block.count.saturating_add(times);
    block.last_time = block.last_time.max(last_time);
    records.insert(number, encode("refused_blocks", &block)?.as_slice())?;
    Ok(true)
}

/// How much of one group of records is kept.
#[derive(Default)]
struct Kept {
    blocks: u64,
    bytes: u64,
}

impl Kept {
    /// Whether there is room for one more of this size. The newest of a group always stays.
    fn add(&mut self, bytes: u64, max_blocks: u64) -> bool {
        self.blocks = self.blocks.saturating_add(1);
        self.bytes = self.bytes.saturating_add(bytes);
        self.blocks == 1 || (self.blocks <= max_blocks && self.bytes <= MAX_GROUP_BYTES)
    }
}

/// The records that are too many, or too large, behind the newer ones of their group.
fn too_many(records: &Refused<'_>) -> Result<Vec<u64>, StorageError> {
    /// As much of a record as says how long its block is, and to which group it belongs.
    #[derive(Deserialize)]
    struct Record {
        length: u64,
        blame: Blame,
    }
    let (mut local, mut others) = (Kept::default(), Kept::default());
    let mut old = Vec::new();
    for entry in records.iter()?.rev() {
        let (number, record) = entry?;
        let Record { length, blame } = decode("refused_blocks", record.value())?;
        let stored = if is_kept(length) { length } else { 0 };
        let bytes = stored.saturating_add(record.value().len() as u64);
        let fits = match blame {
            Blame::Local => local.add(bytes, MAX_LOCAL_BLOCKS),
            Blame::Peer | Blame::Nobody => others.add(bytes, MAX_REFUSED_BLOCKS - MAX_LOCAL_BLOCKS),
        };
        if !fits {
            old.push(number.value());
        }
    }
    Ok(old)
}

/// Cuts a text at a character's end.
fn shorten(text: &mut String) {
    let end = (0..=MAX_REFUSED_TEXT.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    text.truncate(end);
}

pub(crate) fn encode(table: &'static str, record: &impl Serialize) -> Result<Vec<u8>, StorageError> {
    serde_json::to_vec(record).map_err(|error| StorageError::damaged(table, error))
}

pub(crate) fn decode<R: DeserializeOwned>(table: &'static str, bytes: &[u8]) -> Result<R, StorageError> {
    serde_json::from_slice(bytes).map_err(|error| StorageError::damaged(table, error))
}
