//! Every block or head under the authority's valid seal that this node meets, whatever brought it: whether it is in
//! this chain, and proof where it shows that the authority sealed two blocks of one height.

use crate::guard::StorageGuard;
use crate::monitor::{Alarm, Alarms, Metrics};
use crate::send::Inbox;
use crate::sync_coordinator::{GivenUp, KnownHead, OtherBlockMet};
use crate::transport::{NodeId, SealedHead};
use alloy_primitives::B256;
use callboard_chain::Block;
use callboard_store::{Evidence, MAX_EVIDENCE, NodeStore, OwnBlock, SealedHeader, StorageError, Store};
use parking_lot::Mutex;
use prometheus_client::metrics::gauge::Gauge;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::sync::Semaphore;

/// Sealed heads above our own that are remembered until this chain reaches them. Only the authority can make one, and
/// each peer shows one a second.
const MAX_AHEAD: usize = 1_024;
/// Proofs being written at a time. What is not written is met again.
const WRITES_AT_A_TIME: usize = 4;

/// How a sealed block stands to this chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meeting {
    /// It is in this chain.
    Known,
    /// It is above the durable head.
    Ahead {
        /// It is not older than the head, as a block that extends this chain cannot be.
        may_extend: bool,
    },
    /// This chain has another block of that height.
    Differs {
        /// The hash of ours.
        ours: B256,
    },
    /// It is not in this chain, and of a branch that this node gave up knowingly.
    GivenUp {
        /// Above this height.
        after: u64,
    },
    /// It commits to another configuration: the authority's key seals another chain, too.
    OtherChain,
}

/// Watches over the authority's seals. Cheap to clone.
#[derive(Clone)]
pub struct SealWatch(Arc<Inner>);

struct Inner {
    chain: Store,
    commitment: B256,
    kept: NodeStore,
    /// Hears of every storage error that is met here: whoever asked may have nobody to tell.
    guard: StorageGuard,
    /// On an authority: the highest block that its high-water file knew at the start.
    high_water: Option<u64>,
    given_up: GivenUp,
    /// Blocks of branches that the operator knows to be dead.
    accepted: BTreeSet<(u64, B256)>,
    alarms: Alarms,
    pairs: Gauge,
    seen: Mutex<Seen>,
    writes: Arc<Semaphore>,
    /// Hears of every block that differs from ours.
    others: OnceLock<Inbox<OtherBlockMet>>,
}

#[derive(Default)]
struct Seen {
    /// Heights of which two sealed blocks are kept, and the two hashes of the lowest.
    proven: BTreeSet<u64>,
    lowest: Option<[B256; 2]>,
    /// Above the head, by height and hash.
    ahead: BTreeMap<(u64, B256), Sealed>,
    /// On an authority: the highest block with its own seal that it lacked and that is remembered on disk; 0 for none.
    own: u64,
}

/// How a block that differs from ours came.
struct Shown {
    by: Option<NodeId>,
    stands_on_ours: bool,
}

#[derive(Clone)]
struct Sealed {
    hash: B256,
    timestamp: u64,
    record: SealedHeader,
}

impl From<&SealedHead> for Sealed {
    fn from(head: &SealedHead) -> Self {
        Self { hash: head.hash(), timestamp: head.timestamp(), record: SealedHeader::new(head.header(), head.seal()) }
    }
}

impl From<&Block> for Sealed {
    fn from(block: &Block) -> Self {
        Self { hash: block.hash(), timestamp: block.header().timestamp, record: SealedHeader::of(block) }
    }
}

impl std::fmt::Debug for SealWatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SealWatch").field("proven", &self.0.seen.lock().proven.len()).finish_non_exhaustive()
    }
}

