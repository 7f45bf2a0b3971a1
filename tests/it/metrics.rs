//! The metrics that scripts and dashboards are written against: on real nodes, each with its labels; and what the
//! project ships for Prometheus and Grafana, and the book, held against them.

use crate::forge::{Forge, posted, with_header};
use crate::support::node::{Node, SOON};
use crate::support::until;
use crate::support::wallet::make_blocks;
use callboard_actors::monitor::Alarm;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Binding: each with its labels.
const METRICS: [(&str, &[&str]); 18] = [
    ("callboard_head_height", &[]),
    ("callboard_head_age_seconds", &[]),
    ("callboard_sync_phase", &["phase"]),
    ("callboard_sync_behind_blocks", &[]),
    ("callboard_sync_stage_seconds_total", &["stage"]),
    ("callboard_blocks_imported_total", &["origin"]),
    ("callboard_block_rejections_total", &["check"]),
    ("callboard_route_total", &["origin", "kind", "route"]),
    ("callboard_peers", &["state"]),
    ("callboard_pool_transactions", &["state"]),
    ("callboard_actor_messages_total", &["actor", "message", "outcome"]),
    ("callboard_actor_wait_seconds", &["actor", "message"]),
    ("callboard_actor_handle_seconds", &["actor", "message"]),
    ("callboard_actor_mailbox_depth", &["actor"]),
    ("callboard_rpc_requests_total", &["method", "outcome"]),
    ("callboard_rpc_seconds", &["method"]),
    ("callboard_store_commit_seconds", &[]),
    ("callboard_alert", &["name"]),
];

/// Those that are histograms.
const HISTOGRAMS: [&str; 4] = [
    "callboard_actor_wait_seconds",
    "callboard_actor_handle_seconds",
    "callboard_rpc_seconds",
    "callboard_store_commit_seconds",
];

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Samples by name, each with the names of its labels.
fn samples(text: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut samples: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let end = line.find(['{', ' ']).expect("a name");
        let (name, rest) = line.split_at(end);
        let labels = rest.strip_prefix('{').and_then(|rest| rest.split_once("} ")).map_or("", |(labels, _)| labels);
        let names = labels.split("\",").filter_map(|label| label.split_once("=\"")).map(|(name, _)| name.to_owned());
        samples.entry(name.to_owned()).or_default().extend(names.filter(|name| name != "le"));
    }
    samples
}

/// An authority and its follower, on which everything has happened at least once that is counted.
fn network() -> (Node, Node) {
    let mut authority = Node::authority();
    authority.start();
    make_blocks(&authority, 0, 2);
    let mut follower = Node::follower("follower", &[&authority]);
    // Nobody listens there: what is posted fails.
    follower.set("alerts.webhook", "http://127.0.0.1:1/").start().reaches(2);
    follower.is_phase("following");
    let mut forge = Forge::new();
    let forged = with_header(&forge.extend(&[]), |header| header.gas_used = 1);
    for node in [&authority, &follower] {
        assert_ne!(node.post("/rpc/importBlock", &posted(&forged)).0, 200);
        node.call("eth_blockNumber", json!([]));
    }
    until("the follower counts its peer, and knows its clock", SOON, || {
        let measured = follower.metrics().contains("callboard_peer_clock_skew_seconds{");
        (measured && follower.metric_with("callboard_peers", "state=\"connected\"") == 1).then_some(())
    });
    (authority, follower)
}

#[test]
fn every_metric_is_there_with_its_labels_on_an_authority_and_on_its_follower() {
    let (authority, follower) = network();
    let (mut of_authority, of_follower) = (samples(&authority.metrics()), samples(&follower.metrics()));
    // An authority that dials nobody may have no peer at this moment.
    of_authority.entry("callboard_peers".to_owned()).or_insert_with(|| BTreeSet::from(["state".to_owned()]));
    for (node, found) in [("authority", of_authority), ("follower", of_follower)] {
        for (name, labels) in METRICS {
            let expected: BTreeSet<_> = labels.iter().map(|&label| label.to_owned()).collect();
            let suffixes = if HISTOGRAMS.contains(&name) { &["_bucket", "_count", "_sum"][..] } else { &[""] };
            for suffix in suffixes {
                let name = format!("{name}{suffix}");
                let labels = found.get(&name).unwrap_or_else(|| panic!("the {node} has no {name}"));
                assert_eq!(*labels, expected, "{name} of the {node}");
            }
        }
    }
    for alarm in Alarm::ALL {
        let line = format!("callboard_alert{{name=\"{}\"}} ", alarm.name());
        assert!(follower.metrics().contains(&line), "{line}");
    }
    assert_eq!(follower.metric_with("callboard_blocks_imported_total", "origin=\"peer\""), 2);
    assert_eq!(follower.metric("callboard_head_height"), 2);
}

