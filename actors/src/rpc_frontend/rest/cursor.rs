//! Where a page of transactions or messages begins.

use callboard_store::TransactionLocation;
use serde::de::Error;
use serde::{Deserialize, Deserializer};
use std::num::ParseIntError;
use std::str::FromStr;

/// `height:index` as `next` gives it, or a height: only what stands below is listed, newest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Before(pub(crate) TransactionLocation);

/// `height:index` as `next` gives it, or a height: only what stands above is listed, oldest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct After(pub(crate) TransactionLocation);

/// A location as `next` gives it.
pub(crate) fn text(location: TransactionLocation) -> String {
    format!("{}:{}", location.height, location.index)
}

fn parse(text: &str, index_of_a_height: u32) -> Result<TransactionLocation, ParseIntError> {
    match text.split_once(':') {
        Some((height, index)) => Ok(TransactionLocation { height: height.parse()?, index: index.parse()? }),
        None => Ok(TransactionLocation { height: text.parse()?, index: index_of_a_height }),
    }
}

impl FromStr for Before {
    type Err = ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text, 0).map(Self)
    }
}

impl FromStr for After {
    type Err = ParseIntError;

    /// A height stands for the last transaction of its block: what comes after that block is listed.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text, u32::MAX).map(Self)
    }
}

impl<'de> Deserialize<'de> for Before {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read(deserializer, "before")
    }
}

impl<'de> Deserialize<'de> for After {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read(deserializer, "after")
    }
}

/// JSON: the text, or a height as a number.
fn read<'de, D: Deserializer<'de>, T: FromStr>(deserializer: D, name: &str) -> Result<T, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Form {
        Height(u64),
        Text(String),
    }
    let wrong = || D::Error::custom(format!("{name} must be a \"next\" of this method, or a height"));
    let text = match Form::deserialize(deserializer).map_err(|_| wrong())? {
        Form::Height(height) => height.to_string(),
        Form::Text(text) => text,
    };
    text.parse().map_err(|_| wrong())
}
