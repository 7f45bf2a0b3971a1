use crate::callboard::Origin;
use crate::transport::NodeId;
use crate::tx_pool::forwarding::{AT_ONCE, FORWARD_AGAIN, Forwarding};
use alloy_primitives::{B256, U256};
use callboard_chain::keys::SecretKey;
use std::time::Duration;

const NOW: Duration = Duration::from_secs(100);

fn hash(number: usize) -> B256 {
    B256::from(U256::from(number))
}

fn due(forwarding: &mut Forwarding, now: Duration) -> Vec<B256> {
    forwarding.take_due(now).into_iter().map(|(hash, _)| hash).collect()
}

#[test]
fn transaction_is_forwarded_again_for_as_long_as_the_pool_holds_it() {
    let mut forwarding = Forwarding::default();
    forwarding.on_forwarded(NOW, hash(1), Origin::Rpc);
    let just_before = NOW + FORWARD_AGAIN - Duration::from_millis(1);
    assert!(due(&mut forwarding, just_before).is_empty());
    // Also when it was acknowledged: who did so may have forgotten it since.
    let authority = NodeId::of(&SecretKey::from_bytes([1; 32]).expect("a key"));
    assert_eq!(forwarding.unacknowledged(), [hash(1)]);
    forwarding.on_acknowledged(&hash(1), authority);
    assert!(forwarding.unacknowledged().is_empty());
    assert_eq!(due(&mut forwarding, NOW + FORWARD_AGAIN), [hash(1)]);
    assert_eq!(forwarding.progress(&hash(1)).and_then(|progress| progress.acknowledged_by), Some(authority));
    assert!(due(&mut forwarding, NOW + FORWARD_AGAIN).is_empty(), "not twice at once");
    assert_eq!(due(&mut forwarding, NOW + 2 * FORWARD_AGAIN), [hash(1)]);
    forwarding.remove(&hash(1));
    assert!(due(&mut forwarding, NOW + 9 * FORWARD_AGAIN).is_empty());
    assert!(forwarding.progress(&hash(1)).is_none());
}

#[test]
fn transaction_that_could_not_be_handed_on_is_due_at_once() {
    let mut forwarding = Forwarding::default();
    forwarding.on_forwarded(NOW, hash(1), Origin::Rpc);
    forwarding.on_forwarded(NOW, hash(2), Origin::Peer);
    forwarding.on_not_forwarded(NOW, hash(2));
    forwarding.on_not_forwarded(NOW, hash(3));
    let again = forwarding.take_due(NOW);
    assert_eq!(
        again.iter().map(|(hash, progress)| (*hash, progress.origin)).collect::<Vec<_>>(),
        [(hash(2), Origin::Peer)]
    );
    assert_eq!(due(&mut forwarding, NOW + FORWARD_AGAIN).len(), 2, "a relay that was skipped is nobody's forward");
}

#[test]
fn long_queue_is_forwarded_again_in_pieces_and_none_is_passed_over() {
    let mut forwarding = Forwarding::default();
    let all: Vec<_> = (0..2 * AT_ONCE + 1).map(hash).collect();
    all.iter().for_each(|hash| forwarding.on_forwarded(NOW, *hash, Origin::Rpc));
    let pieces: Vec<_> = (0..4).map(|_| due(&mut forwarding, NOW + FORWARD_AGAIN)).collect();
    assert_eq!(pieces.iter().map(Vec::len).collect::<Vec<_>>(), [AT_ONCE, AT_ONCE, 1, 0]);
    assert_eq!(pieces.concat(), all);
}

#[test]
fn transaction_that_is_not_taken_any_more_is_acknowledged_by_nobody() {
    let mut forwarding = Forwarding::default();
    let authority = NodeId::of(&SecretKey::from_bytes([1; 32]).expect("a key"));
    forwarding.on_forwarded(NOW, hash(1), Origin::Rpc);
    forwarding.on_acknowledged(&hash(1), authority);
    forwarding.on_not_taken(&hash(1));
    assert_eq!(forwarding.unacknowledged(), [hash(1)]);
    assert_eq!(forwarding.progress(&hash(1)).and_then(|progress| progress.acknowledged_by), None);
}
