//! Accounts at the head and at any block whose state is kept.

use super::node::unavailable;
use super::param::Slot;
use super::{Quantity, block_or_latest};
use crate::rpc_frontend::jsonrpc::{Params, RpcError, RpcResult, json};
use crate::rpc_frontend::server::Frontend;
use crate::rpc_frontend::view::state_read;
use alloy_eips::{BlockId, BlockNumberOrTag};
use alloy_primitives::{Address, B256, Bytes, KECCAK256_EMPTY};
use callboard_chain::{Account, StateReadError, StateReader};

pub(super) async fn balance(frontend: &Frontend, params: &Params<'_>) -> RpcResult {
    let (address, block) = account_params(params)?;
    json(frontend.of_state(block, move |state| Ok(account(state, address)?.balance)).await?)
}

pub(super) async fn code(frontend: &Frontend, params: &Params<'_>) -> RpcResult {
    let (address, block) = account_params(params)?;
    frontend
        .read(move |view| {
            let state = view.state(block)?;
            match account(&state, address).map_err(state_read)?.code_hash {
                KECCAK256_EMPTY => Ok(Bytes::new()),
                hash => state.code(hash).map_err(state_read),
            }
        })
        .await
}

pub(super) async fn storage(frontend: &Frontend, params: &Params<'_>) -> RpcResult {
    let address: Address = params.required(0, "address")?;
    let Slot(slot) = params.required(1, "slot")?;
    let block = block_or_latest(params, 2)?;
    json(frontend.of_state(block, move |state| Ok(B256::from(state.storage(address, slot)?))).await?)
}

/// The nonce after the sender's confirmed transactions; with the tag `pending`, after those that wait as well.
pub(super) async fn nonce(frontend: &Frontend, params: &Params<'_>) -> RpcResult {
    let (address, block) = account_params(params)?;
    let confirmed = confirmed_nonce(frontend, address, block).await?;
    if !block.is_pending() {
        return json(Quantity::from(confirmed));
    }
    json(Quantity::from(pending_nonce(frontend, address, confirmed).await?))
}

/// The nonce that the next transaction of an account has to have: after those that are confirmed and those that wait.
pub(super) async fn next_nonce(frontend: &Frontend, address: Address) -> Result<u64, RpcError> {
    let latest = BlockId::Number(BlockNumberOrTag::Latest);
    let confirmed = confirmed_nonce(frontend, address, latest).await?;
    pending_nonce(frontend, address, confirmed).await
}

async fn confirmed_nonce(frontend: &Frontend, address: Address, block: BlockId) -> Result<u64, RpcError> {
    frontend.of_state(block, move |state| Ok(account(state, address)?.nonce)).await
}

async fn pending_nonce(frontend: &Frontend, address: Address, confirmed: u64) -> Result<u64, RpcError> {
    let pending = frontend.ports.pool.pending_nonce(address).await.map_err(unavailable)?;
    Ok(pending.unwrap_or(confirmed).max(confirmed))
}

fn account_params(params: &Params<'_>) -> Result<(Address, BlockId), RpcError> {
    Ok((params.required(0, "address")?, block_or_latest(params, 1)?))
}

/// The account; one that does not exist reads as empty, as Ethereum's standard has it.
fn account(state: &impl StateReader, address: Address) -> Result<Account, StateReadError> {
    Ok(state.account(address)?.unwrap_or_default())
}
