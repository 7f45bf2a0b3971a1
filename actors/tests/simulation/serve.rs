//! What a node answers: hello, status, addresses, blocks, and streams that follow its head.

use super::chain::FIXTURES;
use super::env::Env;
use super::network::Message;
use super::node::Node;
use callboard_actors::broadcaster::{Announced, Effect};
use callboard_actors::transport::hello::Party;
use callboard_actors::transport::sessions::{Guest, SESSIONS_PER_NODE, STREAMS_PER_NODE};
use callboard_actors::transport::wire::StatusBody;
use callboard_actors::transport::{BootId, NodeId, PeerUrl, SealedHead};
use callboard_chain::Block;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

/// A stream that waits for news looks into the store this often of its own accord.
const LOOK_AGAIN: Duration = Duration::from_secs(2);
/// Blocks that a stream is sent at a time.
const CHUNK_BLOCKS: u64 = 64;

/// Somebody who follows this node's head.
#[derive(Debug)]
pub(crate) struct Follower {
    place: usize,
    peer: NodeId,
    subscriber: u64,
    next: u64,
    look_again: Duration,
}

impl Node {
    pub(crate) fn serve(&mut self, from: usize, message: Message, env: &mut Env) {
        match message {
            Message::Hello { request, id, genesis, advertise } => {
                let answer = if genesis == self.genesis.hash() {
                    self.greet(from, request, id, advertise, env)
                } else {
                    Message::WrongChain { request, genesis: self.genesis.hash(), newest: self.disk.header().timestamp }
                };
                env.send(self.place, from, answer);
            }
            Message::GetStatus { request, session } => {
                let head = self.disk.head();
                let answer = self.answer_guest(request, session, |node| Message::Status {
                    request,
                    body: Box::new(status(node.id(), &head)),
                });
                if matches!(answer, Message::Status { .. }) {
                    env.properties.confirmed(self.place, head.height(), head.hash());
                }
                env.send(self.place, from, answer);
            }
            Message::GetAddresses { request, session } => {
                let answer = self.answer_guest(request, session, |node| {
                    let (_, peer) = node.running().guests[&session];
                    let told = node.running().discovery.addresses_for(peer, Some(address(from)));
                    Message::Addresses { request, told: told.unwrap_or_default() }
                });
                env.send(self.place, from, answer);
            }
            Message::GetBlocks { stream, session, from: first, count } => {
                self.serve_blocks(from, stream, session, first, count, env);
            }
            Message::Cancel { stream } => self.end_follower(stream),
            _ => {}
        }
    }

    fn greet(&mut self, from: usize, request: u64, id: NodeId, advertise: Option<PeerUrl>, env: &mut Env) -> Message {
        let (own, role, genesis_hash) = (self.id(), self.role, self.genesis.hash());
        let process = self.running();
        process.banned.retain(|_, until| *until > env.now);
        if id == own || process.banned.contains_key(&id) {
            return Message::Refused { request };
        }
        let tokens: Vec<u64> = process.guests.iter().filter(|(_, guest)| guest.1 == id).map(|(key, _)| *key).collect();
        if tokens.len() >= SESSIONS_PER_NODE {
            process.guests.remove(&tokens[0]);
        }
        let session = env.number();
        process.guests.insert(session, (from, id));
        let party = Party { node_id: id, boot_id: BootId([0; 16]), nonce: [0; 32], genesis_hash, role, advertise };
        let guest = Guest { party, remote: Some(address(from)), since: env.instant() };
        process.discovery.on_greeted(env.instant(), guest);
        Message::Welcome { request, id: own, role, session }
    }

    fn answer_guest(&mut self, request: u64, session: u64, answer: impl FnOnce(&mut Self) -> Message) -> Message {
        if self.running().guests.contains_key(&session) { answer(self) } else { Message::Refused { request } }
    }

    fn serve_blocks(&mut self, place: usize, stream: u64, session: u64, first: u64, count: Option<u64>, env: &mut Env) {
        let Some((_, peer)) = self.running().guests.get(&session).copied() else {
            return env.send(self.place, place, Message::Refused { request: stream });
        };
        let Some(count) = count else { return self.follow(place, peer, stream, first, env) };
        let end = first.saturating_add(count).min(self.disk.height() + 1);
        for height in first..end {
            self.send_block(place, stream, height, env);
        }
        env.send(self.place, place, Message::End { stream });
    }

