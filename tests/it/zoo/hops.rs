//! Honest nodes with a lossy hop between them: what gets lost on the way is noticed, named and made good.

use super::http::{OPEN_HEAD, frame};
use crate::support::node::{Node, SOON, assert_same_blocks};
use crate::support::until;
use crate::support::wallet::make_blocks;
use callboard::dev;
use callboard_chain::{Block, Seal};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write, copy};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A lost block is had within this time, also where nothing comes after it.
const AT_ONCE: Duration = Duration::from_secs(15);

type Pass = dyn Fn(Block) -> Option<Block> + Send + Sync;

/// Stands between a node and those that dial it, and hands on each block as it sees fit. All else goes through as it is.
struct Hop {
    url: String,
}

impl Hop {
    fn to(node: &Node, pass: impl Fn(Block) -> Option<Block> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("address"));
        let (target, pass): (String, Arc<Pass>) = (node.peer_url().replace("http://", ""), Arc::new(pass));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (target, pass) = (target.clone(), pass.clone());
                // Either side may hang up at any time.
                std::thread::spawn(move || carry(&stream, &target, &*pass).ok());
            }
        });
        Self { url }
    }
}

/// One request and its answer: HTTP/1.0 has no second one on a connection.
fn carry(asker: &TcpStream, target: &str, pass: &Pass) -> std::io::Result<()> {
    let mut from = BufReader::new(asker.try_clone()?);
    let (head, length) = read_head(&mut from)?;
    let mut body = vec![0; length];
    from.read_exact(&mut body)?;
    let mut node = TcpStream::connect(target)?;
    node.write_all(head.replacen("HTTP/1.1", "HTTP/1.0", 1).as_bytes())?;
    node.write_all(&body)?;
    let leaving = node.try_clone()?;
    std::thread::spawn(move || {
        // The asker says no more: it leaves.
        from.read_to_end(&mut Vec::new()).ok();
        leaving.shutdown(Shutdown::Both).ok();
    });
    let (mut to, mut answer) = (asker, BufReader::new(node));
    let (answered, _) = read_head(&mut answer)?;
    if head.starts_with("GET /peer/v1/blocks") && answered.contains(" 200 ") {
        to.write_all(OPEN_HEAD)?;
        let mut frames = Chunks { from: answer, left: 0 };
        while let Some(block) = read_block(&mut frames)? {
            if let Some(block) = pass(block) {
                to.write_all(&frame(block.bytes()))?;
            }
        }
    } else {
        to.write_all(answered.as_bytes())?;
        copy(&mut answer, &mut to)?;
    }
    to.shutdown(Shutdown::Both)
}

/// The body of an answer that comes in chunks.
struct Chunks<R> {
    from: R,
    left: usize,
}

impl<R: BufRead> Read for Chunks<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        while self.left == 0 {
            let mut line = String::new();
            if self.from.read_line(&mut line)? == 0 {
                return Ok(0);
            }
            // An empty line ends the chunk before.
            let size = line.trim_end();
            self.left = if size.is_empty() { 0 } else { usize::from_str_radix(size, 16).expect("a size") };
            if size == "0" {
                return Ok(0);
            }
        }
        let room = buffer.len().min(self.left);
        let count = self.from.read(&mut buffer[..room])?;
        self.left -= count;
        Ok(count)
    }
}

/// A head with the empty line after it, and the length of the body it announces.
fn read_head(from: &mut impl BufRead) -> std::io::Result<(String, usize)> {
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if from.read_line(&mut line)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        head.push_str(&line);
        if line == "\r\n" {
            return Ok((head, length));
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().expect("a length");
        }
    }
}

fn read_block(from: &mut impl Read) -> std::io::Result<Option<Block>> {
    let mut length = [0; 4];
    if from.read_exact(&mut length).is_err() {
        return Ok(None);
    }
    let mut bytes = vec![0; usize::try_from(u32::from_be_bytes(length)).expect("64 bits")];
    from.read_exact(&mut bytes)?;
    Ok(Some(Block::decode(bytes.into()).expect("the node sends whole blocks")))
}

