//! Gas prices. Under base fee policy `zero` gas is free, and every answer says so with zeros, never by being left out.

use super::param::Count;
use super::{Quantity, block_or_latest};
use crate::rpc_frontend::jsonrpc::{Params, RpcError, RpcResult, json};
use crate::rpc_frontend::limits::Limit;
use crate::rpc_frontend::server::Frontend;
use crate::rpc_frontend::view::{ExecutedBlock, View};
use alloy_consensus::Transaction as _;
use alloy_eips::BlockId;
use alloy_rpc_types_eth::FeeHistory;
use callboard_chain::verify::next_base_fee;
use serde_json::json as object;
use std::time::{Duration, Instant};

/// Most blocks of one fee history (geth's bound); more are cut to this, as geth does.
const MAX_BLOCKS: u64 = 1_024;
/// Most percentiles of one fee history (geth's bound).
const MAX_PERCENTILES: usize = 100;
/// EIP-4844's lowest price of blob gas, wei. There are no blobs here, so it never rises.
const BLOB_BASE_FEE: u128 = 1;

/// What a legacy transaction should offer: the next base fee and an eighth more, the most it can rise by in a block.
pub(super) fn gas_price(frontend: &Frontend) -> RpcResult {
    let view = frontend.newest()?;
    let next = next_base_fee(view.head_header()?, &view.config);
    json(Quantity::from(next.saturating_add(next.div_ceil(8))))
}

/// The authority takes transactions without a tip.
pub(super) fn tip(frontend: &Frontend) -> RpcResult {
    frontend.chain()?;
    json(Quantity::ZERO)
}

pub(super) fn blob_base_fee(frontend: &Frontend) -> RpcResult {
    frontend.chain()?;
    json(Quantity::from(BLOB_BASE_FEE))
}

pub(super) async fn fee_history(frontend: &Frontend, params: &Params<'_>) -> RpcResult {
    let Count(count) = params.required(0, "block count")?;
    let newest = block_or_latest(params, 1)?;
    let percentiles: Vec<f64> = params.optional(2, "reward percentiles")?.unwrap_or_default();
    check_percentiles(&percentiles)?;
    if count == 0 {
        frontend.chain()?;
        // The standard demands both arrays; `FeeHistory` leaves out what is empty.
        return json(object!({ "oldestBlock": Quantity::ZERO, "baseFeePerGas": [], "gasUsedRatio": [] }));
    }
    let time = frontend.config.call_time;
    let collect = move |view: View| collect(&view, count.min(MAX_BLOCKS), newest, &percentiles, time);
    let history = frontend.compute(collect).await?;
    json(history)
}

fn check_percentiles(percentiles: &[f64]) -> Result<(), RpcError> {
    if percentiles.len() > MAX_PERCENTILES {
        return Err(RpcError::invalid_params(format!("over the query limit {MAX_PERCENTILES} of reward percentiles")));
    }
    let in_range = percentiles.iter().all(|percentile| (0.0..=100.0).contains(percentile));
    if !in_range || !percentiles.is_sorted() {
        return Err(RpcError::invalid_params("invalid reward percentile: they are from 0 to 100 and ascending"));
    }
    Ok(())
}

/// Rewards read every transaction of every block, so this may take long.
fn collect(
    view: &View,
    count: u64,
    newest: BlockId,
    percentiles: &[f64],
    time: Duration,
) -> Result<FeeHistory, RpcError> {
    let newest = view.height(newest)?;
    let count = count.min(newest.saturating_add(1));
    let mut history = FeeHistory { oldest_block: (newest + 1).saturating_sub(count), ..FeeHistory::default() };
    let until = Instant::now() + time;
    let mut rewards = Vec::new();
    for height in history.oldest_block..=newest {
        if Instant::now() > until {
            return Err(Limit::CallTime.refuse("fee history takes too long: ask for fewer blocks").into());
        }
        let header = view.header(height)?;
        history.base_fee_per_gas.push(header.base_fee_per_gas.unwrap_or_default().into());
        history.base_fee_per_blob_gas.push(BLOB_BASE_FEE);
        history.gas_used_ratio.push(header.gas_used as f64 / header.gas_limit.max(1) as f64);
        history.blob_gas_used_ratio.push(0.0);
        if height == newest {
            history.base_fee_per_gas.push(next_base_fee(&header, &view.config).into());
            history.base_fee_per_blob_gas.push(BLOB_BASE_FEE);
        }
        if !percentiles.is_empty() {
            rewards.push(reward_row(view, &header, percentiles)?);
        }
    }
    history.reward = (!percentiles.is_empty()).then_some(rewards);
    Ok(history)
}

/// The tips at each percentile of a block's gas; zeros for an empty block.
fn reward_row(view: &View, header: &alloy_consensus::Header, percentiles: &[f64]) -> Result<Vec<u128>, RpcError> {
    if header.gas_used == 0 {
        return Ok(vec![0; percentiles.len()]);
    }
    let tips = tips(&view.executed(header.number)?);
    let mut transactions = tips.iter().peekable();
    let (mut gas, mut tip) = (0_u64, 0);
    let row = percentiles.iter().map(|percentile| {
        let wanted = header.gas_used as f64 * percentile / 100.0;
        while let Some((next_tip, next_gas)) = transactions.peek().filter(|_| gas == 0 || (gas as f64) < wanted) {
            (tip, gas) = (*next_tip, gas + next_gas);
            transactions.next();
        }
        tip
    });
    Ok(row.collect())
}

/// Tip per gas and gas used of each transaction, the lowest tip first.
fn tips(executed: &ExecutedBlock) -> Vec<(u128, u64)> {
    let base_fee = executed.block.header().base_fee_per_gas.unwrap_or_default();
    let mut gas_before = 0;
    let transactions = executed.block.transactions().iter().zip(&executed.receipts);
    let mut tips: Vec<_> = transactions
        .map(|(transaction, receipt)| {
            let gas_used = receipt.cumulative_gas_used.saturating_sub(gas_before);
            gas_before = receipt.cumulative_gas_used;
            (transaction.effective_tip_per_gas(base_fee).unwrap_or_default(), gas_used)
        })
        .collect();
    tips.sort_unstable();
    tips
}
