//! The core: which filters are installed, and up to where each has been told. Pure: time and hashes come in.

use super::cursor::Cursor;
use crate::rpc_frontend::rate::Client;
use alloy_primitives::B256;
use alloy_rpc_types_eth::Filter;
use std::cmp::Reverse;
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// When all places are taken, a filter that nobody has asked for this long gives way. Geth forgets every filter after
/// this time; here they stay as long as there is room, since some clients never install a forgotten one again.
pub(super) const IDLE: Duration = Duration::from_secs(300);
/// A filter takes a place for each so many addresses and topics, so that the bound of filters bounds their memory: some
/// 300 bytes for each with its bloom.
const ALTERNATIVES_OF_A_PLACE: usize = 16;
/// One holder may have one of so many parts of the places.
const SHARES: usize = 4;
/// Hashes of pending transactions that are kept for all filters together: as many as the default pool holds. Whoever
/// asks too rarely gets the newest.
pub(super) const KEPT_PENDING: usize = 16_384;

/// A filter's name. Quantities for clients; nobody can guess one.
pub(super) type FilterId = u128;
/// Whose filter it is: where it was installed from, where that is known.
pub(super) type Holder = Option<Client>;

/// What a filter tells of.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    /// Hashes of blocks.
    Blocks(Cursor),
    /// Logs that match.
    Logs(Arc<Filter>, Cursor),
    /// Hashes of transactions that the pool took, from this number on.
    Pending(u64),
}

impl Kind {
    fn places(&self) -> usize {
        match self {
            Self::Blocks(_) | Self::Pending(_) => 1,
            Self::Logs(filter, _) => {
                let topics = filter.topics.iter().map(|topic| topic.len()).sum::<usize>();
                (filter.address.len() + topics).div_ceil(ALTERNATIVES_OF_A_PLACE).max(1)
            }
        }
    }
}

#[derive(Debug)]
struct Entry {
    kind: Kind,
    holder: Holder,
    places: usize,
    asked: Duration,
}

/// All filters of a listener.
#[derive(Debug)]
pub(super) struct Registry {
    filters: HashMap<FilterId, Entry>,
    /// Places that there are, and that are taken.
    most: usize,
    taken: usize,
    /// Those that are taken, by holder.
    held: HashMap<Holder, usize>,
    /// The newest hashes of pending transactions, and how many there were in all.
    pending: VecDeque<B256>,
    counted: u64,
    is_fed: bool,
}

/// There is no place for a filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Full {
    /// Every place is taken by a filter that is asked for.
    #[error("all {most} places are taken by filters that are in use, uninstall some")]
    All {
        /// Places that there are.
        most: usize,
    },
    /// The holder has as many as one may have.
    #[error(
        "this one takes {places}, your address has {held} in use and may have {share} of the {most} places, uninstall some"
    )]
    Share {
        /// What the filter takes.
        places: usize,
        /// What the holder has in use.
        held: usize,
        /// What one holder may have.
        share: usize,
        /// Places that there are.
        most: usize,
    },
}

impl Registry {
    pub(super) fn new(most: usize) -> Self {
        let (filters, held, pending) = Default::default();
        Self { filters, most, taken: 0, held, pending, counted: 0, is_fed: false }
    }

    /// Installs a filter; those that gave way for it.
    pub(super) fn on_install(
        &mut self,
        now: Duration,
        holder: Holder,
        id: FilterId,
        kind: Kind,
    ) -> Result<Vec<FilterId>, Full> {
        let places = kind.places();
        let gone = self.make_room(now, holder, places)?;
        self.taken += places;
        *self.held.entry(holder).or_default() += places;
        self.filters.insert(id, Entry { kind, holder, places, asked: now });
        Ok(gone)
    }

    /// As [`Self::on_install`], for one that tells of pending transactions from now on. Whether the hashes have to be
    /// brought from now on: nobody does yet.
    pub(super) fn on_install_pending(
        &mut self,
        now: Duration,
        holder: Holder,
        id: FilterId,
    ) -> Result<(Vec<FilterId>, bool), Full> {
        let gone = self.on_install(now, holder, id, Kind::Pending(self.counted))?;
        Ok((gone, !std::mem::replace(&mut self.is_fed, true)))
    }

