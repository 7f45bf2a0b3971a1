//! What became of the newest blocks on their way through this node: whence, when, and to whom they went on.

use super::Connected;
use crate::callboard::{Delivery, Origin, Path, Provenance};
use crate::transport::NodeId;
use alloy_primitives::B256;
use callboard_chain::Block;
use parking_lot::Mutex;
use serde::{Serialize, Serializer};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Blocks whose passports are kept, the newest: an hour of blocks a second apart.
pub const MAX_PASSPORTS: usize = 4_096;
/// Verified blocks that are not durable yet; more than all streams together verify ahead and a commit holds. The oldest give
/// way.
const MAX_ON_THEIR_WAY: usize = 4_096;
/// Peers named in one passport; as many as a node has by default.
const MAX_NAMED_PEERS: usize = 64;

/// A moment, unix seconds with milliseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Moment(SystemTime);

impl Moment {
    /// Now.
    pub fn now() -> Self {
        Self(SystemTime::now())
    }

    /// So many seconds after 1970.
    pub(super) fn at(seconds: u64) -> Self {
        Self(UNIX_EPOCH.checked_add(Duration::from_secs(seconds)).unwrap_or(UNIX_EPOCH))
    }
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let millis = self.0.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        serializer.serialize_f64(millis as f64 / 1_000.0)
    }
}

/// A peer that got a block from this node.
#[derive(Debug, Clone, Serialize)]
pub struct Served {
    /// Who.
    pub peer: NodeId,
    /// When its stream took it.
    pub at: Moment,
}

/// A block's way through this node. Times that are not known are `None`.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Passport {
    /// Its height.
    #[serde(skip)]
    pub height: u64,
    /// Its hash.
    #[serde(skip)]
    pub hash: B256,
    /// From where.
    pub origin: Origin,
    /// Which way it came.
    pub path: Path,
    /// The peer that sent it.
    pub peer: Option<NodeId>,
    /// All of that, to tell senders apart.
    #[serde(skip)]
    provenance: Provenance,
    /// Where that peer answers.
    pub url: Option<String>,
    /// The operator who posted it: the client's address.
    pub operator: Option<String>,
    /// When its bytes had come.
    pub received_at: Option<Moment>,
    /// When the verifier had passed it.
    pub verified_at: Option<Moment>,
    /// When it had been executed to the roots of its header.
    pub executed_at: Option<Moment>,
    /// When it was on disk.
    pub durable_at: Option<Moment>,
    /// The routes it took.
    pub routes: Vec<Delivery>,
    /// Peers that follow this node and got it.
    pub served: Vec<Served>,
    /// How many more did.
    pub served_more: u64,
}

/// The passports of the newest blocks. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Passports {
    connected: Connected,
    table: Arc<Mutex<Table>>,
}

#[derive(Debug, Default)]
struct Table {
    on_their_way: HashMap<B256, Passport>,
    arrivals: VecDeque<B256>,
    /// By height: of one height there is one block.
    stored: BTreeMap<u64, Passport>,
}

impl Passports {
    /// None yet; `connected` says where a sender answers.
    pub fn new(connected: Connected) -> Self {
        Self { connected, table: Arc::default() }
    }

    /// The verifier has passed a block whose bytes had come at `received`. Who brought it first is remembered; what is
    /// not above the `durable` head is on its way no more.
    pub(super) fn verified(&self, block: &Block, provenance: Provenance, received: Moment, durable: u64) {
        if block.height() <= durable {
            return;
        }
        let mut passport = self.fresh(block, provenance);
        (passport.received_at, passport.verified_at) = (Some(received), Some(Moment::now()));
        self.table.lock().arrive(passport);
    }

