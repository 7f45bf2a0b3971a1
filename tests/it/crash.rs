//! Killed nodes and damaged databases: a node starts at a whole block, or says in a sentence why not.

use crate::support::node::{Node, assert_same_blocks};
use crate::support::wallet::make_blocks;
use std::fs::{self, File};

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
    authority.reaches(600);
    authority.stop();
    authority.set("authority.empty_blocks", false).start();
    let last = authority.height();

    let mut follower = Node::follower("follower", &[&authority]);
    follower.set("sync.commit_ms", 1);
    for part in 1..=3 {
        follower.start().reaches(part * last / 5);
        let seen = follower.height();
        follower.kill();
        assert!(seen < last, "it was still catching up: {seen} of {last}");
        follower.start();
        let resumed = started_at(&follower);
        assert!(resumed >= seen, "block {seen} was confirmed, and it resumed at {resumed}");
        follower.kill();
    }
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
