//! What a node asks: peer discovery's dials and polls, and what their answers mean.

use super::chain::FIXTURES;
use super::env::{Env, Guard};
use super::network::Message;
use super::node::Node;
use super::serve::address;
use alloy_primitives::B256;
use callboard_actors::peer_discovery::{Dialled, Effect, Failure, FailureKind, Offence};
use callboard_actors::sync_coordinator::{self, ForeignGenesis, KnownHead};
use callboard_actors::transport::wire::StatusBody;
use callboard_actors::transport::{NodeId, PeerUrl, SealedHead};
use callboard_chain::{Block, Seal};
use std::time::Duration;

/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(3);

/// A question that waits for its answer.
#[derive(Debug)]
pub(crate) struct Request {
    to: Option<usize>,
    until: Duration,
    about: About,
}

#[derive(Debug)]
enum About {
    Hello { url: PeerUrl, expected: Option<NodeId>, is_seed: bool },
    Poll { peer: NodeId, number: u64 },
    Addresses { peer: NodeId },
}

/// A peer that has let this node in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Session {
    pub(crate) place: usize,
    pub(crate) token: u64,
}

fn failure(kind: FailureKind, reason: &str) -> Failure {
    Failure { kind, reason: reason.to_owned() }
}

impl Node {
    pub(crate) fn tick_discovery(&mut self, env: &mut Env) {
        let now = env.now;
        let late = self.running().requests.iter().filter(|(_, request)| request.until <= now);
        let late: Vec<u64> = late.map(|(number, _)| *number).collect();
        for number in late {
            let Some(request) = self.running().requests.remove(&number) else { continue };
            self.on_failed(request.about, failure(FailureKind::Unreachable, "no answer"), env);
        }
        let effects = self.running().discovery.on_tick(env.instant());
        self.apply_discovery(effects, env);
    }

    fn ask(&mut self, to: Option<usize>, about: About, env: &mut Env, question: impl FnOnce(u64) -> Message) {
        let request = env.number();
        self.running().requests.insert(request, Request { to, until: env.now + PATIENCE, about });
        if let Some(to) = to {
            env.send(self.place, to, question(request));
        }
    }

    pub(crate) fn apply_discovery(&mut self, effects: Vec<Effect>, env: &mut Env) {
        for effect in effects {
            match effect {
                Effect::Dial { url, expected, is_seed, .. } => {
                    let (id, genesis) = (self.id(), self.genesis.hash());
                    let advertise = Some(FIXTURES.urls[self.place].clone());
                    let to = FIXTURES.place_of(&url);
                    let about = About::Hello { url, expected, is_seed };
                    self.ask(to, about, env, |request| Message::Hello { request, id, genesis, advertise });
                }
                Effect::Poll { peer, number } => {
                    let Some(session) = self.running().sessions.get(&peer).copied() else { continue };
                    self.ask(Some(session.place), About::Poll { peer, number }, env, |request| Message::GetStatus {
                        request,
                        session: session.token,
                    });
                }
                Effect::AskAddresses { peer } => {
                    let Some(session) = self.running().sessions.get(&peer).copied() else { continue };
                    self.ask(Some(session.place), About::Addresses { peer }, env, |request| Message::GetAddresses {
                        request,
                        session: session.token,
                    });
                }
                Effect::Connected { peer, .. } => self.on_connected(peer, env),
                Effect::Lost { peer, reason } => self.on_lost(peer, &reason, env),
                Effect::Status { peer, head } => self.on_head(peer, &head, env),
                Effect::Ban { peer, until } => self.on_ban(peer, env.time_of(until), env),
                Effect::Remember(address) => {
                    self.remembered.insert(address.node_id, address);
                }
                Effect::Forget { peer } => {
                    self.remembered.remove(&peer);
                }
                Effect::FirstDialsEnded { .. } => self.tell(env, sync_coordinator::State::on_peers_answered),
                Effect::Reserve { .. } => {}
            }
        }
    }

    fn on_ban(&mut self, peer: NodeId, until: Duration, env: &mut Env) {
        env.note(format_args!("node {} bans {}", self.place, peer.short()));
        env.properties.banned(self.place, peer);
        self.running().banned.insert(peer, until);
        self.turn_out(peer);
    }

    pub(crate) fn on_misbehaved(&mut self, peer: NodeId, offence: Offence, reason: &str, env: &mut Env) {
        env.note(format_args!("node {} blames {}: {offence:?}, {reason}", self.place, peer.short()));
        let effects = self.running().discovery.on_misbehaved(env.instant(), peer, offence, reason);
        self.apply_discovery(effects, env);
    }