    fn follow(&mut self, place: usize, peer: NodeId, stream: u64, first: u64, env: &mut Env) {
        let streams = self.running().followers.iter().filter(|(_, follower)| follower.peer == peer);
        let streams: Vec<u64> = streams.map(|(stream, _)| *stream).collect();
        if streams.len() >= STREAMS_PER_NODE {
            self.end_follower(streams[0]);
            env.send(self.place, place, Message::End { stream: streams[0] });
        }
        let subscriber = self.running().broadcaster.on_subscribe(peer);
        let look_again = env.now + LOOK_AGAIN;
        let follower = Follower { place, peer, subscriber, next: first, look_again };
        self.running().followers.insert(stream, follower);
        self.read_store(stream, env);
    }

    /// Sends a follower what is in the store.
    fn read_store(&mut self, stream: u64, env: &mut Env) {
        let head = self.disk.height();
        let Some(follower) = self.running().followers.get_mut(&stream) else { return };
        follower.look_again = env.now + LOOK_AGAIN;
        let (place, first) = (follower.place, follower.next);
        let end = (head + 1).min(first.saturating_add(CHUNK_BLOCKS));
        follower.next = first.max(end);
        for height in first..end {
            self.send_block(place, stream, height, env);
        }
    }

    fn send_block(&mut self, place: usize, stream: u64, height: u64, env: &mut Env) {
        let Some(block) = self.disk.block(height) else { return };
        env.properties.confirmed(self.place, height, block.hash());
        env.send(self.place, place, Message::Frame { stream, block: block.bytes().clone() });
    }

    /// Tells everybody who follows about a block, and the one who sent it without its bytes.
    pub(crate) fn announce(&mut self, block: &Block, from: Option<NodeId>, env: &mut Env) {
        env.properties.confirmed(self.place, block.height(), block.hash());
        let bytes = bytes::Bytes::from(block.bytes().clone());
        for effect in self.running().broadcaster.on_block(block.height(), Some(&bytes), from) {
            let Effect::Announce { subscriber, announcement } = effect else { continue };
            let followers = &mut self.running().followers;
            let Some((stream, follower)) = followers.iter_mut().find(|(_, one)| one.subscriber == subscriber) else {
                continue;
            };
            let (stream, place) = (*stream, follower.place);
            if announcement.height > follower.next {
                self.read_store(stream, env);
            } else if announcement.height == follower.next {
                follower.next += 1;
                if let Announced::Bytes(canonical) = announcement.block {
                    env.send(self.place, place, Message::Frame { stream, block: canonical.into() });
                }
            }
        }
    }

    pub(crate) fn tick_followers(&mut self, env: &mut Env) {
        let due = self.running().followers.iter().filter(|(_, follower)| follower.look_again <= env.now);
        let due: Vec<u64> = due.map(|(stream, _)| *stream).collect();
        for stream in due {
            self.read_store(stream, env);
        }
    }

    pub(crate) fn end_follower(&mut self, stream: u64) {
        let process = self.running();
        if let Some(follower) = process.followers.remove(&stream) {
            process.broadcaster.on_unsubscribed(follower.subscriber, false);
        }
    }

    /// A banned node's sessions and streams end.
    pub(crate) fn turn_out(&mut self, peer: NodeId) {
        let process = self.running();
        process.guests.retain(|_, (_, guest)| *guest != peer);
        let streams: Vec<u64> =
            process.followers.iter().filter(|(_, one)| one.peer == peer).map(|(stream, _)| *stream).collect();
        for stream in streams {
            self.end_follower(stream);
        }
    }
}

/// What a node whose head is `head` says of itself.
pub(crate) fn status(id: NodeId, head: &Block) -> StatusBody {
    let role = callboard_actors::callboard::Role::Follower;
    let (chain_id, genesis) = (FIXTURES.config.chain_id, FIXTURES.genesis.hash());
    StatusBody::new(id, role, chain_id, genesis, &SealedHead::of(head))
}

pub(crate) fn address(place: usize) -> IpAddr {
    Ipv4Addr::new(10, 0, 0, place as u8).into()
}