impl SealWatch {
    /// Watches the chain in `chain`, whose configuration has this commitment, and keeps proof in `kept`: what is kept
    /// there already raises the alarm at once. Registers `callboard_equivocations`.
    ///
    /// `high_water`: on an authority, the highest block it sealed as its high-water file has it (0 where it sealed
    /// none); `None` on a follower.
    pub fn new(
        chain: Store,
        commitment: B256,
        kept: NodeStore,
        high_water: Option<u64>,
        alarms: Alarms,
        metrics: &Metrics,
        guard: StorageGuard,
    ) -> Result<Self, StorageError> {
        let pairs = Gauge::default();
        metrics.register(|registry| {
            let help = "Heights of which the authority sealed two blocks, with both kept as evidence";
            registry.register("callboard_equivocations", help, pairs.clone());
        });
        let seen = Mutex::default();
        let writes = Arc::new(Semaphore::new(WRITES_AT_A_TIME));
        let watch = Self(Arc::new(Inner {
            chain,
            commitment,
            given_up: GivenUp::new(kept.given_up()?),
            accepted: kept.accepted_forks()?,
            kept,
            guard,
            high_water,
            alarms,
            pairs,
            seen,
            writes,
            others: OnceLock::new(),
        }));
        for evidence in watch.0.kept.evidence()? {
            watch.prove(evidence.height, [&evidence.ours, &evidence.theirs].map(SealedHeader::hash));
        }
        watch.recall()?;
        Ok(watch)
    }

    /// What was met, and what was given up, before this start.
    fn recall(&self) -> Result<(), StorageError> {
        for branch in self.0.given_up.branches() {
            // It proves that a height is sealed twice as soon as another block of its height is here.
            if let Some(record) = branch.sealed.clone() {
                let OwnBlock { height, hash, timestamp } = branch.highest;
                self.remember(height, Sealed { hash, timestamp, record });
            }
        }
        let Some(met) = self.0.kept.own_block_met()?.filter(|_| self.0.high_water.is_some()) else { return Ok(()) };
        if met.height <= self.0.chain.snapshot()?.head().height {
            return self.0.kept.forget_own_block_met();
        }
        self.0.seen.lock().own = met.height;
        self.suspect(met.height, met.hash);
        Ok(())
    }

    /// What this authority, or this follower's operator, gave up.
    pub fn given_up(&self) -> &GivenUp {
        &self.0.given_up
    }

    /// On a follower: whether the operator has said of this block that it is not to be in our chain, by a rollback that gave
    /// it up or by accepting its branch as dead; the highest block that may be kept beside it.
    pub(super) fn is_unwanted(&self, block: &KnownHead) -> Option<u64> {
        let is_accepted = self.0.accepted.contains(&(block.height, block.hash));
        self.0.given_up.after(block).or_else(|| is_accepted.then(|| block.height.saturating_sub(1)))
    }

    /// Whether this block is in the chain.
    pub(super) fn has(&self, height: u64, hash: B256) -> Result<bool, StorageError> {
        Ok(self.0.chain.snapshot()?.hash_of(height)? == Some(hash))
    }

    /// On an authority: the height of the highest block with its own seal that it is known to lack; 0 for none.
    pub fn own_block_met(&self) -> u64 {
        self.0.seen.lock().own
    }

    /// On an authority: a block above its head carries its own seal. That is remembered, also over a restart, before
    /// this returns: whoever showed the block may be gone by then.
    pub async fn remember_own(&self, met: KnownHead) -> Result<(), StorageError> {
        if self.0.high_water.is_none() || met.height <= self.own_block_met() {
            return Ok(());
        }
        let kept = self.0.kept.clone();
        let written = tokio::task::spawn_blocking(move || kept.meet_own_block(&met.into())).await;
        // Where the node is stopping, nothing is sealed any more.
        self.0.guard.watch(StorageGuard::NODE, written.unwrap_or(Ok(())))?;
        let mut seen = self.0.seen.lock();
        seen.own = seen.own.max(met.height);
        Ok(())
    }

    /// From now on the sync coordinator hears of every block that differs from ours. Assembly calls it once.
    pub fn report_to(&self, others: Inbox<OtherBlockMet>) {
        self.0.others.get_or_init(|| others);
    }

    /// A block or head under the authority's valid seal was met. The sync coordinator hears of one that differs from
    /// ours. Call it within a tokio runtime. An error stops the node.
    pub fn meet(&self, met: &SealedHead, from: Option<NodeId>) -> Result<Meeting, StorageError> {
        let meeting = self.keep_proof(met)?;
        if let Meeting::Differs { ours } = meeting {
            let stands_on_ours = self.0.guard.watch(StorageGuard::CHAIN, self.stands_on_ours(met))?;
            self.tell(met.height(), &met.into(), ours, Shown { by: from, stands_on_ours });
        }
        Ok(meeting)
    }

