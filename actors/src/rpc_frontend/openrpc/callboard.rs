//! Callboard's own methods.

use super::describe::{Fault, Method, Param, fails, needs, takes};

const BLOCK: Param = needs("block", "height, hash or tag", "BlockName");
const ADDRESS: Param = needs("address", "whose", "address");
const UNKNOWN_BLOCK: &[Fault] = &[fails(-32000, "unknown block")];
const ADMIN: &[Fault] = &[fails(-32601, "an admin method, on a listener that has none")];

/// The table.
pub(super) const METHODS: &[Method] = &[
    Method {
        name: "callboard_actors",
        about: "Each actor: state, mailbox, what it handled and refused, how long messages waited and took (microseconds, \
                half and 99 of 100 of them), also for each kind of message.",
        params: &[],
        result: "Actors",
        errors: &[],
    },
    Method {
        name: "callboard_evidence",
        about: "Proof that the authority sealed two blocks of one height, in the form that `callboard doctor --check` reads. \
                An empty list is what everybody hopes for.",
        params: &[takes(
            "options",
            "`{from, limit}`, the first height and at most 100; `next` says where to go on",
            "object",
        )],
        result: "Evidence",
        errors: &[],
    },
    Method {
        name: "callboard_explainBlock",
        about: "What became of a block: its way into this node (`passport`, null where only the disk knows it), and all its \
                refusals.",
        params: &[BLOCK, takes("options", "`{raw}`, true for the bytes of the newest refusal", "object")],
        result: "Explanation",
        errors: UNKNOWN_BLOCK,
    },
    Method {
        name: "callboard_genesis",
        about: "The sealed genesis.json itself, to be compared, pinned or given to a follower.",
        params: &[],
        result: "SealedGenesis",
        errors: &[fails(-32000, "it is longer than an answer may be: peers get it in pieces")],
    },
    Method {
        name: "callboard_getAccountHistory",
        about: "Each block that changed an account, newest first, and what the account was after it.",
        params: &[ADDRESS, takes("options", "`{limit, before}`", "object")],
        result: "AccountHistory",
        errors: &[fails(-32000, "`before` is below all that is kept")],
    },
    Method {
        name: "callboard_getMessages",
        about: "Transactions that carry text.",
        params: &[
            needs("address", "who received them", "address"),
            takes("options", "`{limit, before, after, direction}`", "PageOptions"),
        ],
        result: "MessagesPage",
        errors: &[],
    },
    Method {
        name: "callboard_getSealedBlock",
        about: "The canonical bytes of a block, header, seal and transactions.",
        params: &[BLOCK],
        result: "bytes",
        errors: UNKNOWN_BLOCK,
    },
    Method {
        name: "callboard_getTransactionProof",
        about: "Header, seal and trie nodes that prove a transaction is in its block. Whoever knows the authority's address \
                needs nothing else to check it: `callboard tx verify`.",
        params: &[needs("hash", "a confirmed transaction's", "hash32")],
        result: "TransactionProof",
        errors: &[fails(-32000, "the transaction is in no block of this chain")],
    },
    Method {
        name: "callboard_getTransactionsByAddress",
        about: "What an address has sent and received, newest first. `next` is the `before` of the following page, null at \
                the end.",
        params: &[
            ADDRESS,
            takes(
                "options",
                "`{limit, before, after, direction}`; limit 50, at most 500; `sent`, `received` or `both`",
                "PageOptions",
            ),
        ],
        result: "TransactionsPage",
        errors: &[],
    },
    Method {
        name: "callboard_importBlock",
        about: "Takes a block in: verified and executed like one from a peer, and answered when it is durable. `imported` is \
                false where it was known.",
        params: &[needs("bytes", "canonical bytes, as `callboard_getSealedBlock` gives them", "bytes")],
        result: "Imported",
        errors: &[fails(-32000, "the check that failed; the data has both sides and who is to blame")],
    },
    Method { name: "callboard_peers", about: "Every peer that is known.", params: &[], result: "Peers", errors: &[] },
    Method {
        name: "callboard_rejections",
        about: "Refused blocks, newest first.",
        params: &[takes("options", "`{limit}`, 20 where it is left out, at most 100", "object")],
        result: "[Rejection]",
        errors: &[],
    },
    Method {
        name: "callboard_routes",
        about: "The routing table, what is done with blocks and transactions by origin, role and phase, and how often each \
                was done since the start.",
        params: &[],
        result: "Routes",
        errors: &[],
    },
    Method {
        name: "callboard_syncStatus",
        about: "Phase (`genesis` `replaying` `catching-up` `following` `stalled` `diverged`), head, what is being caught up \
                to, rates, stages and their bottleneck, peers, alarms.",
        params: &[],
        result: "SyncStatus",
        errors: &[],
    },
    Method {
        name: "callboard_transactionStatus",
        about: "Where a transaction is, or how it ended.",
        params: &[needs("hash", "the transaction's", "hash32")],
        result: "TransactionStatus",
        errors: &[fails(-32000, "unknown transaction")],
    },
    Method {
        name: "callboard_verifyTransactionProof",
        about: "Whether a proof holds under this chain's authority, what it proves, and whether its block is in this chain.",
        params: &[needs("proof", "as `callboard_getTransactionProof` gives it", "TransactionProof")],
        result: "ProofVerdict",
        errors: &[],
    },
];

/// The table of what the admin listener alone answers.
pub(super) const ADMIN_METHODS: &[Method] = &[
    Method {
        name: "callboard_dropTransaction",
        about: "Takes a transaction out of this node's pool; others may have it. `dropped` is false where it was not there.",
        params: &[needs("hash", "the transaction's", "hash32")],
        result: "Dropped",
        errors: ADMIN,
    },
    Method {
        name: "callboard_verify",
        about: "Checks stored blocks again, as `chain verify` does. After 10 s it answers `state: \"running\"` and `at`: ask \
                again.",
        params: &[takes("range", "`{from, to}`, both included", "object")],
        result: "VerifyState",
        errors: ADMIN,
    },
];
