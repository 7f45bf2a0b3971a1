//! A filter of logs as it is sent. Read member by member, so that an error names the one that is wrong; members that are
//! not known are passed over, as geth does.

use alloy_primitives::B256;
use alloy_rpc_types_eth::{Filter, FilterBlockOption, FilterSet};
use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use std::hash::Hash;

const ADDRESS: &str = "an address of 20 bytes";
const HASH: &str = "32 bytes";
const BLOCK: &str = "a block number or a tag";
/// Most of a value that an error shows.
const SHOWN: usize = 80;

/// A filter as a parameter.
#[derive(Debug, Default)]
pub(crate) struct FilterParam(pub(crate) Filter);

impl<'de> Deserialize<'de> for FilterParam {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read(Value::deserialize(deserializer)?).map(Self).map_err(D::Error::custom)
    }
}

fn read(value: Value) -> Result<Filter, String> {
    let Value::Object(mut members) = value else { return Err("a filter is a JSON object".to_owned()) };
    let mut take = |name| members.remove(name).filter(|value| !value.is_null());
    let (hash, from, to) = (take("blockHash"), take("fromBlock"), take("toBlock"));
    let block_option = match hash {
        Some(_) if from.is_some() || to.is_some() => {
            return Err("cannot specify both blockHash and fromBlock/toBlock, choose one or the other".to_owned());
        }
        Some(hash) => FilterBlockOption::AtBlockHash(one("blockHash", hash, HASH)?),
        None => FilterBlockOption::Range {
            from_block: from.map(|from| one("fromBlock", from, BLOCK)).transpose()?,
            to_block: to.map(|to| one("toBlock", to, BLOCK)).transpose()?,
        },
    };
    let address =
        take("address").map_or_else(|| Ok(FilterSet::default()), |value| any_of("address", value, ADDRESS))?;
    let topics = topics(take("topics"))?;
    Ok(Filter { block_option, address, topics })
}

fn topics(value: Option<Value>) -> Result<[FilterSet<B256>; 4], String> {
    let mut topics: [FilterSet<B256>; 4] = Default::default();
    let given = match value {
        None => return Ok(topics),
        Some(Value::Array(given)) => given,
        Some(other) => return Err(wrong("topics", &other, "an array")),
    };
    if given.len() > topics.len() {
        return Err(format!("topics has {} places, a log has at most {}", given.len(), topics.len()));
    }
    for (place, (topic, value)) in topics.iter_mut().zip(given).enumerate() {
        if !value.is_null() {
            *topic = any_of(&format!("topics[{place}]"), value, HASH)?;
        }
    }
    Ok(topics)
}

/// One value or several. A null among several stands for all there are, as the empty set does.
fn any_of<T: DeserializeOwned + Eq + Hash>(name: &str, value: Value, what: &str) -> Result<FilterSet<T>, String> {
    let Value::Array(values) = value else { return Ok(one::<T>(name, value, what)?.into()) };
    let is_any = values.iter().any(Value::is_null);
    let mut set = Vec::new();
    for (number, value) in values.into_iter().enumerate().filter(|(_, value)| !value.is_null()) {
        set.push(one(&format!("{name}[{number}]"), value, what)?);
    }
    Ok(if is_any { FilterSet::default() } else { set.into() })
}

fn one<T: DeserializeOwned>(name: &str, value: Value, what: &str) -> Result<T, String> {
    if !value.is_string() {
        return Err(wrong(name, &value, what));
    }
    T::deserialize(&value).map_err(|_| wrong(name, &value, what))
}

fn wrong(name: &str, value: &Value, what: &str) -> String {
    let shown: String = value.to_string().chars().take(SHOWN).collect();
    format!("{name} is {shown}, expected {what}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::Address;
    use serde_json::json;

    fn refused(value: Value) -> String {
        read(value).unwrap_err()
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        let (topic, address) = (B256::repeat_byte(7), Address::repeat_byte(7));
        for (filter, expected) in [
            (json!({ "topics": [null, "0x12"] }), r#"topics[1] is "0x12", expected 32 bytes"#),
            (json!({ "topics": [[topic, "0x12"]] }), r#"topics[0][1] is "0x12", expected 32 bytes"#),
            (json!({ "topics": [5] }), "topics[0] is 5, expected 32 bytes"),
            (json!({ "topics": topic }), &format!(r#"topics is "{topic}", expected an array"#)),
            (json!({ "topics": [null, null, null, null, null] }), "topics has 5 places, a log has at most 4"),
            (json!({ "address": "0x12" }), r#"address is "0x12", expected an address of 20 bytes"#),
            (json!({ "address": [address, {}] }), "address[1] is {}, expected an address of 20 bytes"),
            (json!({ "fromBlock": "newest" }), r#"fromBlock is "newest", expected a block number or a tag"#),
            (json!({ "toBlock": 7 }), "toBlock is 7, expected a block number or a tag"),
            (json!({ "blockHash": "latest" }), r#"blockHash is "latest", expected 32 bytes"#),
            (json!(["latest"]), "a filter is a JSON object"),
        ] {
            assert_eq!(refused(filter.clone()), expected, "{filter}");
        }
        let both = refused(json!({ "blockHash": topic, "toBlock": "latest" }));
        assert!(both.starts_with("cannot specify both blockHash"), "{both}");
        assert!(refused(json!({ "address": "x".repeat(1_000) })).len() < 200, "a long value is cut");
    }

    #[test]
    fn null_and_members_that_are_not_known_say_nothing() {
        let (topic, address) = (B256::repeat_byte(7), Address::repeat_byte(7));
        let empty = json!({ "blockHash": null, "fromBlock": null, "address": null, "topics": null, "limit": 5 });
        assert_eq!(read(empty).unwrap(), Filter::default());
        let full = json!({ "fromBlock": "0x1", "address": [address], "topics": [[topic, null], topic] });
        assert_eq!(read(full).unwrap(), Filter::new().from_block(1).address(address).topic1(topic));
        assert_eq!(read(json!({ "blockHash": topic })).unwrap(), Filter::new().at_block_hash(topic));
    }
}
