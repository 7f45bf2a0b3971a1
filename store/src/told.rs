//! The divergence that a node has told its operator of, in `node.redb`: `chain rollback` on the stopped node knows by it
//! which branch he decides against.

use crate::StorageError;
use crate::node::{NodeStore, decode, encode};
use alloy_primitives::B256;
use redb::{TableDefinition, WriteTransaction};
use serde::{Deserialize, Serialize};

/// One row, the JSON record of the divergence that is told now.
const DIVERGENCE: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("divergence");
const TOLD: &str = "told";

/// Where two validly sealed chains part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToldDivergence {
    /// The first differing height; where that is not known, one at which the difference was seen.
    pub height: u64,
    /// Whether that is known.
    #[serde(default = "is_known")]
    pub is_first: bool,
    /// The block of this node's chain there; `None` where that ends below.
    pub ours: Option<B256>,
    /// The other one.
    pub theirs: B256,
}

/// Of a record that does not say it: no other was kept then.
const fn is_known() -> bool {
    true
}

impl NodeStore {
    /// Remembers what the operator is told now: a divergence, or that there is none.
    pub fn put_divergence(&self, told: Option<&ToldDivergence>) -> Result<(), StorageError> {
        let record = told.map(|told| encode("divergence", told)).transpose()?;
        self.write(|write| {
            let mut table = write.open_table(DIVERGENCE)?;
            match record {
                Some(record) => _ = table.insert(TOLD, record.as_slice())?,
                None => _ = table.remove(TOLD)?,
            }
            Ok(())
        })
    }

    /// The divergence that the operator was told of last, if it was not over when this node was last up.
    pub fn divergence(&self) -> Result<Option<ToldDivergence>, StorageError> {
        let table = self.begin_read()?.open_table(DIVERGENCE)?;
        table.get(TOLD)?.map(|row| decode("divergence", row.value())).transpose()
    }
}

/// Makes the table of this file.
pub(crate) fn create_tables(write: &WriteTransaction) -> Result<(), StorageError> {
    write.open_table(DIVERGENCE)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_divergence_that_was_told_is_known_after_a_restart_until_it_is_over() {
        let folder = tempfile::tempdir().unwrap();
        let open = || NodeStore::open(folder.path().join("node.redb")).unwrap();
        let told =
            |height| ToldDivergence { height, is_first: true, ours: Some(B256::ZERO), theirs: B256::with_last_byte(1) };
        let store = open();
        assert_eq!(store.divergence().unwrap(), None);
        store.put_divergence(Some(&told(7))).unwrap();
        store.put_divergence(Some(&told(6))).unwrap();
        drop(store);
        let store = open();
        assert_eq!(store.divergence().unwrap(), Some(told(6)));
        store.put_divergence(None).unwrap();
        assert_eq!(store.divergence().unwrap(), None);
    }
}
