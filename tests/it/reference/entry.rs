//! An entry of the reference: what it is, and how it is asked.

use super::story::At;
use callboard_actors::rpc_frontend::{ADMIN_METHODS, openrpc_document};
use serde_json::Value;

/// Where the page says that the node listens, and its admin listener: the defaults.
pub(super) const RPC: &str = "http://127.0.0.1:8545";
pub(super) const ADMIN: &str = "http://127.0.0.1:8547";

/// Entries under one heading.
pub(super) struct Section {
    pub(super) title: &'static str,
    pub(super) about: &'static str,
    pub(super) entries: Vec<Entry>,
}

/// A method or a route.
pub(super) struct Entry {
    /// The method's name, or `METHOD /path` of a route, as the node has it.
    pub(super) name: String,
    pub(super) about: String,
    /// Each with its meaning.
    pub(super) parameters: Vec<(String, String)>,
    pub(super) examples: Vec<Example>,
}

/// A question and how its answer is shown.
pub(super) struct Example {
    /// A sentence before it; may be empty.
    pub(super) says: &'static str,
    pub(super) curl: String,
    pub(super) status: u16,
    pub(super) at: At,
    /// Lists of which only the first few are shown.
    pub(super) shown: Vec<(&'static str, usize)>,
    /// What must be there before the answer is taken: what happened before is written down a moment later.
    pub(super) awaits: Option<&'static str>,
    /// Of an endless answer, how much is shown, in pieces that end with an empty line.
    pub(super) pieces: Option<usize>,
}

/// A call of a method, with its members in the order that people know.
pub(super) fn call(method: &str, params: &Value) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{params}}}"#)
}

impl Example {
    /// Whether its answer is text, not JSON.
    pub(super) fn is_text(&self) -> bool {
        self.pieces.is_some() || self.curl.contains(" | ")
    }
}

impl Entry {
    pub(super) fn new(name: &str, about: &str) -> Self {
        Self { name: name.to_owned(), about: about.to_owned(), parameters: Vec::new(), examples: Vec::new() }
    }

    /// A method, as the OpenRPC document describes it.
    pub(super) fn method(name: &str) -> Self {
        let document = openrpc_document();
        let methods = document["methods"].as_array().expect("a list");
        let method = methods.iter().find(|method| method["name"] == name);
        let method = method.unwrap_or_else(|| panic!("rpc.discover does not know {name}"));
        let params = method["params"].as_array().expect("a list").iter();
        Self { parameters: params.map(parameter).collect(), ..Self::new(name, text(&method["summary"])) }
    }

    /// With a sentence more, for what only the book has: links.
    pub(super) fn more(mut self, sentence: &str) -> Self {
        self.about = format!("{} {sentence}", self.about);
        self
    }

    /// With a parameter.
    pub(super) fn takes(mut self, name: &str, meaning: &str) -> Self {
        self.parameters.push((name.to_owned(), meaning.to_owned()));
        self
    }

    /// With a call of the method.
    pub(super) fn call(self, says: &'static str, params: Value) -> Self {
        let url = if ADMIN_METHODS.contains(&self.name.as_str()) { ADMIN } else { RPC };
        let call = call(&self.name, &params);
        self.curl(says, 200, format!("curl {url} -H 'content-type: application/json' -d '{call}'"))
    }

    /// With a `GET` of this path.
    pub(super) fn get(self, says: &'static str, status: u16, path: &str) -> Self {
        let quote = if path.contains(['?', '&']) { "'" } else { "" };
        self.curl(says, status, format!("curl {quote}{RPC}{path}{quote}"))
    }

    /// With a `POST` of JSON to this path.
    pub(super) fn post(self, says: &'static str, status: u16, path: &str, body: &Value) -> Self {
        self.curl(says, status, format!("curl {RPC}{path} -H 'content-type: application/json' -d '{body}'"))
    }

    /// With this line.
    pub(super) fn curl(mut self, says: &'static str, status: u16, curl: String) -> Self {
        let example = Example { says, curl, status, at: At::Alone, shown: Vec::new(), awaits: None, pieces: None };
        self.examples.push(example);
        self
    }

    /// The last example is asked of this node.
    pub(super) fn at(mut self, at: At) -> Self {
        self.last().at = at;
        self
    }

    /// Of a list in the last example's answer, so many are shown.
    pub(super) fn shows(mut self, pointer: &'static str, count: usize) -> Self {
        self.last().shown.push((pointer, count));
        self
    }

    /// The last example is asked again until something is at this JSON pointer.
    pub(super) fn awaits(mut self, pointer: &'static str) -> Self {
        self.last().awaits = Some(pointer);
        self
    }

    /// The last example's answer goes on for ever, and so much of it is shown.
    pub(super) fn streams(mut self, pieces: usize) -> Self {
        self.last().pieces = Some(pieces);
        self
    }

    fn last(&mut self) -> &mut Example {
        self.examples.last_mut().expect("after an example")
    }
}

/// A text of the document.
pub(super) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text"))
}

/// A parameter of the document, and what it means.
fn parameter(param: &Value) -> (String, String) {
    let optional = if param["required"] == true { "" } else { "optional: " };
    (text(&param["name"]).to_owned(), format!("{optional}{}", text(&param["description"])))
}
