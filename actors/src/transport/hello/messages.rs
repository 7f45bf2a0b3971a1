//! What the hello says, and what is signed.

use super::super::{BootId, ChainFacts, NodeId, PeerUrl, node_id::hex_bytes};
use crate::callboard::Role;
use alloy_primitives::B256;
use alloy_rlp::Encodable;
use callboard_chain::keccak::keccak256_parts;
use serde::{Deserialize, Serialize};

/// Version of the hello's format and of the protocol behind it. A node refuses any other by name.
pub const PROTOCOL_VERSION: u32 = 1;
/// Longest hello message that is read, bytes. The longest one is below 1 KiB.
pub const MAX_HELLO_BYTES: usize = 4_096;
/// Domain of the answering node's signature.
const CHALLENGE_DOMAIN: &[u8] = b"callboard/hello/1/challenge";
/// Domain of the dialling node's signature.
const PROOF_DOMAIN: &[u8] = b"callboard/hello/1/proof";

/// One side of a hello.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Party {
    /// Its identity.
    pub node_id: NodeId,
    /// Its run.
    pub boot_id: BootId,
    /// 32 random bytes, drawn for this hello.
    #[serde(with = "hex_bytes")]
    pub nonce: [u8; 32],
    /// Hash of the genesis block of its chain.
    pub genesis_hash: B256,
    /// The role it claims. Only genesis and seals decide what it can do.
    pub role: Role,
    /// Where it says it can be dialled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advertise: Option<PeerUrl>,
}

/// What the dialling node sends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "lowercase", deny_unknown_fields)]
pub(super) enum Request {
    /// First message: who is there. `chain` explains a refusal and is not signed: the genesis hash is.
    Open {
        version: u32,
        node: Party,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        chain: Option<ChainFacts>,
    },
    /// Second message: the answer to the challenge with this nonce.
    Proof {
        version: u32,
        #[serde(with = "hex_bytes")]
        nonce: [u8; 32],
        #[serde(with = "hex_bytes")]
        signature: [u8; 65],
    },
}

/// What the answering node sends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "lowercase", deny_unknown_fields)]
pub(super) enum Answer {
    /// To the first message: who answers, signed over both parties.
    Challenge {
        version: u32,
        node: Box<Party>,
        #[serde(with = "hex_bytes")]
        signature: [u8; 65],
    },
    /// To the second message: what every later request carries.
    Session { version: u32, token: Token },
}

/// A session's secret: 32 random bytes.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token(#[serde(with = "hex_bytes")] pub(in crate::transport) [u8; 32]);

impl Token {
    /// Reads a token as it stands in a request's header.
    pub fn from_hex(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).ok().map(|()| Self(bytes))
    }

    /// The token for a request's header.
    pub fn to_hex(self) -> String {
        hex::encode(self.0)
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(…)")
    }
}

/// Reads only the version, so that a message of another version is refused for that and not for its form.
#[derive(Deserialize)]
pub(super) struct VersionOnly {
    pub(super) version: u32,
}

/// What the answering node signs.
pub(super) fn challenge_hash(dialler: &Party, answerer: &Party) -> B256 {
    keccak256_parts(&[CHALLENGE_DOMAIN, &transcript(dialler, answerer)])
}

/// What the dialling node signs.
pub(super) fn proof_hash(dialler: &Party, answerer: &Party) -> B256 {
    keccak256_parts(&[PROOF_DOMAIN, &transcript(dialler, answerer)])
}

/// RLP[version, dialler, answerer], each party [nodeId, bootId, nonce, genesisHash, role, advertise or ""].
fn transcript(dialler: &Party, answerer: &Party) -> Vec<u8> {
    let mut payload = Vec::with_capacity(512);
    PROTOCOL_VERSION.encode(&mut payload);
    encode_party(dialler, &mut payload);
    encode_party(answerer, &mut payload);
    list(&payload)
}

fn encode_party(party: &Party, out: &mut Vec<u8>) {
    let advertise = party.advertise.as_ref().map(ToString::to_string).unwrap_or_default();
    let mut payload = Vec::with_capacity(256);
    party.node_id.as_bytes().as_slice().encode(&mut payload);
    party.boot_id.0.as_slice().encode(&mut payload);
    party.nonce.as_slice().encode(&mut payload);
    party.genesis_hash.encode(&mut payload);
    party.role.name().encode(&mut payload);
    advertise.as_str().encode(&mut payload);
    out.extend_from_slice(&list(&payload));
}

fn list(payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(payload.len() + 4);
    alloy_rlp::Header { list: true, payload_length: payload.len() }.encode(&mut out);
    out.extend_from_slice(payload);
    out
}
