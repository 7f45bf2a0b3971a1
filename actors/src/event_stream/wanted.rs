//! Whether anybody listens for pending transactions.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Shared with whoever tells of pending transactions, one message each: where nobody listens, nobody is woken.
#[derive(Debug, Clone, Default)]
pub struct PendingWanted(Arc<AtomicBool>);

impl PendingWanted {
    /// Whether to tell. A subscriber that has its answer is told of all that comes after it.
    pub fn get(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    pub(crate) fn set(&self, wanted: bool) {
        self.0.store(wanted, Ordering::Release);
    }
}
