//! `tx why`.

use crate::cli::args::ClientArgs;
use crate::cli::output::{cell, fields};
use crate::cli::{CliError, Output};
use crate::rpc_client::RpcClient;
use alloy_primitives::B256;
use serde_json::{Value, json};

pub(super) async fn run(hash: B256, client: &ClientArgs) -> Result<(), CliError> {
    let rpc = RpcClient::new(client.rpc.as_deref())?;
    let status: Value = rpc.call("callboard_transactionStatus", json!([hash])).await.map_err(|error| {
        let message = error.to_string();
        match message.contains("unknown transaction") {
            true => CliError::failed(format!("{message}\nwhat to do: ask the node it was sent to, or send it again")),
            false => error.into(),
        }
    })?;
    Output::from(&client.json).print(&status, describe)
}

fn describe(status: &Value) -> String {
    let mut lines = vec![("transaction", format!("{}: {}", cell(&status["hash"]), cell(&status["status"])))];
    lines.extend(waiting_for(&status["waitingFor"]).map(|what| ("waiting for", what)));
    lines.extend(status["reason"].as_str().map(|reason| ("reason", reason.to_owned())));
    if status["forwarded"] == true {
        let by = status["acknowledgedBy"].as_str();
        lines.push(("forwarded", by.map_or("nobody has it now".to_owned(), |by| format!("acknowledged by {by}"))));
    }
    let steps: String = list(&status["timeline"]).map(|entry| format!("  {}\n", step(entry))).collect();
    fields(lines) + "time line\n" + &steps + &format!("what to do: {}\n", remedy(status))
}

fn list(values: &Value) -> impl Iterator<Item = &Value> {
    values.as_array().into_iter().flatten()
}

fn waiting_for(waiting: &Value) -> Option<String> {
    let funds = &waiting["funds"];
    if !funds.is_null() {
        return Some(format!(
            "funds: {} wei are required, {} are there",
            cell(&funds["required"]),
            cell(&funds["balance"])
        ));
    }
    let fee = &waiting["baseFee"];
    if !fee.is_null() {
        return Some(format!(
            "base fee: that with nonce {} pays at most {} wei a gas, a block takes {} now",
            cell(&fee["nonce"]),
            cell(&fee["cap"]),
            cell(&fee["baseFee"])
        ));
    }
    (!waiting.is_null()).then(|| format!("nonce {}", nonces(waiting)))
}

/// `7-9, 11`
fn nonces(waiting: &Value) -> String {
    let range = |range: &Value| match range["from"] == range["to"] {
        true => cell(&range["from"]),
        false => format!("{}-{}", cell(&range["from"]), cell(&range["to"])),
    };
    list(&waiting["nonces"]).map(range).collect::<Vec<_>>().join(", ")
}

/// One step in plain words, with its time in unix seconds.
fn step(entry: &Value) -> String {
    let of = |name: &str| cell(&entry[name]);
    let what = match entry["step"].as_str().unwrap_or_default() {
        "arrived" if entry["from"] == "block" => "arrived from a block that was undone".to_owned(),
        "arrived" if entry["from"] == "rpc" => "arrived over this node's RPC".to_owned(),
        "arrived" => format!("arrived from peer {}", of("from")),
        "checked" => "checked, and put into the pool".to_owned(),
        "forwarded" => match list(&entry["to"]).map(cell).collect::<Vec<_>>().join(", ") {
            nobody if nobody.is_empty() => "could be forwarded to nobody".to_owned(),
            to => format!("forwarded to {to}"),
        },
        "acknowledged" => format!("acknowledged by {}", of("by")),
        "notNow" => format!("put off by {}: {}", of("by"), of("reason")),
        "dropped" => dropped(entry),
        "refused" if entry["by"].is_null() => format!("refused here: {}", of("reason")),
        "refused" => format!("refused by {}: {}", of("by"), of("reason")),
        "keptOut" => format!("offered again from {}, and kept out for the same reason", of("from")),
        "included" => format!("included in block {} at index {}", of("height"), of("index")),
        _ => entry.to_string(),
    };
    let again = match entry["times"].as_u64() {
        Some(times) => format!(" ({times} times, last at {})", of("last")),
        None => String::new(),
    };
    format!("{}  {what}{again}", of("at"))
}

fn dropped(entry: &Value) -> String {
    let by = entry["by"].as_str().map(|by| format!(" by {by}")).unwrap_or_default();
    let detail = entry["detail"].as_str().map(|detail| format!(": {detail}")).unwrap_or_default();
    format!("dropped: {}{by}{detail}", cell(&entry["reason"]))
}

fn remedy(status: &Value) -> String {
    let waiting = &status["waitingFor"];
    match status["status"].as_str().unwrap_or_default() {
        "included" => format!("nothing, it is in block {}", cell(&status["height"])),
        "queued" if !waiting["funds"].is_null() => {
            "bring the sender funds, or replace it by one that costs less".to_owned()
        }
        "queued" if !waiting["baseFee"].is_null() => {
            "wait until the base fee has fallen, or replace it by one that pays more".to_owned()
        }
        "queued" => format!("send the sender's transactions with nonce {}, which are missing", nonces(waiting)),
        "pending" => pending(status).to_owned(),
        "dropped" => gone(status),
        "refused" => "put right what the reason names, sign it and send it again".to_owned(),
        _ => "ask the node's operator".to_owned(),
    }
}

