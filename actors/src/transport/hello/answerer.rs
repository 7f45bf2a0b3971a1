//! The side that is dialled.

use super::super::ChainFacts;
use super::messages::{Answer, PROTOCOL_VERSION, Party, Request, Token, challenge_hash, proof_hash};
use super::{HelloError, Identity, check_signature, read, write};
use std::{
    collections::{HashMap, VecDeque},
    time::{Duration, Instant},
};

/// How long a challenge may be answered: a slow link's two round trips, no more.
pub const CHALLENGE_LIFETIME: Duration = Duration::from_secs(10);
/// Challenges open at a time (about 1.5 MB). Further ones push out the oldest, so that a flood of first messages
/// has to be faster than an honest node's round trip to do harm.
pub const MAX_OPEN_CHALLENGES: usize = 4_096;

/// Answers hellos. Keeps the open challenges and nothing else.
#[derive(Debug)]
pub struct HelloAnswerer {
    identity: Identity,
    open: HashMap<[u8; 32], OpenChallenge>,
    by_age: VecDeque<[u8; 32]>,
}

#[derive(Debug)]
struct OpenChallenge {
    dialler: Party,
    ours: Party,
    given: Instant,
}

/// What a hello message led to.
#[derive(Debug)]
pub enum HelloReply {
    /// Send this challenge.
    Challenge(Vec<u8>),
    /// The node has proven who it is. Whether it is let in is the caller's decision.
    Proven(Party),
}

/// Why a hello was refused, and whom, as far as the message said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HelloRefusal {
    /// Why.
    pub error: HelloError,
    /// Who it says it is, unproven.
    pub party: Option<Box<Party>>,
    /// With another chain: in what it differs from this one, one sentence each; empty where that was not said.
    pub differences: Vec<String>,
}

impl From<HelloError> for HelloRefusal {
    fn from(error: HelloError) -> Self {
        Self { error, party: None, differences: Vec::new() }
    }
}

impl HelloAnswerer {
    /// Answers for `identity`.
    pub fn new(identity: Identity) -> Self {
        Self { identity, open: HashMap::new(), by_age: VecDeque::new() }
    }

    /// A hello message came. `nonce`: 32 fresh random bytes.
    pub fn on_message(&mut self, now: Instant, nonce: [u8; 32], bytes: &[u8]) -> Result<HelloReply, HelloRefusal> {
        self.forget_expired(now);
        match read(bytes)? {
            Request::Open { node, chain, .. } => self.on_open(now, nonce, node, chain.unwrap_or_default()),
            Request::Proof { nonce, signature, .. } => Ok(self.on_proof(nonce, &signature)?),
        }
    }

    /// The message that ends a hello.
    pub fn session_message(token: Token) -> Vec<u8> {
        write(&Answer::Session { version: PROTOCOL_VERSION, token })
    }

    /// How many challenges are open.
    #[cfg(test)]
    pub(super) fn open_challenges(&self) -> usize {
        self.open.len()
    }

    fn on_open(
        &mut self,
        now: Instant,
        nonce: [u8; 32],
        dialler: Party,
        chain: ChainFacts,
    ) -> Result<HelloReply, HelloRefusal> {
        if let Err(error) = self.identity.check(&dialler) {
            let is_foreign = matches!(error, HelloError::WrongChain { .. });
            let differences = if is_foreign { self.identity.chain.differences(&chain) } else { Vec::new() };
            return Err(HelloRefusal { error, party: Some(Box::new(dialler)), differences });
        }
        let ours = self.identity.party(nonce);
        let signature = self.identity.key.sign(challenge_hash(&dialler, &ours));
        let message = write(&Answer::Challenge { version: PROTOCOL_VERSION, node: Box::new(ours.clone()), signature });
        if self.by_age.len() >= MAX_OPEN_CHALLENGES {
            self.forget_oldest();
        }
        self.open.insert(nonce, OpenChallenge { dialler, ours, given: now });
        self.by_age.push_back(nonce);
        Ok(HelloReply::Challenge(message))
    }

    fn on_proof(&mut self, nonce: [u8; 32], signature: &[u8; 65]) -> Result<HelloReply, HelloError> {
        // Removed before the signature is looked at: one challenge buys one recovery.
        let challenge = self.open.remove(&nonce).ok_or(HelloError::NoSuchChallenge)?;
        let hash = proof_hash(&challenge.dialler, &challenge.ours);
        check_signature(challenge.dialler.node_id, hash, signature)?;
        Ok(HelloReply::Proven(challenge.dialler))
    }

    fn forget_expired(&mut self, now: Instant) {
        let expired = |open: &HashMap<[u8; 32], OpenChallenge>, nonce: &[u8; 32]| {
            open.get(nonce).is_none_or(|challenge| now.saturating_duration_since(challenge.given) > CHALLENGE_LIFETIME)
        };
        while self.by_age.front().is_some_and(|nonce| expired(&self.open, nonce)) {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some(nonce) = self.by_age.pop_front() {
            self.open.remove(&nonce);
        }
    }
}
