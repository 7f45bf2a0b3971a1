//! What an answer says, held against what the page says.

use super::entry::Example;
use super::layout::Layout;
use serde_json::Value;

/// What is compared by its form only, because no two runs give the same: entry, and a JSON pointer in which `*` is any
/// part. Where `?` ends it, it may be null as well.
const VARIES: &[(&str, &str)] = &[
    ("callboard_syncStatus", "/result/head/hash"),
    ("callboard_syncStatus", "/result/head/timestamp"),
    ("callboard_syncStatus", "/result/target/hash"),
    ("callboard_syncStatus", "/result/target/peer"),
    ("callboard_syncStatus", "/result/headAgeSeconds"),
    ("callboard_syncStatus", "/result/blocksPerSecond"),
    ("callboard_syncStatus", "/result/transactionsPerSecond"),
    ("callboard_syncStatus", "/result/stages/*/busy"),
    ("callboard_syncStatus", "/result/stages/*/items"),
    ("callboard_syncStatus", "/result/stages/*/seconds"),
    ("callboard_syncStatus", "/result/stages/*/stalled"),
    ("callboard_syncStatus", "/result/peers/*/id"),
    ("callboard_syncStatus", "/result/peers/*/url"),
    ("callboard_syncStatus", "/result/peers/*/hash"),
    ("callboard_syncStatus", "/result/lastReconciled?"),
    ("callboard_syncStatus", "/result/divergence/peer"),
    ("callboard_syncStatus", "/result/divergence/remedy"),
    ("callboard_syncStatus", "/result/alerts/*"),
    ("callboard_syncStatus", "/result/lastRejection?"),
    ("callboard_actors", "/result/*/handled"),
    ("callboard_actors", "/result/*/perSecond"),
    ("callboard_actors", "/result/*/waitP50Us"),
    ("callboard_actors", "/result/*/waitP99Us"),
    ("callboard_actors", "/result/*/handleP50Us"),
    ("callboard_actors", "/result/*/handleP99Us"),
    ("callboard_actors", "/result/*/busy"),
    ("callboard_actors", "/result/*/messages/*"),
    ("callboard_peers", "/result/*/id"),
    ("callboard_peers", "/result/*/url"),
    ("callboard_peers", "/result/*/urls/*"),
    ("callboard_peers", "/result/*/hash"),
    ("callboard_peers", "/result/*/since"),
    ("callboard_peers", "/result/*/clockSkewSeconds"),
    ("callboard_explainBlock", "/result/confirmed/passport/operator"),
    ("callboard_explainBlock", "/result/confirmed/passport/receivedAt"),
    ("callboard_explainBlock", "/result/confirmed/passport/verifiedAt"),
    ("callboard_explainBlock", "/result/confirmed/passport/executedAt"),
    ("callboard_explainBlock", "/result/confirmed/passport/durableAt"),
    ("callboard_explainBlock", "/result/confirmed/checks/*/at"),
    ("callboard_explainBlock", "/result/refusals/*/time"),
    ("callboard_explainBlock", "/result/refusals/*/lastTime"),
    ("callboard_explainBlock", "/result/refusals/*/checks/*/at"),
    ("callboard_explainBlock", "/result/refusals/*/sender"),
    ("callboard_rejections", "/result/*/time"),
    ("callboard_rejections", "/result/*/lastTime"),
    ("callboard_rejections", "/result/*/sender"),
    ("callboard_transactionStatus", "/result/timeline/*/at"),
    ("callboard_evidence", "/result/evidence/*/seenAt"),
    ("callboard_verify", "/error/message"),
    ("GET /rpc/sync", "/head/hash"),
    ("GET /rpc/sync", "/head/timestamp"),
    ("GET /rpc/sync", "/target/hash"),
    ("GET /rpc/sync", "/target/peer"),
    ("GET /rpc/sync", "/headAgeSeconds"),
    ("GET /rpc/sync", "/blocksPerSecond"),
    ("GET /rpc/sync", "/transactionsPerSecond"),
    ("GET /rpc/sync", "/stages/*/busy"),
    ("GET /rpc/sync", "/stages/*/items"),
    ("GET /rpc/sync", "/stages/*/seconds"),
    ("GET /rpc/sync", "/stages/*/stalled"),
    ("GET /rpc/sync", "/peers/*/id"),
    ("GET /rpc/sync", "/peers/*/url"),
    ("GET /rpc/sync", "/peers/*/hash"),
    ("GET /rpc/sync", "/lastReconciled?"),
    ("GET /rpc/actors", "/*/handled"),
    ("GET /rpc/actors", "/*/perSecond"),
    ("GET /rpc/actors", "/*/waitP50Us"),
    ("GET /rpc/actors", "/*/waitP99Us"),
    ("GET /rpc/actors", "/*/handleP50Us"),
    ("GET /rpc/actors", "/*/handleP99Us"),
    ("GET /rpc/actors", "/*/busy"),
    ("GET /rpc/actors", "/*/messages/*"),
    ("GET /rpc/peers", "/*/id"),
    ("GET /rpc/peers", "/*/url"),
    ("GET /rpc/peers", "/*/urls/*"),
    ("GET /rpc/peers", "/*/hash"),
    ("GET /rpc/peers", "/*/since"),
    ("GET /rpc/peers", "/*/clockSkewSeconds"),
    ("GET /health/ready", "/reason"),
];

