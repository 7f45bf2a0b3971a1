//! `block explain`.

use super::block_id;
use crate::cli::args::ClientArgs;
use crate::cli::output::{cell, fields};
use crate::cli::{CliError, Output};
use crate::rpc_client::RpcClient;
use serde_json::{Value, json};

pub(super) async fn run(block: &str, client: &ClientArgs) -> Result<(), CliError> {
    let rpc = RpcClient::new(client.rpc.as_deref())?;
    let explained: Value = rpc.call("callboard_explainBlock", json!([block_id(block)?])).await?;
    Output::from(&client.json).print(&explained, describe)
}

fn describe(explained: &Value) -> String {
    let mut text = String::new();
    if !explained["confirmed"].is_null() {
        text.push_str(&confirmed(explained));
    }
    for refusal in explained["refusals"].as_array().into_iter().flatten() {
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(&refused(refusal));
    }
    text
}

fn confirmed(explained: &Value) -> String {
    let block = &explained["confirmed"];
    let passport = &block["passport"];
    let mut lines = vec![
        ("block", format!("{} {}: confirmed", explained["height"], cell(&explained["hash"]))),
        ("proposer", cell(&block["proposer"])),
    ];
    if passport.is_null() {
        lines.push(("note", cell(&block["note"])));
    } else {
        lines.push(("origin", format!("{}, path {}", cell(&passport["origin"]), cell(&passport["path"]))));
        lines.extend(named([
            ("peer", &passport["peer"]),
            ("url", &passport["url"]),
            ("operator", &passport["operator"]),
        ]));
        lines.extend(named([
            ("received", &passport["receivedAt"]),
            ("verified", &passport["verifiedAt"]),
            ("executed", &passport["executedAt"]),
            ("durable", &passport["durableAt"]),
        ]));
        lines.push(("routes", list(&passport["routes"])));
        lines.push(("served to", served(passport)));
    }
    lines.extend(routed(&block["routeCounts"]).map(|counts| ("counts", counts)));
    fields(lines) + &checks(&block["checks"])
}

/// What the node has done with blocks since its start; nothing where that is nothing.
fn routed(counts: &Value) -> Option<String> {
    let one = |count: &Value| format!("{} {} {}", cell(&count["origin"]), cell(&count["route"]), cell(&count["count"]));
    let counts: Vec<String> = counts.as_array()?.iter().map(one).collect();
    (!counts.is_empty()).then(|| counts.join(", "))
}

fn refused(refusal: &Value) -> String {
    let mut lines = vec![
        ("block", format!("{} {}: refused", refusal["height"], cell(&refusal["hash"]))),
        ("reason", cell(&refusal["message"])),
        ("blame", cell(&refusal["blame"])),
        ("sender", cell(&refusal["sender"])),
    ];
    lines.extend(named([("url", &refusal["url"])]));
    lines.extend([
        ("path", cell(&refusal["path"])),
        ("time", cell(&refusal["time"])),
        ("bytes", cell(&refusal["bytes"])),
    ]);
    if refusal["count"].as_u64().is_some_and(|count| count > 1) {
        lines.push(("refused", format!("{} times, the last at {}", refusal["count"], refusal["lastTime"])));
    }
    lines.extend(named([("finding", &refusal["finding"])]));
    fields(lines) + &checks(&refusal["checks"]) + &format!("what to do: {}\n", cell(&refusal["remedy"]))
}

