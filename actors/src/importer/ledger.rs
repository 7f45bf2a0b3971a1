//! Which refusals are worth a record. What was refused before is counted, and nobody makes this node write as fast as
//! it likes.

use crate::callboard::Provenance;
use crate::transport::NodeId;
use alloy_primitives::B256;
use callboard_chain::Blame;
use callboard_store::RefusedBlock;
use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// Refusals that are told apart, of each of the two groups; as many as are recorded.
const MAX_REMEMBERED: usize = callboard_store::MAX_REFUSED_BLOCKS as usize;
/// Records that one peer can cause at once. A peer at fault is banned after the first; one that is honest sends what
/// lies on another branch, or ahead, and a few of these tell as much as all.
const PEER_RECORDS: u32 = 16;
/// The same for one operator, whose script may go through a whole list.
const OPERATOR_RECORDS: u32 = 100;
/// After this long a sender can cause one more.
const RECORD_EVERY: Duration = Duration::from_secs(30);
/// Senders metered at a time. One that has been quiet until it could cause its full number again is forgotten.
const MAX_METERED: usize = 1_024;
/// Repeats of one refusal are written together, at most this often.
const REPEATS_EVERY: Duration = Duration::from_secs(60);

/// Who can be told apart by what they send: an operator's port is another one with each connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Sender {
    Peer(NodeId),
    Operator(Option<IpAddr>),
}

impl Sender {
    pub(super) fn of(provenance: Provenance) -> Self {
        match provenance.peer {
            Some(peer) => Self::Peer(peer),
            None => Self::Operator(provenance.client.map(|client| client.ip())),
        }
    }

    const fn records(self) -> u32 {
        match self {
            Self::Peer(_) => PEER_RECORDS,
            Self::Operator(_) => OPERATOR_RECORDS,
        }
    }
}

/// What makes two refusals the same. A block that only the authority can have sealed is the same whoever brings it:
/// node ids are free.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    hash: B256,
    check: String,
    sender: Option<Sender>,
}

impl Key {
    pub(super) fn of(refused: &RefusedBlock, sender: Sender) -> Self {
        let sender = (refused.blame != Blame::Local).then_some(sender);
        Self { hash: refused.hash, check: refused.check.clone(), sender }
    }

    const fn is_local(&self) -> bool {
        self.sender.is_none()
    }
}

/// What is to be done with a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ruling {
    /// Write it down.
    Write,
    /// It has been met before: add so many times to the record with this number.
    Repeated {
        /// The record.
        number: u64,
        /// How often since it was written last.
        times: u64,
    },
    /// It has been met before, and is written with those that follow.
    Counted,
    /// Its sender has caused as many records as it may for now.
    TooMany,
}

#[derive(Debug)]
struct Entry {
    /// Its record, once that is written.
    number: Option<u64>,
    /// How often it has come since.
    times: u64,
    /// When it came last, unix seconds.
    last: u64,
    written: Instant,
}

/// One group of refusals, the oldest of which give way.
#[derive(Debug, Default)]
struct Group {
    entries: HashMap<Key, Entry>,
    order: VecDeque<Key>,
}

#[derive(Debug)]
struct Meter {
    left: u32,
    since: Instant,
}

/// What was refused lately, and how much each sender has caused. What is this node's or the authority's fault stands
/// apart, so that nothing that anybody else sends makes it forgotten.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    local: Group,
    others: Group,
    meters: HashMap<Sender, Meter>,
}

impl Ledger {
    /// A block was refused at `now`; `wall` is the time of day, unix seconds.
    pub(super) fn on_refused(&mut self, now: Instant, wall: u64, key: &Key, sender: Sender) -> Ruling {
        if let Some(entry) = self.group(key).entries.get_mut(key) {
            entry.times = entry.times.saturating_add(1);
            entry.last = wall;
            return match entry.number {
                Some(number) if now.saturating_duration_since(entry.written) >= REPEATS_EVERY => {
                    entry.written = now;
                    Ruling::Repeated { number, times: std::mem::take(&mut entry.times) }
                }
                _ => Ruling::Counted,
            };
        }
        if !key.is_local() && !self.may_cause(now, sender) {
            return Ruling::TooMany;
        }
        self.group(key).add(key.clone(), Entry { number: None, times: 0, last: wall, written: now });
        Ruling::Write
    }

