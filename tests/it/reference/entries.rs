//! The table of the reference. A new method or route gets an entry in one of these lists: its name as the node has it, what
//! it means, its parameters, and one or more examples. Examples are asked in this order; those of one node may rest on the
//! ones before. What differs from run to run is listed in [`super::compare`].

use super::entry::{Entry, RPC, Section, call};
use super::story::{At, Facts, raw};
use crate::forge::posted;
use alloy_primitives::B256;
use serde_json::json;

/// The sections of the page.
pub(super) fn sections(facts: &Facts) -> Vec<Section> {
    vec![
        Section {
            title: "Methods: blocks",
            about: "By JSON-RPC, `POST` to `/` or `/rpc`, or over a WebSocket. A block is named by its height as a JSON \
                    number, by its hash, or by what Ethereum's methods take (`\"0x4\"`, `\"latest\"`).",
            entries: block_methods(facts),
        },
        Section {
            title: "Methods: transactions",
            about: "Confirmed ones are read from the database, whatever their age.",
            entries: transaction_methods(facts),
        },
        Section {
            title: "Methods: the node",
            about: "What the node does, as the command line and the dashboard show it.",
            entries: node_methods(),
        },
        Section {
            title: "Admin methods",
            about: "On the listener that `rpc.admin` opens, and nowhere else.",
            entries: admin_methods(facts),
        },
        Section {
            title: "REST: blocks",
            about: "Members are named as in the first scripts for these routes, times are RFC 3339. An error is \
                    `{success: false, error}` with a status.",
            entries: block_routes(facts),
        },
        Section {
            title: "REST: transactions and accounts",
            about: "Values are wei in decimal digits.",
            entries: transaction_routes(facts),
        },
        Section { title: "REST: the node", about: "For people, probes and Prometheus.", entries: node_routes() },
    ]
}

fn block_methods(facts: &Facts) -> Vec<Entry> {
    let damaged = &facts.damaged[0];
    vec![
        Entry::new("callboard_genesis", "The sealed genesis.json itself, to be compared, pinned or given to a follower.")
            .call("", json!([])),
        Entry::new("callboard_getSealedBlock", "The canonical bytes of a block, header, seal and transactions.")
            .takes("block", "height, hash or tag")
            .call("", json!([3]))
            .call("A block that is not there yet is an error, never null:", json!([1_000])),
        Entry::new(
            "callboard_importBlock",
            "Takes a block in: verified and executed like one from a peer, and answered when it is durable. `imported` is \
             false where it was known.",
        )
        .takes("bytes", "canonical bytes, as `callboard_getSealedBlock` gives them")
        .call("", json!([facts.blocks[3].bytes()]))
        .call(
            "A bad block is refused with the check that failed, both sides, and who is to blame for it:",
            json!([damaged.bytes()]),
        ),
        Entry::new(
            "callboard_explainBlock",
            "What became of a block: its way into this node (`passport`, null where only the disk knows it), and all its \
             refusals. [More on it](refused-blocks.md#for-programs).",
        )
        .takes("block", "height, hash or tag")
        .takes("options", "optional: `{raw}`, true for the bytes of the newest refusal")
        .call("", json!([4]))
        .shows("/result/confirmed/checks", 2)
        .call("A refused block:", json!([damaged.hash()]))
        .awaits("/result/refusals/0")
        .shows("/result/refusals/0/checks", 1),
        Entry::new("callboard_rejections", "Refused blocks, newest first.")
            .takes("options", "optional: `{limit}`, 20 where it is left out, at most 100")
            .call("", json!([{ "limit": 1 }]))
            .shows("/result/0/checks", 1),
        Entry::new(
            "callboard_evidence",
            "Proof that the authority sealed two blocks of one height, in the form that `callboard doctor --check` reads. An \
             empty list is what everybody hopes for.",
        )
        .takes("options", "optional: `{from, limit}`, the first height and at most 100; `next` says where to go on")
        .call("Of another node, which met a second block 1:", json!([]))
        .at(At::Diverged)
        .awaits("/result/evidence/0"),
    ]
}