/// Those of the values that are there.
fn named<'a, const N: usize>(values: [(&'a str, &Value); N]) -> impl Iterator<Item = (&'a str, String)> + use<'a, N> {
    values
        .map(|(name, value)| (name, (!value.is_null()).then(|| moment(value))))
        .into_iter()
        .filter_map(|(name, text)| Some((name, text?)))
}

/// Times have milliseconds.
fn moment(value: &Value) -> String {
    match value.as_f64().filter(|_| value.is_f64()) {
        Some(seconds) => format!("{seconds:.3}"),
        None => cell(value),
    }
}

fn list(values: &Value) -> String {
    let values: Vec<String> = values.as_array().into_iter().flatten().map(cell).collect();
    if values.is_empty() { "none".to_owned() } else { values.join(", ") }
}

fn served(passport: &Value) -> String {
    let one = |served: &Value| format!("{} at {}", cell(&served["peer"]), moment(&served["at"]));
    let mut peers: Vec<String> = passport["served"].as_array().into_iter().flatten().map(one).collect();
    if let Some(more) = passport["servedMore"].as_u64().filter(|more| *more > 0) {
        peers.push(format!("and {more} more"));
    }
    if peers.is_empty() { "nobody live".to_owned() } else { peers.join(", ") }
}

fn checks(checks: &Value) -> String {
    let lines: String = checks.as_array().into_iter().flatten().map(check_line).collect();
    format!("checks\n{lines}")
}

fn check_line(check: &Value) -> String {
    let failed = check["outcome"] == "failed";
    let outcome = if failed { "FAILED".to_owned() } else { cell(&check["outcome"]) };
    let demands = check["demands"].as_str().map(|demands| format!(": {demands}")).unwrap_or_default();
    let at = check["at"].as_f64().filter(|_| !failed).map(|at| format!(", at {at:.3}")).unwrap_or_default();
    let sides = match failed {
        false => String::new(),
        true => format!(
            "\n            expected {}\n            actual   {}",
            cell(&check["expected"]),
            cell(&check["actual"])
        ),
    };
    format!("  {outcome}  {}{demands}{at}{sides}\n", cell(&check["check"]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_with_each_check_both_sides_and_what_to_do() {
        let check = |name: &str, outcome: &str| json!({ "check": name, "demands": "it is right", "outcome": outcome });
        let mut failed = check("seal", "failed");
        (failed["expected"], failed["actual"]) = (json!("0x01"), json!("0x02"));
        let refusal = json!({
            "height": 7, "hash": "0xab", "message": "a sentence", "blame": "peer", "sender": "03aa",
            "url": null, "path": "live", "time": 5, "lastTime": 9, "count": 3, "bytes": 600, "finding": "account 0x01: balance here 5, sealed 7",
            "remedy": "ask another one", "checks": [check("decode", "passed"), failed],
        });
        let text = describe(&json!({ "height": 7, "hash": "0xab", "confirmed": null, "refusals": [refusal] }));
        let expected = "\
block    7 0xab: refused
reason   a sentence
blame    peer
sender   03aa
path     live
time     5
bytes    600
refused  3 times, the last at 9
finding  account 0x01: balance here 5, sealed 7
checks
  passed  decode: it is right
  FAILED  seal: it is right
            expected 0x01
            actual   0x02
what to do: ask another one
";
        assert_eq!(text, expected);
    }

    #[test]
    fn a_confirmed_block_is_told_with_its_way() {
        let passport = json!({
            "origin": "peer", "path": "live", "peer": "03aa", "url": "http://a:1/", "operator": null,
            "receivedAt": 1.25, "verifiedAt": 1.5, "executedAt": 1.75, "durableAt": 2.0,
            "routes": ["ImportBlock", "RelayBlock"], "served": [{ "peer": "02bb", "at": 2.5 }], "servedMore": 3,
        });
        let check = json!({ "check": "seal", "demands": "it is right", "outcome": "passed", "at": 1.5 });
        let counts = json!([{ "origin": "peer", "kind": "block", "route": "ImportBlock", "count": 7 }]);
        let confirmed = json!({ "proposer": "0x01", "passport": passport, "checks": [check], "routeCounts": counts });
        let text = describe(&json!({ "height": 7, "hash": "0xab", "confirmed": confirmed, "refusals": [] }));
        for line in [
            "block      7 0xab: confirmed",
            "received   1.250",
            "durable    2.000",
            "routes     ImportBlock, RelayBlock",
            "  passed  seal: it is right, at 1.500",
        ] {
            assert!(text.contains(line), "{line}: {text}");
        }
        assert!(text.contains("peer ImportBlock 7"), "{text}");
        assert!(text.contains("served to  02bb at 2.500, and 3 more"), "{text}");
    }
}
