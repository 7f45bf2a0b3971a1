//! The core: which filters are installed, and up to where each has been told. Pure: time and hashes come in.

use super::cursor::Cursor;
use crate::rpc_frontend::rate::{Holder, SHARES};
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
mod tests;
