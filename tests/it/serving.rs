//! An authority that others catch up with seals in time, and answers.

use crate::support::guest::Guest;
use crate::support::node::{Node, SOON};
use crate::support::until;
use serde_json::json;
use std::thread;
use std::time::{Duration, Instant};

/// What there is to catch up with.
const BLOCKS: u64 = 2_000;
const TRANSFERS: u64 = 10;
/// Between two blocks of the authority, milliseconds.
const INTERVAL: u64 = 200;
/// Blocks that it seals first, with nobody to serve.
const ALONE: u64 = 15;
/// So many times later than alone may half of the blocks come: who serves shares two cores with those whom it serves, and
/// with other tests.
const LATER: f64 = 3.0;
/// No block, and no answer, takes longer than this, milliseconds. Serving takes several times as long.
const LONGEST: f64 = 2_000.0;
/// Blocks that it seals at least while it serves.
const SEALED: usize = 10;
/// Readers, and streams that each of them reads at one time.
const READERS: u8 = 16;
const STREAMS: usize = 4;
/// Threads that reading for them may add, and answering who asks.
const MORE_THREADS: usize = 8;

/// Seals a block every interval, on top of a chain that takes a while to catch up with.
fn authority() -> Node {
    let mut authority = Node::authority_over(BLOCKS, TRANSFERS);
    authority
        .set("authority.block_interval_ms", INTERVAL)
        .set("authority.empty_blocks", true)
        .start()
        .reaches(BLOCKS + ALONE);
    authority
}

/// An authority that is looked at while it serves.
struct Watched<'a> {
    authority: &'a Node,
    began: Instant,
    /// Its height when serving began.
    first: u64,
    /// How long each answer took, milliseconds.
    answers: Vec<f64>,
}

impl<'a> Watched<'a> {
    fn new(authority: &'a Node) -> Self {
        Self { authority, began: Instant::now(), first: authority.height(), answers: Vec::new() }
    }

    /// Asks it something, which it answers.
    fn ask(&mut self) {
        for (method, params) in [("eth_blockNumber", json!([])), ("eth_getBlockByNumber", json!(["0x7d0", true]))] {
            let began = Instant::now();
            assert!(!self.authority.call(method, params).is_null());
            self.answers.push(began.elapsed().as_secs_f64() * 1_000.0);
        }
    }

    /// Serving has ended: its blocks came in time, and so did its answers.
    #[track_caller]
    fn was_in_time(mut self) {
        let served = self.began.elapsed().as_secs_f64() * 1_000.0;
        let alone = self.gaps(BLOCKS + 1, BLOCKS + ALONE);
        let serving = self.gaps(self.first, self.authority.height());
        let told = format!("{served:.0} ms of serving; gaps alone {alone:.0?}, serving {serving:.0?}");
        assert!(serving.len() > SEALED, "stopped, or served for too short a time to be told: {told}");
        let (median, largest) = (serving[serving.len() / 2], serving[serving.len() - 1]);
        assert!(median < LATER * alone[alone.len() / 2] && largest < LONGEST, "{told}");
        self.answers.sort_by(f64::total_cmp);
        let (median, slowest) = (self.answers[self.answers.len() / 2], self.answers[self.answers.len() - 1]);
        assert!(
            median < INTERVAL as f64 && slowest < LONGEST,
            "answers: median {median:.1} ms, slowest {slowest:.1} ms"
        );
    }

    /// Milliseconds from each block to the next being durable, ascending.
    fn gaps(&self, first: u64, last: u64) -> Vec<f64> {
        let durable = |height| {
            let answer = self.authority.call("callboard_explainBlock", json!([height]));
            answer["confirmed"]["passport"]["durableAt"].as_f64().expect("a passport")
        };
        let times: Vec<_> = (first..=last).map(durable).collect();
        let mut gaps: Vec<_> = times.windows(2).map(|pair| (pair[1] - pair[0]) * 1_000.0).collect();
        gaps.sort_by(f64::total_cmp);
        gaps
    }
}

fn threads(node: &Node) -> usize {
    std::fs::read_dir(format!("/proc/{}/task", node.pid())).expect("a Linux process").count()
}

#[test]
fn an_authority_whose_followers_catch_up_seals_in_time_and_answers() {
    let authority = authority();
    let mut followers = ["first", "second", "third"].map(|name| Node::follower(name, &[&authority]));
    // Each verifies on one thread, so that they do not leave the authority less than its share of two cores.
    followers.iter_mut().for_each(|follower| _ = follower.set("sync.workers", 1).spawn());
    let mut watched = Watched::new(&authority);
    followers.iter_mut().for_each(Node::listens);
    until("all follow", 3 * SOON, || {
        watched.ask();
        followers.iter().all(|follower| follower.status()["phase"] == "following").then_some(())
    });
    watched.was_in_time();
    followers.iter().for_each(|follower| assert_eq!(follower.hash(BLOCKS), authority.hash(BLOCKS)));
}

/// They take blocks as fast as they come and do nothing with them.
#[test]
fn however_many_read_at_once_few_threads_read_for_them_and_blocks_and_answers_come_in_time() {
    let authority = authority();
    let guests: Vec<_> = (1..=READERS).map(|number| Guest::of(&authority, number)).collect();
    let mut watched = Watched::new(&authority);
    watched.ask();
    let before = threads(&authority);
    let mut most = before;
    thread::scope(|scope| {
        let read = |guest: Guest| {
            let began = Instant::now();
            while began.elapsed() < Duration::from_secs(6) {
                let mut streams: Vec<_> = (0..STREAMS).map(|_| guest.follow(1)).collect();
                streams.iter_mut().for_each(|stream| stream.pass(BLOCKS / 4));
            }
        };
        let readers: Vec<_> = guests.into_iter().map(|guest| scope.spawn(move || read(guest))).collect();
        while readers.iter().any(|reader| !reader.is_finished()) {
            watched.ask();
            most = most.max(threads(&authority));
        }
    });
    assert!(most <= before + MORE_THREADS, "{before} threads before, {most} while it served");
    watched.was_in_time();
}
