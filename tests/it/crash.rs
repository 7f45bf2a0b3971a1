//! Killed nodes and damaged databases: a node starts at a whole block, or says in a sentence why not.

use crate::support::node::{Node, assert_same_blocks};
use crate::support::wallet::make_blocks;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// Bytes of a peer's answers in one life of a follower: the genesis and some hundreds of 1,200 blocks. More than two ranges
/// under way have, so that the one at the front comes whole however they share the way.
const LET_THROUGH: i64 = 200_000;

/// A way to a node on which only so many bytes come back as are let through.
pub(crate) struct Gate {
    pub(crate) url: String,
    budget: Arc<AtomicI64>,
}

impl Gate {
    pub(crate) fn to(url: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let gate = Self { url: format!("http://{}", listener.local_addr().expect("address")), budget: Arc::default() };
        let (target, budget) = (url.trim_start_matches("http://").to_owned(), gate.budget.clone());
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = TcpStream::connect(&target) else { continue };
                let (up, budget) = (clones(&client, &server), budget.clone());
                std::thread::spawn(move || io::copy(&mut &up.0, &mut &up.1));
                std::thread::spawn(move || pass(&server, &client, &budget));
            }
        });
        gate
    }

    pub(crate) fn let_through(&self, bytes: i64) {
        self.budget.store(bytes, Ordering::Relaxed);
    }
}

fn clones(one: &TcpStream, other: &TcpStream) -> (TcpStream, TcpStream) {
    (one.try_clone().expect("a handle"), other.try_clone().expect("a handle"))
}

/// Ends with either side.
fn pass(mut from: &TcpStream, mut to: &TcpStream, budget: &AtomicI64) {
    let mut buffer = [0; 1_024];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        let taken = i64::try_from(length).expect("a short piece");
        while budget.load(Ordering::Relaxed) < taken {
            std::thread::sleep(Duration::from_millis(5));
        }
        budget.fetch_sub(taken, Ordering::Relaxed);
        if to.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
}

/// The height at which it last started, by what it printed.
fn started_at(node: &Node) -> u64 {
    let log = fs::read_to_string(node.path("log")).expect("log");
    let line = log.lines().rev().find_map(|line| line.strip_prefix("blk ")).expect("a last block");
    line.split(':').next().and_then(|height| height.trim().parse().ok()).expect("a height")
}

#[test]
fn a_follower_killed_while_catching_up_resumes_where_its_disk_says() {
    let mut authority = Node::authority();
    authority.set("authority.block_interval_ms", 1).set("authority.empty_blocks", true).start();
    authority.reaches(1_200);
    authority.stop();
    authority.set("authority.empty_blocks", false).start();
    let last = authority.height();

    let gate = Gate::to(&authority.peer_url());
    let mut follower = Node::new("follower");
    follower.set("node.role", "follower").set("peers.seeds", vec![gate.url.clone()]).set("sync.commit_ms", 1);
    for _ in 0..3 {
        gate.let_through(LET_THROUGH);
        follower.start();
        let begun = started_at(&follower);
        follower.reaches(begun + 50);
        let seen = follower.height();
        follower.kill();
        assert!(seen < last, "it was still catching up: {seen} of {last}");
        follower.start();
        let resumed = started_at(&follower);
        assert!(resumed >= seen, "block {seen} was confirmed, and it resumed at {resumed}");
        follower.kill();
    }
    gate.let_through(i64::MAX / 2);
    follower.start().reaches(last);
    assert_eq!(follower.routed("ImportBlock"), last - started_at(&follower), "nothing is fetched twice");
    follower.is_phase("following");
    assert_same_blocks(&authority, &follower);
}

#[test]
fn a_database_cut_anywhere_starts_at_a_whole_block_or_is_refused_in_a_sentence() {
    let mut authority = Node::authority();
    authority.start();
    make_blocks(&authority, 0, 6);
    let hashes = authority.hashes();
    authority.stop();
    let whole = fs::read(authority.database()).expect("database");
    let length = whole.len() as u64;

    let mut cuts: Vec<u64> = (0..16).map(|part| part * length / 16).collect();
    cuts.extend([1, 4_095, 4_097, length - 1, length - 4_096]);
    let mut refused = 0;
    for cut in cuts {
        let mut follower = Node::new("follower");
        fs::create_dir(follower.data("")).expect("data folder");
        fs::write(follower.database(), &whole).expect("written");
        File::options().write(true).open(follower.database()).and_then(|file| file.set_len(cut)).expect("cut");
        follower.set("genesis.file", authority.data("genesis.json").to_string_lossy().as_ref());
        match follower.starts_or_ends() {
            None => {
                let kept = follower.hashes();
                assert_eq!(kept, hashes[..kept.len()], "cut at {cut}");
            }
            Some(finished) => {
                let sentence = finished.refused(1);
                assert!(sentence.contains("chain.redb"), "cut at {cut}: {sentence}");
                assert_eq!(fs::metadata(follower.database()).expect("database").len(), cut, "nothing is changed");
                refused += 1;
            }
        }
    }
    assert!(refused > 0);
}