    /// Lets idle filters go: the holder's own as far as it would have more than its share, and then of whoever has most,
    /// each time the one that nobody has asked for longest. Where that is not enough none goes.
    fn make_room(&mut self, now: Duration, holder: Holder, places: usize) -> Result<Vec<FilterId>, Full> {
        let share = self.most.div_ceil(SHARES);
        let mut leaving =
            Leaving { registry: self, now, gone: HashSet::new(), held: self.held.clone(), taken: self.taken };
        while leaving.held_by(holder).saturating_add(places) > share {
            if !leaving.one(|entry| entry.holder == holder) {
                let held = leaving.held_by(holder);
                return Err(Full::Share { places, held, share, most: self.most });
            }
        }
        while leaving.taken.saturating_add(places) > self.most {
            if !leaving.one(|_| true) {
                return Err(Full::All { most: self.most });
            }
        }
        let gone: Vec<_> = leaving.gone.into_iter().collect();
        self.remove_all(&gone);
        Ok(gone)
    }

    /// Takes a filter out; whether it was there.
    pub(super) fn on_uninstall(&mut self, id: FilterId) -> bool {
        let Some(entry) = self.filters.remove(&id) else { return false };
        self.taken -= entry.places;
        if let Some(held) = self.held.get_mut(&entry.holder) {
            *held = held.saturating_sub(entry.places);
        }
        self.held.retain(|_, held| *held > 0);
        true
    }

    fn remove_all(&mut self, ids: &[FilterId]) {
        for id in ids {
            self.on_uninstall(*id);
        }
    }

    /// Somebody asks a filter; what it tells of, and from where on.
    pub(super) fn on_asked(&mut self, now: Duration, id: FilterId) -> Option<Kind> {
        let entry = self.filters.get_mut(&id)?;
        entry.asked = now;
        Some(entry.kind.clone())
    }

    /// Hashes of pending transactions since a filter was last asked, which are told by that.
    pub(super) fn on_pending_asked(&mut self, id: FilterId) -> Vec<B256> {
        let Some(Entry { kind: Kind::Pending(next), .. }) = self.filters.get_mut(&id) else { return Vec::new() };
        let since = std::mem::replace(next, self.counted);
        let new = usize::try_from(self.counted - since).unwrap_or(usize::MAX).min(self.pending.len());
        self.pending.range(self.pending.len() - new..).copied().collect()
    }

    /// What lies between the cursors has been read for a filter; false where somebody else has been told meanwhile.
    pub(super) fn on_read(&mut self, id: FilterId, from: Cursor, to: Cursor) -> bool {
        match self.filters.get_mut(&id).map(|entry| &mut entry.kind) {
            Some(Kind::Blocks(cursor) | Kind::Logs(_, cursor)) if *cursor == from => {
                *cursor = to;
                true
            }
            _ => false,
        }
    }

    /// The pool took a transaction. Whether anybody wants to hear of more.
    pub(super) fn on_pending(&mut self, hash: B256) -> bool {
        self.is_fed = self.filters.values().any(|entry| matches!(entry.kind, Kind::Pending(_)));
        if !self.is_fed {
            self.pending = VecDeque::new();
            return false;
        }
        if self.pending.len() >= KEPT_PENDING {
            self.pending.pop_front();
        }
        self.pending.push_back(hash);
        self.counted += 1;
        true
    }

    /// Nobody brings hashes of pending transactions any more: their filters are lost, so that clients install new ones.
    pub(super) fn on_feed_ended(&mut self) {
        let pending = self.filters.iter().filter(|(_, entry)| matches!(entry.kind, Kind::Pending(_)));
        let pending: Vec<_> = pending.map(|(id, _)| *id).collect();
        self.remove_all(&pending);
        self.pending = VecDeque::new();
        self.is_fed = false;
    }
}

/// Filters that would give way, and what would be taken then.
struct Leaving<'a> {
    registry: &'a Registry,
    now: Duration,
    gone: HashSet<FilterId>,
    held: HashMap<Holder, usize>,
    taken: usize,
}

