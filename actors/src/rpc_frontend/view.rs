//! One store snapshot, and the chain as a call sees it through it.

use super::jsonrpc::{RpcError, RpcResult, json};
use super::ports::{Chain, Verifying};
use super::server::Frontend;
use alloy_eips::{BlockId, BlockNumberOrTag};
use alloy_primitives::{Address, B256};
use callboard_chain::{Block, ChainConfig, Receipt, StateReadError};
use callboard_store::{
    ConfirmedReader, ConfirmedTransaction, Head, HistoricState, HistoryError, Snapshot, StorageError,
    TransactionLocation,
};
use serde::Serialize;
use std::sync::Arc;

/// A chain at one moment. All answers of a call come from one view.
pub(crate) struct View {
    pub(crate) snapshot: Snapshot,
    pub(crate) config: Arc<ChainConfig>,
    pub(crate) head: Head,
}

/// A confirmed block with what its execution gave.
pub(crate) struct ExecutedBlock {
    pub(crate) block: Block,
    pub(crate) senders: Vec<Address>,
    pub(crate) receipts: Vec<Receipt>,
}

impl View {
    fn new(chain: &Chain) -> Result<Self, RpcError> {
        let snapshot = chain.store.snapshot().map_err(storage)?;
        let head = snapshot.head();
        Ok(Self { snapshot, config: Arc::clone(&chain.config), head })
    }

    /// The height that a block parameter names. `pending`, `safe` and `finalized` are the head: a confirmed block
    /// is final, and the next one is nobody's to see before it is durable.
    pub(crate) fn height(&self, id: BlockId) -> Result<u64, RpcError> {
        match self.known_height(id)? {
            Some(height) => Ok(height),
            None => Err(self.unknown_block(id)),
        }
    }

    /// As [`Self::height`], where Ethereum answers null for a block that is not known.
    pub(crate) fn known_height(&self, id: BlockId) -> Result<Option<u64>, RpcError> {
        match id {
            BlockId::Hash(hash) => self.snapshot.height_of(hash.block_hash).map_err(storage),
            BlockId::Number(BlockNumberOrTag::Number(height)) => Ok((height <= self.head.height).then_some(height)),
            BlockId::Number(BlockNumberOrTag::Earliest) => Ok(Some(0)),
            BlockId::Number(_) => Ok(Some(self.head.height)),
        }
    }

    /// Whether a block parameter names the head, as far as that is known without a look into the database.
    fn is_head(&self, id: BlockId) -> bool {
        match id {
            BlockId::Hash(_) => false,
            BlockId::Number(BlockNumberOrTag::Number(height)) => height == self.head.height,
            BlockId::Number(BlockNumberOrTag::Earliest) => self.head.height == 0,
            BlockId::Number(_) => true,
        }
    }

    /// The error for a block that is nowhere.
    pub(crate) fn unknown_block(&self, id: BlockId) -> RpcError {
        match id {
            BlockId::Hash(hash) => RpcError::refused(format!("unknown block: {}", hash.block_hash)),
            BlockId::Number(number) => {
                let height = number.as_number().unwrap_or_default();
                RpcError::refused(format!("unknown block: {height} is ahead of the head {}", self.head.height))
            }
        }
    }

    /// The state after the block that a parameter names.
    pub(crate) fn state(&self, id: BlockId) -> Result<HistoricState, RpcError> {
        let height = self.height(id)?;
        self.snapshot.state_at(height).map_err(history)
    }

    /// The block at a height that is known.
    pub(crate) fn block(&self, height: u64) -> Result<Block, RpcError> {
        self.snapshot.block(height).map_err(storage)?.ok_or_else(|| missing("block", height))
    }

    /// The header at a height that is known.
    pub(crate) fn header(&self, height: u64) -> Result<alloy_consensus::Header, RpcError> {
        self.snapshot.header(height).map_err(storage)?.ok_or_else(|| missing("header", height))
    }

    /// The header of the newest block.
    pub(crate) fn head_header(&self) -> Result<&alloy_consensus::Header, RpcError> {
        self.snapshot.head_header().map_err(storage)
    }

    /// The hash of the block at a height that is known.
    pub(crate) fn hash(&self, height: u64) -> Result<B256, RpcError> {
        self.snapshot.hash_of(height).map_err(storage)?.ok_or_else(|| missing("hash", height))
    }

    /// The receipts of a known block's transactions.
    pub(crate) fn receipts(&self, height: u64) -> Result<Vec<Receipt>, RpcError> {
        self.snapshot.receipts(height).map_err(storage)?.ok_or_else(|| missing("receipts", height))
    }

    /// A known block with senders and receipts.
    pub(crate) fn executed(&self, height: u64) -> Result<ExecutedBlock, RpcError> {
        self.executed_of(self.block(height)?)
    }

    /// A block of this chain with senders and receipts.
    pub(crate) fn executed_of(&self, block: Block) -> Result<ExecutedBlock, RpcError> {
        let (senders, receipts) = (self.senders_of(&block)?, self.receipts(block.height())?);
        if receipts.len() != senders.len() {
            return Err(missing("receipt of each transaction", block.height()));
        }
        Ok(ExecutedBlock { block, senders, receipts })
    }

