//! Which small blocks go through the pipeline together. What the way from one step to the next costs, wake-ups of other
//! threads above all, is several times the work on an empty block: so it is paid once for many of them. Each is verified,
//! executed and judged by itself all the same.

use super::staging::Staging;
use callboard_chain::Block;

/// Blocks of one batch: so many that the way is little beside the work, so few that whoever waits for them, a change of
/// phase or a stop, waits for some milliseconds.
const MAX_BLOCKS: usize = 64;
/// Canonical bytes of one batch: so many empty blocks. Every transaction takes a hundred of them, so one thread verifies
/// no more than half a thousand signatures while the others idle.
const MAX_BYTES: usize = 48 << 10;
/// Transactions of one batch: about as long in execution as [`MAX_BLOCKS`] empty blocks.
const MAX_TRANSACTIONS: usize = 256;
/// Gas used in one batch: a block may have few transactions that compute for long.
const MAX_GAS: u64 = 10_000_000;

/// How much work a block is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Weight {
    bytes: usize,
    transactions: usize,
    gas: u64,
}

impl Weight {
    /// Of a block of which nothing but its length is known.
    pub(super) fn of_bytes(bytes: usize) -> Self {
        Self { bytes, ..Self::default() }
    }

    /// Of a block.
    pub(super) fn of(block: &Block) -> Self {
        let (bytes, transactions) = (block.bytes().len(), block.transactions().len());
        Self { bytes, transactions, gas: block.header().gas_used }
    }

    const fn plus(self, other: Self) -> Self {
        Self {
            bytes: self.bytes.saturating_add(other.bytes),
            transactions: self.transactions.saturating_add(other.transactions),
            gas: self.gas.saturating_add(other.gas),
        }
    }

    const fn is_small(self) -> bool {
        self.bytes <= MAX_BYTES && self.transactions <= MAX_TRANSACTIONS && self.gas <= MAX_GAS
    }
}

/// What is in a batch so far.
#[derive(Debug, Default)]
pub(super) struct Batch {
    blocks: usize,
    weight: Weight,
}

impl Batch {
    /// Adds a block, if it may go with those before it. The first may, whatever it weighs: one that is not small goes
    /// alone.
    pub(super) fn add(&mut self, weight: Weight) -> bool {
        let sum = self.weight.plus(weight);
        let takes = self.blocks == 0 || (self.blocks < MAX_BLOCKS && sum.is_small());
        if takes {
            self.blocks = self.blocks.saturating_add(1);
            self.weight = sum;
        }
        takes
    }

    /// The most bytes that a further block may have.
    pub(super) fn room(&self) -> usize {
        if self.blocks < MAX_BLOCKS { MAX_BYTES.saturating_sub(self.weight.bytes) } else { 0 }
    }
}

/// Takes the blocks from the front that go together, in height order; `weigh` says `None` of one that goes alone.
pub(super) fn take_batch<B>(staging: &mut Staging<B>, weigh: impl Fn(&B) -> Option<Weight>) -> Vec<(u64, B)> {
    let (mut batch, mut taken) = (Batch::default(), Vec::new());
    while let Some(front) = staging.front() {
        let weight = weigh(front);
        let goes = weight.map_or(taken.is_empty(), |weight| batch.add(weight));
        if !goes {
            break;
        }
        taken.extend(staging.take());
        if weight.is_none() {
            break;
        }
    }
    taken
}
