//! A head that the authority's seal vouches for.

use super::wire::{ShownHead, StatusBody};
use alloy_consensus::Header;
use alloy_primitives::{Address, B256, Bytes};
use alloy_rlp::Decodable;
use callboard_chain::{Blame, Block, Seal, block::header_hash};

/// A header with the authority's valid seal. A peer's word about its head becomes one of these or is refused, so that
/// only a seal moves the sync target. It proves that the authority made this block, not that the peer has its body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedHead {
    header: Header,
    hash: B256,
    seal: Seal,
}

/// What a peer says of its head does not hold together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StatusError {
    /// The header is no canonical RLP of a header.
    #[error("the header of its head cannot be read: {reason}")]
    Header {
        /// What the reader said.
        reason: String,
    },
    /// A field next to the header differs from it.
    #[error("its {field} is {actual} beside the header and {expected} in it")]
    Differs {
        /// Which.
        field: &'static str,
        /// In the header.
        expected: String,
        /// Beside it.
        actual: String,
    },
    /// The authority made it, on another chain of its own.
    #[error("its head carries the configuration commitment {actual}, this chain's is {expected}")]
    OtherChain {
        /// This chain's.
        expected: B256,
        /// The header's `extraData`.
        actual: Bytes,
    },
    /// The seal is not the authority's.
    #[error("the seal over its head {hash} is not that of the authority {authority}")]
    Seal {
        /// The head.
        hash: B256,
        /// Whose seal was expected.
        authority: Address,
    },
}

impl StatusError {
    /// Whose fault: the peer's.
    pub const fn blame(&self) -> Blame {
        Blame::Peer
    }
}

impl SealedHead {
    /// Checks what `status` says of its head, on the chain whose headers carry `commitment`.
    pub fn verify(status: &StatusBody, authority: Address, commitment: B256) -> Result<Self, StatusError> {
        let (header, hash) = decode(&status.header)?;
        same("hash", &hash, &status.hash)?;
        same("height", &header.number, &status.height)?;
        same("timestamp", &header.timestamp, &status.timestamp)?;
        Self::check(header, hash, &status.seal, authority, commitment)
    }

    /// Checks a head that was shown without more words.
    pub fn verify_shown(shown: &ShownHead, authority: Address, commitment: B256) -> Result<Self, StatusError> {
        let (header, hash) = decode(&shown.header)?;
        Self::check(header, hash, &shown.seal, authority, commitment)
    }

    fn check(
        header: Header,
        hash: B256,
        seal: &Bytes,
        authority: Address,
        commitment: B256,
    ) -> Result<Self, StatusError> {
        if *header.extra_data != *commitment.as_slice() {
            return Err(StatusError::OtherChain { expected: commitment, actual: header.extra_data });
        }
        let refused = StatusError::Seal { hash, authority };
        let seal = Seal(seal.as_ref().try_into().map_err(|_| refused.clone())?);
        seal.verify(hash, authority).map_err(|_| refused)?;
        Ok(Self { header, hash, seal })
    }

    /// The head of a chain that ends with `block`, which this node has confirmed.
    pub fn of(block: &Block) -> Self {
        Self { header: block.header().clone(), hash: block.hash(), seal: *block.seal() }
    }

    /// Height.
    pub fn height(&self) -> u64 {
        self.header.number
    }

    /// Block hash.
    pub fn hash(&self) -> B256 {
        self.hash
    }

    /// Unix seconds.
    pub fn timestamp(&self) -> u64 {
        self.header.timestamp
    }

    /// The header.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The seal.
    pub fn seal(&self) -> &Seal {
        &self.seal
    }
}

/// The header in its one byte form, and its hash.
fn decode(bytes: &Bytes) -> Result<(Header, B256), StatusError> {
    let mut rest = bytes.as_ref();
    let header = Header::decode(&mut rest).map_err(|error| StatusError::Header { reason: error.to_string() })?;
    if alloy_rlp::encode(&header) != bytes.as_ref() {
        return Err(StatusError::Header { reason: "its bytes are not canonical".to_owned() });
    }
    let hash = header_hash(&header);
    Ok((header, hash))
}

fn same<T: PartialEq + ToString>(field: &'static str, expected: &T, actual: &T) -> Result<(), StatusError> {
    if expected == actual {
        return Ok(());
    }
    Err(StatusError::Differs { field, expected: expected.to_string(), actual: actual.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::callboard::Role;
    use crate::transport::NodeId;
    use callboard_chain::keys::SecretKey;

    fn key(byte: u8) -> SecretKey {
        SecretKey::from_bytes([byte; 32]).unwrap()
    }

    const COMMITMENT: B256 = B256::repeat_byte(0xcc);

    fn status() -> StatusBody {
        let header = Header { number: 7, timestamp: 70, extra_data: COMMITMENT.into(), ..Header::default() };
        let block = Block::sealed(header, Vec::new(), &key(1));
        StatusBody::new(NodeId::of(&key(2)), Role::Follower, 1337, B256::ZERO, &SealedHead::of(&block))
    }

    #[test]
    fn honest_status_becomes_a_sealed_head() {
        let head = SealedHead::verify(&status(), key(1).address(), COMMITMENT).unwrap();
        assert_eq!((head.height(), head.timestamp(), head.hash()), (7, 70, status().hash));
    }

    #[test]
    fn every_claim_is_checked_against_the_sealed_header() {
        let lies: [(fn(&mut StatusBody), &str); 6] = [
            (|status| status.height = 8, "height"),
            (|status| status.timestamp = 71, "timestamp"),
            (|status| status.hash = B256::repeat_byte(1), "hash"),
            (|status| status.header = Bytes::from_static(b"\xc0"), "header"),
            (|status| status.header = [status.header.as_ref(), &[0]].concat().into(), "canonical"),
            (|status| status.seal = Bytes::from(vec![1; 65]), "seal"),
        ];
        for (lie, named) in lies {
            let mut status = status();
            lie(&mut status);
            let error = SealedHead::verify(&status, key(1).address(), COMMITMENT).unwrap_err();
            assert!(error.to_string().contains(named), "{error}");
        }
        assert!(matches!(SealedHead::verify(&status(), key(3).address(), COMMITMENT), Err(StatusError::Seal { .. })));
    }

    #[test]
    fn head_of_another_chain_of_the_same_authority_is_refused() {
        let refused = SealedHead::verify(&status(), key(1).address(), B256::ZERO).unwrap_err();
        assert_eq!(refused, StatusError::OtherChain { expected: B256::ZERO, actual: COMMITMENT.into() });
    }
}