/// What of an answer is shown, as it is shown.
pub(super) fn answer(example: &Example, lines_with: Option<&str>, text: &str) -> String {
    if let Some(word) = lines_with {
        return text.lines().filter(|line| line.contains(word)).collect::<Vec<_>>().join("\n");
    }
    if let Some(pieces) = example.pieces {
        let pieces: Vec<_> = text.split("\n\n").take(pieces).collect();
        return pieces.join("\n\n");
    }
    let mut value: Layout = serde_json::from_str(text).unwrap_or_else(|_| panic!("{}: {text}", example.curl));
    for (pointer, count) in &example.shown {
        let list = value.list_at(pointer);
        let list = list.unwrap_or_else(|| panic!("{}: no list at {pointer} of {text}", example.curl));
        assert!(list.len() > *count, "{}: {pointer} has {} entries: nothing to leave out", example.curl, list.len());
        list.truncate(*count);
    }
    value.pretty()
}

/// How a live answer differs from the written one; empty where it does not.
pub(super) fn differences(name: &str, example: &Example, written: &str, live: &str) -> Vec<String> {
    if example.is_text() {
        let same = written == live;
        return if same { Vec::new() } else { vec![format!("written:\n{written}\n  now:\n{live}")] };
    }
    let varies: Vec<_> = VARIES.iter().filter(|(entry, _)| *entry == name).map(|(_, pointer)| *pointer).collect();
    let Ok(written) = serde_json::from_str(written) else { return vec!["what is written is no JSON".to_owned()] };
    let live = serde_json::from_str(live).expect("it was written as JSON");
    let mut found = Vec::new();
    compare(&varies, String::new(), &written, &live, &mut found);
    found
}

fn compare(varies: &[&str], at: String, written: &Value, live: &Value, found: &mut Vec<String>) {
    if let Some(pattern) = varies.iter().find(|pattern| is_at(pattern, &at)) {
        let may_be_null = pattern.ends_with('?') && (written.is_null() || live.is_null());
        if !may_be_null && !same_form(written, live) {
            found.push(format!("{at} has another form: {written} on the page, {live} now"));
        }
        return;
    }
    match (written, live) {
        (Value::Array(ours), Value::Array(theirs)) if ours.len() == theirs.len() => {
            for (index, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
                compare(varies, format!("{at}/{index}"), ours, theirs, found);
            }
        }
        (Value::Object(ours), Value::Object(theirs)) if ours.keys().eq(theirs.keys()) => {
            for (name, ours) in ours {
                compare(varies, format!("{at}/{name}"), ours, &theirs[name], found);
            }
        }
        _ if written == live => {}
        _ => found.push(format!("{at}: {written} on the page, {live} now")),
    }
}

/// Whether a pointer is one of those that a pattern means.
fn is_at(pattern: &str, at: &str) -> bool {
    let pattern = pattern.trim_end_matches('?');
    let (pattern, at): (Vec<_>, Vec<_>) = (pattern.split('/').collect(), at.split('/').collect());
    pattern.len() == at.len() && pattern.iter().zip(&at).all(|(part, at)| *part == "*" || part == at)
}

/// Numbers are like numbers, hexadecimal strings like those of their length, objects like those with their members.
fn same_form(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::String(one), Value::String(other)) => {
            one.starts_with("0x") == other.starts_with("0x") && (!one.starts_with("0x") || one.len() == other.len())
        }
        (Value::Array(one), Value::Array(other)) => {
            one.is_empty() == other.is_empty() && one.iter().zip(other).all(|(one, other)| same_form(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.keys().eq(other.keys()) && one.iter().all(|(name, one)| same_form(one, &other[name]))
        }
        _ => std::mem::discriminant(one) == std::mem::discriminant(other),
    }
}

#[test]
fn only_the_form_counts_where_it_varies_and_everything_else_where_it_does_not() {
    let different = |written: &str, live: &str| {
        let (written, live) = (serde_json::from_str(written).expect("JSON"), serde_json::from_str(live).expect("JSON"));
        let mut found = Vec::new();
        compare(&["/list/*/time", "/maybe?"], String::new(), &written, &live, &mut found);
        found.len()
    };
    assert_eq!(different(r#"{"list":[{"time":1}],"maybe":{"a":1}}"#, r#"{"list":[{"time":2}],"maybe":null}"#), 0);
    assert_eq!(different(r#"{"list":[{"time":1}]}"#, r#"{"list":[{"time":"2"}]}"#), 1);
    assert_eq!(different(r#"{"list":[{"time":1}]}"#, r#"{"list":[{"time":null}]}"#), 1);
    assert_eq!(different(r#"{"list":[{"time":1,"a":1}]}"#, r#"{"list":[{"time":1,"a":2}]}"#), 1);
    assert_eq!(different(r#"{"maybe":{"a":1}}"#, r#"{"maybe":{"b":1}}"#), 1);
    assert_eq!(different(r#"{"list":[{"time":1}]}"#, r#"{"list":[{"time":1},{"time":1}]}"#), 1);
    assert_eq!(different(r#"{"a":1}"#, r#"{"a":1,"b":1}"#), 1);
}
