//! The effective values and where each came from.

use super::{Configuration, KEYS, Origin};
use std::fmt::Write;

impl Configuration {
    /// As a TOML file, each value with its origin behind it.
    pub fn to_annotated_toml(&self) -> String {
        let mut text = String::new();
        let mut section = "";
        for key in KEYS {
            let (own, name) = key.section_and_name();
            if own != section {
                let gap = if section.is_empty() { "" } else { "\n" };
                let _ = writeln!(text, "{gap}[{own}]");
                section = own;
            }
            let _ = match self.entry(key.name) {
                // Strings, numbers, booleans and lists of them are written alike in JSON and TOML.
                Some(entry) => writeln!(text, "{:<50} # {}", format!("{name} = {}", entry.value), entry.origin),
                None => writeln!(text, "# {name:<48} # not set"),
            };
        }
        text
    }

    /// `{"rpc.listen": {"value": …, "origin": …}, …}`; keys that are not set have the value null.
    pub fn to_json(&self) -> serde_json::Value {
        let entry = |key: &super::Key| match self.entry(key.name) {
            Some(entry) => serde_json::json!({ "value": entry.value, "origin": entry.origin.to_string() }),
            None => serde_json::json!({ "value": null, "origin": Origin::Default.to_string() }),
        };
        KEYS.iter().map(|key| (key.name.to_owned(), entry(key))).collect()
    }
}
