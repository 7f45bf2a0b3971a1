//! Which events a client asks for.

use crate::event_stream::{Topic, Topics};

/// The topics by their names in the query.
const NAMES: [&str; 5] = ["blocks", "transactions", "pending", "sync", "routes"];

/// What a client wants.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) blocks: bool,
    pub(super) transactions: bool,
    pub(super) pending: bool,
    pub(super) sync: bool,
    pub(super) routes: bool,
}

impl Wanted {
    /// Reads `topics=a,b`; absent it is the blocks.
    pub(super) fn parse(query: &str) -> Result<Self, String> {
        let topics = url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "topics");
        let topics = topics.map_or_else(|| "blocks".into(), |(_, topics)| topics);
        let mut wanted = Self::default();
        for name in topics.split(',').map(str::trim) {
            let switch = match name {
                "blocks" => &mut wanted.blocks,
                "transactions" => &mut wanted.transactions,
                "pending" => &mut wanted.pending,
                "sync" => &mut wanted.sync,
                "routes" => &mut wanted.routes,
                other => {
                    let other: String = other.chars().take(40).collect();
                    return Err(format!("topics: {other:?} is not one of {}", NAMES.join(", ")));
                }
            };
            *switch = true;
        }
        Ok(wanted)
    }

    /// Whether anything is wanted that blocks bring.
    pub(super) fn confirmed(self) -> bool {
        self.blocks || self.transactions
    }

    /// What to hear of.
    pub(super) fn topics(self) -> Topics {
        let pairs = [
            (self.confirmed(), Topic::Blocks),
            (self.pending, Topic::Pending),
            (self.sync, Topic::Sync),
            (self.routes, Topic::Routes),
        ];
        pairs.into_iter().filter(|(wanted, _)| *wanted).fold(Topics::default(), |topics, (_, topic)| topics.with(topic))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_are_read_by_name_and_an_unknown_one_is_answered_with_all_names() {
        let wanted = Wanted::parse("topics=blocks,transactions%2Csync").unwrap();
        assert_eq!(wanted, Wanted { blocks: true, transactions: true, sync: true, ..Wanted::default() });
        assert_eq!(Wanted::parse("").unwrap(), Wanted { blocks: true, ..Wanted::default() });
        let error = Wanted::parse("topics=blocks,logs").unwrap_err();
        assert_eq!(error, "topics: \"logs\" is not one of blocks, transactions, pending, sync, routes");
        assert!(Wanted::parse("topics=").is_err());
    }
}
