//! Answers against what `rpc.discover` says of them.

use jsonschema::Validator;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The schemas of results and the codes of errors, by method, as a node states them.
#[derive(Default)]
pub(super) struct Schemas(BTreeMap<String, Stated>);

struct Stated {
    result: Validator,
    codes: Vec<Value>,
}

impl Schemas {
    /// Takes the document of the node that is asked next.
    pub(super) fn read(&mut self, document: &Value) {
        let stated = |method: &Value| {
            let root = json!({ "components": document["components"], "allOf": [method["result"]["schema"]] });
            let codes = method["errors"].as_array().expect("a list").iter().map(|error| error["code"].clone());
            let result = jsonschema::validator_for(&root).expect("a schema");
            (method["name"].as_str().expect("a name").to_owned(), Stated { result, codes: codes.collect() })
        };
        self.0 = document["methods"].as_array().expect("a list").iter().map(stated).collect();
    }

    /// An answer of a method has the result that is stated, or an error that is; what is no method is passed over.
    pub(super) fn check(&self, name: &str, text: &str) {
        if name.contains(' ') {
            return;
        }
        let stated = self.0.get(name).unwrap_or_else(|| panic!("rpc.discover does not know {name}"));
        let answer: Value = serde_json::from_str(text).expect("JSON");
        if let Some(error) = answer.get("error") {
            assert!(stated.codes.contains(&error["code"]), "{name} does not state {error}");
            return;
        }
        let faults: Vec<_> = stated.result.iter_errors(&answer["result"]).map(|fault| fault.to_string()).collect();
        assert!(faults.is_empty(), "{name} answers otherwise than it states: {faults:?}\n{answer:#}");
    }
}

#[test]
#[should_panic(expected = "answers otherwise than it states")]
fn an_answer_with_a_member_that_is_not_stated_is_noticed() {
    let mut schemas = Schemas::default();
    schemas.read(&callboard_actors::rpc_frontend::openrpc_document());
    schemas.check("callboard_dropTransaction", r#"{"result":{"dropped":true,"more":1}}"#);
}
