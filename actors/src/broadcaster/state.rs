//! The broadcaster's core: to whom, and when a slow one is skipped.

use super::messages::{Announced, Announcement, BroadcastCounts, ForwardOutcome, OutgoingTransaction};
use super::outbox::{Outbox, Queued};
use super::{FORWARD_LIFETIME, forwards::Forwards};
use crate::callboard::Role;
use crate::transport::{NodeId, wire::TransactionAnswer, wire::TransactionResult};
use alloy_primitives::B256;
use bytes::Bytes;
use std::{collections::BTreeMap, time::Duration, time::Instant};

/// Transactions that nobody has answered for good are sent again after this.
pub(super) const FORWARD_AGAIN: Duration = Duration::from_secs(5);

/// What the shell has to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Put this into the subscriber's queue.
    Announce {
        /// Which.
        subscriber: u64,
        /// What.
        announcement: Announcement,
    },
    /// Send these to the peer and report with [`State::on_delivered`].
    Deliver {
        /// To whom.
        peer: NodeId,
        /// Which connection; a report about an older one is dropped.
        session: u64,
        /// What.
        batch: Vec<OutgoingTransaction>,
    },
    /// Tell the pool.
    Report {
        /// Of which transaction.
        hash: B256,
        /// What became of it.
        outcome: ForwardOutcome,
    },
    /// Tell PeerDiscovery that the peer no longer knows this node.
    SessionBroken {
        /// Who.
        peer: NodeId,
        /// Why, for people.
        reason: String,
    },
}

/// Why a batch was not delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotDelivered {
    /// For people.
    pub reason: String,
    /// The peer has forgotten the session.
    pub session_gone: bool,
}

/// Owns the list of subscribers, a queue for each connected peer, and the transactions that wait for an answer.
#[derive(Debug, Default)]
pub struct State {
    subscribers: BTreeMap<u64, NodeId>,
    peers: BTreeMap<NodeId, Peer>,
    forwards: Forwards,
    counts: BroadcastCounts,
    last_number: u64,
}

#[derive(Debug)]
struct Peer {
    session: u64,
    role: Role,
    /// Chosen by the operator. Everybody else's role is its own claim.
    is_seed: bool,
    outbox: Outbox,
    forwarded: Instant,
}

impl Peer {
    /// Whether forwarded transactions go there.
    fn is_target(&self) -> bool {
        self.is_seed || self.role == Role::Authority
    }
}

impl State {
    /// A follow stream begins; its number.
    pub fn on_subscribe(&mut self, peer: NodeId) -> u64 {
        let number = self.next_number();
        self.subscribers.insert(number, peer);
        number
    }

    /// A follow stream's queue was full, or its reader is gone: it is forgotten. It subscribes again if it lives.
    pub fn on_unsubscribed(&mut self, subscriber: u64, was_full: bool) {
        if self.subscribers.remove(&subscriber).is_some() && was_full {
            self.counts.subscribers_skipped += 1;
        }
    }

    /// A block is durable: everybody hears of it, and its sender without the bytes. Where there are none, it comes from
    /// the store.
    pub fn on_block(&mut self, height: u64, canonical: Option<&Bytes>, from: Option<NodeId>) -> Vec<Effect> {
        let announce = |(subscriber, peer): (&u64, &NodeId)| {
            let block = match canonical {
                _ if Some(*peer) == from => Announced::Own,
                Some(canonical) => Announced::Bytes(canonical.clone()),
                None => Announced::Stored,
            };
            Effect::Announce { subscriber: *subscriber, announcement: Announcement { height, block } }
        };
        self.counts.announced += self.subscribers.len() as u64;
        self.subscribers.iter().map(announce).collect()
    }

    /// A peer can be sent transactions.
    pub fn on_connected(&mut self, now: Instant, peer: NodeId, role: Role, is_seed: bool) -> Vec<Effect> {
        let session = self.next_number();
        let entry = Peer { session, role, is_seed, outbox: Outbox::default(), forwarded: now };
        self.peers.insert(peer, entry);
        self.forward_again(now, peer);
        self.deliver(now, peer).into_iter().collect()
    }

    /// A peer is gone; what its queue held is dropped. What waits for an answer waits for the next one.
    pub fn on_lost(&mut self, peer: NodeId) {
        self.peers.remove(&peer);
    }

    /// Transactions to tell every peer but `from`.
    pub fn on_relay(
        &mut self,
        now: Instant,
        transactions: &[OutgoingTransaction],
        from: Option<NodeId>,
    ) -> Vec<Effect> {
        let peers: Vec<NodeId> = self.peers.keys().copied().filter(|peer| Some(*peer) != from).collect();
        self.send(now, &peers, transactions)
    }

    /// To whom a transaction from `from` is forwarded; `None` where the authority sent it itself.
    pub fn forward_targets(&self, from: Option<NodeId>) -> Option<Vec<NodeId>> {
        if from.and_then(|from| self.peers.get(&from)).is_some_and(|from| from.role == Role::Authority) {
            return None;
        }
        let is_target = |(peer, entry): &(&NodeId, &Peer)| entry.is_target() && Some(**peer) != from;
        Some(self.peers.iter().filter(is_target).map(|(peer, _)| *peer).collect())
    }

    /// Transactions to bring to the authority; nothing is to be done where the authority sent them itself.
    pub fn on_forward(
        &mut self,
        now: Instant,
        transactions: Vec<OutgoingTransaction>,
        from: Option<NodeId>,
    ) -> Vec<Effect> {
        let Some(targets) = self.forward_targets(from) else { return Vec::new() };
        let given_up = self.forwards.add(now, &transactions);
        let mut effects = unacknowledged(given_up);
        effects.extend(self.send(now, &targets, &transactions));
        effects
    }

