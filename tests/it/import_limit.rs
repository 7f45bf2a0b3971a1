//! How fast blocks can be posted: as fast as they are executed, unless a limit is configured.

use crate::forge::{Forge, import, posted};
use callboard_chain::Block;
use serde_json::json;
use std::time::{Duration, Instant};

const BLOCKS: u64 = 100;

#[test]
fn without_a_configured_limit_two_hundred_blocks_posted_at_once_all_succeed() {
    let mut forge = Forge::new();
    let mut node = forge.follower();
    node.start();
    let blocks = forge.extend_by(200);
    let begun = Instant::now();
    blocks.iter().for_each(|block| import(&node, block));
    assert_eq!(node.hash(200), blocks[199].hash());
    // The Python seed took one a second.
    assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
}

#[test]
fn without_a_configured_limit_blocks_posted_side_by_side_all_succeed() {
    let mut forge = Forge::new();
    let mut node = forge.follower();
    node.start();
    let block = forge.extend_by(1).remove(0);
    let begun = Instant::now();
    let post = || node.post("/rpc/importBlock", &posted(&block)).0;
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let posts: Vec<_> = (0..14).map(|_| scope.spawn(post)).collect();
        posts.into_iter().map(|post| post.join().expect("no panic")).collect()
    });
    assert_eq!(statuses, [200; 14]);
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

/// At 20 a second, the last of 100 waits 99 turns of 50 ms.
fn assert_paced(took: Duration) {
    assert!(took > Duration::from_millis(4_900), "{took:?}");
    assert!(took < Duration::from_secs(15), "{took:?}");
}

#[test]
fn at_a_limit_of_twenty_a_second_a_hundred_posted_blocks_all_succeed_in_about_five_seconds() {
    let mut forge = Forge::new();
    let mut node = forge.follower();
    node.set("rpc.limit.import_blocks_per_second", 20).start();
    let blocks = forge.extend_by(BLOCKS);
    let begun = Instant::now();
    blocks.iter().for_each(|block| import(&node, block));
    assert_paced(begun.elapsed());
    assert_eq!(node.height(), BLOCKS);
}

/// The seed's operators posted block after block and never looked at the answer.
#[test]
fn at_a_limit_a_loop_that_does_not_look_at_the_status_still_ends_with_every_block() {
    let mut forge = Forge::new();
    let mut node = forge.follower();
    node.set("rpc.limit.import_blocks_per_second", 20).start();
    let blocks = forge.extend_by(BLOCKS);
    let begun = Instant::now();
    for block in &blocks {
        let _ = node.post("/rpc/importBlock", &posted(block));
    }
    assert_paced(begun.elapsed());
    assert_eq!((node.height(), node.hash(BLOCKS)), (BLOCKS, blocks[BLOCKS as usize - 1].hash()));
}

#[test]
fn who_would_wait_longer_than_ten_seconds_is_told_when_to_come_back() {
    let mut forge = Forge::new();
    let mut node = forge.follower();
    node.set("rpc.limit.import_blocks_per_second", 1).start();
    let blocks = forge.extend_by(1);
    let post = |block: &Block| node.post("/rpc/importBlock", &posted(block));
    // More than ten turns of a second are taken at once.
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let posts: Vec<_> = (0..14).map(|_| scope.spawn(|| post(&blocks[0]).0)).collect();
        posts.into_iter().map(|post| post.join().expect("no panic")).collect()
    });
    let count = |wanted: u16| statuses.iter().filter(|status| **status == wanted).count();
    assert_eq!(count(200) + count(429), 14, "{statuses:?}");
    assert!((11..=13).contains(&count(200)), "{statuses:?}");
    let again = json!({ "success": true, "imported": false, "height": 1, "hash": blocks[0].hash() });
    assert_eq!(post(&blocks[0]), (200, again));
}
