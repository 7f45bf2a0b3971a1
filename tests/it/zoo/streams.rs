//! Streams of blocks that are no streams of blocks, and answers that never end.

use super::http::{OPEN_HEAD, frame, ok};
use super::peer::{Chain, Lie, blocks, frames, on};
use super::trial::{ALLOWANCE, HONEST_MEMORY, Trial};
use crate::support::wallet::make_blocks;
use std::io::Write;
use std::time::Duration;

/// What the longest block may have on the wire, and one byte.
const ONE_TOO_MANY: u32 = 8_388_608 + 1_024 + 1;
/// The longest genesis a follower fetches, KiB.
const LONGEST_GENESIS: u64 = 256 << 10;

#[test]
fn a_frame_longer_than_any_block_costs_its_sender_a_ban_before_its_bytes_come() {
    let announces = |length: u32| blocks(move |_, _| [&length.to_be_bytes()[..], &[0; 1_000]].concat());
    let mut trial = Trial::against([announces(u32::MAX), announces(ONE_TOO_MANY), announces(0)]);
    trial.is(&trial.peers[0].url(), "banned", "a frame of 4294967295 bytes was announced; at most 8389632");
    trial.is(&trial.peers[1].url(), "banned", "a frame of 8389633 bytes was announced; at most 8389632");
    trial.is(&trial.peers[2].url(), "banned", "a frame of zero bytes");
    trial.ends_well();
}

/// A dying connection looks the same: nobody is banned for it.
#[test]
fn a_frame_that_is_cut_off_ends_the_session_and_bans_nobody() {
    let cut = blocks(|_, asked| {
        let mut bytes = frames(asked);
        bytes.truncate(bytes.len() / 2);
        bytes
    });
    let mut trial = Trial::against([cut]);
    trial.logs("the stream ended after");
    trial.ends_well();
    trial.says_of(&trial.peers[0].url(), "not banned", |peer| peer["state"] == "connected");
}

/// Sends `piece` over and over for as long as anybody reads.
fn endless(routes: &'static [&'static str], piece: Vec<u8>) -> Lie {
    Lie::new(routes, move |_, _, stream| {
        stream.write_all(OPEN_HEAD).ok();
        while stream.write_all(&piece).is_ok() {}
    })
}

#[test]
fn an_answer_without_end_is_cut_at_its_limit_and_costs_its_sender_the_session() {
    let piece = || vec![b' '; 1 << 16];
    let lies = [endless(&["status"], piece()), endless(&["hello"], piece()), endless(&["peers"], piece())];
    let mut trial = Trial::against(lies);
    trial.is(&trial.peers[0].url(), "banned", "the answer is longer than the 8192 bytes that are allowed");
    trial.is(&trial.peers[1].url(), "refused", "the answer is longer than the 4096 bytes that are allowed");
    trial.is(&trial.peers[2].url(), "banned", "the answer is longer than the 65536 bytes that are allowed");
    trial.ends_well();
}

fn blocks_again_and_again() -> Lie {
    Lie::new(&["blocks"], |honest, _, stream| {
        let piece = frames(honest.chain.blocks[1..].iter().cloned());
        stream.write_all(OPEN_HEAD).ok();
        while stream.write_all(&piece).is_ok() {}
    })
}

#[test]
fn a_stream_of_blocks_without_end_is_left_at_the_first_that_does_not_fit() {
    let filler = endless(&["blocks"], frame(&[0; 1 << 20]));
    let mut trial = Trial::against([filler, blocks_again_and_again()]);
    trial.refuses_a_block_by("decode");
    trial.is(&trial.peers[0].url(), "banned", "is not well-formed");
    trial.is(&trial.peers[1].url(), "banned", "where block");
    trial.ends_well();
}

/// Nobody can know how long a genesis is before it is there: the limit is what one seed can cost.
#[test]
fn a_genesis_without_end_is_given_up_at_its_limit() {
    let mut trial = Trial::new();
    trial.bad_peer(endless(&["genesis"], vec![b' '; 1 << 20]));
    trial.follower_spawns();
    trial.logs("the answer is longer than the 268435456 bytes that are allowed");
    trial.gate.opens();
    trial.follower.listens();
    trial.ends_well_within(HONEST_MEMORY + ALLOWANCE + LONGEST_GENESIS);
}

/// Sends a byte every tenth of a second.
fn drip(routes: &'static [&'static str]) -> Lie {
    Lie::new(routes, |_, _, stream| {
        stream.write_all(OPEN_HEAD).ok();
        while stream.write_all(b"\0").is_ok() {
            std::thread::sleep(Duration::from_millis(100));
        }
    })
}

#[test]
fn a_peer_that_drips_its_answers_is_left_for_another_one_and_the_reason_said() {
    let mut trial = Trial::against([drip(&["hello"]), drip(&["status"]), drip(&["blocks"])]);
    trial.ends_well();
    trial.cannot_reach(&trial.peers[0].url(), "stalled");
    trial.logs("at least 4096 were expected");
}

#[test]
fn empty_answers_are_refused_by_what_was_expected() {
    let empty = |routes| on(routes, |_, _| ok(b""));
    let mut trial = Trial::against([empty(&["hello"]), empty(&["status"]), empty(&["blocks"])]);
    trial.is(&trial.peers[0].url(), "refused", "the hello message is malformed");
    trial.is(&trial.peers[1].url(), "banned", "a status was expected");
    trial.logs("sent fewer blocks than it has shown");
    trial.ends_well();
}

#[test]
fn garbage_instead_of_answers_is_refused_by_what_was_expected() {
    let json = |routes| on(routes, |_, _| ok(&[0xff; 2_000]));
    let http = |routes| on(routes, |_, _| vec![0xff; 2_000]);
    let mut trial =
        Trial::against([json(&["hello"]), json(&["status"]), json(&["peers"]), http(&["hello"]), http(&["blocks"])]);
    trial.is(&trial.peers[0].url(), "refused", "the hello message is malformed");
    trial.is(&trial.peers[1].url(), "banned", "a status was expected");
    trial.is(&trial.peers[2].url(), "banned", "a list of peers was expected");
    trial.cannot_reach(&trial.peers[3].url(), "no connection: invalid HTTP");
    trial.logs("no connection: invalid HTTP");
    trial.ends_well();
}

/// As many that they would take minutes from such a peer.
const MANY: u64 = 60;

/// It is never silent for long, so patience with silence, a minute by default, does not find it out.
#[test]
fn a_peer_that_sends_a_whole_block_every_few_seconds_is_left_for_another_one_at_the_default_patience() {
    let one_by_one = Lie::new(&["blocks"], |honest, request, stream| {
        stream.write_all(OPEN_HEAD).ok();
        for block in honest.asked(request) {
            if stream.write_all(&frame(block.bytes())).is_err() {
                return;
            }
            std::thread::sleep(Duration::from_secs(3));
        }
    });
    let mut trial = Trial::new();
    make_blocks(&trial.authority, 2, MANY);
    trial.chain = Chain::of(&trial.authority);
    trial.bad_peer(one_by_one);
    trial.follower_spawns_with_patience(60);
    trial.follower.listens();
    trial.ends_well();
}