    pub(crate) fn on_answer(&mut self, from: usize, message: Message, env: &mut Env) {
        let number = match &message {
            Message::Welcome { request, .. }
            | Message::WrongChain { request, .. }
            | Message::Refused { request, .. }
            | Message::Status { request, .. }
            | Message::Addresses { request, .. } => *request,
            _ => return,
        };
        if self.running().requests.get(&number).is_none_or(|request| request.to != Some(from)) {
            return self.on_stream_refused(from, number, env);
        }
        let Some(request) = self.running().requests.remove(&number) else { return };
        match (request.about, message) {
            (About::Hello { url, expected, .. }, Message::Welcome { id, role, session, .. }) => {
                let other = expected.is_some_and(|expected| expected != id) || id == self.id();
                let result = if other { Err(failure(FailureKind::Refused, "another node")) } else { Ok(()) };
                if result.is_ok() {
                    self.running().sessions.insert(id, Session { place: from, token: session });
                }
                let result = result.map(|()| Dialled { peer: id, role, remote: Some(address(from)) });
                let (now, jitter) = (env.instant(), env.rng.next());
                let effects = self.running().discovery.on_dialled(now, &url, result, jitter);
                self.apply_discovery(effects, env);
            }
            (About::Hello { url, expected, is_seed }, Message::WrongChain { genesis, newest, .. }) => {
                if is_seed {
                    self.on_foreign_chain(&url, genesis, newest, env);
                }
                let about = About::Hello { url, expected, is_seed };
                self.on_failed(about, failure(FailureKind::Refused, "wrong chain"), env);
            }
            (About::Poll { peer, number }, Message::Status { body, .. }) => {
                let polled = self.check_status(&body, env);
                let effects = self.running().discovery.on_polled(env.instant(), peer, number, polled);
                self.apply_discovery(effects, env);
            }
            (About::Addresses { peer }, Message::Addresses { told, .. }) => {
                self.running().discovery.on_told(env.instant(), peer, Some(address(from)), told);
            }
            (about, Message::Refused { .. }) => self.on_failed(about, failure(FailureKind::Refused, "refused"), env),
            (about, _) => self.on_failed(about, failure(FailureKind::Misbehaved, "no such answer"), env),
        }
    }

    fn check_status(&mut self, body: &StatusBody, env: &mut Env) -> Result<SealedHead, Failure> {
        match env.memo.verify_head(body) {
            Ok(head) => Ok(head),
            Err(_) if env.is_removed(Guard::SealedHeads) => Ok(claimed_head(body)),
            Err(error) => Err(failure(FailureKind::Misbehaved, &error.to_string())),
        }
    }

    fn on_failed(&mut self, about: About, failure: Failure, env: &mut Env) {
        let (now, jitter) = (env.instant(), env.rng.next());
        let discovery = &mut self.running().discovery;
        let effects = match about {
            About::Hello { url, .. } => discovery.on_dialled(now, &url, Err(failure), jitter),
            About::Poll { peer, number } => discovery.on_polled(now, peer, number, Err(failure)),
            About::Addresses { .. } => Vec::new(),
        };
        self.apply_discovery(effects, env);
    }

    pub(crate) fn on_session_broken(&mut self, peer: NodeId, reason: &str, env: &mut Env) {
        let effects = self.running().discovery.on_session_broken(env.instant(), peer, reason);
        self.apply_discovery(effects, env);
    }

    fn on_connected(&mut self, peer: NodeId, env: &mut Env) {
        env.note(format_args!("node {} is connected to {}", self.place, peer.short()));
        let Some(session) = self.running().sessions.get(&peer) else { return };
        let url = FIXTURES.urls[session.place].to_string();
        self.tell(env, |sync, now, wall| sync.on_peer_connected(now, wall, peer, &url));
    }

    fn on_lost(&mut self, peer: NodeId, reason: &str, env: &mut Env) {
        env.note(format_args!("node {} loses {}: {reason}", self.place, peer.short()));
        self.running().sessions.remove(&peer);
        self.tell(env, |sync, now, wall| sync.on_peer_lost(now, wall, peer));
    }

    fn on_head(&mut self, peer: NodeId, head: &SealedHead, env: &mut Env) {
        let head = KnownHead::from(head);
        self.meet(head, env);
        env.properties.shown_head(env.now, self.place, head);
        let ours = self.disk.hash(head.height);
        let ours = if env.is_removed(Guard::Differences) { ours.and(Some(head.hash)) } else { ours };
        self.tell(env, |sync, now, wall| sync.on_peer_head(now, wall, peer, head, ours));
    }

    /// A configured seed with this chain's id and authority, and another genesis.
    fn on_foreign_chain(&mut self, url: &PeerUrl, theirs: B256, newest_timestamp: u64, env: &mut Env) {
        env.properties.shown(env.now, self.place, 0, theirs, newest_timestamp);
        let ours = self.genesis.hash();
        let found = ForeignGenesis { seed: url.to_string(), ours, theirs, newest_timestamp };
        self.tell(env, |sync, now, wall| sync.on_foreign_genesis(now, wall, found));
    }
}

/// What a status says, taken at its word.
fn claimed_head(body: &StatusBody) -> SealedHead {
    let header = alloy_rlp::Decodable::decode(&mut body.header.as_ref()).expect("liars write readable headers");
    SealedHead::of(&Block::from_parts(header, Vec::new(), Seal([0; 65])))
}
