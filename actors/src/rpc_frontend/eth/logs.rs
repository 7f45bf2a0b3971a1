//! `eth_getLogs`: headers' blooms first, receipts only where a bloom says they may match.

use super::shape;
use crate::rpc_frontend::config::RpcConfig;
use crate::rpc_frontend::jsonrpc::{Params, RpcError, RpcResult, json};
use crate::rpc_frontend::limits::{Limit, Refusal};
use crate::rpc_frontend::server::Frontend;
use crate::rpc_frontend::view::View;
use alloy_eips::{BlockId, BlockNumberOrTag};
use alloy_rpc_types_eth::{Filter, FilterBlockOption, Log};
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
    blocks: u64,
    logs: usize,
    bytes: usize,
    time: Duration,
}

impl SearchBounds {
    fn of(config: &RpcConfig) -> Self {
        let (blocks, logs, bytes) = (config.max_log_blocks, config.max_logs, config.max_log_bytes);
        Self { blocks, logs, bytes, time: config.call_time }
    }
}

pub(super) async fn logs(frontend: &Frontend, params: &Params<'_>) -> RpcResult {
    let filter: Filter = params.required(0, "filter")?;
    check_filter(&filter)?;
    let bounds = SearchBounds::of(&frontend.config);
    json(frontend.compute(move |view| find(&view, &filter, bounds)).await?)
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
pub(crate) fn find(view: &View, filter: &Filter, bounds: SearchBounds) -> Result<Vec<Log>, RpcError> {
    let until = Instant::now() + bounds.time;
    let (mut found, mut bytes) = (Vec::new(), 0_usize);
    for height in range(view, filter, bounds.blocks)? {
        if Instant::now() > until {
            let sentence = "query takes too long: narrow the block range or name an address";
            return Err(Limit::CallTime.refuse(sentence).into());
        }
        if !filter.matches_bloom(view.header(height)?.logs_bloom) {
            continue;
        }
        let (block, receipts) = (view.block(height)?, view.receipts(height)?);
        for log in shape::logs(&block, &receipts).filter(|log| filter.matches(&log.inner)) {
            bytes = bytes.saturating_add(json_bytes(&log));
            found.push(log);
            check(found.len(), bytes, bounds)?;
        }
    }
    Ok(found)
}

/// Looked at after each log: a single block may hold more than an answer.
fn check(logs: usize, bytes: usize, bounds: SearchBounds) -> Result<(), Refusal> {
    if logs > bounds.logs {
        return Err(Limit::Logs.refuse(format!("query returned more than {} results: narrow it", bounds.logs)));
    }
    if bytes > bounds.bytes {
        return Err(Limit::LogBytes.refuse(format!("query returned more than {} bytes: narrow it", bounds.bytes)));
    }
    Ok(())
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