/// The metrics in a query, without what the text form adds to their names.
fn named_in(query: &str) -> BTreeSet<String> {
    let words = query.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    words.filter(|word| word.starts_with("callboard_")).map(|word| family(word).to_owned()).collect()
}

fn family(name: &str) -> &str {
    ["_total", "_bucket", "_count", "_sum"].iter().find_map(|suffix| name.strip_suffix(suffix)).unwrap_or(name)
}

/// All metrics that nodes have, whether anything was counted or not.
fn families(texts: &[String]) -> BTreeSet<String> {
    let types = texts.iter().flat_map(|text| text.lines()).filter_map(|line| line.strip_prefix("# TYPE "));
    types.filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

/// Every query of the dashboard.
fn queries(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value {
                    Value::String(query) if name == "expr" || name == "definition" => {
                        found.push(query.clone());
                    }
                    value => queries(value, found),
                }
            }
        }
        Value::Array(entries) => entries.iter().for_each(|entry| queries(entry, found)),
        _ => {}
    }
}

#[test]
fn every_query_that_is_shipped_names_metrics_that_nodes_have() {
    let (authority, follower) = network();
    let known = families(&[authority.metrics(), follower.metrics()]);
    let dashboard: Value = serde_json::from_str(&read("ops/grafana.json")).expect("JSON");
    let mut found = Vec::new();
    queries(&dashboard, &mut found);
    assert!(found.len() >= 15, "{found:?}");
    let rules = read("ops/alerts.yml");
    let expressions = rules.lines().filter_map(|line| line.trim().strip_prefix("expr: ")).map(str::to_owned);
    let expressions: Vec<_> = expressions.collect();
    assert!(expressions.len() > Alarm::ALL.len(), "{expressions:?}");
    found.extend(expressions);
    for query in found {
        let unknown: Vec<_> = named_in(&query).into_iter().filter(|name| !known.contains(name)).collect();
        assert!(unknown.is_empty(), "{query} names {unknown:?}, which no node has");
        assert!(!named_in(&query).is_empty() || query.starts_with("up"), "{query} names no metric");
    }
    for (name, _) in METRICS {
        assert!(known.contains(family(name)), "{name}");
    }
}

#[test]
fn every_alarm_is_in_the_book_and_in_the_rules_and_every_metric_in_the_book() {
    let (watching, alarms, rules) = (read("docs/src/watching.md"), read("docs/src/alarms.md"), read("ops/alerts.yml"));
    for alarm in Alarm::ALL {
        let name = alarm.name();
        for (page, text) in [("watching.md", &watching), ("alarms.md", &alarms)] {
            assert!(
                text.lines().any(|line| line.starts_with(&format!("| `{name}` |"))),
                "{page} has no row for {name}"
            );
        }
        assert!(rules.contains(&format!("callboard_alert{{name=\"{name}\"}} == 1")), "ops/alerts.yml has no {name}");
    }
    for (name, labels) in METRICS {
        let shown = if labels.is_empty() { name.to_owned() } else { format!("{name}{{{}}}", labels.join(",")) };
        assert!(watching.contains(&format!("`{shown}`")), "watching.md does not name {shown}");
    }
    let rows = alarms.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    let known: BTreeSet<_> = Alarm::ALL.iter().map(|alarm| alarm.name()).collect();
    let unknown: Vec<_> = rows.filter(|name| !known.contains(name)).collect();
    assert_eq!(unknown, Vec::<&str>::new(), "alarms.md has rows for what is no alarm");
}
