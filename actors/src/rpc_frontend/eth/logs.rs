//! `eth_getLogs`: headers' blooms first, receipts only where a bloom says they may match.

use super::shape;
use crate::rpc_frontend::jsonrpc::{Params, RpcError, RpcResult, json};
use crate::rpc_frontend::server::Frontend;
use crate::rpc_frontend::view::View;
use alloy_eips::{BlockId, BlockNumberOrTag};
use alloy_rpc_types_eth::{Filter, FilterBlockOption, Log};
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

/// Most blocks of one query (reth's bound).
const MAX_BLOCKS: u64 = 100_000;
/// Most logs of one answer (reth's bound).
const MAX_LOGS: usize = 20_000;
/// Most addresses, and most alternatives for a topic: each is looked up in every bloom.
const MAX_ALTERNATIVES: usize = 1_000;
/// How long a query may take: a database snapshot lives no longer.
const WITHIN: Duration = Duration::from_secs(5);

pub(super) async fn logs(frontend: &Frontend, params: &Params<'_>) -> RpcResult {
    let filter: Filter = params.required(0, "filter")?;
    check_filter(&filter)?;
    json(frontend.compute(move |view| find(&view, &filter)).await?)
}

/// Refuses a filter that costs too much to look for.
pub(crate) fn check_filter(filter: &Filter) -> Result<(), RpcError> {
    let most = filter.topics.iter().map(|topic| topic.len()).fold(filter.address.len(), usize::max);
    if most > MAX_ALTERNATIVES {
        return Err(RpcError::invalid_params(format!("at most {MAX_ALTERNATIVES} addresses or topics in a filter")));
    }
    Ok(())
}

/// The logs that a filter asks for, in the order of the chain.
pub(crate) fn find(view: &View, filter: &Filter) -> Result<Vec<Log>, RpcError> {
    let until = Instant::now() + WITHIN;
    let mut found = Vec::new();
    for height in range(view, filter)? {
        if Instant::now() > until {
            return Err(RpcError::refused("query takes too long: narrow the block range or name an address"));
        }
        if !filter.matches_bloom(view.header(height)?.logs_bloom) {
            continue;
        }
        let (block, receipts) = (view.block(height)?, view.receipts(height)?);
        found.extend(shape::logs(&block, &receipts).filter(|log| filter.matches(&log.inner)));
        if found.len() > MAX_LOGS {
            return Err(RpcError::refused(format!("query returned more than {MAX_LOGS} results: narrow it")));
        }
    }
    Ok(found)
}

/// The heights of a filter. A range that ends above the head ends at it; one that begins above it is unknown.
fn range(view: &View, filter: &Filter) -> Result<RangeInclusive<u64>, RpcError> {
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
    if to - from >= MAX_BLOCKS {
        return Err(RpcError::refused(format!("query exceeds max block range {MAX_BLOCKS}")));
    }
    Ok(from..=to)
}