/// An authority, and a follower that reaches it only over the hop.
fn follower_over(hop: &Hop) -> Node {
    let mut follower = Node::follower("follower", &[]);
    follower.set("peers.seeds", vec![hop.url.clone()]).set("peers.discovery", false);
    follower
}

#[test]
fn a_block_that_is_lost_on_the_way_is_seen_as_a_gap_and_fetched_at_once() {
    let mut authority = Node::authority();
    authority.start();
    make_blocks(&authority, 0, 3);
    // Block 5 is lost with nothing after it, block 7 with block 8 after it; once each.
    let lost = Arc::new([AtomicU64::new(0), AtomicU64::new(0)]);
    let counts = lost.clone();
    let hop = Hop::to(&authority, move |block| {
        let count = match block.height() {
            5 => &counts[0],
            7 => &counts[1],
            _ => return Some(block),
        };
        (count.fetch_add(1, Ordering::SeqCst) > 0).then_some(block)
    });
    let mut follower = follower_over(&hop);
    follower.start().reaches(3);
    follower.is_phase("following");
    make_blocks(&authority, 3, 1);
    follower.reaches(4);
    let has = |height| until("the lost block", AT_ONCE, || (follower.height() >= height).then_some(()));
    make_blocks(&authority, 4, 1);
    has(5);
    follower.is_phase("following");
    make_blocks(&authority, 5, 3);
    has(8);
    follower.is_phase("following");
    make_blocks(&authority, 8, 1);
    has(9);
    assert_same_blocks(&authority, &follower);
    for count in &*lost {
        assert_eq!(count.load(Ordering::SeqCst), 2, "lost once, and sent again");
    }
}

#[test]
fn a_seal_that_is_lost_on_the_way_is_refused_with_sender_check_and_both_sides() {
    let mut authority = Node::authority();
    authority.start();
    make_blocks(&authority, 0, 2);
    let first = Block::decode(authority.block(1)).expect("a block");
    let (proposer, stranger) = (first.header().beneficiary, dev::key(7));
    let someone = stranger.address().to_string();
    let status: Value = serde_json::from_slice(&authority.peer_get("status")).expect("a status");
    // No signature at all, and one of somebody else's.
    let unsigned = ("r from 1 to the group order minus 1", "r 0");
    for (seal, sides) in [(None, unsigned), (Some(stranger), (&*proposer.to_string(), &*someone))] {
        let hop = Hop::to(&authority, move |block| {
            let lost = match &seal {
                _ if block.height() != 2 => return Some(block),
                None => Seal([0; 65]),
                Some(key) => Seal::sign(key, block.hash()),
            };
            Some(Block::from_parts(block.header().clone(), block.transactions().to_vec(), lost))
        });
        let mut follower = follower_over(&hop);
        follower.start();
        let refused = until("the refusal", SOON, || {
            let refused = follower.call("callboard_rejections", json!([]));
            refused.as_array().and_then(|all| all.first().cloned())
        });
        assert_eq!((&refused["height"], &refused["hash"]), (&json!(2), &json!(authority.hash(2))), "{refused}");
        assert_eq!((&refused["check"], &refused["blame"]), (&json!("seal"), &json!("peer")));
        assert_eq!(refused["expected"], sides.0);
        assert!(refused["actual"].as_str().is_some_and(|actual| actual.starts_with(sides.1)), "{refused}");
        assert_eq!(refused["sender"], status["nodeId"]);
        assert_eq!(refused["url"].as_str().map(|url| url.trim_end_matches('/')), Some(&*hop.url));
        assert_eq!(follower.height(), 1, "what came before it is kept");
        assert_eq!(follower.status()["lastRejection"], refused["message"]);
        follower.stop();
        follower.unset("peers.seeds").set("peers.seeds", Vec::<String>::new()).start();
        assert_eq!(follower.status()["lastRejection"], refused["message"], "known after a restart");
    }
}
