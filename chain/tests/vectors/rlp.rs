//! RLPTests: what is valid encodes to these bytes and decodes to these values; what is not is refused.

use crate::run_set;
use alloy_primitives::{aliases::U512, hex};
use alloy_rlp::{Decodable, Encodable, Header};
use serde_json::Value;
use std::path::Path;

/// What RLP can express.
#[derive(Debug, PartialEq, Eq)]
enum Item {
    Bytes(Vec<u8>),
    List(Vec<Item>),
}

impl Item {
    /// The value that the vectors write as text, number (with `#` where it is large) or array.
    fn from_json(value: &Value) -> Self {
        match value {
            Value::Array(items) => Self::List(items.iter().map(Self::from_json).collect()),
            Value::Number(number) => Self::number(&number.to_string()),
            Value::String(text) => match text.strip_prefix('#') {
                Some(digits) => Self::number(digits),
                None => Self::Bytes(text.bytes().collect()),
            },
            other => panic!("no RLP value: {other}"),
        }
    }

    fn number(digits: &str) -> Self {
        let number: U512 = digits.parse().expect("a decimal number");
        Self::Bytes(number.to_be_bytes_trimmed_vec())
    }
}

impl Encodable for Item {
    fn encode(&self, out: &mut dyn alloy_rlp::BufMut) {
        match self {
            Self::Bytes(bytes) => bytes.as_slice().encode(out),
            Self::List(items) => {
                let payload: Vec<u8> = items.iter().flat_map(alloy_rlp::encode).collect();
                Header { list: true, payload_length: payload.len() }.encode(out);
                out.put_slice(&payload);
            }
        }
    }
}

impl Decodable for Item {
    fn decode(buf: &mut &[u8]) -> alloy_rlp::Result<Self> {
        let list = buf.first().is_some_and(|byte| *byte >= 0xc0);
        let mut payload = Header::decode_bytes(buf, list)?;
        if !list {
            return Ok(Self::Bytes(payload.to_vec()));
        }
        let mut items = Vec::new();
        while !payload.is_empty() {
            items.push(Self::decode(&mut payload)?);
        }
        Ok(Self::List(items))
    }
}

#[test]
fn rlp_is_read_and_written_as_the_vectors_say() {
    run_set("RLPTests", 3, |path, cases| {
        for (name, case) in &cases {
            run(path, name, case);
        }
        cases.len()
    });
}

fn run(path: &Path, name: &str, case: &Value) {
    let place = format!("{}: {name}", path.display());
    let bytes = hex::decode(case["out"].as_str().expect("out")).unwrap_or_else(|error| panic!("{place}: {error}"));
    let decoded = alloy_rlp::decode_exact::<Item>(&bytes);
    match case["in"].as_str() {
        Some("INVALID") => assert!(decoded.is_err(), "{place}: {decoded:?}"),
        Some("VALID") => assert_eq!(alloy_rlp::encode(decoded.expect(&place)), bytes, "{place}"),
        _ => {
            let item = Item::from_json(&case["in"]);
            assert_eq!(alloy_rlp::encode(&item), bytes, "{place}");
            assert_eq!(decoded, Ok(item), "{place}");
        }
    }
}
