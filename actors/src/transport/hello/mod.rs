//! How two nodes prove to each other who they are.
//!
//! Two messages and their answers, as JSON over `POST /peer/v1/hello`:
//!
//! 1. *open* {version, node{nodeId, bootId, nonce, genesisHash, role, advertise}, chain} →
//!    *challenge* {version, node{…}, signature}
//! 2. *proof* {version, nonce of the challenge, signature} → *session* {version, token}
//!
//! Both signatures cover both parties with all their fields, under a domain string each, so none can be used in
//! another exchange, in the other direction, or as a seal. A challenge is good once and for
//! [`CHALLENGE_LIFETIME`]. Everything here is synchronous: bytes, time and random bytes come in, bytes go out.
//!
//! The hello says who is at the other end; it does not encrypt. On a path where others can read along use https.

mod answerer;
mod dialler;
mod error;
mod messages;
#[cfg(test)]
mod tests;

pub use answerer::{CHALLENGE_LIFETIME, HelloAnswerer, HelloRefusal, HelloReply, MAX_OPEN_CHALLENGES};
pub use dialler::{Greeted, OpenedHello, ProvedHello};
pub use error::HelloError;
pub use messages::{MAX_HELLO_BYTES, PROTOCOL_VERSION, Party, Token};

use super::{BootId, ChainFacts, NodeId, PeerUrl};
use crate::callboard::Role;
use alloy_primitives::B256;
use callboard_chain::{keys::SecretKey, recovery::recover};
use messages::VersionOnly;
use serde::{Serialize, de::DeserializeOwned};

/// What a node says about itself in every hello of one run.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The node key (never the authority's).
    pub key: SecretKey,
    /// Drawn at start.
    pub boot_id: BootId,
    /// Hash of this chain's genesis block.
    pub genesis_hash: B256,
    /// What this chain is, for a node of another one.
    pub chain: ChainFacts,
    /// What this node is.
    pub role: Role,
    /// Where other nodes can dial it, if it says so.
    pub advertise: Option<PeerUrl>,
}

impl Identity {
    /// This node's id.
    pub fn node_id(&self) -> NodeId {
        NodeId::of(&self.key)
    }

    fn party(&self, nonce: [u8; 32]) -> Party {
        Party {
            node_id: self.node_id(),
            boot_id: self.boot_id,
            nonce,
            genesis_hash: self.genesis_hash,
            role: self.role,
            advertise: self.advertise.clone(),
        }
    }

    /// What both sides ask of the other before any signature is looked at.
    fn check(&self, other: &Party) -> Result<(), HelloError> {
        let node_id = self.node_id();
        if other.node_id == node_id && other.boot_id == self.boot_id {
            return Err(HelloError::ThisNode);
        }
        if other.node_id == node_id {
            return Err(HelloError::CopiedDirectory { node_id });
        }
        if other.genesis_hash != self.genesis_hash {
            return Err(HelloError::WrongChain { expected: self.genesis_hash, actual: other.genesis_hash });
        }
        Ok(())
    }
}

fn check_signature(node_id: NodeId, hash: B256, signature: &[u8; 65]) -> Result<(), HelloError> {
    match recover(hash, signature) {
        Ok(address) if address == node_id.address() => Ok(()),
        _ => Err(HelloError::Signature { node_id }),
    }
}

fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, HelloError> {
    let malformed = |reason: String| HelloError::Malformed { reason };
    if bytes.len() > MAX_HELLO_BYTES {
        return Err(malformed(format!("{} bytes; at most {MAX_HELLO_BYTES} are allowed", bytes.len())));
    }
    let version = serde_json::from_slice::<VersionOnly>(bytes).map_err(|error| malformed(error.to_string()))?.version;
    if version != PROTOCOL_VERSION {
        return Err(HelloError::Version { expected: PROTOCOL_VERSION, actual: version });
    }
    serde_json::from_slice(bytes).map_err(|error| malformed(error.to_string()))
}

fn write(message: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(message).expect("hello messages hold nothing that JSON cannot express")
}