    /// The same, for the sync coordinator itself, which knows who showed it.
    pub fn keep_proof(&self, met: &SealedHead) -> Result<Meeting, StorageError> {
        self.0.guard.watch(StorageGuard::CHAIN, self.compare(met))
    }

    fn compare(&self, met: &SealedHead) -> Result<Meeting, StorageError> {
        if *met.header().extra_data != *self.0.commitment.as_slice() {
            return Ok(Meeting::OtherChain);
        }
        let snapshot = self.0.chain.snapshot()?;
        match snapshot.hash_of(met.height())? {
            Some(ours) if ours == met.hash() => Ok(Meeting::Known),
            Some(ours) => {
                self.compare_with_ours(met.height(), met.into())?;
                Ok(Meeting::Differs { ours })
            }
            None => {
                self.remember(met.height(), met.into());
                if let Some(after) = self.0.given_up.after(&met.into()) {
                    return Ok(Meeting::GivenUp { after });
                }
                let may_extend = met.timestamp() >= snapshot.head().timestamp;
                if may_extend {
                    self.suspect(met.height(), met.hash());
                }
                Ok(Meeting::Ahead { may_extend })
            }
        }
    }

    /// At most `limit` pieces of evidence from height `from` on, by height.
    pub fn evidence(&self, from: u64, limit: usize) -> Result<Vec<Evidence>, StorageError> {
        self.0.kept.evidence_from(from, limit)
    }

    /// Compares what was met above the head with the blocks that this chain has there by now. Call it now and then,
    /// within a tokio runtime. An error stops the node.
    pub fn settle(&self) -> Result<(), StorageError> {
        self.0.guard.watch(StorageGuard::CHAIN, self.settle_reached())
    }

    fn settle_reached(&self) -> Result<(), StorageError> {
        let head = self.0.chain.snapshot()?.head().height;
        let reached = {
            let mut seen = self.0.seen.lock();
            let above = seen.ahead.split_off(&(head.saturating_add(1), B256::ZERO));
            std::mem::replace(&mut seen.ahead, above)
        };
        for ((height, hash), met) in reached {
            if let Some(ours) = self.0.chain.snapshot()?.hash_of(height)?.filter(|ours| *ours != met.hash) {
                // Who showed it is not remembered.
                self.tell(height, &met, ours, Shown { by: None, stands_on_ours: false });
            }
            if !self.compare_with_ours(height, met.clone())? {
                self.0.seen.lock().ahead.insert((height, hash), met);
            }
        }
        Ok(())
    }

    /// Whether the block below it is ours.
    fn stands_on_ours(&self, met: &SealedHead) -> Result<bool, StorageError> {
        let Some(below) = met.height().checked_sub(1) else { return Ok(false) };
        Ok(self.0.chain.snapshot()?.hash_of(below)? == Some(met.header().parent_hash))
    }

    fn tell(&self, height: u64, met: &Sealed, ours: B256, Shown { by: from, stands_on_ours }: Shown) {
        let Some(others) = self.0.others.get() else { return };
        let block = KnownHead { height, hash: met.hash, timestamp: met.timestamp };
        // A coordinator that is behind hears of it from the alarm only.
        others.offer(OtherBlockMet { block, ours, from, stands_on_ours }).ok();
    }

    /// `false` where it is proof and could not be kept.
    fn compare_with_ours(&self, height: u64, met: Sealed) -> Result<bool, StorageError> {
        let snapshot = self.0.chain.snapshot()?;
        let ours = snapshot.hash_of(height)?;
        if ours == Some(met.hash) {
            return Ok(true);
        }
        if self.is_proven(height) {
            return Ok(true);
        }
        Ok(snapshot.block(height)?.is_none_or(|ours| self.keep(height, Sealed::from(&ours), met)))
    }