fn transaction_methods(facts: &Facts) -> Vec<Entry> {
    vec![
        Entry::new(
            "callboard_getTransactionsByAddress",
            "What an address has sent and received, newest first. `next` is the `before` of the following page, null at the \
             end.",
        )
        .takes("address", "whose")
        .takes(
            "options",
            "optional: `{limit, before, after, direction}`; limit 50, at most 500; `sent`, `received` or `both`; \
             [pages](rpc.md#pages)",
        )
        .call("", json!([facts.accounts[1], { "limit": 2 }])),
        Entry::new("callboard_getMessages", "Transactions that carry text. [More on messages](messages.md).")
            .takes("address", "who received them")
            .takes("options", "optional: `{limit, before, after, direction}`; [pages](rpc.md#pages)")
            .call("", json!([facts.accounts[1]])),
        Entry::new(
            "callboard_getAccountHistory",
            "Each block that changed an account, newest first, and what the account was after it.",
        )
        .takes("address", "whose")
        .takes("options", "optional: `{limit, before}`")
        .call("", json!([facts.accounts[1], { "limit": 2 }])),
        Entry::new(
            "callboard_transactionStatus",
            "Where a transaction is, or how it ended. [All answers](gossip.md#where-is-my-transaction).",
        )
        .takes("hash", "the transaction's")
        .call("", json!([facts.transaction(2)]))
        .call("One that waits to be confirmed:", json!([facts.pending.tx_hash()]))
        .call("What this node knows nothing of is an error:", json!([B256::repeat_byte(0x11)])),
        Entry::new(
            "callboard_getTransactionProof",
            "Header, seal and trie nodes that prove a transaction is in its block. Whoever knows the authority's address \
             needs nothing else to check it: `callboard tx verify`.",
        )
        .takes("hash", "a confirmed transaction's")
        .call("", json!([facts.transaction(3)]))
        .call("One that is in no block:", json!([facts.pending.tx_hash()])),
        Entry::new(
            "callboard_verifyTransactionProof",
            "Whether a proof holds under this chain's authority, what it proves, and whether its block is in this chain.",
        )
        .takes("proof", "as `callboard_getTransactionProof` gives it")
        .call("", json!([facts.proof(3)]))
        .call("The same with another index:", json!([facts.wrong_proof(3)])),
    ]
}

fn node_methods() -> Vec<Entry> {
    vec![
        Entry::new(
            "callboard_syncStatus",
            "Phase (`genesis` `replaying` `catching-up` `following` `stalled` `diverged`), head, what is being caught up to, \
             rates, stages and their bottleneck, peers, alarms.",
        )
        .call("", json!([]))
        .at(At::Following)
        .awaits("/result/lastReconciled")
        .call("Of a node whose seed has another validly sealed block 1:", json!([]))
        .at(At::Diverged),
        Entry::new(
            "callboard_actors",
            "Each actor: state, mailbox, what it handled and refused, how long messages waited and took (microseconds, half \
             and 99 of 100 of them), also for each kind of message.",
        )
        .call("", json!([]))
        .at(At::Following)
        .shows("/result", 1)
        .shows("/result/0/messages", 1),
        Entry::new(
            "callboard_routes",
            "The routing table, what is done with blocks and transactions by origin, role and phase, and how often each was \
             done since the start.",
        )
        .call("", json!([]))
        .at(At::Following)
        .shows("/result/table", 3),
        Entry::new(
            "callboard_peers",
            "Every peer that is known: [members](rpc.md#callboards-own).",
        )
        .call("", json!([]))
        .at(At::Following)
        .awaits("/result/0/clockSkewSeconds"),
    ]
}

fn admin_methods(facts: &Facts) -> Vec<Entry> {
    vec![
        Entry::new(
            "callboard_verify",
            "Checks stored blocks again, as `chain verify` does. After 10 s it answers `state: \"running\"` and `at`: ask again.",
        )
        .takes("range", "optional: `{from, to}`, both included")
        .call("", json!([{ "from": 1, "to": 3 }]))
        .curl("On the public listener there are no admin methods:", 200, on_the_public_listener()),
        Entry::new(
            "callboard_dropTransaction",
            "Takes a transaction out of this node's pool; others may have it. `dropped` is false where it was not there.",
        )
        .takes("hash", "the transaction's")
        .call("", json!([facts.pending.tx_hash()])),
    ]
}

fn on_the_public_listener() -> String {
    let call = call("callboard_verify", &json!([]));
    format!("curl {RPC} -H 'content-type: application/json' -d '{call}'")
}

