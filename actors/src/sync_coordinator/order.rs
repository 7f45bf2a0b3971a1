//! The order in which a stream brings blocks. Pure, so that the simulation judges a peer as the node does.

/// A block that is not the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutOfOrder {
    /// It is above the next one, on a live stream: one was lost on the way, and is had by asking for it.
    Lost,
    /// No honest node sends that.
    Forged,
}

/// What it means that a stream brings the block at `actual` where `expected` is next; `None` where it may. `durable` is
/// the height of our own durable head.
pub fn out_of_order(is_live: bool, expected: u64, actual: u64, durable: u64) -> Option<OutOfOrder> {
    if actual == expected {
        return None;
    }
    if !is_live || actual < expected {
        return Some(OutOfOrder::Forged);
    }
    // Whoever is followed does not send back what it has from us, and we send only what is durable.
    let is_left_out = actual.saturating_sub(1) <= durable;
    (!is_left_out).then_some(OutOfOrder::Lost)
}

#[cfg(test)]
mod tests {
    use super::OutOfOrder::{Forged, Lost};
    use super::*;

    #[test]
    fn a_block_that_is_not_the_next_one_is_forged_lost_or_had_already() {
        // Live, expected, actual, durable.
        let cases = [
            ((true, 5, 5, 4), None),
            ((false, 5, 5, 4), None),
            ((true, 5, 4, 4), Some(Forged)),
            ((true, 5, 7, 4), Some(Lost)),
            ((true, 5, 7, 5), Some(Lost)),
            ((true, 5, 7, 6), None),
            ((false, 5, 7, 6), Some(Forged)),
            ((false, 5, 4, 4), Some(Forged)),
            ((true, u64::MAX, 0, 0), Some(Forged)),
        ];
        for ((is_live, expected, actual, durable), found) in cases {
            assert_eq!(out_of_order(is_live, expected, actual, durable), found, "{expected} {actual} {durable}");
        }
    }
}
