//! `peers`.

use super::args::ClientArgs;
use super::output::{cell, plain, table};
use super::{CliError, Output};
use crate::rpc_client::RpcClient;
use serde_json::{Value, json};

/// Digits of a node's id and of a hash that tell it from others in a table.
const SHORT: usize = 10;

pub(super) async fn run(args: &ClientArgs) -> Result<(), CliError> {
    let client = RpcClient::new(args.rpc.as_deref())?;
    let peers: Value = client.call("callboard_peers", json!([])).await?;
    Output::from(&args.json).print(&peers, peers_table)
}

fn peers_table(peers: &Value) -> String {
    let short = |value: &Value| cell(value).chars().take(SHORT).collect::<String>();
    let row = |peer: &Value| {
        let [url, role, direction, state] = ["url", "role", "direction", "state"].map(|name| plain(&cell(&peer[name])));
        let [score, height, skew] = ["score", "height", "clockSkewSeconds"].map(|name| cell(&peer[name]));
        // The ban tells more than how the last connection ended.
        let reason = if peer["ban"].is_null() { &peer["reason"] } else { &peer["ban"]["reason"] };
        let (id, hash, reason) = (short(&peer["id"]), short(&peer["hash"]), plain(&cell(reason)));
        [id, url, role, direction, state, score, height, hash, skew, reason]
    };
    let rows: Vec<_> = peers.as_array().into_iter().flatten().map(row).collect();
    let heading = ["id", "url", "role", "direction", "state", "score", "height", "hash", "skew s", "reason"];
    if rows.is_empty() { "no peers\n".to_owned() } else { table(heading, &rows) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_banned_peer_is_shown_with_the_bans_reason_and_no_control_characters() {
        let peers = json!([{ "id": "03aabbccddeeff", "url": null, "role": "follower", "direction": "inbound",
            "state": "banned", "score": -10, "ban": { "until": 5, "reason": "forged\u{1b}[2J block" },
            "reason": "closed", "height": 7, "hash": "0x0123456789abcdef", "clockSkewSeconds": null }]);
        let text = peers_table(&peers);
        let line = text.lines().nth(1).expect("a row");
        assert!(line.starts_with("03aabbccdd ") && line.contains("forged [2J block") && line.contains("0x01234567 "));
        assert_eq!(peers_table(&json!([])), "no peers\n");
    }
}
