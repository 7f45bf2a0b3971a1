use super::*;
use crate::sync_coordinator::messages::{Answer, ImportEnd};
use crate::sync_coordinator::search::{Difference, Search, Step};
use proptest::prelude::*;

fn found(fork: u64, seen: u64, our_head: u64, accepted: &BTreeSet<(u64, B256)>) -> (Step, u32) {
    let theirs = |height: u64| if height >= fork { other_hash(height) } else { hash(height) };
    let ours = (seen <= our_head).then(|| hash(seen));
    let difference = Difference { height: seen, ours, theirs: theirs(seen) };
    let mut search = Search::new(peer(1), difference, other(seen, WALL), our_head, accepted);
    let mut asked = 0;
    loop {
        match search.step() {
            Step::Ask(height) => {
                assert!(height <= our_head);
                search.on_answer(height, theirs(height), theirs(height - 1), Some(hash(height)));
                asked += 1;
                assert!(asked < 200);
            }
            step => return (step, asked),
        }
    }
}

proptest! {
    #[test]
    fn the_first_differing_height_is_found_with_few_questions(
        our_head in 1u64..1_000_000,
        fork in 1u64..1_000_000,
        above in 0u64..1_000_000,
    ) {
        let fork = fork.min(our_head);
        let (step, asked) = found(fork, fork + above, our_head, &BTreeSet::new());
        let difference = Difference { height: fork, ours: Some(hash(fork)), theirs: other_hash(fork) };
        prop_assert_eq!(step, Step::Found { difference, accepted: false });
        prop_assert!(asked <= 22, "{} questions", asked);
    }

    #[test]
    fn whatever_a_peer_answers_the_search_ends(answers in prop::collection::vec(any::<bool>(), 100)) {
        let difference = Difference { height: 5_000, ours: None, theirs: other_hash(5_000) };
        let accepted = BTreeSet::from([(7, hash(9)), (1_500, hash(9)), (2_500, hash(9))]);
        let mut search = Search::new(peer(1), difference, other(5_000, WALL), 2_000, &accepted);
        let mut answers = answers.into_iter();
        while let Step::Ask(height) = search.step() {
            let same = answers.next().expect("far fewer questions than this");
            let theirs = if same { hash(height) } else { other_hash(height) };
            search.on_answer(height, theirs, hash(height - 1), Some(hash(height)));
        }
    }
}

#[test]
fn a_block_accepted_anywhere_on_the_branch_is_recognised() {
    for accepted in [30, 31, 77, 99, 100] {
        let (step, _) = found(30, 100, 100, &BTreeSet::from([(accepted, other_hash(accepted))]));
        assert!(matches!(step, Step::Found { accepted: true, .. }), "{accepted}: {step:?}");
    }
    let (step, _) = found(30, 100, 100, &BTreeSet::from([(77, B256::ZERO)]));
    assert!(matches!(step, Step::Found { accepted: false, .. }));
}

#[test]
fn a_parent_that_differs_at_the_border_of_two_ranges_ends_as_divergence_and_blames_nobody() {
    let mut node = Node::follower(0);
    node.connect(1, head(2_000)).connect(2, KnownHead { hash: B256::ZERO, ..head(2_000) });
    node.take();
    node.imported(256).durable(head(256)).take();
    let block = other(257, WALL);
    let end = ImportEnd::OtherChain { peer: peer(2), block, ours: None };
    node.tell(|state, now, wall| state.on_import_failed(now, wall, end));
    let theirs = |of: NodeId, height| if of == peer(2) && height > 200 { other(height, WALL) } else { head(height) };
    let mut seen = Vec::new();
    for _ in 0..200 {
        for effect in node.take() {
            if !matches!(effect, Effect::FetchRange { .. }) {
                node.serve(&effect, &theirs);
            }
            seen.push(effect);
        }
    }
    let told = seen.iter().find_map(|effect| match effect {
        Effect::Diverged(found) => Some(found),
        _ => None,
    });
    let told = told.expect("a divergence");
    assert_eq!((told.height, told.last_common_height), (201, Some(200)));
    assert_eq!(node.state.phase(), Phase::Diverged);
}

#[test]
fn a_search_ends_when_its_peer_goes_and_begins_again_when_it_is_back() {
    let asked = |node: &mut Node| {
        node.take().into_iter().find_map(|effect| match effect {
            Effect::AskBlock { id, .. } => Some(id),
            _ => None,
        })
    };
    let mut node = Node::following(10);
    node.connect(2, other(9, WALL));
    let first = asked(&mut node).expect("a question");
    node.lost(2);
    assert_eq!(asked(&mut node), None);
    node.tell(|state, now, wall| state.on_answer(now, wall, first, Answer::Failed));
    node.connect(2, other(9, WALL));
    assert_eq!(asked(&mut node), None, "it has hung up instead of answering, and is left alone for a moment");
    node.at(1);
    let second = asked(&mut node).expect("another question");
    // Nobody answers: it is given up, and after a pause tried again.
    node.at(12);
    assert_eq!(asked(&mut node), None);
    node.at(13);
    assert_ne!(asked(&mut node).expect("a third question"), second);
}
