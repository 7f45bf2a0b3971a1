//! JSON as it came, its members in their order, laid out for readers.

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use std::fmt::{self, Write};

/// Lines are broken beyond this many columns, but never inside a string.
const COLUMNS: usize = 100;

/// JSON in the order in which it was written.
#[derive(Debug)]
pub(super) enum Layout {
    List(Vec<Layout>),
    Object(Vec<(String, Layout)>),
    /// Anything else.
    Plain(Value),
}

impl Layout {
    /// The list at a JSON pointer.
    pub(super) fn list_at(&mut self, pointer: &str) -> Option<&mut Vec<Layout>> {
        let mut here = self;
        for part in pointer.split('/').skip(1) {
            here = match here {
                Self::List(values) => values.get_mut(part.parse::<usize>().ok()?)?,
                Self::Object(members) => &mut members.iter_mut().find(|(name, _)| name == part)?.1,
                Self::Plain(_) => return None,
            };
        }
        match here {
            Self::List(values) => Some(values),
            _ => None,
        }
    }

    /// In lines: what fits into one is one.
    pub(super) fn pretty(&self) -> String {
        let mut text = String::new();
        self.write(&mut text, 0, 0);
        text
    }

    /// `used` is how much of the line is taken already, with what must follow in it.
    fn write(&self, text: &mut String, indent: usize, used: usize) {
        let flat = self.flat();
        let fits = indent + used + flat.len() <= COLUMNS;
        let (inner, end) = (" ".repeat(indent + 2), " ".repeat(indent));
        match self {
            Self::List(values) if !fits && !values.is_empty() => {
                text.push_str("[\n");
                for (index, value) in values.iter().enumerate() {
                    text.push_str(&inner);
                    value.write(text, indent + 2, 1);
                    text.push_str(if index + 1 < values.len() { ",\n" } else { "\n" });
                }
                let _ = write!(text, "{end}]");
            }
            Self::Object(members) if !fits && !members.is_empty() => {
                text.push_str("{\n");
                for (index, (name, value)) in members.iter().enumerate() {
                    let _ = write!(text, "{inner}\"{name}\": ");
                    value.write(text, indent + 2, name.len() + 5);
                    text.push_str(if index + 1 < members.len() { ",\n" } else { "\n" });
                }
                let _ = write!(text, "{end}}}");
            }
            _ => text.push_str(&flat),
        }
    }

    fn flat(&self) -> String {
        match self {
            Self::List(values) => format!("[{}]", values.iter().map(Self::flat).collect::<Vec<_>>().join(", ")),
            Self::Object(members) if !members.is_empty() => {
                let member = |(name, value): &(String, Self)| format!("\"{name}\": {}", value.flat());
                format!("{{ {} }}", members.iter().map(member).collect::<Vec<_>>().join(", "))
            }
            Self::Object(_) => "{}".to_owned(),
            Self::Plain(value) => value.to_string(),
        }
    }
}

impl<'de> Deserialize<'de> for Layout {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(InOrder)
    }
}

struct InOrder;

impl<'de> Visitor<'de> for InOrder {
    type Value = Layout;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Layout, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = list.next_element()? {
            values.push(value);
        }
        Ok(Layout::List(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Layout, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = object.next_entry()? {
            members.push(member);
        }
        Ok(Layout::Object(members))
    }

    fn visit_unit<E>(self) -> Result<Layout, E> {
        Ok(Layout::Plain(Value::Null))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Layout, E> {
        Ok(Layout::Plain(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Layout, E> {
        Ok(Layout::Plain(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Layout, E> {
        Ok(Layout::Plain(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Layout, E> {
        Ok(Layout::Plain(value.into()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Layout, E> {
        Ok(Layout::Plain(value.into()))
    }
}

#[test]
fn members_stay_in_their_order_and_short_ones_in_one_line() {
    let long = "x".repeat(COLUMNS);
    let text = format!(r#"{{"b":[1,-2,0.5,null,true],"a":{{"long":"{long}","none":{{}}}}}}"#);
    let mut layout: Layout = serde_json::from_str(&text).expect("JSON");
    let expected = format!(
        "{{\n  \"b\": [1, -2, 0.5, null, true],\n  \"a\": {{\n    \"long\": \"{long}\",\n    \"none\": {{}}\n  }}\n}}"
    );
    assert_eq!(layout.pretty(), expected);
    layout.list_at("/b").expect("a list").truncate(1);
    assert!(layout.pretty().starts_with("{\n  \"b\": [1],\n"));
    assert!(layout.list_at("/a").is_none() && layout.list_at("/b/0").is_none() && layout.list_at("/c").is_none());
}
