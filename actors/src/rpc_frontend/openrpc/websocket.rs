//! What only a WebSocket has.

use super::describe::{Method, fails, needs, takes};

/// The table.
pub(super) const METHODS: &[Method] = &[
    Method {
        name: "eth_subscribe",
        about: "Begins a subscription and answers its id; what follows comes as `eth_subscription`.",
        params: &[
            needs("name", "`newHeads`, `logs`, `newPendingTransactions`, `transactionReceipts` or `syncing`", "string"),
            takes(
                "options",
                "a filter for `logs` or `transactionReceipts`; true for whole pending transactions",
                "any",
            ),
        ],
        result: "string",
        errors: &[
            fails(-32601, "notifications not supported: over HTTP"),
            fails(-32000, "too many subscriptions on this connection"),
        ],
    },
    Method {
        name: "eth_unsubscribe",
        about: "Ends a subscription; false where there is none of that id.",
        params: &[needs("id", "as `eth_subscribe` answered it", "string")],
        result: "boolean",
        errors: &[fails(-32601, "notifications not supported: over HTTP")],
    },
];
