//! When clocks that differ are an alarm.

use super::messages::{Direction, PeerReport};

/// Clocks that are further apart are an alarm: far more than any that are set by NTP ever differ, and less than what
/// makes a head look stale.
pub const MAX_SKEW_SECONDS: f64 = 15.0;

/// One sentence where clocks of connected peers differ from this node's by more than [`MAX_SKEW_SECONDS`]: where most
/// of several do, this node's is the one to look at. Nodes that dialled this one say their time unasked, and anybody can
/// be many of them: they count for that only where no peer was asked.
pub fn clock_alarm(peers: &[PeerReport]) -> Option<String> {
    let measured = || peers.iter().filter_map(|peer| Some((peer, peer.clock_skew_seconds?)));
    let mut asked: Vec<_> = measured().filter(|(peer, _)| peer.direction != Some(Direction::Inbound)).collect();
    if asked.is_empty() {
        asked = measured().collect();
    }
    asked.sort_by(|(_, a), (_, b)| a.total_cmp(b));
    let (_, median) = asked.get(asked.len() / 2)?;
    if asked.len() > 1 && median.abs() > MAX_SKEW_SECONDS {
        return Some(format!(
            "this node's clock is {} those of its peers (the middle one of {}); set it, best by NTP",
            apart(-median),
            asked.len()
        ));
    }
    let measured: Vec<_> = measured().collect();
    let (peer, skew) = measured.iter().max_by(|(_, a), (_, b)| a.abs().total_cmp(&b.abs()))?;
    if skew.abs() <= MAX_SKEW_SECONDS {
        return None;
    }
    let named = match (&peer.url, &peer.id) {
        (Some(url), _) => url.to_string(),
        (None, Some(id)) => id.to_string(),
        (None, None) => "a peer".to_owned(),
    };
    Some(format!("the clock of {named} is {} this node's; set whichever is wrong, best by NTP", apart(*skew)))
}

/// One sentence where the head is dated more than [`MAX_SKEW_SECONDS`] later than `now`, unix seconds. The block is
/// valid all the same: what the authority seals is never refused for its timestamp.
pub fn future_head_alarm(height: u64, timestamp: u64, now: u64) -> Option<String> {
    let ahead = timestamp.saturating_sub(now);
    (ahead as f64 > MAX_SKEW_SECONDS).then(|| {
        format!(
            "block {height} is dated {timestamp}, {ahead} s later than this node's clock; set the authority's clock or this \
             one, best by NTP"
        )
    })
}

fn apart(seconds: f64) -> String {
    format!("{:.0} s {}", seconds.abs(), if seconds > 0.0 { "ahead of" } else { "behind" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peer_discovery::PeerState;
    use crate::transport::NodeId;

    fn peer(port: u16, clock_skew_seconds: Option<f64>) -> PeerReport {
        PeerReport {
            url: Some(format!("http://127.0.0.1:{port}").parse().unwrap()),
            clock_skew_seconds,
            ..PeerReport::of(NodeId::of(&crate::testing::key(1)), PeerState::Connected)
        }
    }

    #[test]
    fn clocks_within_the_bound_and_unknown_ones_are_no_alarm() {
        assert_eq!(clock_alarm(&[]), None);
        assert_eq!(clock_alarm(&[peer(1, None), peer(2, Some(15.0)), peer(3, Some(-15.0))]), None);
    }

    #[test]
    fn one_clock_that_is_off_is_named() {
        let sentence = clock_alarm(&[peer(1, Some(0.1)), peer(2, Some(-31.2)), peer(3, Some(0.2))]).unwrap();
        assert!(sentence.starts_with("the clock of http://127.0.0.1:2 is 31 s behind this node's"), "{sentence}");
        assert!(clock_alarm(&[peer(2, Some(16.0))]).unwrap().contains("16 s ahead of this node's"));
    }

    #[test]
    fn nodes_that_dialled_this_one_are_named_and_do_not_outvote_a_peer_that_was_asked() {
        let guest = |skew| PeerReport { direction: Some(Direction::Inbound), ..peer(9, Some(skew)) };
        let asked = PeerReport { direction: Some(Direction::Outbound), ..peer(1, Some(0.0)) };
        let sentence = clock_alarm(&[asked, guest(60.0), guest(61.0), guest(62.0)]).unwrap();
        assert!(sentence.starts_with("the clock of http://127.0.0.1:9 is 62 s ahead"), "{sentence}");
        let sentence = clock_alarm(&[guest(60.0), guest(61.0), guest(0.0)]).unwrap();
        assert!(sentence.starts_with("this node's clock is 60 s behind"), "{sentence}");
    }

    #[test]
    fn a_head_from_the_future_is_an_alarm_until_the_clock_has_come_near() {
        assert!(
            future_head_alarm(7, 1_000, 984)
                .is_some_and(|sentence| sentence.starts_with("block 7 is dated 1000, 16 s later"))
        );
        assert_eq!(future_head_alarm(7, 1_000, 985), None);
        assert_eq!(future_head_alarm(7, 1_000, 2_000), None);
    }

    #[test]
    fn where_most_clocks_differ_alike_it_is_ours() {
        let sentence = clock_alarm(&[peer(1, Some(60.0)), peer(2, Some(61.0)), peer(3, Some(0.0))]).unwrap();
        assert!(sentence.starts_with("this node's clock is 60 s behind those of its peers"), "{sentence}");
    }
}
