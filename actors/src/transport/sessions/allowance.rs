//! How much work one node may cause. It is spent before the work is done, so that nobody can buy more of it than
//! this, whatever comes of it.

use crate::transport::NodeId;
use crate::transport::bucket::{Bucket, Rate};
use std::{collections::HashMap, time::Instant};

/// What a node can ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Work {
    /// Any request: looking up its session, reading the store.
    Requests,
    /// A signature recovery (some 50 µs) for each transaction it sends.
    Transactions,
    /// Decoding, hashing and recovering for each byte of a block it pushes.
    BlockBytes,
}

/// Nodes remembered at a time: more than can have a session within the time in which a bucket fills.
const MAX_NODES: usize = 4_096;

impl Work {
    /// Requests: a peer polls once a second and fetches ranges, each of many blocks. Transactions: more than a chain
    /// confirms; a fifth of a core. Blocks: the largest one each second.
    const fn rate(self) -> Rate {
        match self {
            Self::Requests => Rate { burst: 1_000, per_second: 200 },
            Self::Transactions => Rate { burst: 16_384, per_second: 4_000 },
            Self::BlockBytes => Rate { burst: 64 << 20, per_second: 8 << 20 },
        }
    }
}

/// A bucket for each node and kind of work.
#[derive(Debug, Default)]
pub(super) struct Allowances(HashMap<(NodeId, Work), Bucket>);

impl Allowances {
    pub(super) fn take(&mut self, now: Instant, node_id: NodeId, work: Work, amount: u64) -> bool {
        if self.0.len() >= MAX_NODES {
            self.0.retain(|(_, work), bucket| !bucket.is_full(work.rate(), now));
        }
        let rate = work.rate();
        if self.0.len() >= MAX_NODES && !self.0.contains_key(&(node_id, work)) {
            return Bucket::full(rate, now).take(rate, now, amount);
        }
        self.0.entry((node_id, work)).or_insert_with(|| Bucket::full(rate, now)).take(rate, now, amount)
    }
}
