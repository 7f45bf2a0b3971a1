//! Clocks that differ are alarms, and never a reason to refuse a block.

use crate::forge::{Forge, import};
use crate::support::node::{Node, SOON};
use crate::support::until;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// What a node that is asked says of its clock, and what one that asks does.
const ANSWERED: &[u8] = b"\"timeMs\":";
const ASKING: &[u8] = b"callboard-time: ";
const DIGITS: usize = 13;

/// A way to a node on which its clock is as far ahead as is set, in milliseconds; or that of whoever asks. Returns its
/// URL.
fn through_another_time(url: &str, whose: &'static [u8], ahead: Arc<AtomicI64>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let here = format!("http://{}", listener.local_addr().expect("address"));
    let target = url.trim_start_matches("http://").to_owned();
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let Ok(server) = TcpStream::connect(&target) else { continue };
            let (up, to) = (client.try_clone().expect("a handle"), server.try_clone().expect("a handle"));
            let (there, back) = (ahead.clone(), ahead.clone());
            std::thread::spawn(move || pass(&up, &to, whose, &there));
            std::thread::spawn(move || pass(&server, &client, whose, &back));
        }
    });
    here
}

/// Each piece with the time in it changed: a status is short, and so is a question for it; each comes in one.
fn pass(mut from: &TcpStream, mut to: &TcpStream, field: &[u8], ahead: &AtomicI64) {
    let mut buffer = [0; 16_384];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        let piece = &mut buffer[..length];
        if let Some(at) = piece.windows(field.len()).position(|window| window == field) {
            let digits = at + field.len()..at + field.len() + DIGITS;
            let time: i64 = std::str::from_utf8(&piece[digits.clone()]).expect("digits").parse().expect("a number");
            piece[digits].copy_from_slice((time + ahead.load(Ordering::Relaxed)).to_string().as_bytes());
        }
        if to.write_all(piece).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
}

fn alerts(node: &Node) -> String {
    node.status()["alerts"].to_string()
}

#[test]
fn a_peer_whose_clock_is_off_is_an_alarm_until_it_is_set() {
    let mut authority = Node::authority();
    authority.start();
    let ahead = Arc::new(AtomicI64::new(60_000));
    let mut follower = Node::new("follower");
    let url = through_another_time(&authority.peer_url(), ANSWERED, ahead.clone());
    follower.set("node.role", "follower").set("peers.seeds", vec![url.clone()]).set("peers.discovery", false);
    follower.start();
    until("the alarm is raised", SOON, || alerts(&follower).contains("s ahead of this node's").then_some(()));
    let peer = follower.call("callboard_peers", serde_json::json!([]))[0].clone();
    let skew = peer["clockSkewSeconds"].as_f64().expect("a number");
    assert!((59.0..61.0).contains(&skew), "{peer}");
    // It is an alarm and nothing else.
    follower.is_phase("following");
    assert!(alerts(&follower).contains(&url));
    assert!(follower.alarm("peer_clock"));

    ahead.store(0, Ordering::Relaxed);
    until("the alarm is over", SOON, || (alerts(&follower) == "[]").then_some(()));
    assert!(!follower.alarm("peer_clock"));
    let log = follower.log();
    assert_eq!(
        (log.matches("s ahead of this node's").count(), log.matches("the alarm is over").count()),
        (1, 1),
        "{log}"
    );
}

/// The authority dials nobody: all it hears of clocks is what its followers say.
#[test]
fn a_node_that_dialled_the_authority_and_whose_clock_is_off_is_an_alarm_there() {
    let mut authority = Node::authority();
    authority.start();
    let ahead = Arc::new(AtomicI64::new(-60_000));
    let mut follower = Node::new("follower");
    let url = through_another_time(&authority.peer_url(), ASKING, ahead.clone());
    follower.set("node.role", "follower").set("peers.seeds", vec![url]).set("peers.discovery", false);
    follower.start();
    until("the alarm is raised", SOON, || alerts(&authority).contains("s behind this node's").then_some(()));
    let peer = authority.call("callboard_peers", serde_json::json!([]))[0].clone();
    assert_eq!(peer["direction"], "inbound", "{peer}");
    let skew = peer["clockSkewSeconds"].as_f64().expect("a number");
    assert!((-61.0..-59.0).contains(&skew), "{peer}");
    assert!(alerts(&authority).contains(peer["id"].as_str().expect("an id")));
    authority.is_phase("following");

    ahead.store(0, Ordering::Relaxed);
    until("the alarm is over", SOON, || (alerts(&authority) == "[]").then_some(()));
}

#[test]
fn a_sealed_block_from_the_future_is_imported_and_alarmed() {
    let mut forge = Forge::new();
    let tomorrow = wall_seconds() + 86_400;
    let block = forge.extend_at(tomorrow, &[]);
    let mut follower = forge.follower();
    follower.start();
    import(&follower, &block);
    assert_eq!(follower.hash(1), block.hash());
    until("the alarm is raised", SOON, || alerts(&follower).contains(&format!("dated {tomorrow}")).then_some(()));
    // The next one is dated alike, and taken alike.
    import(&follower, &forge.extend_at(tomorrow, &[]));
    follower.is_phase("following");
}

#[test]
fn a_head_from_the_near_future_is_an_alarm_until_its_time_has_come() {
    let mut forge = Forge::new();
    let soon = wall_seconds() + 25;
    let mut follower = forge.follower();
    follower.start();
    import(&follower, &forge.extend_at(soon, &[]));
    until("the alarm is raised", SOON, || follower.alarm("future_head").then_some(()));
    assert!(alerts(&follower).contains(&format!("dated {soon}")));
    until("the alarm is over", SOON, || (!follower.alarm("future_head")).then_some(()));
    assert_eq!(alerts(&follower), "[]");
}

fn wall_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs()
}