fn pending(status: &Value) -> &'static str {
    let last = |name: &str| list(&status["timeline"]).filter(|entry| entry["step"] == name).last();
    if status["forwarded"] != true || !status["acknowledgedBy"].is_null() {
        return "wait for the next block";
    }
    match last("forwarded") {
        Some(entry) if list(&entry["to"]).next().is_none() && last("acknowledged").is_none() => {
            "connect this node to the authority or a seed (`callboard peers`); it is forwarded by itself then"
        }
        _ if last("notNow").is_some() => "wait, it is forwarded again by itself; if that lasts, see why it is put off",
        _ => "wait, it is forwarded again by itself",
    }
}

fn gone(status: &Value) -> String {
    let timeline = list(&status["timeline"]).filter(|entry| entry["step"] == "dropped");
    let by = timeline.last().and_then(|entry| entry["by"].as_str());
    match (status["reason"].as_str().unwrap_or_default(), by) {
        ("replaced" | "nonce_used", Some(by)) => format!("nothing, another one took its place: callboard tx why {by}"),
        ("replaced" | "nonce_used", None) => "nothing, another one has its nonce".to_owned(),
        ("evicted" | "expired", _) => "send it again".to_owned(),
        ("insufficient_funds", _) => "bring the sender funds, and send it again".to_owned(),
        ("operator", _) => "ask the node's operator; sent over this node's own RPC it is taken again".to_owned(),
        _ => "put right what the time line names, sign it and send it again".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transaction_behind_a_gap_is_told_with_its_way_and_what_is_missing() {
        let text = describe(&json!({
            "hash": "0xab", "status": "queued", "forwarded": true, "acknowledgedBy": "03aa",
            "waitingFor": { "nonces": [{ "from": 7, "to": 9 }, { "from": 11, "to": 11 }] },
            "timeline": [
                { "at": 5, "step": "arrived", "from": "rpc" },
                { "at": 5, "step": "checked" },
                { "at": 6, "step": "forwarded", "to": ["03aa"], "times": 3, "last": 40 },
                { "at": 6, "step": "acknowledged", "by": "03aa" },
            ],
        }));
        let expected = "\
transaction  0xab: queued
waiting for  nonce 7-9, 11
forwarded    acknowledged by 03aa
time line
  5  arrived over this node's RPC
  5  checked, and put into the pool
  6  forwarded to 03aa (3 times, last at 40)
  6  acknowledged by 03aa
what to do: send the sender's transactions with nonce 7-9, 11, which are missing
";
        assert_eq!(text, expected);
    }

    #[test]
    fn every_end_is_told_with_what_to_do() {
        let dropped = |reason: &str, by: Value| {
            let step = json!({ "at": 1, "step": "dropped", "reason": reason, "by": by, "detail": null });
            json!({ "hash": "0xab", "status": "dropped", "reason": reason, "timeline": [step] })
        };
        let refused = json!({ "at": 1, "step": "refused", "by": "03aa", "reason": "nonce too low" });
        let nobody = json!([{ "at": 1, "step": "forwarded", "to": [] }]);
        let put_off = json!([{ "at": 1, "step": "notNow", "by": "03aa", "reason": "full" }]);
        let pending =
            |timeline| json!({ "status": "pending", "forwarded": true, "acknowledgedBy": null, "timeline": timeline });
        let cases = [
            (dropped("replaced", json!("0xcd")), "dropped: replaced by 0xcd", "callboard tx why 0xcd"),
            (dropped("nonce_used", Value::Null), "dropped: nonce_used\n", "another one has its nonce"),
            (dropped("evicted", json!("0xcd")), "dropped: evicted by 0xcd", "send it again"),
            (dropped("operator", Value::Null), "dropped: operator\n", "own RPC it is taken again"),
            (dropped("insufficient_funds", Value::Null), "dropped", "bring the sender funds"),
            (json!({ "status": "refused", "timeline": [refused] }), "refused by 03aa: nonce too low", "put right"),
            (pending(nobody), "could be forwarded to nobody", "connect this node"),
            (pending(put_off), "put off by 03aa: full", "if that lasts"),
            (json!({ "status": "pending", "forwarded": false }), "pending", "wait for the next block"),
            (json!({ "status": "included", "height": 7 }), "included", "nothing, it is in block 7"),
            (
                json!({ "status": "queued", "waitingFor": { "funds": { "required": "8", "balance": "7" } } }),
                "funds: 8 wei are required, 7 are there",
                "bring the sender funds",
            ),
            (
                json!({ "status": "queued", "waitingFor": { "baseFee": { "nonce": 3, "cap": "7", "baseFee": "8" } } }),
                "base fee: that with nonce 3 pays at most 7 wei a gas, a block takes 8 now",
                "pays more",
            ),
        ];
        for (status, line, remedy) in cases {
            let text = describe(&status);
            let last = text.lines().last().unwrap_or_default();
            assert!(text.contains(line), "{line} is not in {text}");
            assert!(last.starts_with("what to do: ") && last.contains(remedy), "{remedy} is not in {last}");
        }
    }
}