    /// The refusal is written down.
    pub(super) fn on_written(&mut self, key: &Key, number: u64) {
        if let Some(entry) = self.group(key).entries.get_mut(key) {
            entry.number = Some(number);
        }
    }

    /// It could not be written down: when it comes again, that is tried again.
    pub(super) fn on_not_written(&mut self, key: &Key) {
        self.group(key).entries.remove(key);
    }

    /// Adds what has come since the records were written.
    pub(super) fn complete(&self, records: &mut [RefusedBlock]) {
        let entries = self.local.entries.values().chain(self.others.entries.values());
        let since: HashMap<u64, &Entry> = entries.filter_map(|entry| Some((entry.number?, entry))).collect();
        for record in records {
            if let Some(entry) = since.get(&record.number) {
                record.count = record.count.saturating_add(entry.times);
                record.last_time = record.last_time.max(entry.last);
            }
        }
    }

    fn group(&mut self, key: &Key) -> &mut Group {
        if key.is_local() { &mut self.local } else { &mut self.others }
    }

    fn may_cause(&mut self, now: Instant, sender: Sender) -> bool {
        if !self.meters.contains_key(&sender) && self.meters.len() >= MAX_METERED {
            self.meters.retain(|sender, meter| meter.refill(now, *sender) < sender.records());
            if self.meters.len() >= MAX_METERED {
                return false;
            }
        }
        let full = || Meter { left: sender.records(), since: now };
        let meter = self.meters.entry(sender).or_insert_with(full);
        let may = meter.refill(now, sender) > 0;
        meter.left = meter.left.saturating_sub(1);
        may
    }
}

impl Group {
    fn add(&mut self, key: Key, entry: Entry) {
        self.entries.insert(key.clone(), entry);
        self.order.push_back(key);
        // A place in the queue outlives its entry, so the queue bounds the entries too.
        if self.order.len() > MAX_REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.entries.remove(&oldest);
        }
    }
}