    /// A batch was delivered or not.
    pub fn on_delivered(
        &mut self,
        now: Instant,
        peer: NodeId,
        session: u64,
        result: Result<Vec<TransactionAnswer>, NotDelivered>,
    ) -> Vec<Effect> {
        let Some(entry) = self.peers.get_mut(&peer).filter(|entry| entry.session == session) else {
            return Vec::new();
        };
        let sent = entry.outbox.finish(now, result.is_ok());
        let mut effects = match result {
            Ok(answers) => {
                self.counts.transactions_delivered += answers.len() as u64;
                self.on_answers(peer, &sent, answers)
            }
            Err(error) => {
                self.counts.transactions_not_delivered += sent.len() as u64;
                self.on_not_delivered(peer, error)
            }
        };
        effects.extend(self.deliver(now, peer));
        effects
    }

    /// Time has passed: what waited for it goes on.
    pub fn on_tick(&mut self, now: Instant) -> Vec<Effect> {
        let mut effects = unacknowledged(self.forwards.take_expired(now, FORWARD_LIFETIME));
        let peers: Vec<NodeId> = self.peers.keys().copied().collect();
        for peer in peers {
            if self.is_forward_due(now, peer) {
                self.forward_again(now, peer);
            }
            effects.extend(self.deliver(now, peer));
        }
        effects
    }

    /// What was sent and what was not.
    pub fn counts(&self) -> BroadcastCounts {
        BroadcastCounts { subscribers: self.subscribers.len(), unacknowledged: self.forwards.len(), ..self.counts }
    }

    fn send(&mut self, now: Instant, peers: &[NodeId], transactions: &[OutgoingTransaction]) -> Vec<Effect> {
        for peer in peers {
            let Some(entry) = self.peers.get_mut(peer) else { continue };
            let skipped =
                transactions.iter().filter(|transaction| entry.outbox.push(transaction) == Queued::Full).count();
            self.counts.transactions_skipped += skipped as u64;
        }
        peers.iter().filter_map(|peer| self.deliver(now, *peer)).collect()
    }

    fn deliver(&mut self, now: Instant, peer: NodeId) -> Option<Effect> {
        let entry = self.peers.get_mut(&peer)?;
        let batch = entry.outbox.next_batch(now)?;
        Some(Effect::Deliver { peer, session: entry.session, batch })
    }

    /// By position: a peer answers in the order of the request, and what it calls the hash is not relied on.
    fn on_answers(&mut self, peer: NodeId, sent: &[B256], answers: Vec<TransactionAnswer>) -> Vec<Effect> {
        let mut effects = Vec::new();
        for (hash, answer) in sent.iter().zip(answers) {
            if self.is_final(peer, &answer.result) && self.forwards.remove(hash) {
                let answer = TransactionAnswer { hash: *hash, ..answer };
                effects.push(Effect::Report { hash: *hash, outcome: ForwardOutcome::Answered { by: peer, answer } });
                continue;
            }
            if let TransactionResult::Refused { reason, later: true, .. } = answer.result
                && self.is_target(peer)
                && self.forwards.contains(hash)
            {
                effects.push(Effect::Report { hash: *hash, outcome: ForwardOutcome::NotNow { by: peer, reason } });
            }
        }
        effects
    }

    /// A "taken" costs nothing if it is not true: the pool forwards again what no block takes. A "no" drops the
    /// transaction, and anybody can say that it is the authority. So it counts only from a seed: from one that is the
    /// authority, and from another one only as long as no authority can be asked. A stranger's "no" is passed over, and
    /// the transaction goes on to everybody else until somebody takes it or its time is over.
    fn is_final(&self, peer: NodeId, result: &TransactionResult) -> bool {
        let Some(entry) = self.peers.get(&peer).filter(|entry| entry.is_target()) else { return false };
        match result {
            TransactionResult::Taken | TransactionResult::Known => true,
            TransactionResult::Refused { confirmed: Some(_), .. } => true,
            TransactionResult::Refused { later: true, .. } => false,
            TransactionResult::Refused { later: false, reason, .. } if !entry.is_seed => {
                tracing::debug!(%peer, reason, "a peer that is no seed refuses a forwarded transaction; it is kept");
                false
            }
            TransactionResult::Refused { later: false, .. } => {
                entry.role == Role::Authority || self.peers.values().all(|other| other.role != Role::Authority)
            }
        }
    }

    fn is_target(&self, peer: NodeId) -> bool {
        self.peers.get(&peer).is_some_and(Peer::is_target)
    }

    fn on_not_delivered(&mut self, peer: NodeId, error: NotDelivered) -> Vec<Effect> {
        tracing::debug!(%peer, reason = error.reason, "transactions were not delivered");
        let broken = Effect::SessionBroken { peer, reason: error.reason };
        if error.session_gone { vec![broken] } else { Vec::new() }
    }

    fn is_forward_due(&self, now: Instant, peer: NodeId) -> bool {
        let due = |entry: &Peer| entry.is_target() && now.saturating_duration_since(entry.forwarded) >= FORWARD_AGAIN;
        self.peers.get(&peer).is_some_and(due)
    }

    /// Queues everything that waits for an answer and is not on its way to this peer.
    fn forward_again(&mut self, now: Instant, peer: NodeId) {
        let Some(entry) = self.peers.get_mut(&peer).filter(|entry| entry.is_target()) else { return };
        entry.forwarded = now;
        for transaction in self.forwards.iter() {
            if entry.outbox.push(transaction) == Queued::Full {
                break;
            }
        }
    }

    fn next_number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }
}

fn unacknowledged(hashes: Vec<B256>) -> Vec<Effect> {
    let report = |hash| Effect::Report { hash, outcome: ForwardOutcome::Unacknowledged };
    hashes.into_iter().map(report).collect()
}
