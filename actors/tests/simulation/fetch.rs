//! Fetching: what the sync coordinator wants done, the blocks that come, and the answers to its questions.

use super::env::{Env, Guard};
use super::network::Message;
use super::node::Node;
use alloy_primitives::{B256, Bytes};
use callboard_actors::callboard::Provenance;
use callboard_actors::confirmed_state;
use callboard_actors::peer_discovery::Offence;
use callboard_actors::sync_coordinator::{
    Answer, Effect, FetchEnd, FetchId, KnownHead, OutOfOrder, QuestionId, State, out_of_order,
};
use callboard_actors::transport::NodeId;
use callboard_chain::{Blame, Block};
use std::time::Duration;

/// A range of which nothing comes for this long is broken; so is a question.
const SILENCE: Duration = Duration::from_secs(3);
/// The same for a live stream: three heartbeats.
const LIVE_SILENCE: Duration = Duration::from_secs(3 * super::chain::HEARTBEAT);

/// A stream of blocks that this node has asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fetch {
    what: What,
    place: usize,
    peer: NodeId,
    next: u64,
    heard: Duration,
}

#[derive(Debug, Clone, Copy)]
enum What {
    /// The heights through this one.
    Range(FetchId, u64),
    /// Whatever the peer confirms.
    Live(FetchId),
    /// One block, to compare chains.
    Question(QuestionId),
}

