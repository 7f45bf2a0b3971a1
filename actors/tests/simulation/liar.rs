//! Nodes that lie. They know everything that is public, have as many node ids as they like, and no key but their own:
//! what they show under the authority's seal the authority has sealed at some time.

use super::chain::{FIXTURES, empty_child};
use super::env::{Env, Event, is_stale};
use super::network::{Message, Packet};
use super::serve::status;
use alloy_consensus::Header;
use alloy_primitives::{B256, Bytes};
use callboard_actors::callboard::Role;
use callboard_actors::transport::NodeId;
use callboard_actors::transport::wire::{MAX_ADDRESSES, PeerAddress};
use callboard_chain::Block;
use std::collections::BTreeMap;

/// What a liar does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lie {
    /// Blocks under a seal that is not the authority's.
    WrongSeal,
    /// Real headers and seals over other transactions.
    WrongBody,
    /// A height that no sealed header bears out.
    HeightUp,
    /// An old head, and nothing above it.
    HeightDown,
    /// The newest head, and none of its blocks.
    Silent,
    /// The newest head, and an empty answer to whoever asks for blocks.
    Empty,
    /// Blocks that nobody asked for, in streams that nobody opened, and answers twice.
    Unasked,
    /// A branch that the authority sealed long ago and nobody extends.
    DeadBranch,
    /// A second block of a height under the authority's seal: its key has leaked.
    Twin,
    /// Addresses of nodes that are not there, and of its own other identities.
    Addresses,
    /// A whole branch under the authority's seal, which grows beside the authority's own.
    Rival,
    /// No lie: what has become of the authority, whose state is not the one that its blocks lead to.
    WrongRoot,
}

impl Lie {
    pub(crate) const ALL: [Self; 12] = [
        Self::WrongSeal,
        Self::WrongBody,
        Self::HeightUp,
        Self::HeightDown,
        Self::Silent,
        Self::Empty,
        Self::Unasked,
        Self::DeadBranch,
        Self::Twin,
        Self::Addresses,
        Self::Rival,
        Self::WrongRoot,
    ];
}

/// A liar at one address.
pub(crate) struct Liar {
    pub(crate) place: usize,
    pub(crate) lie: Lie,
    victims: usize,
    /// Which node it says it is; another one once it is banned.
    id: NodeId,
    sessions: BTreeMap<usize, u64>,
    /// Its own chain, where it has one.
    branch: BTreeMap<u64, Block>,
}

impl Liar {
    /// A liar that talks to the nodes at the places below `victims`.
    pub(crate) fn new(place: usize, lie: Lie, victims: usize) -> Self {
        let mut branch = BTreeMap::new();
        if lie == Lie::DeadBranch {
            branch.extend(FIXTURES.dead_branch.iter().map(|block| (block.height(), block.clone())));
        }
        Self { place, lie, victims, id: FIXTURES.ids[place], sessions: BTreeMap::new(), branch }
    }

    pub(crate) fn on_message(&mut self, packet: Packet, env: &mut Env) {
        let Packet { from, message, .. } = packet;
        match message {
            Message::Hello { request, .. } => {
                let session = env.number();
                let welcome = Message::Welcome { request, id: self.id, role: Role::Authority, session };
                env.send(self.place, from, welcome);
            }
            Message::GetStatus { request, .. } => self.answer_status(from, request, env),
            Message::GetAddresses { request, .. } => {
                let told = self.addresses(env);
                env.send(self.place, from, Message::Addresses { request, told });
            }
            Message::GetBlocks { stream, from: first, count, .. } => {
                self.answer_blocks(from, stream, first, count, env)
            }
            Message::Welcome { session, .. } => {
                self.sessions.insert(from, session);
            }
            Message::Refused { .. } => {
                self.sessions.remove(&from);
                if self.lie == Lie::WrongRoot {
                    return;
                }
                self.id = FIXTURES.spare_ids[env.rng.below(FIXTURES.spare_ids.len())];
            }
            _ => {}
        }
    }

    fn answer_status(&mut self, to: usize, request: u64, env: &mut Env) {
        let mut body = status(self.id, &self.head(env));
        if self.lie == Lie::HeightUp {
            let mut claim = self.head(env).header().clone();
            claim.number += 1_000;
            body = status(self.id, &Block::sealed(claim, Vec::new(), &FIXTURES.impostor));
        }
        env.send(self.place, to, Message::Status { request, body: Box::new(body) });
        if self.lie == Lie::Unasked {
            let body = Box::new(status(self.id, &env.public_block(env.public_height() / 2)));
            env.send(self.place, to, Message::Status { request, body });
        }
    }

    /// The head that it shows.
    fn head(&self, env: &Env) -> Block {
        let newest = env.public_height();
        match self.lie {
            Lie::HeightDown => env.public_block(newest.min(2)),
            Lie::DeadBranch | Lie::Twin | Lie::Rival | Lie::WrongRoot => match self.branch.last_key_value() {
                Some((_, head)) => head.clone(),
                None => env.public_block(newest),
            },
            _ => env.public_block(newest),
        }
    }

