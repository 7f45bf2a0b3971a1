use super::*;
use Delivery::*;
use Phase::*;

/// One row of the table: the deliveries in each phase, in the order of `Phase::ALL`.
type Row = (Origin, Kind, Role, [&'static [Delivery]; 6]);

/// The whole domain, written out by hand from the design: genesis, replaying, catching-up, following, stalled,
/// diverged.
const TABLE: [Row; 16] = {
    const REFUSE: &[Delivery] = &[RefuseBlock];
    const IMPORT: &[Delivery] = &[ImportBlock];
    const ALARM: &[Delivery] = &[AlarmBlock, ImportBlock];
    const DROP: &[Delivery] = &[DropTransaction];
    const POOL: &[Delivery] = &[PoolTransaction];
    const POOL_RELAY: &[Delivery] = &[PoolTransaction, RelayTransaction];
    const POOL_FORWARD: &[Delivery] = &[PoolTransaction, ForwardTransaction];
    const POOL_FORWARD_RELAY: &[Delivery] = &[PoolTransaction, ForwardTransaction, RelayTransaction];
    const OWN: &[Delivery] = &[BroadcastBlock];
    const IMPORT_RELAY: &[Delivery] = &[ImportBlock, RelayBlock];
    [
        (Origin::Proposer, Kind::Block, Role::Authority, [REFUSE, REFUSE, REFUSE, OWN, REFUSE, REFUSE]),
        (Origin::Proposer, Kind::Block, Role::Follower, [REFUSE; 6]),
        (Origin::Proposer, Kind::Transaction, Role::Authority, [DROP; 6]),
        (Origin::Proposer, Kind::Transaction, Role::Follower, [DROP; 6]),
        (Origin::Peer, Kind::Block, Role::Authority, [REFUSE, REFUSE, IMPORT, ALARM, IMPORT, IMPORT]),
        (Origin::Peer, Kind::Block, Role::Follower, [REFUSE, REFUSE, IMPORT, IMPORT_RELAY, IMPORT, IMPORT]),
        (Origin::Peer, Kind::Transaction, Role::Authority, [DROP, DROP, DROP, POOL_RELAY, DROP, DROP]),
        (Origin::Peer, Kind::Transaction, Role::Follower, [DROP, DROP, DROP, POOL_FORWARD_RELAY, DROP, DROP]),
        (Origin::Operator, Kind::Block, Role::Authority, [REFUSE, REFUSE, IMPORT, ALARM, IMPORT, IMPORT]),
        (Origin::Operator, Kind::Block, Role::Follower, [REFUSE, REFUSE, IMPORT, IMPORT_RELAY, IMPORT, IMPORT]),
        (Origin::Operator, Kind::Transaction, Role::Authority, [DROP; 6]),
        (Origin::Operator, Kind::Transaction, Role::Follower, [DROP; 6]),
        (Origin::Rpc, Kind::Block, Role::Authority, [REFUSE; 6]),
        (Origin::Rpc, Kind::Block, Role::Follower, [REFUSE; 6]),
        (Origin::Rpc, Kind::Transaction, Role::Authority, [DROP, POOL, POOL, POOL_RELAY, POOL, POOL]),
        (
            Origin::Rpc,
            Kind::Transaction,
            Role::Follower,
            [DROP, POOL_FORWARD, POOL_FORWARD, POOL_FORWARD_RELAY, POOL_FORWARD, POOL_FORWARD],
        ),
    ]
};

fn domain() -> Vec<(Origin, Kind, Role, Phase)> {
    let mut all = Vec::new();
    for &origin in Origin::ALL {
        for &kind in Kind::ALL {
            for &role in Role::ALL {
                all.extend(Phase::ALL.iter().map(|&phase| (origin, kind, role, phase)));
            }
        }
    }
    all
}

#[test]
fn every_combination_is_routed_as_designed() {
    let mut checked = 0;
    for (origin, kind, role, expected) in TABLE {
        for (&phase, expected) in Phase::ALL.iter().zip(expected) {
            assert_eq!(route(origin, kind, role, phase), expected, "{origin} {kind} {role} {phase}");
            checked += 1;
        }
    }
    assert_eq!(checked, domain().len());
    let distinct: std::collections::BTreeSet<_> = TABLE.iter().map(|row| (row.0, row.1, row.2)).collect();
    assert_eq!(distinct.len(), TABLE.len());
}

#[test]
fn only_the_proposing_authority_broadcasts() {
    for (origin, kind, role, phase) in domain() {
        if route(origin, kind, role, phase).contains(&BroadcastBlock) {
            assert_eq!((origin, kind, role, phase), (Origin::Proposer, Kind::Block, Role::Authority, Following));
        }
    }
}

#[test]
fn nothing_is_relayed_by_a_node_that_is_not_up_to_date() {
    for (origin, kind, role, phase) in domain().into_iter().filter(|(.., phase)| *phase != Following) {
        let routes = route(origin, kind, role, phase);
        assert!(!routes.contains(&RelayBlock) && !routes.contains(&RelayTransaction), "{origin} {kind} {role} {phase}");
    }
}

#[test]
fn what_comes_from_outside_is_taken_before_it_goes_anywhere() {
    for (origin, kind, role, phase) in domain() {
        let routes = route(origin, kind, role, phase);
        assert!(!routes.is_empty(), "{origin} {kind} {role} {phase} goes nowhere without a word");
        if routes.contains(&RelayBlock) {
            assert_eq!(routes[0], ImportBlock);
        }
        assert!(!(routes.contains(&ImportBlock) && routes.contains(&BroadcastBlock)));
        if routes.contains(&RelayTransaction) || routes.contains(&ForwardTransaction) {
            assert_eq!(routes[0], PoolTransaction);
        }
        for refusal in [RefuseBlock, DropTransaction] {
            assert!(!routes.contains(&refusal) || routes.len() == 1);
        }
    }
}

#[test]
fn each_kind_has_only_its_own_deliveries() {
    for (origin, kind, role, phase) in domain() {
        for delivery in route(origin, kind, role, phase) {
            let expected = if delivery.name().ends_with("Block") { Kind::Block } else { Kind::Transaction };
            assert_eq!(kind, expected);
        }
    }
}

#[test]
fn every_delivery_is_counted_by_origin_and_kind() {
    let board = Callboard::new(Role::Follower);
    let carry_out = || {
        let deliveries = board.deliveries(Origin::Peer, Kind::Block);
        deliveries.iter().for_each(|delivery| board.count(Origin::Peer, Kind::Block, *delivery));
        deliveries
    };
    assert_eq!(carry_out(), [RefuseBlock]);
    board.set_phase(Following);
    assert_eq!(carry_out(), [ImportBlock, RelayBlock]);
    assert_eq!(carry_out(), [ImportBlock, RelayBlock]);
    board.clone().count(Origin::Operator, Kind::Block, IgnoreBlock);
    let counts = board.counts();
    let count = |origin, kind, route, count| RouteCount { origin, kind, route, count };
    assert_eq!(
        counts,
        [
            count(Origin::Peer, Kind::Block, ImportBlock, 2),
            count(Origin::Peer, Kind::Block, RelayBlock, 2),
            count(Origin::Peer, Kind::Block, RefuseBlock, 1),
            count(Origin::Operator, Kind::Block, IgnoreBlock, 1),
        ]
    );
}

#[test]
fn the_answer_to_callboard_routes_has_the_documented_shape() {
    let board = Callboard::new(Role::Authority);
    board.set_phase(CatchingUp);
    board.count(Origin::Operator, Kind::Block, ImportBlock);
    let answer = serde_json::to_value(board.routes()).expect("plain data");
    assert_eq!(answer["table"].as_array().expect("a list").len(), domain().len());
    assert_eq!(
        answer["counts"],
        serde_json::json!([{"origin": "operator", "kind": "block", "route": "ImportBlock", "count": 1}])
    );
    assert!(answer["table"].as_array().expect("a list").contains(&serde_json::json!({
        "origin": "peer", "kind": "block", "role": "follower", "phase": "following",
        "routes": ["ImportBlock", "RelayBlock"]
    })));
    assert!(answer["table"].as_array().expect("a list").contains(&serde_json::json!({
        "origin": "rpc", "kind": "transaction", "role": "authority", "phase": "catching-up",
        "routes": ["PoolTransaction"]
    })));
}
