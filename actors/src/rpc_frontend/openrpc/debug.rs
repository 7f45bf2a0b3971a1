//! `debug_` methods.

use super::describe::{Fault, Method, Param, fails, needs, takes};

const BLOCK: Param = needs("block", "number, tag or hash", "BlockId");
const TRANSACTION_HASH: Param = needs("transactionHash", "the transaction's", "hash32");
const OPTIONS: Param = takes(
    "options",
    "geth's: `tracer` (`callTracer`, `flatCallTracer`, `prestateTracer`, `4byteTracer`, `noopTracer`, or `muxTracer` \
     for several of these, which `tracerConfig` names with the config of each; the steps of the EVM where it is left out), \
     `tracerConfig`, `timeout`; for steps `disableStack`, `disableStorage`, `enableMemory`, \
     `enableReturnData`, `limit`",
    "TraceConfig",
);
const UNKNOWN: &[Fault] = &[fails(-32000, "unknown block")];
const TRACE: &[Fault] = &[fails(
    -32000,
    "unknown block, transaction not found, the state before the block was pruned, genesis is not traceable; a bound of traces",
)];

/// The table.
pub(super) const METHODS: &[Method] = &[
    Method {
        name: "debug_getRawBlock",
        about: "Ethereum's RLP of a block. The seal stands beside it: `callboard_getSealedBlock` has both.",
        params: &[BLOCK],
        result: "bytes",
        errors: UNKNOWN,
    },
    Method {
        name: "debug_getRawHeader",
        about: "The RLP of a block's header, whose keccak256 is the block's hash.",
        params: &[BLOCK],
        result: "bytes",
        errors: UNKNOWN,
    },
    Method {
        name: "debug_getRawReceipts",
        about: "The EIP-2718 bytes of a block's receipts, as they stand in the receipts trie.",
        params: &[BLOCK],
        result: "[bytes]",
        errors: UNKNOWN,
    },
    Method {
        name: "debug_getRawTransaction",
        about: "The EIP-2718 bytes of a transaction, confirmed or pending.",
        params: &[TRANSACTION_HASH],
        result: "bytes",
        errors: &[fails(-32000, "transaction not found")],
    },
    Method {
        name: "debug_traceBlockByHash",
        about: "What each transaction of a block did, from the state before the block.",
        params: &[needs("blockHash", "the block's", "hash32"), OPTIONS],
        result: "BlockTrace",
        errors: TRACE,
    },
    Method {
        name: "debug_traceBlockByNumber",
        about: "What each transaction of a block did, from the state before the block.",
        params: &[needs("block", "number or tag", "BlockNumberOrTag"), OPTIONS],
        result: "BlockTrace",
        errors: TRACE,
    },
    Method {
        name: "debug_traceCall",
        about: "What a call would do on top of a block. A revert is told in the trace and is no error.",
        params: &[
            needs("transaction", "as `eth_call` takes it", "GenericTransaction"),
            takes("block", "number, tag, hash or EIP-1898; the latest where it is left out", "BlockId"),
            takes("options", "as of a trace, with `stateOverrides` and `blockOverrides`", "CallTraceConfig"),
        ],
        result: "Trace",
        errors: TRACE,
    },
    Method {
        name: "debug_traceTransaction",
        about: "What a confirmed transaction did, from the state before it.",
        params: &[TRANSACTION_HASH, OPTIONS],
        result: "Trace",
        errors: TRACE,
    },
];