    /// A block was executed to the roots of its header.
    pub(super) fn executed(&self, height: u64, hash: B256) {
        let mut table = self.table.lock();
        let Table { on_their_way, stored, .. } = &mut *table;
        // The disk may be faster than the answer that brings this news.
        let stored = stored.get_mut(&height).filter(|passport| passport.hash == hash);
        if let Some(passport) = on_their_way.get_mut(&hash).or(stored) {
            passport.executed_at = passport.durable_at.or_else(|| Some(Moment::now()));
            passport.routes.insert(0, Delivery::ImportBlock);
        }
    }

    /// The proposer has sealed a block, which it has executed before.
    pub fn sealed(&self, block: &Block) {
        let mut passport = self.fresh(block, Provenance::PROPOSER);
        passport.executed_at = Some(Moment::now());
        self.table.lock().arrive(passport);
    }

    /// A block was refused. One that is known already was not: it is on its way by itself, or past its end.
    pub(super) fn refused(&self, hash: B256, provenance: Provenance) {
        let mut table = self.table.lock();
        // Somebody else may have brought the same block, and that one may be on its way still.
        let is_it = |passport: &Passport| passport.provenance == provenance && passport.executed_at.is_none();
        if table.on_their_way.get(&hash).is_some_and(is_it) {
            table.on_their_way.remove(&hash);
        }
    }

    /// A block is on disk, and went these routes.
    pub fn stored(&self, block: &Block, provenance: Provenance, routes: &[Delivery]) {
        let mut table = self.table.lock();
        let known = table.on_their_way.remove(&block.hash());
        let mut passport = known.unwrap_or_else(|| self.fresh(block, provenance));
        passport.durable_at = Some(Moment::now());
        passport.routes.extend_from_slice(routes);
        table.keep(passport);
    }

    /// A peer that follows this node took the block at `height`.
    pub fn served(&self, height: u64, peer: NodeId) {
        if let Some(passport) = self.table.lock().stored.get_mut(&height) {
            passport.serve(Served { peer, at: Moment::now() });
        }
    }

    /// The passport of a stored block, where it is still kept.
    pub fn find(&self, height: u64, hash: B256) -> Option<Passport> {
        self.table.lock().stored.get(&height).filter(|passport| passport.hash == hash).cloned()
    }

    fn fresh(&self, block: &Block, provenance: Provenance) -> Passport {
        let is_operator = provenance.origin == Origin::Operator;
        Passport {
            height: block.height(),
            hash: block.hash(),
            origin: provenance.origin,
            path: provenance.path,
            peer: provenance.peer,
            provenance,
            url: provenance.peer.and_then(|peer| self.connected.url(peer)),
            operator: is_operator.then(|| provenance.sender()),
            received_at: None,
            verified_at: None,
            executed_at: None,
            durable_at: None,
            routes: Vec::new(),
            served: Vec::new(),
            served_more: 0,
        }
    }
}

impl Passport {
    fn serve(&mut self, served: Served) {
        if self.served.len() < MAX_NAMED_PEERS {
            self.served.push(served);
        } else {
            self.served_more += 1;
        }
    }
}

impl Table {
    fn arrive(&mut self, passport: Passport) {
        let hash = passport.hash;
        if self.on_their_way.contains_key(&hash) {
            return;
        }
        self.on_their_way.insert(hash, passport);
        self.arrivals.push_back(hash);
        // A place in the queue outlives its passport, so the queue bounds the passports too.
        if self.arrivals.len() > MAX_ON_THEIR_WAY
            && let Some(oldest) = self.arrivals.pop_front()
        {
            self.on_their_way.remove(&oldest);
        }
    }