impl Leaving<'_> {
    fn held_by(&self, holder: Holder) -> usize {
        self.held.get(&holder).copied().unwrap_or_default()
    }

    /// One more, of those that may; false where none is idle.
    fn one(&mut self, may: impl Fn(&Entry) -> bool) -> bool {
        let idle = self.registry.filters.iter().filter(|(id, entry)| {
            self.now.saturating_sub(entry.asked) >= IDLE && may(entry) && !self.gone.contains(*id)
        });
        let Some((id, entry)) =
            idle.max_by_key(|(id, entry)| (self.held_by(entry.holder), Reverse((entry.asked, **id))))
        else {
            return false;
        };
        self.gone.insert(*id);
        self.taken = self.taken.saturating_sub(entry.places);
        if let Some(held) = self.held.get_mut(&entry.holder) {
            *held = held.saturating_sub(entry.places);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::Address;
    use std::net::Ipv4Addr;

    const START: Duration = Duration::from_secs(1_000);

    fn blocks() -> Kind {
        Kind::Blocks(Cursor::after(0, B256::ZERO))
    }

    /// Each filter of these tests has a holder of its own, unless it says otherwise.
    fn holder(id: FilterId) -> Holder {
        Some(Client::of(Ipv4Addr::from_bits(id as u32).into()))
    }

    fn hash(number: u64) -> B256 {
        B256::left_padding_from(&number.to_be_bytes())
    }

    #[test]
    fn where_all_places_are_taken_the_filter_that_nobody_has_asked_longest_gives_way_once_it_is_idle() {
        let mut registry = Registry::new(2);
        assert_eq!(registry.on_install(START, holder(1), 1, blocks()), Ok(vec![]));
        assert_eq!(registry.on_install(START, holder(2), 2, blocks()), Ok(vec![]));
        assert!(registry.on_asked(START + Duration::from_secs(1), 1).is_some());
        let almost = START + IDLE - Duration::from_nanos(1);
        assert_eq!(registry.on_install(almost, holder(3), 3, blocks()), Err(Full::All { most: 2 }));
        assert_eq!(registry.on_install(START + IDLE * 9, holder(3), 3, blocks()), Ok(vec![2]), "1 was asked later");
        assert_eq!(registry.on_asked(START, 2), None);
        assert!(registry.on_asked(START, 1).is_some() && registry.on_asked(START, 3).is_some());
    }

    #[test]
    fn nobody_gets_more_than_a_share_and_who_has_a_share_gives_way_to_himself() {
        let mut registry = Registry::new(8);
        let (one, other) = (holder(1), holder(2));
        assert_eq!(registry.on_install(START, one, 1, blocks()), Ok(vec![]));
        assert_eq!(registry.on_install(START, one, 2, blocks()), Ok(vec![]));
        let refused = registry.on_install(START, one, 3, blocks());
        assert_eq!(refused, Err(Full::Share { places: 1, held: 2, share: 2, most: 8 }), "six places are free");
        assert_eq!(registry.on_install(START, other, 4, blocks()), Ok(vec![]), "another one is not kept out");
        assert_eq!(registry.on_install(START, None, 5, blocks()), Ok(vec![]));
        assert!(registry.on_uninstall(1));
        assert_eq!(registry.on_install(START, one, 6, blocks()), Ok(vec![]), "what is given back counts no more");
        assert_eq!(registry.on_install(START + IDLE, one, 7, blocks()), Ok(vec![2]), "of its own the oldest");
        let same = Some(Client::of("::ffff:0.0.0.1".parse().unwrap()));
        assert!(registry.on_install(START, same, 8, blocks()).is_err(), "the same address, written as IPv6");
    }

    #[test]
    fn nobody_elses_filter_gives_way_for_a_share_however_long_it_is_idle() {
        let mut registry = Registry::new(8);
        for (id, whose) in [(1, 1), (2, 1), (3, 2), (4, 2)] {
            registry.on_install(START + Duration::from_secs(u64::from(id > 2)), holder(whose), id, blocks()).unwrap();
        }
        assert_eq!(registry.on_install(START + IDLE * 2, holder(2), 5, blocks()), Ok(vec![3]));
    }

    #[test]
    fn where_all_places_are_taken_whoever_has_most_gives_way_first() {
        let mut registry = Registry::new(8);
        let later = START + Duration::from_secs(1);
        registry.on_install(START, holder(9), 1, blocks()).unwrap();
        for (id, whose) in [(2, 7), (3, 7), (4, 8), (5, 8), (6, 6), (7, 5)] {
            registry.on_install(later, holder(whose), id, blocks()).unwrap();
        }
        registry.on_install(later, holder(9), 8, blocks()).unwrap();
        assert!(registry.on_uninstall(1));
        registry.on_install(START, holder(4), 1, blocks()).unwrap();
        let idle = later + IDLE;
        registry.on_asked(idle, 2);
        registry.on_asked(idle, 3);
        let gone = registry.on_install(idle, holder(1), 9, blocks());
        assert_eq!(gone, Ok(vec![4]), "1 is older, but the only one of its holder; 7's two are in use");
        assert_eq!(registry.on_install(idle, holder(1), 10, blocks()), Ok(vec![1]), "now the oldest of all");
    }

    #[test]
    fn an_idle_filter_stays_while_there_is_room() {
        let mut registry = Registry::new(2);
        registry.on_install(START, holder(1), 1, blocks()).unwrap();
        assert_eq!(registry.on_install(START + IDLE * 1_000, holder(2), 2, blocks()), Ok(vec![]));
        assert!(registry.on_asked(START + IDLE * 2_000, 1).is_some());
    }

    #[test]
    fn a_filter_of_many_addresses_takes_the_room_of_many_filters_and_gives_it_back() {
        let addresses: Vec<_> = (0..40u64).map(|number| Address::left_padding_from(&number.to_be_bytes())).collect();
        let large = || Kind::Logs(Arc::new(Filter::new().address(addresses.clone())), Cursor::after(0, B256::ZERO));
        let mut registry = Registry::new(12);
        for id in 1..5 {
            registry.on_install(START, holder(id), id, large()).unwrap();
        }
        assert_eq!(registry.on_install(START, holder(5), 5, blocks()), Err(Full::All { most: 12 }));
        assert!(registry.on_uninstall(1) && !registry.on_uninstall(1));
        for id in 5..8 {
            registry.on_install(START, holder(id), id, blocks()).unwrap();
        }
        // One that finds too little that is idle takes nothing away.
        for id in 2..6 {
            registry.on_asked(START + IDLE, id);
        }
        assert_eq!(registry.on_install(START + IDLE, holder(9), 9, large()), Err(Full::All { most: 12 }));
        assert!(registry.on_asked(START + IDLE, 6).is_some());
    }

    #[test]
    fn what_two_read_at_once_is_told_to_one() {
        let mut registry = Registry::new(2);
        registry.on_install(START, holder(1), 1, blocks()).unwrap();
        let (from, to) = (Cursor::after(0, B256::ZERO), Cursor::after(4, hash(4)));
        assert!(registry.on_read(1, from, to));
        assert!(!registry.on_read(1, from, to));
        assert_eq!(registry.on_asked(START, 1), Some(Kind::Blocks(to)));
        assert!(!registry.on_read(7, from, to), "one that is gone");
    }

    #[test]
    fn each_pending_filter_hears_of_what_came_since_it_was_asked_and_of_no_more_than_is_kept() {
        let mut registry = Registry::new(4);
        assert!(!registry.on_pending(hash(0)), "nobody wants it");
        assert_eq!(registry.on_install_pending(START, holder(1), 1), Ok((vec![], true)));
        assert!(registry.on_pending(hash(1)));
        assert_eq!(
            registry.on_install_pending(START, holder(2), 2),
            Ok((vec![], false)),
            "somebody brings them already"
        );
        assert!(registry.on_pending(hash(2)));
        assert_eq!(registry.on_pending_asked(1), [hash(1), hash(2)]);
        assert!(registry.on_pending_asked(1).is_empty());
        assert_eq!(registry.on_pending_asked(2), [hash(2)]);
        let most = KEPT_PENDING as u64;
        (0..most + 5).for_each(|number| assert!(registry.on_pending(hash(number))));
        let heard = registry.on_pending_asked(1);
        assert_eq!((heard.len(), heard[0], heard[KEPT_PENDING - 1]), (KEPT_PENDING, hash(5), hash(most + 4)));
    }

    #[test]
    fn hashes_are_brought_only_while_a_filter_wants_them_and_filters_are_lost_when_nobody_brings_them() {
        let mut registry = Registry::new(4);
        registry.on_install_pending(START, holder(1), 1).unwrap();
        registry.on_uninstall(1);
        assert!(!registry.on_pending(hash(1)));
        assert_eq!(registry.on_install_pending(START, holder(2), 2), Ok((vec![], true)));
        registry.on_install(START, holder(3), 3, blocks()).unwrap();
        registry.on_feed_ended();
        assert_eq!(registry.on_asked(START, 2), None);
        assert!(registry.on_asked(START, 3).is_some());
        assert_eq!(registry.on_install_pending(START, holder(4), 4), Ok((vec![], true)));
    }
}