impl Meter {
    /// Counts what time has given back; how many records are left.
    fn refill(&mut self, now: Instant, sender: Sender) -> u32 {
        let periods = now.saturating_duration_since(self.since).as_secs() / RECORD_EVERY.as_secs();
        let periods = u32::try_from(periods).unwrap_or(u32::MAX);
        if periods > 0 {
            self.left = self.left.saturating_add(periods).min(sender.records());
            self.since = now;
        }
        self.left
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::key as secret;

    const WALL: u64 = 1_000;

    fn peer(number: u8) -> Sender {
        Sender::Peer(NodeId::of(&secret(number)))
    }

    fn key(hash: u64, sender: Option<Sender>) -> Key {
        let hash = B256::left_padding_from(&hash.to_be_bytes());
        Key { hash, check: "parent".to_owned(), sender }
    }

    fn record(number: u64) -> RefusedBlock {
        RefusedBlock {
            number,
            height: 1,
            hash: B256::ZERO,
            check: "parent".to_owned(),
            passed: Vec::new(),
            expected: String::new(),
            actual: String::new(),
            message: String::new(),
            blame: Blame::Nobody,
            sender: String::new(),
            url: None,
            path: "push".to_owned(),
            finding: None,
            time: 7,
            last_time: 7,
            count: 1,
            length: 0,
        }
    }

    #[test]
    fn what_comes_again_is_counted_and_written_with_what_follows_now_and_then() {
        let (mut ledger, begun) = (Ledger::default(), Instant::now());
        let known = key(1, Some(peer(1)));
        assert_eq!(ledger.on_refused(begun, WALL, &known, peer(1)), Ruling::Write);
        assert_eq!(ledger.on_refused(begun, WALL, &known, peer(1)), Ruling::Counted, "it is being written");
        ledger.on_written(&known, 5);
        for _ in 0..10 {
            assert_eq!(ledger.on_refused(begun, WALL + 9, &known, peer(1)), Ruling::Counted);
        }
        let mut records = [record(4), record(5)];
        ledger.complete(&mut records);
        assert_eq!((records[0].count, records[0].last_time), (1, 7), "another record");
        assert_eq!((records[1].count, records[1].last_time), (12, WALL + 9));
        let later = begun + REPEATS_EVERY;
        assert_eq!(ledger.on_refused(later, WALL, &known, peer(1)), Ruling::Repeated { number: 5, times: 12 });
        assert_eq!(ledger.on_refused(later, WALL, &known, peer(1)), Ruling::Counted);
        // By another sender, and at another check, it is another refusal.
        assert_eq!(ledger.on_refused(later, WALL, &key(1, Some(peer(2))), peer(2)), Ruling::Write);
        let check = Key { check: "seal".to_owned(), ..known };
        assert_eq!(ledger.on_refused(later, WALL, &check, peer(1)), Ruling::Write);
        ledger.on_not_written(&check);
        assert_eq!(ledger.on_refused(later, WALL, &check, peer(1)), Ruling::Write);
    }

    #[test]
    fn a_sender_causes_so_many_records_and_one_more_from_time_to_time() {
        let (mut ledger, begun) = (Ledger::default(), Instant::now());
        let mut written = |now, sender: Sender, hashes: std::ops::Range<u64>| {
            let ruling = |hash| ledger.on_refused(now, WALL, &key(hash, Some(sender)), sender);
            hashes.map(ruling).filter(|ruling| *ruling == Ruling::Write).count()
        };
        assert_eq!(written(begun, peer(1), 0..100), PEER_RECORDS as usize);
        assert_eq!(written(begun, peer(2), 0..100), PEER_RECORDS as usize, "another sender has its own");
        let operator = Sender::Operator(Some([127, 0, 0, 1].into()));
        assert_eq!(written(begun, operator, 0..200), OPERATOR_RECORDS as usize);
        assert_eq!(written(begun + RECORD_EVERY, peer(1), 100..200), 1);
        assert_eq!(written(begun + RECORD_EVERY * 1_000, peer(1), 200..300), PEER_RECORDS as usize);
    }

    #[test]
    fn what_is_nobody_elses_fault_is_always_written_once_and_never_forgotten_for_what_others_send() {
        let (mut ledger, begun) = (Ledger::default(), Instant::now());
        let fault = key(0, None);
        assert_eq!(ledger.on_refused(begun, WALL, &fault, peer(1)), Ruling::Write);
        ledger.on_written(&fault, 1);
        for number in 0..4_000 {
            let sender = peer(1 + (number % 200) as u8);
            ledger.on_refused(begun, WALL, &key(number, Some(sender)), sender);
        }
        assert_eq!(ledger.on_refused(begun, WALL, &fault, peer(9)), Ruling::Counted, "whoever brings it");
        assert!(ledger.others.entries.len() <= MAX_REMEMBERED && ledger.others.order.len() <= MAX_REMEMBERED);
        // The sender has caused all that it may; this is no fault of its.
        assert_eq!(ledger.on_refused(begun, WALL, &key(1, None), peer(1)), Ruling::Write);
    }

    #[test]
    fn the_senders_that_are_metered_are_bounded() {
        let (mut ledger, begun) = (Ledger::default(), Instant::now());
        let sender = |number: u32| Sender::Operator(Some(std::net::Ipv4Addr::from(number).into()));
        for number in 0..2 * MAX_METERED as u32 {
            ledger.on_refused(begun, WALL, &key(1, Some(sender(number))), sender(number));
        }
        assert_eq!(ledger.meters.len(), MAX_METERED);
        let quiet = begun + RECORD_EVERY;
        assert_eq!(ledger.on_refused(quiet, WALL, &key(2, Some(sender(9_999))), sender(9_999)), Ruling::Write);
        assert_eq!(ledger.meters.len(), 1);
    }
}