/// What a peer did that failed us.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// Its connection or session broke.
    Broken(&'static str),
    /// It sent what no honest node sends.
    Forged(String),
    /// It sent what an honest node may send in a bad moment.
    Odd(&'static str),
    /// Nothing: this node cannot go on now.
    Ours,
}

impl What {
    fn silence(self) -> Duration {
        if matches!(self, Self::Live(_)) { LIVE_SILENCE } else { SILENCE }
    }
}

impl Node {
    /// Tells the sync coordinator of an event, and does what it wants done.
    pub(crate) fn tell(&mut self, env: &mut Env, event: impl FnOnce(&mut State, Duration, u64) -> Vec<Effect>) {
        let (now, wall) = (self.uptime(env), self.wall(env).as_secs());
        for effect in event(&mut self.running().sync, now, wall) {
            env.note(format_args!("node {}: {effect:?}", self.place));
            self.apply_sync(effect, env);
        }
        let process = self.running();
        process.pipeline.advance(process.sync.front());
    }

    fn apply_sync(&mut self, effect: Effect, env: &mut Env) {
        match effect {
            Effect::FetchRange { id, peer, from, through } => self.fetch(peer, from, What::Range(id, through), env),
            Effect::FollowLive { id, peer, from } => self.fetch(peer, from, What::Live(id), env),
            Effect::AskBlock { id, peer, height } => self.fetch(peer, height, What::Question(id), env),
            Effect::StopFetch { id } => {
                let is_it = |fetch: &Fetch| match fetch.what {
                    What::Range(of, _) | What::Live(of) => of == id,
                    What::Question(_) => false,
                };
                let found = self.running().fetches.iter().find(|(_, fetch)| is_it(fetch)).map(|(stream, _)| *stream);
                if let Some(stream) = found {
                    self.close(stream, env);
                }
            }
            Effect::DropStaged => {
                let process = self.running();
                process.pipeline.clear(process.sync.front());
            }
            Effect::Pace { each_block } => {
                let effect = self.running().confirmed.on_following(each_block);
                if let Some(confirmed_state::Effect::Store { batch, origins }) = effect {
                    self.store(batch, origins, env);
                }
            }
            Effect::PhaseChanged(phase) => {
                env.properties.phase_changed(self.place, phase);
                self.running().callboard.set_phase(phase);
            }
            Effect::Permission { may_propose } => {
                if let Some(proposer) = &mut self.running().proposer {
                    proposer.on_permission(may_propose);
                }
            }
            Effect::Diverged(found) | Effect::DeadBranchSeen(found) => {
                env.properties.diverged(self.place, &found, |height| self.disk.hash(height));
            }
            Effect::DivergenceCleared(_) => {}
        }
    }

    fn fetch(&mut self, peer: NodeId, from: u64, what: What, env: &mut Env) {
        let stream = env.number();
        let session = self.running().sessions.get(&peer).copied();
        let place = session.map_or(self.place, |session| session.place);
        // Where no session stands, nothing comes, and the silence is noticed.
        self.running().fetches.insert(stream, Fetch { what, place, peer, next: from, heard: env.now });
        let Some(session) = session else { return };
        let count = match what {
            What::Range(_, through) => Some(through.saturating_sub(from) + 1),
            What::Live(_) => None,
            What::Question(_) => Some(1),
        };
        env.send(self.place, place, Message::GetBlocks { stream, session: session.token, from, count });
    }

    /// The connection is given up, from this side.
    fn close(&mut self, stream: u64, env: &mut Env) -> Option<Fetch> {
        let fetch = self.running().fetches.remove(&stream)?;
        env.network.forget(stream);
        if fetch.place != self.place {
            env.send(self.place, fetch.place, Message::Cancel { stream });
        }
        Some(fetch)
    }

    pub(crate) fn tick_fetches(&mut self, env: &mut Env) {
        self.hand_over(env);
        let now = env.now;
        let silent = self.running().fetches.iter();
        let silent = silent.filter(|(_, fetch)| now.saturating_sub(fetch.heard) > fetch.what.silence());
        let silent: Vec<u64> = silent.map(|(stream, _)| *stream).collect();
        for stream in silent {
            self.end(stream, Some(Trouble::Broken("silent")), env);
        }
        self.tell(env, State::on_tick);
    }

    fn fetch_of(&mut self, from: usize, stream: u64) -> Option<&mut Fetch> {
        self.running().fetches.get_mut(&stream).filter(|fetch| fetch.place == from)
    }

    pub(crate) fn on_frame(&mut self, from: usize, stream: u64, bytes: Bytes, env: &mut Env) {
        let now = env.now;
        let Some(fetch) = self.fetch_of(from, stream) else { return };
        fetch.heard = now;
        let fetch = *fetch;
        if let What::Question(id) = fetch.what {
            return self.on_answered(stream, id, &bytes, env);
        }
        let block = match env.verify_block(&bytes) {
            Ok(block) => block,
            Err(error) if error.blame() == Blame::Peer => {
                return self.end(stream, Some(Trouble::Forged(error.to_string())), env);
            }
            Err(error) => {
                env.properties.violate(format!("a block that the authority sealed breaks a rule: {error}"));
                return self.end(stream, Some(Trouble::Ours), env);
            }
        };
        self.saw(block.value(), env);
        let height = block.value().height();
        let is_live = matches!(fetch.what, What::Live(_));
        let trouble = out_of_order(is_live, fetch.next, height, self.disk.height()).map(|wrong| match wrong {
            OutOfOrder::Lost => Trouble::Odd("lost a block on the way"),
            OutOfOrder::Forged => Trouble::Forged(format!("sent {height} where {} was asked for", fetch.next)),
        });
        if trouble.is_some() {
            return self.end(stream, trouble, env);
        }
        if let Some(fetch) = self.fetch_of(from, stream) {
            fetch.next = height + 1;
        }
        let provenance = if is_live { Provenance::live(fetch.peer) } else { Provenance::peer(fetch.peer) };
        self.running().pipeline.put(provenance, block);
        self.hand_over(env);
        if matches!(fetch.what, What::Range(_, through) if through == height) {
            self.end(stream, None, env);
        }
    }

    /// A block with the authority's valid seal was shown to this node.
    pub(crate) fn saw(&mut self, block: &Block, env: &mut Env) {
        self.meet(super::node::known(block), env);
    }

    /// A sealed block or head was met: where it differs from ours the sync coordinator hears of it, at once or as soon as
    /// this node has a block of that height.
    pub(crate) fn meet(&mut self, met: KnownHead, env: &mut Env) {
        env.properties.shown(env.now, self.place, met.height, met.hash, met.timestamp);
        match self.disk.hash(met.height) {
            Some(ours) if ours != met.hash && !env.is_removed(Guard::Differences) => {
                self.tell(env, |sync, now, wall| sync.on_other_block(now, wall, met, ours));
            }
            Some(_) => {}
            None => {
                self.running().above.entry((met.height, met.hash)).or_insert(met);
            }
        }
    }

    /// Compares what was met above the head with the blocks that are there by now.
    pub(crate) fn settle_seals(&mut self, env: &mut Env) {
        let next = self.disk.height() + 1;
        let above = self.running().above.split_off(&(next, B256::ZERO));
        for met in std::mem::replace(&mut self.running().above, above).into_values() {
            self.meet(met, env);
        }
    }

    fn on_answered(&mut self, stream: u64, id: QuestionId, bytes: &Bytes, env: &mut Env) {
        let Some(fetch) = self.close(stream, env) else { return };
        let block = match env.memo.verify_seal(bytes).filter(|block| block.height() == fetch.next) {
            Some(block) => block,
            None => return self.on_not_answered(fetch.peer, id, Trouble::Forged("no such block".to_owned()), env),
        };
        self.saw(&block, env);
        let (theirs, parent) = (super::node::known(&block), block.header().parent_hash);
        let answer = Answer::Block { theirs, parent, ours: self.disk.hash(block.height()) };
        self.tell(env, |sync, now, wall| sync.on_answer(now, wall, id, answer));
    }

    fn on_not_answered(&mut self, peer: NodeId, id: QuestionId, trouble: Trouble, env: &mut Env) {
        self.tell(env, |sync, now, wall| sync.on_answer(now, wall, id, Answer::Failed));
        self.blame(peer, trouble, env);
    }

    pub(crate) fn on_end(&mut self, from: usize, stream: u64, env: &mut Env) {
        if self.fetch_of(from, stream).is_some() {
            self.end(stream, Some(Trouble::Odd("ended early")), env);
        }
    }

    pub(crate) fn on_stream_refused(&mut self, from: usize, stream: u64, env: &mut Env) {
        if self.fetch_of(from, stream).is_some() {
            self.end(stream, Some(Trouble::Broken("no session")), env);
        }
    }

    fn end(&mut self, stream: u64, trouble: Option<Trouble>, env: &mut Env) {
        let Some(fetch) = self.close(stream, env) else { return };
        let end = if trouble.is_none() { FetchEnd::Done } else { FetchEnd::Failed };
        let id = match fetch.what {
            What::Range(id, _) | What::Live(id) => id,
            What::Question(id) => {
                return self.on_not_answered(fetch.peer, id, trouble.unwrap_or(Trouble::Ours), env);
            }
        };
        let through = fetch.next.checked_sub(1);
        self.tell(env, |sync, now, wall| sync.on_fetch_ended(now, wall, id, through, end));
        // A message to another actor, so it is dealt with after the core was told.
        if let Some(trouble) = trouble {
            self.blame(fetch.peer, trouble, env);
        }
    }

    /// Peer discovery bans, or dials anew.
    pub(crate) fn blame(&mut self, peer: NodeId, trouble: Trouble, env: &mut Env) {
        match trouble {
            Trouble::Broken(reason) => self.on_session_broken(peer, reason, env),
            Trouble::Forged(reason) => self.on_misbehaved(peer, Offence::Forged, &reason, env),
            Trouble::Odd(reason) => self.on_misbehaved(peer, Offence::Odd, reason, env),
            Trouble::Ours => {}
        }
    }
}
