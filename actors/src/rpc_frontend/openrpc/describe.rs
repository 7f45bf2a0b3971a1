//! How a method is described: an entry of one of the tables beside this module.

use serde_json::{Value, json};

/// A method.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Method {
    /// As it is called.
    pub(crate) name: &'static str,
    /// What it answers, in Markdown.
    pub(crate) about: &'static str,
    /// What it takes, in order; what may be left out comes last.
    pub(crate) params: &'static [Param],
    /// The schema of its result, as [`schema`] reads it.
    pub(crate) result: &'static str,
    /// How it fails, beside what every method has: each code once.
    pub(crate) errors: &'static [Fault],
}

/// A parameter.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Param {
    /// What it is called.
    pub(crate) name: &'static str,
    /// What it means, in Markdown.
    pub(crate) about: &'static str,
    /// Its schema, as [`schema`] reads it.
    pub(crate) schema: &'static str,
    /// Whether it has to be there.
    pub(crate) required: bool,
}

/// An error.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fault {
    /// The code.
    pub(crate) code: i64,
    /// How its message begins, or when it comes.
    pub(crate) message: &'static str,
}

/// A parameter that has to be there.
pub(crate) const fn needs(name: &'static str, about: &'static str, schema: &'static str) -> Param {
    Param { name, about, schema, required: true }
}

/// A parameter that may be left out.
pub(crate) const fn takes(name: &'static str, about: &'static str, schema: &'static str) -> Param {
    Param { name, about, schema, required: false }
}

/// An error of this method.
pub(crate) const fn fails(code: i64, message: &'static str) -> Fault {
    Fault { code, message }
}

/// A schema in short: the name of a component or of a JSON type, `any`, `[schema]` for a list, `one|other` for either,
/// `schema?` where it may be null.
pub(crate) fn schema(short: &str) -> Value {
    if let Some(inner) = short.strip_suffix('?') {
        return json!({ "anyOf": [schema(inner), { "type": "null" }] });
    }
    if let Some((one, other)) = short.split_once('|') {
        return json!({ "anyOf": [schema(one), schema(other)] });
    }
    if let Some(items) = short.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return json!({ "type": "array", "items": schema(items) });
    }
    match short {
        "any" => json!({}),
        "boolean" | "integer" | "null" | "number" | "object" | "string" => json!({ "type": short }),
        component => json!({ "$ref": format!("#/components/schemas/{component}") }),
    }
}

impl Method {
    /// The method object of OpenRPC.
    pub(super) fn object(&self, tag: &str) -> Value {
        let mut errors: Vec<_> = self.errors.iter().map(Fault::object).collect();
        if !self.params.is_empty() {
            errors.push(fails(-32602, "a parameter is missing or cannot be understood").object());
        }
        json!({
            "name": self.name,
            "summary": self.about,
            "tags": [{ "name": tag }],
            "paramStructure": "by-position",
            "params": self.params.iter().map(Param::object).collect::<Vec<_>>(),
            "result": { "name": "result", "schema": schema(self.result) },
            "errors": errors,
        })
    }
}

impl Param {
    fn object(&self) -> Value {
        json!({
            "name": self.name, "description": self.about, "required": self.required, "schema": schema(self.schema),
        })
    }
}

impl Fault {
    fn object(&self) -> Value {
        json!({ "code": self.code, "message": self.message })
    }
}
