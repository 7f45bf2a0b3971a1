//! One block through all actors: a tracing span with its height and the beginning of its hash, which travels with
//! messages ([`crate::send`]) and into worker threads. While catching up it is a span of level debug, so that with the
//! default filter thousands of blocks a second make none; otherwise of level info.

use crate::callboard::Phase;
use alloy_primitives::B256;
use callboard_chain::Block;
use std::fmt;
use tracing::{Span, field, field::Empty};

/// The span of a block that has just come: what it is shows once it was decoded, see [`record`].
pub fn block_span(phase: Phase) -> Span {
    match phase {
        Phase::CatchingUp => tracing::debug_span!(parent: None, "block", height = Empty, hash = Empty),
        _ => tracing::info_span!(parent: None, "block", height = Empty, hash = Empty),
    }
}

/// The span of this block.
pub fn span_of(block: &Block, phase: Phase) -> Span {
    let span = block_span(phase);
    record(&span, block);
    span
}

/// Says in a block's span which block it is. Another span is left as it is.
pub fn record(span: &Span, block: &Block) {
    if !span.is_disabled() {
        span.record("height", block.height()).record("hash", field::display(Short(block.hash())));
    }
}

/// The first four bytes, as in `0x1234abcd`.
struct Short(B256);

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", alloy_primitives::FixedBytes::<4>::from_slice(&self.0[..4]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_makes_no_span_of_level_info_while_catching_up() {
        let level = |phase| *block_span(phase).metadata().unwrap().level();
        assert_eq!(level(Phase::CatchingUp), tracing::Level::DEBUG);
        assert_eq!([Phase::Following, Phase::Stalled].map(level), [tracing::Level::INFO; 2]);
    }

    #[test]
    fn a_hash_is_shortened_to_its_beginning() {
        let hash: B256 = "0x1234abcd00000000000000000000000000000000000000000000000000000001".parse().unwrap();
        assert_eq!(Short(hash).to_string(), "0x1234abcd");
    }
}
