use super::*;
use crate::callboard::Role;
use crate::transport::BootId;
use callboard_chain::keys::SecretKey;

fn node(byte: u8) -> NodeId {
    NodeId::of(&SecretKey::from_bytes([byte; 32]).unwrap())
}

fn guest(byte: u8) -> Guest {
    let party = Party {
        node_id: node(byte),
        boot_id: BootId([byte; 16]),
        nonce: [0; 32],
        genesis_hash: B256::ZERO,
        role: Role::Follower,
        advertise: None,
    };
    Guest { party, remote: None, since: Instant::now() }
}

fn sessions(max_peers: usize) -> Sessions {
    Sessions::new(Admission { max_peers, allow: HashSet::new() })
}

#[test]
fn token_finds_its_node_until_it_idles_out() {
    let (sessions, now) = (sessions(2), Instant::now());
    let token = sessions.open(now, guest(1), [9; 32]).unwrap();
    assert_eq!(sessions.find(now, &token).unwrap().party.node_id, node(1));
    assert_eq!(sessions.find(now, &Token([8; 32])).unwrap_err(), SessionError::Unknown);
    let later = now + SESSION_IDLE;
    assert!(sessions.find(later, &token).is_ok(), "each use prolongs it");
    assert!(sessions.find(later + SESSION_IDLE, &token).is_ok());
    assert!(sessions.find(later + 2 * SESSION_IDLE + Duration::from_millis(1), &token).is_err());
}

#[test]
fn table_is_bounded_by_nodes_and_by_sessions_of_a_node() {
    let (sessions, now) = (sessions(2), Instant::now());
    sessions.open(now, guest(1), [1; 32]).unwrap();
    sessions.open(now, guest(2), [2; 32]).unwrap();
    assert_eq!(sessions.open(now, guest(3), [3; 32]).unwrap_err(), HelloError::Full { max: 2 });
    sessions.reserve(node(3));
    sessions.open(now, guest(3), [3; 32]).unwrap();

    for number in 10..20u8 {
        let when = now + Duration::from_secs(u64::from(number));
        sessions.open(when, guest(1), [number; 32]).unwrap();
    }
    let alive = (10..20).filter(|number| sessions.find(now, &Token([*number; 32])).is_ok()).count();
    assert_eq!(alive, SESSIONS_PER_NODE);
    assert!(sessions.find(now, &Token([19; 32])).is_ok(), "the newest stay");
    assert_eq!(sessions.guests(now).len(), 3);
}

#[test]
fn place_of_an_idle_node_is_free_again() {
    let (sessions, now) = (sessions(1), Instant::now());
    sessions.open(now, guest(1), [1; 32]).unwrap();
    let later = now + SESSION_IDLE + Duration::from_secs(1);
    assert!(sessions.open(later, guest(2), [2; 32]).is_ok());
}

#[test]
fn ban_ends_sessions_and_expires() {
    let (sessions, now) = (sessions(2), Instant::now());
    let token = sessions.open(now, guest(1), [1; 32]).unwrap();
    sessions.ban(node(1), now + Duration::from_secs(60));
    assert!(sessions.find(now, &token).is_err());
    let error = sessions.open(now, guest(1), [2; 32]).unwrap_err();
    assert_eq!(error, HelloError::Banned { node_id: node(1), seconds: 60 });
    assert!(sessions.open(now + Duration::from_secs(61), guest(1), [2; 32]).is_ok());
}

#[test]
fn with_an_allow_list_nobody_else_is_let_in() {
    let sessions = Sessions::new(Admission { max_peers: 9, allow: HashSet::from([node(1)]) });
    assert!(sessions.open(Instant::now(), guest(1), [1; 32]).is_ok());
    let error = sessions.open(Instant::now(), guest(2), [2; 32]).unwrap_err();
    assert_eq!(error, HelloError::NotAllowed { node_id: node(2) });
}

#[test]
fn streams_are_bounded_for_each_node_and_the_oldest_gives_way() {
    let sessions = sessions(2);
    let mut slots: Vec<_> = (0..STREAMS_PER_NODE).map(|_| sessions.open_stream(node(1))).collect();
    let other = sessions.open_stream(node(2));
    assert!(!slots.iter().any(is_pushed_out));
    slots.push(sessions.open_stream(node(1)));
    assert!(is_pushed_out(&slots[0]) && !slots[1..].iter().any(is_pushed_out));
    assert!(!is_pushed_out(&other), "another node's streams are its own");
    slots.pop();
    slots.push(sessions.open_stream(node(1)));
    assert!(!slots[1..].iter().any(is_pushed_out), "a place that was given back is free");
    drop((slots, other));
    assert!(sessions.0.lock().streams.is_empty());
}

fn is_pushed_out(slot: &StreamSlot) -> bool {
    !slot.sessions.0.lock().streams[&slot.node_id].iter().any(|stream| stream.number == slot.number)
}

fn from(byte: u8, ip: &str) -> Guest {
    Guest { remote: Some(ip.parse().unwrap()), ..guest(byte) }
}

