//! Lies that begin when a peer is already followed: on the stream on which it was honest so far.

use super::http::{OPEN_HEAD, frame};
use super::peer::{Lie, frames};
use super::trial::Trial;
use crate::forge::{Forge, with_body, with_header};
use crate::support::node::SOON;
use crate::support::until;
use crate::support::wallet::make_blocks;
use alloy_primitives::B256;
use callboard::dev;
use callboard_chain::{Block, Seal};
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};

/// What the peer sends to whoever follows it.
struct Live {
    sends: Sender<Vec<u8>>,
    followed: Arc<AtomicBool>,
}

/// Honest in everything, but for what comes on its live stream.
fn live() -> (Lie, Live) {
    let (sends, comes) = channel::<Vec<u8>>();
    let (comes, followed) = (Mutex::new(comes), Arc::new(AtomicBool::new(false)));
    let is_followed = followed.clone();
    let lie = Lie::new(&["blocks"], move |honest, request, stream| {
        stream.write_all(&[OPEN_HEAD, &frames(honest.asked(request))].concat()).ok();
        if !request.follows() {
            return;
        }
        is_followed.store(true, Ordering::SeqCst);
        for bytes in comes.lock().expect("no panic").iter() {
            if stream.write_all(&bytes).is_err() {
                return;
            }
        }
    });
    (lie, Live { sends, followed })
}

/// A follower that follows one peer, honest so far, to the head. Then the authority seals a block, and the peer sends
/// something else for it: refused under this name, and the peer is banned.
#[track_caller]
fn is_refused_live(check: Option<&str>, reason: &str, falsify: impl Fn(&Block) -> Vec<u8>) {
    let (lie, live) = live();
    let mut trial = Trial::against([lie]);
    until("it is followed", SOON, || live.followed.load(Ordering::SeqCst).then_some(()));
    trial.follower.is_phase("following");
    make_blocks(&trial.authority, 2, 1);
    let next = Block::decode(trial.authority.block(trial.authority.height())).expect("a block");
    live.sends.send(falsify(&next)).expect("it is followed");
    if let Some(check) = check {
        trial.refuses_a_block_by(check);
    }
    trial.all_are("banned", reason);
    assert_eq!(trial.follower.height(), trial.chain.head().height());
    trial.ends_well();
}

fn framed(block: &Block) -> Vec<u8> {
    frame(block.bytes())
}

#[test]
fn a_wrong_seal_on_a_live_stream_is_refused_and_its_sender_banned() {
    is_refused_live(Some("seal"), "the seal", |next| {
        let seal = Seal::sign(&dev::key(3), next.hash());
        framed(&Block::from_parts(next.header().clone(), next.transactions().to_vec(), seal))
    });
}

#[test]
fn a_wrong_state_root_on_a_live_stream_is_refused_and_its_sender_banned() {
    is_refused_live(Some("seal"), "the seal", |next| {
        framed(&with_header(next, |header| header.state_root = B256::repeat_byte(0xee)))
    });
}

#[test]
fn a_wrong_body_on_a_live_stream_is_refused_and_its_sender_banned() {
    is_refused_live(Some("transactionsRoot"), "transactions", |next| framed(&with_body(next, Vec::new())));
}

#[test]
fn a_header_of_another_chain_on_a_live_stream_is_refused_and_its_sender_banned() {
    let other = Forge::new().extend_by(1).remove(0);
    is_refused_live(Some("extraData"), "extraData", move |_| framed(&other));
}

#[test]
fn a_frame_that_is_no_block_on_a_live_stream_is_refused_and_its_sender_banned() {
    is_refused_live(Some("decode"), "bytes after", |_| frame(&[0xc3; 1_000]));
}

#[test]
fn a_frame_longer_than_any_block_on_a_live_stream_costs_its_sender_a_ban_before_its_bytes_come() {
    is_refused_live(None, "a frame of 4294967295 bytes was announced; at most 8389632", |_| {
        u32::MAX.to_be_bytes().to_vec()
    });
}

/// A block that the follower has already: nobody who is followed sends that.
#[test]
fn a_block_that_came_before_on_a_live_stream_is_refused_and_its_sender_banned() {
    let (lie, live) = live();
    let mut trial = Trial::against([lie]);
    until("it is followed", SOON, || live.followed.load(Ordering::SeqCst).then_some(()));
    live.sends.send(framed(&trial.chain.blocks[1])).expect("it is followed");
    trial.all_are("banned", "sent block 1 where block");
    trial.ends_well();
}