    /// The sender of each transaction of a block of this chain.
    pub(crate) fn senders_of(&self, block: &Block) -> Result<Vec<Address>, RpcError> {
        let senders = self.snapshot.senders(block.height()).map_err(storage)?;
        let all = senders.filter(|senders| senders.len() == block.transactions().len());
        all.ok_or_else(|| missing("sender of each transaction", block.height()))
    }

    /// Where a confirmed transaction stands.
    pub(crate) fn location(&self, hash: B256) -> Result<Option<(u64, usize)>, RpcError> {
        let location = self.snapshot.transaction_location(hash).map_err(storage)?;
        Ok(location.map(|location| (location.height, location.index as usize)))
    }
}

/// The transaction that stands where an index says.
pub(crate) fn listed(
    reader: &mut ConfirmedReader<'_>,
    location: TransactionLocation,
) -> Result<ConfirmedTransaction, RpcError> {
    let found = reader.read(location).map_err(storage)?;
    found.ok_or_else(|| missing("transaction that an index names", location.height))
}

impl Frontend {
    /// The chain, or the error that says there is none yet.
    pub(crate) fn chain(&self) -> Result<&Chain, RpcError> {
        self.ports.chain.chain().ok_or_else(|| match self.ports.status.verifying() {
            Some(Verifying { at, of }) => {
                RpcError::refused(format!("the stored chain is being verified: block {at} of {of}"))
            }
            None => RpcError::refused("genesis not known yet"),
        })
    }

    /// A view for this very thread, which must read no more of it than the newest header, that is read once a commit, and
    /// single values of the newest state. Everything else goes through [`Self::read`] and its like.
    pub(crate) fn newest(&self) -> Result<View, RpcError> {
        View::new(self.chain()?)
    }

    /// Reads a value of the state that a block parameter names. The newest state is read on this very thread: that takes a
    /// look-up or two, most often in pages that are in memory, and less time than waking another thread and being woken by
    /// it. An older one takes a search in the history as well, away from the server's threads.
    pub(crate) async fn of_state<T, F>(&self, id: BlockId, read: F) -> Result<T, RpcError>
    where
        T: Send + 'static,
        F: FnOnce(&HistoricState) -> Result<T, StateReadError> + Send + 'static,
    {
        let of = move |view: &View| read(&view.state(id)?).map_err(state_read);
        {
            let view = self.newest()?;
            if view.is_head(id) {
                return of(&view);
            }
        }
        // Whoever waits for a turn to read holds no view meanwhile: pages that it sees could not be used again.
        self.load(move |view| of(&view)).await
    }

    /// Runs a read on a view of its own; the answer is written as JSON on the same thread.
    pub(crate) async fn read<T, F>(&self, read: F) -> RpcResult
    where
        T: Serialize,
        F: FnOnce(View) -> Result<T, RpcError> + Send + 'static,
    {
        let chain = self.chain()?.clone();
        self.gate.read(move || json(read(View::new(&chain)?)?)).await
    }

    /// As [`Self::read`], for a value that the caller goes on with.
    pub(crate) async fn load<T, F>(&self, read: F) -> Result<T, RpcError>
    where
        T: Send + 'static,
        F: FnOnce(View) -> Result<T, RpcError> + Send + 'static,
    {
        let chain = self.chain()?.clone();
        self.gate.read(move || read(View::new(&chain)?)).await
    }

    /// As [`Self::load`], for work that may take as long as a call may.
    pub(crate) async fn compute<T, F>(&self, work: F) -> Result<T, RpcError>
    where
        T: Send + 'static,
        F: FnOnce(View) -> Result<T, RpcError> + Send + 'static,
    {
        let chain = self.chain()?.clone();
        self.gate.call(move || work(View::new(&chain)?)).await
    }

    /// As [`Self::compute`]; the answer is written as JSON on the same thread.
    pub(crate) async fn computed<T, F>(&self, work: F) -> RpcResult
    where
        T: Serialize,
        F: FnOnce(View) -> Result<T, RpcError> + Send + 'static,
    {
        self.compute(move |view| json(work(view)?)).await
    }

    /// As [`Self::compute`], for traces, of which few run at a time; the answer is written on the same thread.
    pub(crate) async fn trace<F>(&self, work: F) -> RpcResult
    where
        F: FnOnce(View) -> RpcResult + Send + 'static,
    {
        let chain = self.chain()?.clone();
        self.limits.traces.run(move || work(View::new(&chain)?)).await
    }
}

/// The database failed. Details go to the log, not to clients.
pub(crate) fn storage(error: StorageError) -> RpcError {
    tracing::error!(%error, "a read for the RPC failed");
    RpcError::internal("this node could not read its database")
}

/// Old state is not there, or could not be read.
pub(crate) fn history(error: HistoryError) -> RpcError {
    match error {
        HistoryError::Storage(error) => storage(error),
        refused => RpcError::refused(refused.to_string()),
    }
}

/// State could not be read: the same failure, met below the EVM.
pub(crate) fn state_read(error: StateReadError) -> RpcError {
    tracing::error!(%error, "a state read for the RPC failed");
    RpcError::internal("this node could not read its database")
}

fn missing(what: &str, height: u64) -> RpcError {
    tracing::error!(what, height, "the database lacks a part of a block below its head");
    RpcError::internal(format!("this node lacks the {what} of block {height}"))
}
