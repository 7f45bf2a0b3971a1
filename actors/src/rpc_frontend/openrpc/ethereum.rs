//! Ethereum's methods, and `rpc.discover` itself.

use super::describe::{Fault, Method, Param, fails, needs, takes};

const NONE: &[Param] = &[];
const NEVER: &[Fault] = &[];
const BLOCK: Param = takes("block", "number, tag, hash or EIP-1898; the latest where it is left out", "BlockId");
const OF_BLOCK: Param = needs("block", "number, tag or hash", "BlockId");
const HASH: Param = needs("blockHash", "the block's", "hash32");
const NUMBER: Param = needs("block", "number or tag", "BlockNumberOrTag");
const INDEX: Param = needs("index", "from 0", "uint");
const ADDRESS: Param = needs("address", "whose", "address");
const TRANSACTION_HASH: Param = needs("transactionHash", "the transaction's", "hash32");
const FULL: Param = takes("hydratedTransactions", "whole transactions instead of their hashes", "boolean");
const REQUEST: Param =
    needs("transaction", "`input`, `data` or both; members that are not known are passed over", "GenericTransaction");
const FILTER_ID: Param = needs("filterIdentifier", "as it was answered", "uint");
const STATE_OVERRIDES: Param =
    takes("stateOverrides", "values of accounts for this call, by address", "StateOverrides");
const BLOCK_OVERRIDES: Param = takes("blockOverrides", "values of the block for this call", "BlockOverrides");

/// State is read.
const STATE: &[Fault] = &[fails(-32000, "unknown block, or the state of the block was pruned")];
/// Code runs.
const RUN: &[Fault] = &[
    fails(3, "execution reverted; the data is what it returned"),
    fails(-32000, "out of gas and other halts; insufficient funds; unknown block; a bound of calls"),
];
/// Code runs, and how it ends is told in the answer.
const LISTED: &[Fault] = &[fails(
    -32000,
    "insufficient funds and what else keeps it from running; unknown block, or the state of the block was pruned; a bound \
     of calls",
)];
/// The pool is told of.
const POOL: &[Fault] = &[fails(-32000, "the answer is too long")];
/// A filter is asked.
const FILTERED: &[Fault] = &[fails(-32000, "filter not found; unknown block; a bound of searches")];
/// A filter is installed.
const INSTALLED: &[Fault] = &[fails(-32000, "too many filters")];
const UNKNOWN: &[Fault] = &[fails(-32000, "unknown block")];

const fn method(
    name: &'static str,
    about: &'static str,
    params: &'static [Param],
    result: &'static str,
    errors: &'static [Fault],
) -> Method {
    Method { name, about, params, result, errors }
}

