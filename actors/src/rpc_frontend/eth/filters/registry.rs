//! The core: which filters are installed, and up to where each has been told. Pure: time and hashes come in.

use super::cursor::Cursor;
use alloy_primitives::B256;
use alloy_rpc_types_eth::Filter;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// When all places are taken, a filter that nobody has asked for this long gives way. Geth forgets every filter after
/// this time; here they stay as long as there is room, since some clients never install a forgotten one again.
pub(super) const IDLE: Duration = Duration::from_secs(300);
/// A filter takes a place for each so many addresses and topics, so that the bound of filters bounds their memory: some
/// 300 bytes for each with its bloom.
const ALTERNATIVES_OF_A_PLACE: usize = 16;
/// Hashes of pending transactions that are kept for all filters together: as many as the default pool holds. Whoever
/// asks too rarely gets the newest.
pub(super) const KEPT_PENDING: usize = 16_384;

/// A filter's name. Quantities for clients; nobody can guess one.
pub(super) type FilterId = u128;

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
    /// The newest hashes of pending transactions, and how many there were in all.
    pending: VecDeque<B256>,
    counted: u64,
    is_fed: bool,
}

/// Every place is taken by a filter that is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Full {
    /// Places that there are.
    pub(super) most: usize,
}

impl Registry {
    pub(super) fn new(most: usize) -> Self {
        let (filters, pending) = Default::default();
        Self { filters, most, taken: 0, pending, counted: 0, is_fed: false }
    }

    /// Installs a filter; those that gave way for it.
    pub(super) fn on_install(&mut self, now: Duration, id: FilterId, kind: Kind) -> Result<Vec<FilterId>, Full> {
        let places = kind.places();
        let gone = self.make_room(now, places)?;
        self.taken += places;
        self.filters.insert(id, Entry { kind, places, asked: now });
        Ok(gone)
    }

    /// As [`Self::on_install`], for one that tells of pending transactions from now on. Whether the hashes have to be
    /// brought from now on: nobody does yet.
    pub(super) fn on_install_pending(&mut self, now: Duration, id: FilterId) -> Result<(Vec<FilterId>, bool), Full> {
        let gone = self.on_install(now, id, Kind::Pending(self.counted))?;
        Ok((gone, !std::mem::replace(&mut self.is_fed, true)))
    }

    /// Lets the filters go that nobody has asked for longest, as far as they are idle. Where that is not enough none goes.
    fn make_room(&mut self, now: Duration, places: usize) -> Result<Vec<FilterId>, Full> {
        let mut missing = (self.taken + places).saturating_sub(self.most);
        if missing == 0 {
            return Ok(Vec::new());
        }
        let idle = self.filters.iter().filter(|(_, entry)| now.saturating_sub(entry.asked) >= IDLE);
        let mut idle: Vec<_> = idle.map(|(id, entry)| (entry.asked, *id, entry.places)).collect();
        idle.sort_unstable();
        let mut gone = Vec::new();
        for (_, id, places) in idle {
            if missing == 0 {
                break;
            }
            missing = missing.saturating_sub(places);
            gone.push(id);
        }
        if missing > 0 {
            return Err(Full { most: self.most });
        }
        self.remove_all(&gone);
        Ok(gone)
    }

    /// Takes a filter out; whether it was there.
    pub(super) fn on_uninstall(&mut self, id: FilterId) -> bool {
        let Some(entry) = self.filters.remove(&id) else { return false };
        self.taken -= entry.places;
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

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::Address;

    const START: Duration = Duration::from_secs(1_000);

    fn blocks() -> Kind {
        Kind::Blocks(Cursor::after(0, B256::ZERO))
    }

    fn hash(number: u64) -> B256 {
        B256::left_padding_from(&number.to_be_bytes())
    }

    #[test]
    fn where_all_places_are_taken_the_filter_that_nobody_has_asked_longest_gives_way_once_it_is_idle() {
        let mut registry = Registry::new(2);
        assert_eq!(registry.on_install(START, 1, blocks()), Ok(vec![]));
        assert_eq!(registry.on_install(START, 2, blocks()), Ok(vec![]));
        assert!(registry.on_asked(START + Duration::from_secs(1), 1).is_some());
        let almost = START + IDLE - Duration::from_nanos(1);
        assert_eq!(registry.on_install(almost, 3, blocks()), Err(Full { most: 2 }));
        assert_eq!(registry.on_install(START + IDLE * 9, 3, blocks()), Ok(vec![2]), "1 was asked later");
        assert_eq!(registry.on_asked(START, 2), None);
        assert!(registry.on_asked(START, 1).is_some() && registry.on_asked(START, 3).is_some());
    }

    #[test]
    fn an_idle_filter_stays_while_there_is_room() {
        let mut registry = Registry::new(2);
        registry.on_install(START, 1, blocks()).unwrap();
        assert_eq!(registry.on_install(START + IDLE * 1_000, 2, blocks()), Ok(vec![]));
        assert!(registry.on_asked(START + IDLE * 2_000, 1).is_some());
    }

    #[test]
    fn a_filter_of_many_addresses_takes_the_room_of_many_filters_and_gives_it_back() {
        let addresses: Vec<_> = (0..40u64).map(|number| Address::left_padding_from(&number.to_be_bytes())).collect();
        let large = || Kind::Logs(Arc::new(Filter::new().address(addresses.clone())), Cursor::after(0, B256::ZERO));
        let mut registry = Registry::new(3);
        registry.on_install(START, 1, large()).unwrap();
        assert_eq!(registry.on_install(START, 2, blocks()), Err(Full { most: 3 }));
        assert!(registry.on_uninstall(1) && !registry.on_uninstall(1));
        for id in 2..5 {
            registry.on_install(START, id, blocks()).unwrap();
        }
        // One that finds too little that is idle takes nothing away.
        registry.on_asked(START + IDLE, 2);
        assert_eq!(registry.on_install(START + IDLE, 9, large()), Err(Full { most: 3 }));
        assert!(registry.on_asked(START + IDLE, 3).is_some());
    }

    #[test]
    fn what_two_read_at_once_is_told_to_one() {
        let mut registry = Registry::new(2);
        registry.on_install(START, 1, blocks()).unwrap();
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
        assert_eq!(registry.on_install_pending(START, 1), Ok((vec![], true)));
        assert!(registry.on_pending(hash(1)));
        assert_eq!(registry.on_install_pending(START, 2), Ok((vec![], false)), "somebody brings them already");
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
        registry.on_install_pending(START, 1).unwrap();
        registry.on_uninstall(1);
        assert!(!registry.on_pending(hash(1)));
        assert_eq!(registry.on_install_pending(START, 2), Ok((vec![], true)));
        registry.on_install(START, 3, blocks()).unwrap();
        registry.on_feed_ended();
        assert_eq!(registry.on_asked(START, 2), None);
        assert!(registry.on_asked(START, 3).is_some());
        assert_eq!(registry.on_install_pending(START, 4), Ok((vec![], true)));
    }
}
