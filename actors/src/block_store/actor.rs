//! *Role*: makes confirmed blocks durable. *Owns*: the store's only writer.
//! *Receives*: StoreBatch. *Sends*: BatchStored to ConfirmedState; HeadStored to the sync coordinator and the
//! proposer; ConfirmedBlocks to the pool and the event stream; the routes of durable blocks to the broadcaster.
//! *When behind*: ConfirmedState holds the next batch back until this one is durable.
//! *On failure*: a storage error panics with a plain sentence; the death guard stops the node.

use super::messages::{HeadStored, StoreBatch};
use super::metrics::CommitMetrics;
use crate::block_span::span_of;
use crate::broadcaster::{BroadcastBlock, RelayBlock};
use crate::callboard::{Callboard, Delivery, Kind, Phase, Provenance};
use crate::confirmed_state::BatchStored;
use crate::event_stream::BlocksStored as StreamBlocks;
use crate::guard::Stop;
use crate::importer::Passports;
use crate::send::{Inbox, Timed};
use crate::tx_pool::BlocksStored as PoolBlocks;
use actix::{Actor, ActorContext, Context, Handler};
use callboard_chain::verify::next_base_fee;
use callboard_chain::{Block, ChainConfig};
use callboard_store::{CommitBatch, Durable, Head, StoreWriter};
use std::sync::Arc;
use tokio::sync::watch;

/// Old states are forgotten when those of this many blocks have gathered: a transaction of its own for each block would
/// double the number of fsyncs.
const PRUNE_EVERY: u64 = 256;

/// Where the block store sends.
pub struct Ports {
    /// ConfirmedState: its batch is durable.
    pub confirmed_state: Inbox<BatchStored>,
    /// Whoever decides by the durable head.
    pub heads: Vec<Inbox<HeadStored>>,
    /// The pool: these transactions are in a block.
    pub pool: Inbox<PoolBlocks>,
    /// The event stream.
    pub events: Inbox<StreamBlocks>,
    /// The broadcaster, for blocks sealed here.
    pub broadcast: Inbox<BroadcastBlock>,
    /// The broadcaster, for imported blocks.
    pub relay: Inbox<RelayBlock>,
    /// Where each block's way is noted.
    pub passports: Passports,
}

/// The actor.
pub struct BlockStore {
    ports: Ports,
    callboard: Callboard,
    config: Arc<ChainConfig>,
    writer: StoreWriter,
    head: watch::Sender<Head>,
    commits: CommitMetrics,
    history_blocks: Option<u64>,
    pruned_below: u64,
}

impl BlockStore {
    /// Ready to run; `head` is what everybody who waits for durable blocks watches. Of old states, those of the last
    /// `history_blocks` blocks are kept, or all.
    pub fn new(
        ports: Ports,
        callboard: Callboard,
        config: Arc<ChainConfig>,
        writer: StoreWriter,
        head: watch::Sender<Head>,
        commits: CommitMetrics,
        history_blocks: Option<u64>,
    ) -> Self {
        Self { ports, callboard, config, writer, head, commits, history_blocks, pruned_below: 0 }
    }

    fn commit(&mut self, batch: CommitBatch) -> Vec<Durable<Block>> {
        match self.commits.measure(batch.blocks.len(), || self.writer.commit(batch)) {
            Ok(durable) => durable,
            // Half a state must not live on: end this actor, which ends the node.
            Err(error) => panic!("the block store cannot write: {error}"),
        }
    }

    /// Forgets old states, a bounded part at a time, once enough of them have gathered to be worth a transaction.
    fn prune(&mut self) {
        let Some(wanted) = self.history_blocks.and_then(|kept| self.writer.head().height.checked_sub(kept)) else {
            return;
        };
        if wanted < self.pruned_below.saturating_add(PRUNE_EVERY) {
            return;
        }
        match self.writer.prune_history(wanted) {
            Ok(pruned) => self.pruned_below = pruned.below,
            Err(error) => panic!("the block store cannot forget old states: {error}"),
        }
    }

    fn announce(&self, blocks: Vec<Durable<Block>>, origins: &[Provenance]) {
        let head = self.writer.head();
        self.ports.confirmed_state.signal(BatchStored { height: head.height });
        self.head.send_replace(head);
        let stored = HeadStored {
            height: head.height,
            hash: head.hash,
            timestamp: head.timestamp,
            blocks: blocks.len() as u64,
            transactions: blocks.iter().map(|block| block.value().transactions().len() as u64).sum(),
            next_base_fee: blocks.last().map_or(0, |block| next_base_fee(block.value().header(), &self.config)),
        };
        let phase = self.callboard.phase();
        for (block, provenance) in blocks.iter().zip(origins) {
            let _entered = span_of(block.value(), phase).entered();
            tell(block.value(), *provenance, phase);
            self.route(block, *provenance);
        }
        let blocks: Arc<[Durable<Block>]> = blocks.into();
        // Before the proposer hears of the head: when it asks the pool for the next block, the pool knows this one.
        self.ports.pool.signal(PoolBlocks { blocks: blocks.clone(), next_base_fee: stored.next_base_fee });
        self.ports.heads.iter().for_each(|port| port.signal(stored));
        self.ports.events.signal(StreamBlocks { blocks });
    }

    /// What the routing table says happens to a block once it is durable.
    fn route(&self, block: &Durable<Block>, provenance: Provenance) {
        let taken = |delivery: &Delivery| matches!(delivery, Delivery::BroadcastBlock | Delivery::RelayBlock);
        let deliveries = self.callboard.deliveries(provenance.origin, Kind::Block);
        let routes: Vec<_> = deliveries.into_iter().filter(taken).collect();
        // Before anybody can take it from here: whoever does is noted in it.
        self.ports.passports.stored(block.value(), provenance, &routes);
        for delivery in routes {
            match delivery {
                Delivery::BroadcastBlock => self.ports.broadcast.signal(BroadcastBlock { block: block.clone() }),
                Delivery::RelayBlock => {
                    self.ports.relay.signal(RelayBlock { block: block.clone(), from: provenance.peer });
                }
                _ => continue,
            }
            self.callboard.count(provenance.origin, Kind::Block, delivery);
        }
    }
}

/// A line for each block, but while catching up, where there would be thousands a second.
fn tell(block: &Block, provenance: Provenance, phase: Phase) {
    let (transactions, gas, origin) = (block.transactions().len(), block.header().gas_used, provenance.origin.name());
    match phase {
        Phase::CatchingUp => tracing::debug!(actor = "BlockStore", transactions, gas, origin, "block confirmed"),
        _ => tracing::info!(actor = "BlockStore", transactions, gas, origin, "block confirmed"),
    }
}

impl Actor for BlockStore {
    type Context = Context<Self>;
}

impl Handler<Timed<StoreBatch>> for BlockStore {
    type Result = ();

    fn handle(&mut self, message: Timed<StoreBatch>, ctx: &mut Context<Self>) {
        message.answer(ctx, |StoreBatch { batch, origins }, _| {
            let blocks = self.commit(CommitBatch { blocks: batch.blocks, trie: batch.trie });
            self.announce(blocks, &origins);
            self.prune();
        });
    }
}

impl Handler<Timed<Stop>> for BlockStore {
    type Result = ();

    fn handle(&mut self, message: Timed<Stop>, ctx: &mut Context<Self>) {
        message.answer(ctx, |Stop, ctx| ctx.stop());
    }
}