/// The table.
pub(super) const METHODS: &[Method] = &[
    method("rpc.discover", "This document.", NONE, "OpenRpcDocument", NEVER),
    method("web3_clientVersion", "Name and version of this node.", NONE, "string", NEVER),
    method("web3_sha3", "keccak256 of the bytes.", &[needs("data", "any bytes", "bytes")], "hash32", NEVER),
    method("net_version", "The chain id in decimal digits.", NONE, "uintDecimal", NEVER),
    method("net_listening", "True.", NONE, "boolean", NEVER),
    method("net_peerCount", "How many peers are connected.", NONE, "uint", NEVER),
    method(
        "txpool_status",
        "How many transactions are pending, and how many wait for another one.",
        NONE,
        "TxpoolStatus",
        NEVER,
    ),
    method(
        "txpool_content",
        "The transactions of the pool by sender and nonce: pending, and those that wait for another one.",
        NONE,
        "TxpoolContent",
        POOL,
    ),
    method("txpool_contentFrom", "The same of one sender.", &[ADDRESS], "TxpoolContentFromResult", POOL),
    method("txpool_inspect", "The same, a line for each transaction.", NONE, "object", POOL),
    method("eth_accounts", "None: the node signs for nobody.", NONE, "[address]", NEVER),
    method("eth_blobBaseFee", "The lowest price there is: no block carries blobs.", NONE, "uint", NEVER),
    method("eth_blockNumber", "The height of the head.", NONE, "uint", NEVER),
    method(
        "eth_call",
        "What a call would return. Nothing is kept.",
        &[REQUEST, BLOCK, STATE_OVERRIDES, BLOCK_OVERRIDES],
        "bytes",
        RUN,
    ),
    method("eth_chainId", "The chain id (EIP-155).", NONE, "uint", NEVER),
    method("eth_coinbase", "The authority.", NONE, "address", NEVER),
    method(
        "eth_createAccessList",
        "Which accounts and slots a transaction would touch (EIP-2930), and its gas with that list.",
        &[REQUEST, BLOCK, STATE_OVERRIDES, BLOCK_OVERRIDES],
        "AccessListResult",
        LISTED,
    ),
    method(
        "eth_estimateGas",
        "The least gas limit with which a transaction would succeed.",
        &[REQUEST, BLOCK, STATE_OVERRIDES, BLOCK_OVERRIDES],
        "uint",
        RUN,
    ),
    method(
        "eth_feeHistory",
        "Base fees, shares of used gas and tips of a range of blocks.",
        &[
            needs("blockCount", "at most 1,024", "uint"),
            takes("newestBlock", "the last one of the range", "BlockId"),
            takes("rewardPercentiles", "ascending, at most 100", "[number]"),
        ],
        "FeeHistory",
        UNKNOWN,
    ),
    method("eth_gasPrice", "What a legacy transaction should offer; zero where gas is free.", NONE, "uint", NEVER),
    method("eth_getBalance", "Wei of an account.", &[ADDRESS, BLOCK], "uint", STATE),
    method("eth_getBlockByHash", "A block, or null.", &[HASH, FULL], "Block?", NEVER),
    method("eth_getBlockByNumber", "A block, or null.", &[NUMBER, FULL], "Block?", NEVER),
    method("eth_getBlockReceipts", "The receipts of a block, or null.", &[OF_BLOCK], "[ReceiptInfo]?", NEVER),
    method(
        "eth_getBlockTransactionCountByHash",
        "How many transactions a block has, or null.",
        &[HASH],
        "uint?",
        NEVER,
    ),
    method(
        "eth_getBlockTransactionCountByNumber",
        "How many transactions a block has, or null.",
        &[NUMBER],
        "uint?",
        NEVER,
    ),
    method("eth_getCode", "The code of an account.", &[ADDRESS, BLOCK], "bytes", STATE),
    method(
        "eth_getFilterChanges",
        "What is new since the filter was asked last: logs, or hashes of blocks or transactions.",
        &[FILTER_ID],
        "FilterResults",
        FILTERED,
    ),
    method("eth_getFilterLogs", "All logs of a filter's range.", &[FILTER_ID], "[Log]", FILTERED),
    method(
        "eth_getLogs",
        "Logs of a range of blocks, or of one block.",
        &[needs("filter", "range or hash, addresses, topics", "Filter")],
        "[Log]",
        &[fails(-32000, "unknown block; a bound of searches")],
    ),
    method(
        "eth_getProof",
        "Account and slots with the trie nodes that prove them (EIP-1186), of the newest blocks.",
        &[ADDRESS, needs("storageKeys", "at most 1,024", "[bytesMax32]"), BLOCK],
        "AccountProof",
        &[fails(-32000, "unknown block, or its trie is not kept")],
    ),
    method(
        "eth_getRawTransactionByBlockHashAndIndex",
        "The EIP-2718 bytes of a transaction of a block, or null.",
        &[HASH, INDEX],
        "bytes?",
        NEVER,
    ),
    method(
        "eth_getRawTransactionByBlockNumberAndIndex",
        "The EIP-2718 bytes of a transaction of a block, or null.",
        &[NUMBER, INDEX],
        "bytes?",
        NEVER,
    ),
    method(
        "eth_getRawTransactionByHash",
        "The EIP-2718 bytes of a transaction, confirmed or pending, or null.",
        &[TRANSACTION_HASH],
        "bytes?",
        NEVER,
    ),
    method(
        "eth_getStorageAt",
        "A slot of an account.",
        &[ADDRESS, needs("storageSlot", "at most 32 bytes", "bytesMax32"), BLOCK],
        "bytes32",
        STATE,
    ),
    method(
        "eth_getTransactionByBlockHashAndIndex",
        "A transaction of a block, or null.",
        &[HASH, INDEX],
        "TransactionInfo?",
        NEVER,
    ),
    method(
        "eth_getTransactionByBlockNumberAndIndex",
        "A transaction of a block, or null.",
        &[NUMBER, INDEX],
        "TransactionInfo?",
        NEVER,
    ),
    method(
        "eth_getTransactionByHash",
        "A transaction, confirmed or pending, or null.",
        &[TRANSACTION_HASH],
        "TransactionInfo|PendingTransactionInfo?",
        NEVER,
    ),
    method(
        "eth_getTransactionCount",
        "The nonce of an account; with `pending`, the one after its waiting transactions.",
        &[ADDRESS, BLOCK],
        "uint",
        STATE,
    ),
    method(
        "eth_getTransactionReceipt",
        "The receipt of a confirmed transaction, or null.",
        &[TRANSACTION_HASH],
        "ReceiptInfo?",
        NEVER,
    ),
    method("eth_getUncleByBlockHashAndIndex", "Null: there are no uncles.", &[HASH, INDEX], "null", NEVER),
    method("eth_getUncleByBlockNumberAndIndex", "Null: there are no uncles.", &[NUMBER, INDEX], "null", NEVER),
    method("eth_getUncleCountByBlockHash", "Zero, or null for a block that is not known.", &[HASH], "uint?", NEVER),
    method("eth_getUncleCountByBlockNumber", "Zero, or null for a block that is not known.", &[NUMBER], "uint?", NEVER),
    method("eth_maxPriorityFeePerGas", "Zero: the authority takes transactions without a tip.", NONE, "uint", NEVER),
    method("eth_newBlockFilter", "Installs a filter for hashes of confirmed blocks.", NONE, "uint", INSTALLED),
    method(
        "eth_newFilter",
        "Installs a filter for logs.",
        &[needs("filter", "range, addresses, topics", "Filter")],
        "uint",
        INSTALLED,
    ),
    method(
        "eth_newPendingTransactionFilter",
        "Installs a filter for hashes of transactions that the pool takes.",
        NONE,
        "uint",
        INSTALLED,
    ),
    method(
        "eth_sendRawTransaction",
        "Gives a signed transaction to the pool and answers its hash.",
        &[needs("transaction", "EIP-2718 bytes", "bytes")],
        "hash32",
        &[fails(-32000, "nonce too low, already known, insufficient funds and what else the pool refuses")],
    ),
    method(
        "eth_sendRawTransactionSync",
        "Gives a signed transaction to the pool and waits for its receipt (EIP-7966).",
        &[
            needs("transaction", "EIP-2718 bytes", "bytes"),
            takes("timeout", "milliseconds, at most 10,000; 2,000 where it is left out", "any"),
        ],
        "ReceiptInfo",
        &[
            fails(4, "no block had it in time, and the pool has it; the data is its hash"),
            fails(5, "the pool has it and a nonce before it is missing; the data is its hash"),
            fails(-32000, "what the pool refuses"),
        ],
    ),
    method("eth_syncing", "False, or how far catching up has come.", NONE, "SyncingStatus", NEVER),
    method("eth_uninstallFilter", "Ends a filter; false where there is none.", &[FILTER_ID], "boolean", NEVER),
];
