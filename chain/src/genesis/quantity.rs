//! Numbers as geth's genesis files write them.

use alloy_primitives::U256;
use serde::{Deserialize, Deserializer, de};

/// A number as a JSON number, a decimal string, or a hexadecimal string with 0x.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Quantity(pub(super) U256);

impl Quantity {
    /// As a u64, for a field of this name.
    pub(super) fn to_u64<E: de::Error>(self, field: &str) -> Result<u64, E> {
        u64::try_from(self.0).map_err(|_| E::custom(format!("{field} is {}, above 2^64 - 1", self.0)))
    }
}

impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Visitor)
    }
}

struct Visitor;

impl de::Visitor<'_> for Visitor {
    type Value = Quantity;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a number below 2^64, or a string with a decimal or 0x-hexadecimal number below 2^256")
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Quantity, E> {
        Ok(Quantity(U256::from(number)))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Quantity, E> {
        let number = match text.strip_prefix("0x") {
            Some(digits) => parse(digits, 16),
            None => parse(text, 10),
        };
        number.map(Quantity).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
    }
}

/// A storage slot or value: hexadecimal of at most 32 bytes, with or without 0x, as in geth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Word(pub(super) U256);

impl<'de> Deserialize<'de> for Word {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse(text.strip_prefix("0x").unwrap_or(&text), 16)
            .map(Word)
            .ok_or_else(|| de::Error::custom(format!("\"{text}\" is not a hexadecimal number of at most 32 bytes")))
    }
}

fn parse(digits: &str, radix: u32) -> Option<U256> {
    if digits.is_empty() || !digits.chars().all(|digit| digit.is_digit(radix)) {
        return None;
    }
    U256::from_str_radix(digits, radix.into()).ok()
}