    fn keep(&mut self, passport: Passport) {
        self.stored.insert(passport.height, passport);
        while self.stored.len() > MAX_PASSPORTS {
            self.stored.pop_first();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::key;
    use alloy_consensus::Header;

    fn block(number: u64) -> Block {
        Block::sealed(Header { number, ..Header::default() }, Vec::new(), &key(1))
    }

    fn peer(number: u8) -> NodeId {
        NodeId::of(&key(number))
    }

    #[test]
    fn a_passport_tells_the_way_of_a_block_in_order() {
        let passports = Passports::default();
        let (block, provenance) = (block(7), Provenance::live(peer(2)));
        passports.verified(&block, provenance, Moment::now(), 6);
        // Somebody else brings it as well, a little later.
        passports.verified(&block, Provenance::pushed(peer(3)), Moment::now(), 6);
        passports.refused(block.hash(), Provenance::pushed(peer(3)));
        passports.executed(7, block.hash());
        passports.refused(block.hash(), provenance);
        assert!(passports.find(7, block.hash()).is_none(), "not before it is durable");
        passports.stored(&block, provenance, &[Delivery::RelayBlock]);
        passports.served(7, peer(4));
        passports.served(8, peer(4));
        let passport = passports.find(7, block.hash()).unwrap();
        assert_eq!((passport.origin, passport.path, passport.peer), (Origin::Peer, Path::Live, Some(peer(2))));
        assert_eq!(passport.routes, [Delivery::ImportBlock, Delivery::RelayBlock]);
        let times = [passport.received_at, passport.verified_at, passport.executed_at, passport.durable_at];
        let times: Vec<SystemTime> = times.into_iter().map(|time| time.unwrap().0).collect();
        assert!(times.is_sorted(), "{times:?}");
        assert_eq!(passport.served.iter().map(|served| served.peer).collect::<Vec<_>>(), [peer(4)]);
        assert!(passports.find(7, B256::ZERO).is_none(), "another block of that height");
    }

    #[test]
    fn a_block_sealed_here_and_one_that_an_operator_posts_say_so() {
        let passports = Passports::default();
        passports.stored(&block(1), Provenance::PROPOSER, &[Delivery::BroadcastBlock]);
        let sealed = passports.find(1, block(1).hash()).unwrap();
        assert_eq!((sealed.path, sealed.operator, sealed.received_at), (Path::Sealed, None, None));
        let provenance = Provenance::operator(Some("192.0.2.7:5000".parse().unwrap()));
        passports.verified(&block(2), provenance, Moment::now(), 1);
        passports.stored(&block(2), provenance, &[]);
        let posted = passports.find(2, block(2).hash()).unwrap();
        assert_eq!((posted.path, posted.operator.as_deref()), (Path::ImportBlock, Some("operator at 192.0.2.7:5000")));
    }

    #[test]
    fn what_is_kept_is_bounded_whatever_comes() {
        let passports = Passports::default();
        for number in 0..2 * MAX_PASSPORTS as u64 {
            let block = block(number);
            // Never imported.
            passports.verified(&block, Provenance::peer(peer(2)), Moment::now(), 0);
            if number % 2 == 0 {
                passports.refused(block.hash(), Provenance::peer(peer(2)));
            }
        }
        let (waiting, queued) = {
            let table = passports.table.lock();
            (table.on_their_way.len(), table.arrivals.len())
        };
        assert!(waiting <= MAX_ON_THEIR_WAY && queued <= MAX_ON_THEIR_WAY, "{waiting} {queued}");
        // What is on disk already takes no place from what is on its way.
        let old = block(MAX_PASSPORTS as u64);
        passports.verified(&old, Provenance::OPERATOR, Moment::now(), MAX_PASSPORTS as u64);
        assert!(!passports.table.lock().on_their_way.contains_key(&old.hash()));
        for number in 0..MAX_PASSPORTS as u64 + 3 {
            passports.stored(&block(number), Provenance::PROPOSER, &[]);
        }
        assert_eq!(passports.table.lock().stored.len(), MAX_PASSPORTS);
        assert!(passports.find(2, block(2).hash()).is_none() && passports.find(3, block(3).hash()).is_some());
        for number in 0..MAX_NAMED_PEERS + 5 {
            passports.served(10, peer(1 + number as u8));
        }
        let passport = passports.find(10, block(10).hash()).unwrap();
        assert_eq!((passport.served.len(), passport.served_more), (MAX_NAMED_PEERS, 5));
    }
}
