//! Who a node is: its public key, and one number for each run of the process.

use alloy_primitives::Address;
use callboard_chain::{keccak256, keys::SecretKey};
use k256::ecdsa::VerifyingKey;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{fmt, str::FromStr};

/// A node's identity: its node key's public key in compressed SEC1 form. Always a point of secp256k1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId([u8; 33]);

/// The text is no node id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{text}\" is no node id: 66 hexadecimal digits, a compressed secp256k1 public key")]
pub struct InvalidNodeId {
    /// What was given, at most 80 characters of it.
    pub text: String,
}

impl NodeId {
    /// The identity that goes with a node key.
    pub fn of(key: &SecretKey) -> Self {
        Self(key.public_key())
    }

    /// The node with this compressed public key; `None` where the bytes are no point of the curve.
    pub fn from_bytes(bytes: [u8; 33]) -> Option<Self> {
        VerifyingKey::from_sec1_bytes(&bytes).ok().map(|_| Self(bytes))
    }

    /// The compressed public key.
    pub fn as_bytes(&self) -> &[u8; 33] {
        &self.0
    }

    /// The address that a signature by this node's key recovers to.
    pub fn address(&self) -> Address {
        let key = VerifyingKey::from_sec1_bytes(&self.0).expect("the bytes were checked when the node id was made");
        Address::from_slice(&keccak256(&key.to_sec1_point(false).as_bytes()[1..])[12..])
    }

    /// The first eight digits, for log lines and tables.
    pub fn short(&self) -> String {
        hex::encode(&self.0[..4])
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NodeId({self})")
    }
}

impl FromStr for NodeId {
    type Err = InvalidNodeId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut bytes = [0; 33];
        hex::decode_to_slice(text.strip_prefix("0x").unwrap_or(text), &mut bytes)
            .ok()
            .and_then(|()| Self::from_bytes(bytes))
            .ok_or_else(|| InvalidNodeId { text: text.chars().take(80).collect() })
    }
}

impl Serialize for NodeId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for NodeId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// 16 random bytes drawn once per process start. Two nodes with one node id and different boot ids run from copies
/// of one data directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct BootId(#[serde(with = "hex_bytes")] pub [u8; 16]);

/// Fixed-length bytes as lower-case hexadecimal digits without prefix.
pub(super) mod hex_bytes {
    use serde::{Deserialize, Deserializer, Serializer};

    pub(in crate::transport) fn serialize<S: Serializer, const N: usize>(
        bytes: &[u8; N],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode(bytes))
    }

    pub(in crate::transport) fn deserialize<'de, D: Deserializer<'de>, const N: usize>(
        deserializer: D,
    ) -> Result<[u8; N], D::Error> {
        let text = String::deserialize(deserializer)?;
        let mut bytes = [0; N];
        hex::decode_to_slice(&text, &mut bytes)
            .map_err(|_| serde::de::Error::custom(format!("expected {} hexadecimal digits", 2 * N)))?;
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> SecretKey {
        SecretKey::from_bytes([byte; 32]).unwrap()
    }

    #[test]
    fn node_id_reads_back_from_its_text_with_and_without_prefix() {
        let id = NodeId::of(&key(1));
        assert_eq!(id.to_string().parse::<NodeId>().unwrap(), id);
        assert_eq!(format!("0x{id}").parse::<NodeId>().unwrap(), id);
        assert_eq!(id.address(), key(1).address());
    }

    #[test]
    fn what_is_no_curve_point_is_no_node_id() {
        for text in ["", "02", &"ff".repeat(33), &format!("05{}", "11".repeat(32)), &"é".repeat(200)] {
            assert!(text.parse::<NodeId>().is_err(), "{text}");
        }
    }
}