fn block_routes(facts: &Facts) -> Vec<Entry> {
    vec![
        Entry::new("GET /rpc/head", "The newest block.").get("", 200, "/rpc/head"),
        Entry::new(
            "GET /rpc/blocks-range",
            "Blocks from one height to another, each as `importBlock` takes it. As many as fit, at least one; `next` says \
             where to go on, and is null at the end.",
        )
        .takes("start", "the first height; 0 where it is left out")
        .takes("end", "the last one, included; 10, or `start` where that is more")
        .takes("limit", "blocks of one answer: 100, at most 1,000")
        .takes("include_tx", "`false` leaves out `transactions` and `raw`")
        .get("", 200, "/rpc/blocks-range?start=2&end=2")
        .get("Heads alone:", 200, "/rpc/blocks-range?start=1&end=4&limit=2&include_tx=false")
        .get("What makes no sense is refused:", 400, "/rpc/blocks-range?start=4&end=2"),
        Entry::new(
            "POST /rpc/importBlock",
            "Takes a block in, as `callboard_importBlock` does. `raw` decides; a member beside it that disagrees is an error. \
             Above `rpc.limit.import_blocks_per_second` a request waits its turn up to 10 s, then it is answered 429 with \
             `Retry-After`.",
        )
        .takes("raw", "canonical bytes")
        .post("", 200, "/rpc/importBlock", &posted(&facts.blocks[4]))
        .post("Once more: it is there already.", 200, "/rpc/importBlock", &posted(&facts.blocks[4]))
        .post("A block whose transactions are not those of its header:", 422, "/rpc/importBlock", &posted(&facts.damaged[1]))
        .post("Without `raw` there is no block to take:", 422, "/rpc/importBlock", &json!({ "height": 6 }))
        .post("Its parent is not here yet:", 409, "/rpc/importBlock", &posted(&facts.far)),
        Entry::new(
            "GET /rpc/events",
            "[Events](events.md) as they happen, until the client goes. With `Last-Event-ID` first what came after that block.",
        )
        .takes("topics", "of `blocks`, `transactions`, `pending`, `sync`, `routes`, with commas; `blocks` where it is left out")
        .curl("", 200, format!("curl -N -H 'Last-Event-ID: 3' '{RPC}/rpc/events?topics=blocks,transactions'"))
        .streams(4)
        .get("A topic that there is not:", 400, "/rpc/events?topics=logs"),
    ]
}

fn transaction_routes(facts: &Facts) -> Vec<Entry> {
    let sender = facts.accounts[0];
    let sent = facts.transaction(2);
    vec![
        Entry::new(
            "GET /rpc/transactions",
            "What an address has sent and received, newest first. `next` is the `before` of the following page.",
        )
        .takes("address", "whose")
        .takes("limit", "transactions of one answer: 50, at most 500")
        .takes("before", "a `next`, or a height: only what is below, newest first")
        .takes("after", "a `next`, or a height: only what is above, oldest first")
        .takes("direction", "`sent`, `received` or `both`")
        .get("", 200, &format!("/rpc/transactions?address={sender}&limit=2"))
        .get("The following page:", 200, &format!("/rpc/transactions?address={sender}&limit=1&before=4:0"))
        .get("Without an address:", 400, "/rpc/transactions"),
        Entry::new("GET /rpc/transactions/{hash}", "A transaction, confirmed or pending.")
            .get("", 200, &format!("/rpc/transactions/{sent}"))
            .get("", 404, &format!("/rpc/transactions/{}", B256::repeat_byte(0x11))),
        Entry::new("GET /rpc/transaction/{hash}", "The same.").get("", 200, &format!("/rpc/transaction/{sent}")),
        Entry::new(
            "POST /rpc/transactions",
            "Hands in a signed transaction. That the pool has it is all the answer says; `callboard_transactionStatus` tells \
             the rest.",
        )
        .takes("raw", "its EIP-2718 bytes; they may also be the whole body, as a string")
        .post("", 200, "/rpc/transactions", &json!({ "raw": raw(&facts.new) }))
        .post("One whose nonce is used up:", 422, "/rpc/transactions", &json!({ "raw": facts.raw_transaction(2) })),
        Entry::new("GET /rpc/accounts/{address}", "Balance and nonce in the newest block.")
            .get("", 200, &format!("/rpc/accounts/{}", facts.accounts[1]))
            .get("What is no address:", 400, "/rpc/accounts/alice"),
    ]
}

fn node_routes() -> Vec<Entry> {
    vec![
        Entry::new("GET /rpc/sync", "As `callboard_syncStatus`.")
            .get("", 200, "/rpc/sync")
            .at(At::Following)
            .awaits("/lastReconciled"),
        Entry::new("GET /rpc/actors", "As `callboard_actors`.")
            .get("", 200, "/rpc/actors")
            .at(At::Following)
            .shows("", 1)
            .shows("/0/messages", 1),
        Entry::new("GET /rpc/peers", "As `callboard_peers`.")
            .get("", 200, "/rpc/peers")
            .at(At::Following)
            .awaits("/0/clockSkewSeconds"),
        Entry::new("GET /health/live", "The process answers: that is all it says.").get("", 200, "/health/live"),
        Entry::new(
            "GET /health/ready",
            "Whether the node follows, agrees with its peers, and has a head younger than three heartbeats.",
        )
        .get("", 200, "/health/ready")
        .at(At::Following)
        .get("Of the node whose seed has another validly sealed block 1:", 503, "/health/ready")
        .at(At::Diverged),
        Entry::new("GET /", "The [dashboard](dashboard.md), for browsers; JSON-RPC is posted there.").curl(
            "",
            200,
            format!("curl {RPC}/ | grep '<title>'"),
        ),
        Entry::new("GET /metrics", "Prometheus (OpenMetrics) text.").curl(
            "",
            200,
            format!("curl {RPC}/metrics | grep callboard_head_height"),
        ),
    ]
}
