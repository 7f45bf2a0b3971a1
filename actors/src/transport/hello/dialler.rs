//! The side that dials.

use super::messages::{Answer, PROTOCOL_VERSION, Party, Request, Token, challenge_hash, proof_hash};
use super::{HelloError, Identity, check_signature, read, write};
use crate::transport::NodeId;

/// The first message is out; the challenge is awaited.
#[derive(Debug)]
pub struct OpenedHello {
    ours: Party,
    expected: Option<NodeId>,
}

/// The second message is out; the session is awaited.
#[derive(Debug)]
pub struct ProvedHello {
    theirs: Party,
}

/// A hello that succeeded.
#[derive(Debug, Clone)]
pub struct Greeted {
    /// What the other side said about itself, proven by its signature.
    pub party: Party,
    /// What every later request to it carries.
    pub token: Token,
}

impl OpenedHello {
    /// Begins a hello: the state to keep, and the message to send. `nonce`: 32 fresh random bytes. With `expected`,
    /// nobody else will do at the other end.
    pub fn open(identity: &Identity, expected: Option<NodeId>, nonce: [u8; 32]) -> (Self, Vec<u8>) {
        let ours = identity.party(nonce);
        let chain = Some(identity.chain.clone());
        let message = write(&Request::Open { version: PROTOCOL_VERSION, node: ours.clone(), chain });
        (Self { ours, expected }, message)
    }

    /// The challenge came: checks who sent it and answers it.
    pub fn on_challenge(self, identity: &Identity, bytes: &[u8]) -> Result<(ProvedHello, Vec<u8>), HelloError> {
        let Answer::Challenge { node: theirs, signature, .. } = read(bytes)? else {
            return Err(HelloError::Malformed { reason: "a challenge was expected, a session came".to_owned() });
        };
        let theirs = *theirs;
        identity.check(&theirs)?;
        if let Some(expected) = self.expected.filter(|expected| *expected != theirs.node_id) {
            return Err(HelloError::OtherNode { expected, actual: theirs.node_id });
        }
        check_signature(theirs.node_id, challenge_hash(&self.ours, &theirs), &signature)?;
        let signature = identity.key.sign(proof_hash(&self.ours, &theirs));
        let message = write(&Request::Proof { version: PROTOCOL_VERSION, nonce: theirs.nonce, signature });
        Ok((ProvedHello { theirs }, message))
    }
}

impl ProvedHello {
    /// The session came.
    pub fn on_session(self, bytes: &[u8]) -> Result<Greeted, HelloError> {
        match read(bytes)? {
            Answer::Session { token, .. } => Ok(Greeted { party: self.theirs, token }),
            Answer::Challenge { .. } => {
                Err(HelloError::Malformed { reason: "a session was expected, a challenge came".to_owned() })
            }
        }
    }
}
