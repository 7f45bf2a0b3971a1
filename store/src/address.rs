//! Look-up of transactions by address, newest first or oldest first.

use crate::StorageError;
use crate::keys::{self, TransactionLocation};
use crate::view::View;
use alloy_consensus::Transaction as _;
use alloy_primitives::{Address, TxKind};
use callboard_chain::Transaction;
use redb::AccessGuard;
use serde::{Deserialize, Serialize};
use std::ops::Bound;

/// Most entries one page can hold, whatever `limit` asks for.
pub const MAX_PAGE_ENTRIES: usize = 1_000;
/// Most index entries one query looks at. Where few of an address's transactions have the direction that is asked
/// for, the page may come back short, or empty, with a `next` to go on from.
pub const MAX_SCANNED_ENTRIES: usize = 50_000;

/// What an address was in a transaction. More than one can hold: who sends to itself is sender and recipient.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Role(u8);

impl Role {
    /// The address signed the transaction.
    pub const SENDER: Self = Self(1);
    /// The transaction's `to`.
    pub const RECIPIENT: Self = Self(2);
    /// The address of the contract that the transaction creates.
    pub const CREATED: Self = Self(4);

    /// Whether every role of `other` holds.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    pub(crate) const fn from_bits(bits: u8) -> Self {
        Self(bits)
    }

    pub(crate) const fn bits(self) -> u8 {
        self.0
    }

    const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names = [(Self::SENDER, "sender"), (Self::RECIPIENT, "recipient"), (Self::CREATED, "created")];
        let held: Vec<_> = names.into_iter().filter(|(role, _)| self.contains(*role)).map(|(_, name)| name).collect();
        if held.is_empty() { write!(f, "role {}", self.0) } else { f.write_str(&held.join(" and ")) }
    }
}

/// Which of an address's transactions to list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// Those it sent.
    Sent,
    /// Those sent to it, and the one that created it.
    Received,
    /// All.
    #[default]
    Both,
}

impl Direction {
    fn admits(self, role: Role) -> bool {
        match self {
            Self::Sent => role.contains(Role::SENDER),
            Self::Received => role.contains(Role::RECIPIENT) || role.contains(Role::CREATED),
            Self::Both => true,
        }
    }
}

/// A question for one page of transactions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddressQuery {
    /// Only what stands before this location in the chain; `None` starts at the newest.
    pub before: Option<TransactionLocation>,
    /// Only what stands after this location, oldest first: what comes into the chain later is found by going on.
    pub after: Option<TransactionLocation>,
    /// At most this many entries ([`MAX_PAGE_ENTRIES`] at most).
    pub limit: usize,
    /// Which of them.
    pub direction: Direction,
}

/// One transaction of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddressEntry {
    /// Where it stands.
    pub location: TransactionLocation,
    /// What the address was in it.
    pub role: Role,
}

/// A page of an address's transactions, newest first; oldest first where the query has an `after`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressPage {
    /// The entries.
    pub entries: Vec<AddressEntry>,
    /// The `before` or, oldest first, the `after` of the next page; `None` where nothing is left in that direction.
    pub next: Option<TransactionLocation>,
}

/// Every address a transaction is listed under, each once.
pub(crate) fn roles(transaction: &Transaction, sender: Address) -> Vec<(Address, Role)> {
    let (other, role) = match transaction.kind() {
        TxKind::Call(to) => (to, Role::RECIPIENT),
        TxKind::Create => (sender.create(transaction.nonce()), Role::CREATED),
    };
    if other == sender { vec![(sender, Role::SENDER.and(role))] } else { vec![(sender, Role::SENDER), (other, role)] }
}

/// An address under which a transaction is not listed as it must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddressDifference {
    /// Which address.
    pub address: Address,
    /// What it is in the transaction.
    pub expected: Role,
    /// What is stored.
    pub actual: Option<Role>,
}

pub(crate) fn difference(
    view: &View,
    transaction: &Transaction,
    sender: Address,
    location: TransactionLocation,
) -> Result<Option<AddressDifference>, StorageError> {
    for (address, expected) in roles(transaction, sender) {
        let stored = view.addresses.get(&keys::address_entry(address, location))?;
        let actual = stored.map(|role| Role(role.value()));
        if actual != Some(expected) {
            return Ok(Some(AddressDifference { address, expected, actual }));
        }
    }
    Ok(None)
}

pub(crate) fn by_address(view: &View, address: Address, query: AddressQuery) -> Result<AddressPage, StorageError> {
    let end = query.before.unwrap_or(TransactionLocation::LAST);
    let last = keys::address_entry(address, end);
    let Some(after) = query.after else {
        let first = keys::address_entry(address, TransactionLocation::FIRST);
        return collect(view.addresses.range::<Bytes32Ref<'_>>(&first..&last)?.rev(), query);
    };
    if after >= end {
        return Ok(AddressPage { entries: Vec::new(), next: None });
    }
    let first = keys::address_entry(address, after);
    let range = (Bound::Excluded(&first), Bound::Excluded(&last));
    collect(view.addresses.range::<Bytes32Ref<'_>>(range)?, query)
}

/// The first entries that the query admits.
fn collect(index: impl Iterator<Item = IndexEntry>, query: AddressQuery) -> Result<AddressPage, StorageError> {
    let limit = query.limit.clamp(1, MAX_PAGE_ENTRIES);
    let mut entries = Vec::new();
    let mut last = None;
    for (scanned, entry) in index.enumerate() {
        if entries.len() == limit || scanned == MAX_SCANNED_ENTRIES {
            return Ok(AddressPage { entries, next: last });
        }
        let (key, role) = entry?;
        let (location, role) = (keys::entry_location(key.value()), Role(role.value()));
        last = Some(location);
        if query.direction.admits(role) {
            entries.push(AddressEntry { location, role });
        }
    }
    Ok(AddressPage { entries, next: None })
}

type Bytes32Ref<'a> = &'a [u8; 32];
type IndexEntry = Result<(AccessGuard<'static, Bytes32Ref<'static>>, AccessGuard<'static, u8>), redb::StorageError>;
