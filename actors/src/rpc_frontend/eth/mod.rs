//! Ethereum's own methods: which method is answered where.

mod block_overrides;
mod blocks;
mod calls;
mod fees;
mod filter_param;
mod filters;
mod logs;
mod node;
mod param;
mod proof;
mod send;
pub(crate) mod shape;
mod state;
mod transactions;
mod txpool;

use super::jsonrpc::{Params, RpcError, RpcResult};
use super::server::Frontend;
use std::net::SocketAddr;

pub(crate) use block_overrides::BlockOverridesParam;
pub(crate) use calls::{Question, call_error};
pub(crate) use filter_param::FilterParam;
pub(crate) use filters::Filters;
pub(crate) use logs::check_filter;
pub(crate) use node::unavailable;
pub(crate) use param::{BlockParam, Quantity, block_named, block_or_latest};
pub(crate) use send::submit;
pub(crate) use transactions::raw_transaction;

/// Every method of this module. Subscriptions are answered elsewhere.
pub(crate) const METHODS: &[&str] = &[
    "web3_clientVersion",
    "web3_sha3",
    "net_version",
    "net_listening",
    "net_peerCount",
    "txpool_content",
    "txpool_contentFrom",
    "txpool_inspect",
    "txpool_status",
    "eth_accounts",
    "eth_blobBaseFee",
    "eth_blockNumber",
    "eth_call",
    "eth_chainId",
    "eth_coinbase",
    "eth_createAccessList",
    "eth_estimateGas",
    "eth_feeHistory",
    "eth_gasPrice",
    "eth_getBalance",
    "eth_getBlockByHash",
    "eth_getBlockByNumber",
    "eth_getBlockReceipts",
    "eth_getBlockTransactionCountByHash",
    "eth_getBlockTransactionCountByNumber",
    "eth_getCode",
    "eth_getFilterChanges",
    "eth_getFilterLogs",
    "eth_getLogs",
    "eth_getProof",
    "eth_getRawTransactionByBlockHashAndIndex",
    "eth_getRawTransactionByBlockNumberAndIndex",
    "eth_getRawTransactionByHash",
    "eth_getStorageAt",
    "eth_getTransactionByBlockHashAndIndex",
    "eth_getTransactionByBlockNumberAndIndex",
    "eth_getTransactionByHash",
    "eth_getTransactionCount",
    "eth_getTransactionReceipt",
    "eth_getUncleByBlockHashAndIndex",
    "eth_getUncleByBlockNumberAndIndex",
    "eth_getUncleCountByBlockHash",
    "eth_getUncleCountByBlockNumber",
    "eth_maxPriorityFeePerGas",
    "eth_newBlockFilter",
    "eth_newFilter",
    "eth_newPendingTransactionFilter",
    "eth_sendRawTransaction",
    "eth_sendRawTransactionSync",
    "eth_syncing",
    "eth_uninstallFilter",
];

/// Answers one of [`METHODS`].
pub(crate) async fn call(
    frontend: &Frontend,
    method: &str,
    params: &Params<'_>,
    from: Option<SocketAddr>,
) -> RpcResult {
    match method {
        "web3_clientVersion" => node::client_version(frontend),
        "web3_sha3" => node::sha3(params),
        "net_version" => node::net_version(frontend),
        "net_listening" => node::listening(),
        "net_peerCount" => node::peer_count(frontend),
        "txpool_content" => txpool::content(frontend).await,
        "txpool_contentFrom" => txpool::content_from(frontend, params).await,
        "txpool_inspect" => txpool::inspect(frontend).await,
        "txpool_status" => node::pool_status(frontend).await,
        "eth_accounts" => node::accounts(frontend),
        "eth_blockNumber" => node::block_number(frontend),
        "eth_chainId" => node::chain_id(frontend),
        "eth_coinbase" => node::coinbase(frontend),
        "eth_syncing" => node::syncing(frontend),
        "eth_blobBaseFee" => fees::blob_base_fee(frontend),
        "eth_feeHistory" => fees::fee_history(frontend, params).await,
        "eth_gasPrice" => fees::gas_price(frontend),
        "eth_maxPriorityFeePerGas" => fees::tip(frontend),
        "eth_call" => calls::call(frontend, params).await,
        "eth_createAccessList" => calls::create_access_list(frontend, params).await,
        "eth_estimateGas" => calls::estimate_gas(frontend, params).await,
        "eth_getBalance" => state::balance(frontend, params).await,
        "eth_getCode" => state::code(frontend, params).await,
        "eth_getProof" => proof::proof(frontend, params).await,
        "eth_getStorageAt" => state::storage(frontend, params).await,
        "eth_getTransactionCount" => state::nonce(frontend, params).await,
        "eth_getBlockByHash" | "eth_getBlockByNumber" => {
            blocks::block(frontend, params, block_named(method, params)?).await
        }
        "eth_getBlockReceipts" => blocks::receipts(frontend, params).await,
        "eth_getBlockTransactionCountByHash" | "eth_getBlockTransactionCountByNumber" => {
            blocks::transaction_count(frontend, block_named(method, params)?).await
        }
        "eth_getUncleByBlockHashAndIndex" | "eth_getUncleByBlockNumberAndIndex" => {
            blocks::uncle(frontend, params, block_named(method, params)?).await
        }
        "eth_getUncleCountByBlockHash" | "eth_getUncleCountByBlockNumber" => {
            blocks::uncle_count(frontend, block_named(method, params)?).await
        }
        "eth_getLogs" => logs::logs(frontend, params).await,
        "eth_newFilter" => filters::new_logs(frontend, params, from).await,
        "eth_newBlockFilter" => filters::new_blocks(frontend, from).await,
        "eth_newPendingTransactionFilter" => filters::new_pending(frontend, params, from).await,
        "eth_getFilterChanges" => filters::changes(frontend, params).await,
        "eth_getFilterLogs" => filters::logs(frontend, params).await,
        "eth_uninstallFilter" => filters::uninstall(frontend, params),
        "eth_getRawTransactionByBlockHashAndIndex" | "eth_getRawTransactionByBlockNumberAndIndex" => {
            transactions::raw_by_block(frontend, params, block_named(method, params)?).await
        }
        "eth_getRawTransactionByHash" => transactions::raw(frontend, params).await,
        "eth_getTransactionByBlockHashAndIndex" | "eth_getTransactionByBlockNumberAndIndex" => {
            transactions::by_block(frontend, params, block_named(method, params)?).await
        }
        "eth_getTransactionByHash" => transactions::by_hash(frontend, params).await,
        "eth_getTransactionReceipt" => transactions::receipt(frontend, params).await,
        "eth_sendRawTransaction" => send::send_raw(frontend, params).await,
        "eth_sendRawTransactionSync" => send::send_raw_sync(frontend, params).await,
        other => Err(RpcError::method_not_found(other)),
    }
}
