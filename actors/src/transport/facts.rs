//! What a chain is, in words: so that two nodes of different chains can say what differs.

use super::wire::printable;
use callboard_chain::genesis::{Difference, Genesis, SealedGenesis, described};
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::BTreeMap;

/// Longest value that is read, characters: a chain's name has at most 64 bytes, a list of forks some more.
const MAX_VALUE: usize = 200;
/// Most fields that are read.
const MAX_FIELDS: usize = 16;

/// The fields of a genesis but its accounts. From the other side it is a claim: it explains a refusal, and decides
/// nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct ChainFacts(BTreeMap<String, String>);

impl ChainFacts {
    /// The facts of a chain.
    pub fn of(genesis: &SealedGenesis) -> Self {
        Self::of_fields(genesis.genesis())
    }

    fn of_fields(genesis: &Genesis) -> Self {
        let field = |(field, value): (&str, String)| (field.to_owned(), value.chars().take(MAX_VALUE).collect());
        Self(described(genesis).into_iter().map(field).collect())
    }

    /// `gasLimit differs: 30000000 here, 8000000 there`; chains that agree in all of this differ in their accounts.
    pub fn differences(&self, theirs: &Self) -> Vec<String> {
        let differing = self.0.iter().filter_map(|(field, ours)| {
            let theirs = theirs.0.get(field).filter(|theirs| *theirs != ours)?;
            Some(Difference { field: field.clone(), ours: ours.clone(), theirs: theirs.clone() }.to_string())
        });
        let found: Vec<String> = differing.collect();
        if found.is_empty() && !theirs.0.is_empty() {
            return vec!["the accounts of the geneses differ".to_owned()];
        }
        found
    }
}

impl<'de> Deserialize<'de> for ChainFacts {
    /// Bounded by the length of what it stands in; what is read of it is short and printable.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let fields = BTreeMap::<String, String>::deserialize(deserializer)?;
        let cut = |text: String| printable(&text).chars().take(MAX_VALUE).collect::<String>();
        Ok(Self(fields.into_iter().take(MAX_FIELDS).map(|(field, value)| (cut(field), cut(value))).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::genesis;

    #[test]
    fn what_differs_is_named_with_both_values() {
        let (ours, theirs) = (genesis(1337, 30_000_000), genesis(1337, 8_000_000));
        let (ours, theirs) = (ChainFacts::of(&ours), ChainFacts::of(&theirs));
        assert_eq!(ours.differences(&theirs), ["gasLimit differs: 30000000 here, 8000000 there"]);
        assert_eq!(theirs.differences(&ours), ["gasLimit differs: 8000000 here, 30000000 there"]);
        assert_eq!(ours.differences(&ours), ["the accounts of the geneses differ"]);
        assert!(ours.differences(&ChainFacts::default()).is_empty(), "nothing is known");
    }

    #[test]
    fn facts_of_a_liar_are_cut_and_printable() {
        let fields: BTreeMap<String, String> =
            (0..1_000).map(|number| (format!("field {number}"), "\u{1b}[31m".repeat(1_000))).collect();
        let text = serde_json::to_string(&fields).unwrap();
        let facts: ChainFacts = serde_json::from_str(&text).unwrap();
        assert_eq!(facts.0.len(), MAX_FIELDS);
        assert!(facts.0.values().all(|value| value.len() <= MAX_VALUE && !value.chars().any(char::is_control)));
    }
}
