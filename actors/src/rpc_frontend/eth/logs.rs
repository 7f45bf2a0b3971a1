//! `eth_getLogs`: blooms first, of groups of blocks and then of blocks; receipts only where they say that a log may match.

use super::filter_param::FilterParam;
use super::shape;
use crate::rpc_frontend::config::RpcConfig;
use crate::rpc_frontend::jsonrpc::{Params, RpcError, RpcResult};
use crate::rpc_frontend::limits::{Limit, Refusal};
use crate::rpc_frontend::server::Frontend;
use crate::rpc_frontend::view::{View, storage};
use alloy_eips::{BlockId, BlockNumberOrTag};
use alloy_primitives::Bloom;
use alloy_rpc_types_eth::{Filter, FilterBlockOption, Log};
use callboard_store::BLOOM_GROUP;
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

/// Most addresses, and most alternatives for a topic: each is looked up in every bloom.
const MAX_ALTERNATIVES: usize = 1_000;
/// Bytes of a log's JSON beside its topics and data.
const LOG_BYTES: usize = 520;
/// Bytes of a topic's JSON.
const TOPIC_BYTES: usize = 69;

/// How much one search may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SearchBounds {
    pub(crate) blocks: u64,
    logs: usize,
    bytes: usize,
    time: Duration,
}

impl SearchBounds {
    pub(crate) fn of(config: &RpcConfig) -> Self {
        let (blocks, logs, bytes) = (config.max_log_blocks, config.max_logs, config.max_log_bytes);
        Self { blocks, logs, bytes, time: config.call_time }
    }
}

/// A place in the chain: the log with this number in the block at this height.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position {
    pub(crate) height: u64,
    pub(crate) log: usize,
}

impl Position {
    /// Before the first log of a block.
    pub(crate) fn of_block(height: u64) -> Self {
        Self { height, log: 0 }
    }
}

/// What a search has found, in the order of the chain.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) logs: Vec<Log>,
    /// Where it would go on, and the bound that ended it; `None` where it is through.
    pub(crate) rest: Option<(Position, Refusal)>,
}

pub(super) async fn logs(frontend: &Frontend, params: &Params<'_>) -> RpcResult {
    let FilterParam(filter) = params.required(0, "filter")?;
    check_filter(&filter)?;
    find(frontend, filter).await
}

/// All logs that a filter asks for, or the bound that it goes beyond.
pub(crate) async fn find(frontend: &Frontend, filter: Filter) -> RpcResult {
    let bounds = SearchBounds::of(&frontend.config);
    let find = move |view: View| {
        let (from, to) = range(&view, &filter, bounds.blocks)?.into_inner();
        let Found { logs, rest } = search(&view, &filter, Position::of_block(from), to, bounds)?;
        match rest {
            Some((_, refusal)) => Err(refusal.into()),
            None => Ok(logs),
        }
    };
    frontend.computed(find).await
}

/// Refuses a filter that costs too much to look for.
pub(crate) fn check_filter(filter: &Filter) -> Result<(), RpcError> {
    let most = filter.topics.iter().map(|topic| topic.len()).fold(filter.address.len(), usize::max);
    if most > MAX_ALTERNATIVES {
        return Err(RpcError::invalid_params(format!("at most {MAX_ALTERNATIVES} addresses or topics in a filter")));
    }
    Ok(())
}

/// The logs from a place up to the block at `to` that match, as far as the bounds allow. The blocks of the range are the
/// caller's to bound.
pub(crate) fn search(
    view: &View,
    filter: &Filter,
    from: Position,
    to: u64,
    bounds: SearchBounds,
) -> Result<Found, RpcError> {
    let until = Instant::now() + bounds.time;
    let mut taken = Taken { logs: Vec::new(), bytes: 0, bounds };
    let (mut at, mut groups) = (from, Groups::default());
    while at.height <= to {
        if Instant::now() > until {
            let sentence = "query takes too long: narrow the block range or name an address";
            return Ok(taken.until(at, Limit::CallTime.refuse(sentence)));
        }
        if let Some(next) = groups.pass_over(view, filter, at.height)? {
            at = Position::of_block(next);
            continue;
        }
        if let Some((next, refusal)) = taken.block(view, filter, at)? {
            return Ok(taken.until(next, refusal));
        }
        at = Position::of_block(at.height.saturating_add(1));
    }
    Ok(Found { logs: taken.logs, rest: None })
}