    fn answer_blocks(&mut self, to: usize, stream: u64, first: u64, count: Option<u64>, env: &mut Env) {
        if self.lie == Lie::Silent {
            return;
        }
        let head = self.head(env).height();
        let end = count.map_or(u64::MAX, |count| first.saturating_add(count)).min(head + 1);
        if self.lie != Lie::Empty {
            for height in first..end {
                let block = self.block(height, env);
                env.send(self.place, to, Message::Frame { stream, block });
            }
        }
        if count.is_some() || self.lie == Lie::Empty {
            env.send(self.place, to, Message::End { stream });
        }
    }

    fn block(&self, height: u64, env: &mut Env) -> Bytes {
        let honest = env.public_block(height);
        match self.lie {
            Lie::WrongSeal => {
                let (parent, after) = (env.public_block(height.saturating_sub(1)), honest.header().timestamp + 1);
                empty_child(&parent, after, &FIXTURES.config, &FIXTURES.impostor).bytes().clone()
            }
            Lie::WrongBody => {
                let mut transactions = honest.transactions().to_vec();
                if transactions.pop().is_none() {
                    transactions.push(FIXTURES.transfers[0].0.clone());
                }
                Block::from_parts(honest.header().clone(), transactions, *honest.seal()).bytes().clone()
            }
            Lie::Unasked => env.public_block(height.saturating_sub(3)).bytes().clone(),
            _ => self.branch.get(&height).unwrap_or(&honest).bytes().clone(),
        }
    }

    /// Made-up neighbours, and its own address under several names.
    fn addresses(&self, env: &mut Env) -> Vec<PeerAddress> {
        let count = if self.lie == Lie::Addresses { MAX_ADDRESSES } else { 1 };
        let told = (0..count).map(|_| {
            let id = FIXTURES.spare_ids[env.rng.below(FIXTURES.spare_ids.len())];
            let host = if env.rng.chance(100) { self.place } else { 100 + env.rng.below(100) };
            PeerAddress { node_id: id, url: super::chain::url(host) }
        });
        told.collect()
    }

    pub(crate) fn on_tick(&mut self, env: &mut Env) {
        match self.lie {
            Lie::Twin if self.branch.is_empty() => self.seal_twin(env),
            Lie::Rival if self.branch.is_empty() => self.seal_twin(env),
            Lie::Rival => self.seal_on(env),
            Lie::WrongRoot if env.authority_is_gone => self.seal_wrong_root(env),
            _ => {}
        }
        let victim = env.rng.below(self.victims);
        match self.sessions.get(&victim).copied() {
            Some(session) => self.push(victim, session, env),
            None => {
                let (request, genesis) = (env.number(), FIXTURES.genesis.hash());
                let advertise = Some(FIXTURES.urls[self.place].clone());
                env.send(self.place, victim, Message::Hello { request, id: self.id, genesis, advertise });
            }
        }
        let (delay, place) = (env.rng.millis(500, 3_000), self.place);
        env.after(delay, Event::Tick { place, epoch: 0 });
    }

    /// Sends what nobody asked for.
    fn push(&mut self, victim: usize, session: u64, env: &mut Env) {
        let height = env.public_height();
        let block = self.block(height, env);
        env.send(self.place, victim, Message::Push { session, block: block.clone() });
        if self.lie == Lie::Unasked {
            let stream = env.rng.next() % 5_000;
            env.send(self.place, victim, Message::Frame { stream, block });
            env.send(self.place, victim, Message::End { stream });
            let body = Box::new(status(self.id, &env.public_block(height / 2)));
            env.send(self.place, victim, Message::Status { request: stream, body });
        }
    }

    /// Seals another block beside the newest one.
    fn seal_twin(&mut self, env: &mut Env) {
        let height = env.public_height();
        if height < 8 {
            return;
        }
        let wall = env.wall(0);
        let twin = empty_child(&env.public_block(height - 1), wall.as_secs(), &FIXTURES.config, &FIXTURES.authority);
        let honest = env.public_block(height);
        if twin.hash() == honest.hash() || is_stale(honest.header().timestamp, wall) {
            return;
        }
        env.note(format_args!("the liar at {} seals {height} again: {}", self.place, twin.hash()));
        self.keep(twin, env);
    }

    /// One more block on its own branch.
    fn seal_on(&mut self, env: &mut Env) {
        let Some((_, head)) = self.branch.last_key_value() else { return };
        let next = empty_child(head, env.wall(0).as_secs(), &FIXTURES.config, &FIXTURES.authority);
        self.keep(next, env);
    }

    /// A block on the newest one whose state root is wrong, and some on top of it.
    fn seal_wrong_root(&mut self, env: &mut Env) {
        let wall = env.wall(0).as_secs();
        let next = match self.branch.last_key_value() {
            None => {
                let parent = env.public_block(env.public_height());
                let right = empty_child(&parent, wall, &FIXTURES.config, &FIXTURES.authority);
                let wrong = Header { state_root: B256::repeat_byte(0xee), ..right.header().clone() };
                let wrong = Block::sealed(wrong, Vec::new(), &FIXTURES.authority);
                env.note(format_args!("the authority has sealed a wrong root at {}", wrong.height()));
                env.properties.unconfirmable = Some((wrong.height(), wrong.hash()));
                wrong
            }
            Some((_, head)) => empty_child(head, wall, &FIXTURES.config, &FIXTURES.authority),
        };
        self.keep(next, env);
    }

    fn keep(&mut self, block: Block, env: &mut Env) {
        env.properties.exists(&block);
        env.properties.other_branches.insert(block.hash());
        self.branch.insert(block.height(), block);
    }
}