    /// Two peers may show two heads of one height before this chain has either.
    fn remember(&self, height: u64, met: Sealed) {
        let mut seen = self.0.seen.lock();
        let first = seen.ahead.range((height, B256::ZERO)..).next().filter(|((at, _), _)| *at == height);
        let first = first.map(|(_, first)| first.clone());
        let key = (height, met.hash);
        if seen.ahead.contains_key(&key) {
            return;
        }
        if seen.ahead.len() >= MAX_AHEAD {
            seen.ahead.pop_first();
        }
        seen.ahead.insert(key, met.clone());
        drop(seen);
        if let Some(first) = first.filter(|_| !self.is_proven(height)) {
            self.keep(height, first, met);
        }
    }

    /// An authority that meets its own seal above everything it ever sealed, as far as it knows.
    fn suspect(&self, height: u64, hash: B256) {
        if self.0.high_water.is_none_or(|mark| height <= mark) || self.0.alarms.is_raised(Alarm::OwnBlock) {
            return;
        }
        let sentence = format!(
            "block {height} {hash} carries this authority's seal, and neither its chain nor its high-water file has it: \
             another process seals with its key, or database and high-water file are older copies; it seals nothing \
             until it has that block; stop whatever else holds the key"
        );
        self.0.alarms.raise(Alarm::OwnBlock, sentence);
    }

    /// Once the heights are as many as are kept, more of them prove nothing new.
    fn is_proven(&self, height: u64) -> bool {
        let seen = self.0.seen.lock();
        seen.proven.contains(&height) || seen.proven.len() as u64 >= MAX_EVIDENCE
    }

    /// `false` where too much is being written.
    fn keep(&self, height: u64, first: Sealed, second: Sealed) -> bool {
        let Ok(permit) = self.0.writes.clone().try_acquire_owned() else { return false };
        let watch = self.clone();
        tokio::task::spawn_blocking(move || {
            let hashes = [first.hash, second.hash];
            let evidence = Evidence { height, ours: first.record, theirs: second.record, time: now() };
            match watch.0.kept.add_evidence(&evidence) {
                Ok(is_new) => {
                    if is_new {
                        let [first, second] = hashes;
                        tracing::error!(height, %first, %second, "the authority sealed two blocks of one height");
                    }
                    watch.prove(height, hashes);
                }
                Err(error) => watch.0.guard.failed(StorageGuard::NODE, &error),
            }
            drop(permit);
        });
        true
    }

    fn prove(&self, height: u64, hashes: [B256; 2]) {
        let mut seen = self.0.seen.lock();
        if seen.proven.first().is_none_or(|lowest| height < *lowest) {
            seen.lowest = Some(hashes);
        }
        seen.proven.insert(height);
        self.0.pairs.set(seen.proven.len() as i64);
        if let (Some(lowest), Some([first, second])) = (seen.proven.first(), seen.lowest) {
            let others = seen.proven.len() - 1;
            let sentence = format!(
                "the authority sealed two blocks of height {lowest}, {first} and {second}, and of {others} other \
                 heights; its key is in use twice, or it went on from an older copy of its data; write the proof with \
                 `callboard doctor --evidence FILE`"
            );
            self.0.alarms.raise(Alarm::Equivocation, sentence);
        }
    }
}