/// Whether there may be a log that matches. Every log leaves its address in the bloom.
fn may_match(filter: &Filter, bloom: Bloom) -> bool {
    !bloom.is_zero() && filter.matches_bloom(bloom)
}

/// Passes over groups of blocks that hold no log that matches.
#[derive(Default)]
struct Groups {
    /// The one that was looked at last.
    looked_at: Option<u64>,
}

impl Groups {
    /// Where to go on, where the rest of the group that the block at `height` is in can be passed over.
    fn pass_over(&mut self, view: &View, filter: &Filter, height: u64) -> Result<Option<u64>, RpcError> {
        let group = height / BLOOM_GROUP;
        if self.looked_at.replace(group) == Some(group) {
            return Ok(None);
        }
        let bloom = view.snapshot.group_bloom(height).map_err(storage)?;
        let next = group.saturating_add(1).saturating_mul(BLOOM_GROUP);
        Ok(bloom.filter(|bloom| !may_match(filter, *bloom)).map(|_| next))
    }
}

/// What a search has taken so far.
struct Taken {
    logs: Vec<Log>,
    bytes: usize,
    bounds: SearchBounds,
}

impl Taken {
    /// Takes the logs of a block; where they do not all fit, the first that does not, and the bound.
    fn block(&mut self, view: &View, filter: &Filter, from: Position) -> Result<Option<(Position, Refusal)>, RpcError> {
        if !may_match(filter, view.header(from.height)?.logs_bloom) {
            return Ok(None);
        }
        let (block, receipts) = (view.block(from.height)?, view.receipts(from.height)?);
        for (number, log) in shape::logs(&block, &receipts).enumerate().skip(from.log) {
            if !filter.matches(&log.inner) {
                continue;
            }
            if let Err(refusal) = self.take(log) {
                return Ok(Some((Position { log: number, ..from }, refusal)));
            }
        }
        Ok(None)
    }

    /// Looked at for each log: a single block may hold more than an answer.
    fn take(&mut self, log: Log) -> Result<(), Refusal> {
        let (logs, bytes) = (self.bounds.logs, self.bounds.bytes);
        if self.logs.len() >= logs {
            return Err(Limit::Logs.refuse(format!("query returned more than {logs} results: narrow it")));
        }
        self.bytes = self.bytes.saturating_add(json_bytes(&log));
        if self.bytes > bytes {
            return Err(Limit::LogBytes.refuse(format!("query returned more than {bytes} bytes: narrow it")));
        }
        self.logs.push(log);
        Ok(())
    }

    fn until(self, position: Position, refusal: Refusal) -> Found {
        Found { logs: self.logs, rest: Some((position, refusal)) }
    }
}

/// About how long a log is as JSON.
fn json_bytes(log: &Log) -> usize {
    let data = &log.inner.data;
    LOG_BYTES + TOPIC_BYTES * data.topics().len() + 2 * data.data.len()
}

/// The heights of a filter. A range that ends above the head ends at it; one that begins above it is unknown.
fn range(view: &View, filter: &Filter, most: u64) -> Result<RangeInclusive<u64>, RpcError> {
    let (from, to) = match filter.block_option {
        FilterBlockOption::AtBlockHash(hash) => {
            let height = view.height(hash.into())?;
            return Ok(height..=height);
        }
        FilterBlockOption::Range { from_block, to_block } => (from_block, to_block),
    };
    let from = view.height(BlockId::Number(from.unwrap_or(BlockNumberOrTag::Latest)))?;
    let to = match to.unwrap_or(BlockNumberOrTag::Latest) {
        BlockNumberOrTag::Number(height) => height.min(view.head.height),
        tag => view.height(BlockId::Number(tag))?,
    };
    if from > to {
        return Err(RpcError::invalid_params(format!("invalid block range: it begins at {from} and ends at {to}")));
    }
    if to - from >= most {
        return Err(Limit::LogRange.refuse(format!("query exceeds max block range {most}")).into());
    }
    Ok(from..=to)
}
