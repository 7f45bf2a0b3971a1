//! The document against the dispatch and against OpenRPC's own rules.

use super::{groups, openrpc_document};
use crate::rpc_frontend::jsonrpc::dispatched;
use serde_json::Value;
use std::collections::BTreeSet;

fn list<'a>(value: &'a Value, member: &str) -> &'a [Value] {
    value[member].as_array().unwrap_or_else(|| panic!("{member} of {value}"))
}

/// Every `$ref` below a value.
fn references<'a>(value: &'a Value, found: &mut BTreeSet<&'a str>) {
    match value {
        Value::Object(members) => members.iter().for_each(|(name, value)| match value.as_str() {
            Some(target) if name == "$ref" => drop(found.insert(target)),
            _ => references(value, found),
        }),
        Value::Array(values) => values.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}

#[test]
fn every_method_that_is_dispatched_is_described_and_no_other() {
    let described: Vec<_> = groups().iter().flat_map(|(_, methods)| methods.iter().map(|method| method.name)).collect();
    let names: BTreeSet<_> = described.iter().copied().collect();
    assert_eq!(names.len(), described.len(), "one entry for each");
    let dispatched: BTreeSet<_> = dispatched().collect();
    let missing: Vec<_> = dispatched.difference(&names).collect();
    assert!(missing.is_empty(), "without an entry in a table of openrpc/: {missing:?}");
    let unknown: Vec<_> = names.difference(&dispatched).collect();
    assert!(unknown.is_empty(), "described and not dispatched: {unknown:?}");
}

#[test]
fn the_document_keeps_the_rules_of_openrpc() {
    let document = openrpc_document();
    assert!(document["openrpc"].as_str().unwrap().starts_with("1."));
    assert!(document["info"]["title"].is_string() && document["info"]["version"].is_string());
    for method in list(&document, "methods") {
        let name = method["name"].as_str().unwrap();
        assert!(method["summary"].as_str().is_some_and(|text| !text.is_empty()), "{name}");
        assert!(method["result"]["name"].is_string() && method["result"]["schema"].is_object(), "{name}");
        let params = list(method, "params");
        let names: BTreeSet<_> = params.iter().map(|param| param["name"].as_str().unwrap()).collect();
        assert_eq!(names.len(), params.len(), "{name}: parameters have names of their own");
        let is_plain = |param: &&str| param.chars().all(|letter| letter.is_ascii_alphanumeric());
        assert!(names.iter().all(is_plain), "{name}: a program can use the names: {names:?}");
        assert!(params.iter().all(|param| param["schema"].is_object()), "{name}");
        assert!(params.is_sorted_by_key(|param| param["required"] == false), "{name}: what is optional comes last");
        let codes: BTreeSet<_> = list(method, "errors").iter().map(|error| error["code"].as_i64().unwrap()).collect();
        assert_eq!(codes.len(), list(method, "errors").len(), "{name}: each code once");
        assert!(list(method, "errors").iter().all(|error| error["message"].is_string()), "{name}");
    }
}

#[test]
fn every_reference_leads_to_a_schema_that_is_one() {
    let document = openrpc_document();
    let mut found = BTreeSet::new();
    references(&document, &mut found);
    assert!(found.len() > 30, "{found:?}");
    for target in &found {
        let pointer = target.strip_prefix('#').expect("inside the document");
        assert!(document.pointer(pointer).is_some(), "{target} leads nowhere");
    }
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        assert!(jsonschema::meta::is_valid(schema), "{name} is no schema");
        assert!(found.contains(format!("#/components/schemas/{name}").as_str()), "nothing refers to {name}");
    }
}