/// Unix seconds.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{StoredChain, genesis, key};
    use alloy_consensus::Header;
    use callboard_chain::Seal;
    use callboard_store::GivenUpBranch;
    use std::time::Duration;

    struct Bench {
        chain: StoredChain,
        kept: NodeStore,
        alarms: Alarms,
        metrics: Metrics,
        watch: SealWatch,
    }

    /// A chain with one block.
    fn bench(high_water: Option<u64>) -> Bench {
        let mut chain = StoredChain::new(genesis(1337, 30_000_000));
        chain.seal(&[]);
        chain.store();
        let kept = NodeStore::open(chain.folder.path().join("node.redb")).unwrap();
        let (alarms, metrics) = (Alarms::default(), Metrics::new());
        let watch = watch(&chain, &kept, high_water, &alarms, &metrics);
        Bench { chain, kept, alarms, metrics, watch }
    }

    fn watch(
        chain: &StoredChain,
        kept: &NodeStore,
        high_water: Option<u64>,
        alarms: &Alarms,
        metrics: &Metrics,
    ) -> SealWatch {
        let commitment = chain.genesis.config().commitment();
        let guard = StorageGuard::default();
        SealWatch::new(chain.store.clone(), commitment, kept.clone(), high_water, alarms.clone(), metrics, guard)
            .unwrap()
    }

    impl Bench {
        /// A block of this height that the authority sealed; the timestamp tells it from others.
        fn sealed(&self, height: u64, timestamp: u64) -> SealedHead {
            let extra_data = self.chain.genesis.block().header().extra_data.clone();
            let header = Header { number: height, timestamp, extra_data, ..Header::default() };
            SealedHead::of(&Block::sealed(header, Vec::new(), &key(1)))
        }

        fn ours(&self, height: u64) -> Block {
            self.chain.store.snapshot().unwrap().block(height).unwrap().unwrap()
        }

        async fn is_kept(&self, height: u64, first: B256, second: B256) {
            let kept = async {
                while self.watch.0.pairs.get() == 0 {
                    tokio::time::sleep(Duration::from_millis(1)).await; // it is written on another thread
                }
            };
            tokio::time::timeout(Duration::from_secs(20), kept).await.expect("it is kept");
            let evidence = self.kept.evidence().unwrap().remove(0);
            let hashes = [&evidence.ours, &evidence.theirs].map(SealedHeader::hash);
            assert_eq!((evidence.height, hashes), (height, [first, second]));
            let sentence = self.alarms.sentences().join("\n");
            assert!(sentence.contains(&format!("height {height}, {first} and {second}")), "{sentence}");
            assert!(self.metrics.encode().contains("callboard_equivocations 1\n"));
        }
    }

    #[actix_rt::test]
    async fn a_second_sealed_block_of_a_height_is_kept_and_alarmed_and_still_is_after_a_restart() {
        let bench = bench(None);
        let ours = bench.ours(1).hash();
        let other = bench.sealed(1, 5_000);
        assert_eq!(bench.watch.meet(&other, None).unwrap(), Meeting::Differs { ours });
        bench.is_kept(1, ours, other.hash()).await;

        let alarms = Alarms::default();
        watch(&bench.chain, &bench.kept, None, &alarms, &Metrics::new());
        assert_eq!(alarms.sentences(), bench.alarms.sentences());
    }

    #[actix_rt::test]
    async fn a_second_seal_over_the_same_block_proves_nothing() {
        let bench = bench(None);
        let ours = bench.ours(1);
        let sealed_otherwise = Block::from_parts(ours.header().clone(), Vec::new(), Seal([1; 65]));
        assert_eq!(bench.watch.meet(&SealedHead::of(&sealed_otherwise), None).unwrap(), Meeting::Known);
        let ahead = bench.sealed(9, 5_000);
        for _ in 0..2 {
            assert_eq!(bench.watch.meet(&ahead, None).unwrap(), Meeting::Ahead { may_extend: true });
        }
        // Whatever is being written ends first.
        let written = bench.watch.0.writes.acquire_many(WRITES_AT_A_TIME as u32).await;
        drop(written.expect("nobody closes it"));
        assert_eq!((bench.kept.evidence().unwrap(), bench.alarms.sentences()), (Vec::new(), Vec::new()));
    }

    #[actix_rt::test]
    async fn two_heads_of_one_height_above_ours_are_kept() {
        let bench = bench(None);
        let (first, second) = (bench.sealed(9, 5_000), bench.sealed(9, 5_001));
        bench.watch.meet(&first, None).unwrap();
        bench.watch.meet(&second, None).unwrap();
        bench.is_kept(9, first.hash(), second.hash()).await;
    }

    #[actix_rt::test]
    async fn a_head_met_above_ours_is_compared_when_this_chain_gets_there() {
        let mut bench = bench(None);
        let shown = bench.sealed(2, 5_000);
        bench.watch.meet(&shown, None).unwrap();
        bench.watch.settle().unwrap();
        bench.chain.seal(&[]);
        bench.chain.store();
        bench.watch.settle().unwrap();
        bench.is_kept(2, bench.ours(2).hash(), shown.hash()).await;
    }

    #[actix_rt::test]
    async fn the_same_key_on_another_chain_proves_nothing() {
        let bench = bench(None);
        let header = Header { number: 1, extra_data: vec![7; 32].into(), ..Header::default() };
        let other = SealedHead::of(&Block::sealed(header, Vec::new(), &key(1)));
        assert_eq!(bench.watch.meet(&other, None).unwrap(), Meeting::OtherChain);
        assert_eq!((bench.kept.evidence().unwrap(), bench.alarms.sentences()), (Vec::new(), Vec::new()));
    }

    #[actix_rt::test]
    async fn an_authority_is_alarmed_by_its_own_seal_above_its_mark_and_a_follower_is_not() {
        let authority = bench(Some(3));
        let older_than_the_head = authority.sealed(4, 0);
        assert_eq!(authority.watch.meet(&older_than_the_head, None).unwrap(), Meeting::Ahead { may_extend: false });
        authority.watch.meet(&authority.sealed(3, 5_000), None).unwrap();
        assert!(!authority.alarms.is_raised(Alarm::OwnBlock), "its high-water file knows of block 3");
        authority.watch.meet(&authority.sealed(4, 5_000), None).unwrap();
        assert!(authority.alarms.is_raised(Alarm::OwnBlock));
        let follower = bench(None);
        follower.watch.meet(&follower.sealed(4, 5_000), None).unwrap();
        assert!(!follower.alarms.is_raised(Alarm::OwnBlock));
    }

    #[actix_rt::test]
    async fn an_authority_remembers_its_own_seal_above_its_head_over_a_restart_until_it_has_that_height() {
        let mut authority = bench(Some(1));
        let met = authority.sealed(3, 5_000);
        authority.watch.remember_own((&met).into()).await.unwrap();
        let again = |bench: &Bench| {
            let alarms = Alarms::default();
            (watch(&bench.chain, &bench.kept, Some(1), &alarms, &Metrics::new()), alarms)
        };
        let (watch, alarms) = again(&authority);
        assert_eq!(watch.own_block_met(), 3);
        assert!(alarms.sentences().join("").contains(&format!("block 3 {}", met.hash())));
        for _ in 2..=3 {
            authority.chain.seal(&[]);
            authority.chain.store();
        }
        assert_eq!(again(&authority).0.own_block_met(), 0);
        let follower = bench(None);
        follower.watch.remember_own((&follower.sealed(3, 5_000)).into()).await.unwrap();
        assert_eq!(follower.kept.own_block_met().unwrap(), None);
    }

    #[actix_rt::test]
    async fn what_an_authority_gave_up_is_not_met_again_and_becomes_proof_when_its_height_is_sealed_again() {
        let mut bench = bench(Some(0));
        let given_up = bench.sealed(2, 5_000);
        let branch = GivenUpBranch {
            after: 1,
            highest: KnownHead::from(&given_up).into(),
            known: [(2, given_up.hash())].into(),
            sealed: Some(SealedHeader::new(given_up.header(), given_up.seal())),
            time: 5_001,
            by_follower: false,
        };
        bench.kept.give_up(&branch).unwrap();
        bench.watch = watch(&bench.chain, &bench.kept, Some(0), &bench.alarms, &bench.metrics);
        assert_eq!(bench.watch.meet(&given_up, None).unwrap(), Meeting::GivenUp { after: 1 });
        assert!(!bench.alarms.is_raised(Alarm::OwnBlock));
        bench.chain.seal(&[]);
        bench.chain.store();
        bench.watch.settle().unwrap();
        bench.is_kept(2, bench.ours(2).hash(), given_up.hash()).await;
    }

    #[actix_rt::test]
    async fn what_is_remembered_of_heads_above_ours_is_bounded() {
        let bench = bench(None);
        for height in 2..MAX_AHEAD as u64 + 10 {
            bench.watch.meet(&bench.sealed(height, 5_000), None).unwrap();
        }
        assert_eq!(bench.watch.0.seen.lock().ahead.len(), MAX_AHEAD);
    }
}