#[test]
fn nodes_of_one_range_are_bounded_and_private_networks_seeds_and_listed_nodes_are_exempt() {
    let now = Instant::now();
    let full = |sessions: &Sessions, ip: &dyn Fn(u8) -> String| {
        let open = |byte: u8| sessions.open(now, from(byte, &ip(byte)), [byte; 32]);
        (1..=40).filter(|byte| open(*byte).is_ok()).count()
    };
    assert_eq!(full(&sessions(64), &|byte| format!("203.0.113.{byte}")), NODES_PER_RANGE);
    assert_eq!(full(&sessions(64), &|byte| format!("2001:db8:{byte}::1")), NODES_PER_RANGE);
    assert_eq!(full(&sessions(64), &|byte| format!("203.{byte}.113.1")), 40, "ranges of their own");
    assert_eq!(full(&sessions(64), &|byte| format!("10.0.0.{byte}")), 40, "a private network");
    let listed = Sessions::new(Admission { max_peers: 64, allow: (1..=40).map(node).collect() });
    assert_eq!(full(&listed, &|byte| format!("203.0.113.{byte}")), 40, "the operator's list");

    let sessions = sessions(64);
    full(&sessions, &|byte| format!("203.0.113.{byte}"));
    let error = sessions.open(now, from(50, "203.0.0.1"), [50; 32]).unwrap_err();
    assert_eq!(error, HelloError::RangeFull { max: NODES_PER_RANGE });
    assert!(sessions.open(now, from(1, "203.0.113.1"), [51; 32]).is_ok(), "who is in may come again");
    sessions.reserve(node(50));
    assert!(sessions.open(now, from(50, "203.0.0.1"), [50; 32]).is_ok(), "a seed has its place");
}

fn run(byte: u8, boot: u8) -> Guest {
    let mut guest = guest(byte);
    guest.party.boot_id = BootId([boot; 16]);
    guest
}

#[test]
fn two_processes_with_one_key_are_told_that_a_data_directory_was_copied() {
    let (sessions, now) = (sessions(9), Instant::now());
    let first = sessions.open(now, run(1, 1), [1; 32]).unwrap();
    let second = sessions.open(now, run(1, 2), [2; 32]).unwrap();
    assert!(sessions.find(now + boots::FAREWELL, &first).is_ok(), "what was under way when a process ended");
    let later = now + boots::FAREWELL + Duration::from_millis(1);
    assert_eq!(sessions.find(later, &first).unwrap_err(), SessionError::TwoProcesses(node(1)));
    let error = sessions.open(later, run(1, 1), [3; 32]).unwrap_err();
    assert_eq!(error, HelloError::TwoProcesses { node_id: node(1) });
    assert!(error.to_string().contains("delete node.key"), "{error}");
    assert!(sessions.find(later, &second).is_ok(), "the newer one stays");
}

#[test]
fn node_that_restarts_again_and_again_is_no_copy() {
    let (sessions, mut now) = (sessions(9), Instant::now());
    for boot in 0..200 {
        sessions.open(now, run(1, boot), [boot; 32]).unwrap();
        now += Duration::from_secs(1);
    }
}

#[test]
fn requests_of_a_node_are_bounded_over_all_its_sessions() {
    let (sessions, now) = (sessions(9), Instant::now());
    let tokens: Vec<_> = (1..=4).map(|number| sessions.open(now, guest(1), [number; 32]).unwrap()).collect();
    let answered = (0..10_000).filter(|number| sessions.find(now, &tokens[number % 4]).is_ok()).count();
    assert!((100..2_000).contains(&answered), "{answered}");
    assert_eq!(sessions.find(now, &tokens[0]).unwrap_err(), SessionError::TooManyRequests);
    assert!(sessions.find(now + Duration::from_secs(1), &tokens[0]).is_ok(), "its allowance comes back");
    let other = sessions.open(now, guest(2), [9; 32]).unwrap();
    assert!(sessions.find(now, &other).is_ok(), "another node has its own");
}

#[test]
fn work_is_metered_for_each_node_and_kind() {
    let (sessions, now) = (sessions(9), Instant::now());
    let batches = (0..1_000).filter(|_| sessions.spend(now, node(1), Work::Transactions, 1_024)).count();
    assert_eq!(batches, 16, "16,384 at once");
    assert!(sessions.spend(now, node(1), Work::BlockBytes, 8 << 20), "another kind of work");
    assert!(sessions.spend(now, node(2), Work::Transactions, 1_024), "another node");
    assert!(!sessions.spend(now + Duration::from_millis(200), node(1), Work::Transactions, 1_024));
    assert!(sessions.spend(now + Duration::from_millis(300), node(1), Work::Transactions, 1_024), "4,000 a second");
}

#[test]
fn nodes_turned_away_are_remembered_in_bounds_and_said_once() {
    let sessions = sessions(9);
    let away = |byte| TurnedAway {
        party: guest(byte).party,
        remote: None,
        reason: "wrong chain".to_owned(),
        at: Instant::now(),
    };
    assert!(sessions.turn_away(away(1)) && !sessions.turn_away(away(1)));
    (2..=250).for_each(|byte| _ = sessions.turn_away(away(byte)));
    assert_eq!(sessions.turned_away().len(), MAX_TURNED_AWAY);
    sessions.open(Instant::now(), guest(250), [1; 32]).unwrap();
    assert_eq!(sessions.turned_away().len(), MAX_TURNED_AWAY - 1, "it has come to its senses");
}
