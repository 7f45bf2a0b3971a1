//! How an account came to what it is.

use crate::rpc_frontend::jsonrpc::{Params, RpcError, RpcResult};
use crate::rpc_frontend::rest::transactions::DEFAULT_LIMIT;
use crate::rpc_frontend::server::Frontend;
use crate::rpc_frontend::view::history;
use alloy_primitives::{Address, B256};
use callboard_chain::Account;
use callboard_store::{AccountHistory, AccountState};
use serde::{Deserialize, Serialize};

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct HistoryRequest {
    limit: Option<usize>,
    before: Option<u64>,
}

/// States of an account, newest first.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct HistoryPage {
    address: Address,
    states: Vec<State>,
    count: usize,
    /// What to ask for as `before` to go on; null at the end.
    next: Option<u64>,
    /// Where older states were pruned: the oldest height whose state is kept, which is where the history begins.
    pruned_below: Option<u64>,
}

/// What an account was after the block at a height, and from then on until the next entry.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct State {
    height: u64,
    /// False where there was no such account.
    exists: bool,
    balance: String,
    nonce: u64,
    code_hash: Option<B256>,
}

impl From<AccountState> for State {
    fn from(AccountState { height, account }: AccountState) -> Self {
        let Account { nonce, balance, code_hash, .. } = account.unwrap_or_default();
        let code_hash = account.map(|_| code_hash);
        Self { height, exists: account.is_some(), balance: balance.to_string(), nonce, code_hash }
    }
}

/// Each block that changed the account, with what it was afterwards.
pub(super) async fn account_history(frontend: &Frontend, params: &Params<'_>) -> RpcResult {
    let address: Address = params.required(0, "address")?;
    let request: HistoryRequest = params.optional(1, "options")?.unwrap_or_default();
    let limit = request.limit.unwrap_or(DEFAULT_LIMIT);
    frontend
        .read(move |view| -> Result<HistoryPage, RpcError> {
            let found = view.snapshot.account_history(address, request.before, limit).map_err(history)?;
            let AccountHistory { states, next, pruned_below } = found;
            let states: Vec<_> = states.into_iter().map(State::from).collect();
            Ok(HistoryPage { address, count: states.len(), states, next, pruned_below })
        })
        .await
}
