//! The table of the reference. A new method or route gets an entry in one of these lists: its name as the node has it, and
//! one or more examples. What a method means and takes is what `rpc.discover` says; of a route that stands here. Examples are
//! asked in this order; those of one node may rest on the ones before. What differs from run to run is listed in
//! [`super::compare`].

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
        Entry::method("callboard_genesis").call("", json!([])),
        Entry::method("callboard_getSealedBlock")
            .call("", json!([3]))
            .call("A block that is not there yet is an error, never null:", json!([1_000])),
        Entry::method("callboard_importBlock").call("", json!([facts.blocks[3].bytes()])).call(
            "A bad block is refused with the check that failed, both sides, and who is to blame for it:",
            json!([damaged.bytes()]),
        ),
        Entry::method("callboard_explainBlock")
            .more("[More on it](refused-blocks.md#for-programs).")
            .call("", json!([4]))
            .shows("/result/confirmed/checks", 2)
            .call("A refused block:", json!([damaged.hash()]))
            .awaits("/result/refusals/0")
            .shows("/result/refusals/0/checks", 1),
        Entry::method("callboard_rejections").call("", json!([{ "limit": 1 }])).shows("/result/0/checks", 1),
        Entry::method("callboard_evidence")
            .call("Of another node, which met a second block 1:", json!([]))
            .at(At::Diverged)
            .awaits("/result/evidence/0"),
    ]
}

fn transaction_methods(facts: &Facts) -> Vec<Entry> {
    vec![
        Entry::method("callboard_getTransactionsByAddress")
            .more("[Pages](rpc.md#pages).")
            .call("", json!([facts.accounts[1], { "limit": 2 }])),
        Entry::method("callboard_getMessages")
            .more("[More on messages](messages.md).")
            .more("[Pages](rpc.md#pages).")
            .call("", json!([facts.accounts[1]])),
        Entry::method("callboard_getAccountHistory").call("", json!([facts.accounts[1], { "limit": 2 }])),
        Entry::method("callboard_transactionStatus")
            .more("[All answers](gossip.md#where-is-my-transaction).")
            .call("", json!([facts.transaction(2)]))
            .call("One that waits to be confirmed:", json!([facts.pending.tx_hash()]))
            .call("What this node knows nothing of is an error:", json!([B256::repeat_byte(0x11)])),
        Entry::method("callboard_getTransactionProof")
            .call("", json!([facts.transaction(3)]))
            .call("One that is in no block:", json!([facts.pending.tx_hash()])),
        Entry::method("callboard_verifyTransactionProof")
            .call("", json!([facts.proof(3)]))
            .call("The same with another index:", json!([facts.wrong_proof(3)])),
    ]
}

fn node_methods() -> Vec<Entry> {
    vec![
        Entry::method("callboard_syncStatus")
            .call("", json!([]))
            .at(At::Following)
            .awaits("/result/lastReconciled")
            .call("Of a node whose seed has another validly sealed block 1:", json!([]))
            .at(At::Diverged),
        Entry::method("callboard_actors")
            .call("", json!([]))
            .at(At::Following)
            .shows("/result", 1)
            .shows("/result/0/messages", 1),
        Entry::method("callboard_routes").call("", json!([])).at(At::Following).shows("/result/table", 3),
        Entry::method("callboard_peers")
            .more("[Members](rpc.md#callboards-own).")
            .call("", json!([]))
            .at(At::Following)
            .awaits("/result/0/clockSkewSeconds"),
    ]
}

fn admin_methods(facts: &Facts) -> Vec<Entry> {
    vec![
        Entry::method("callboard_verify").call("", json!([{ "from": 1, "to": 3 }])).curl(
            "On the public listener there are no admin methods:",
            200,
            on_the_public_listener(),
        ),
        Entry::method("callboard_dropTransaction").call("", json!([facts.pending.tx_hash()])),
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
