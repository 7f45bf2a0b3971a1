//! Proof that an authority sealed two blocks of one height. Anybody can check it: no node and no chain is needed.

use crate::seal::SealError;
use crate::{Blame, Seal, block::header_hash};
use alloy_consensus::Header;
use alloy_primitives::{Address, B256, Bytes};
use alloy_rlp::Decodable;

/// A header as RLP and the seal over it, as they were met.
#[derive(Debug, Clone, Copy)]
pub struct Exhibit<'a> {
    /// RLP of the header.
    pub header: &'a [u8],
    /// The seal, 65 bytes.
    pub seal: &'a [u8],
}

/// What two exhibits prove.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Equivocation {
    /// The height of both blocks.
    pub height: u64,
    /// Their hashes.
    pub hashes: [B256; 2],
    /// The hash of the chain's genesis block.
    pub genesis: B256,
    /// What the genesis and both blocks commit to.
    pub commitment: Bytes,
}

/// Why exhibits prove nothing. `block` names the one that fails: `genesis`, `first` or `second`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EvidenceError {
    /// Not the canonical RLP of a header.
    #[error("the header of the {block} block cannot be read: {reason}")]
    Header {
        /// Which.
        block: &'static str,
        /// What the reader said.
        reason: String,
    },
    /// Not 65 bytes.
    #[error("the seal of the {block} block has {actual} bytes, a seal has 65")]
    SealLength {
        /// Which.
        block: &'static str,
        /// Its length.
        actual: usize,
    },
    /// Not the authority's seal over this block.
    #[error("the {block} block: {source}")]
    Seal {
        /// Which.
        block: &'static str,
        /// What is wrong with it.
        source: SealError,
    },
    /// The block called genesis is none.
    #[error("the genesis block has height {actual}, expected 0")]
    NotAGenesis {
        /// Its height.
        actual: u64,
    },
    /// The genesis names another authority.
    #[error("the genesis names {expected} as its authority, the evidence {actual}")]
    Authority {
        /// In the genesis.
        expected: Address,
        /// In the evidence.
        actual: Address,
    },
    /// A block commits to another configuration than the genesis: it is of another chain.
    #[error("the {block} block commits to the configuration {actual}, the genesis to {expected}")]
    Commitment {
        /// Which.
        block: &'static str,
        /// In the genesis.
        expected: Bytes,
        /// In the block.
        actual: Bytes,
    },
    /// The blocks are of two heights.
    #[error("the blocks have the heights {first} and {second}")]
    Heights {
        /// Of the first.
        first: u64,
        /// Of the second.
        second: u64,
    },
    /// One block, perhaps under two seals.
    #[error("both are the block {hash}")]
    SameBlock {
        /// Its hash.
        hash: B256,
    },
}

impl EvidenceError {
    /// Whoever made the evidence.
    pub fn blame(&self) -> Blame {
        Blame::Peer
    }
}

/// Checks that `authority` sealed the genesis, which names it, and two different blocks of one height that commit to
/// the configuration of that genesis.
pub fn prove_equivocation(
    authority: Address,
    genesis: Exhibit<'_>,
    first: Exhibit<'_>,
    second: Exhibit<'_>,
) -> Result<Equivocation, EvidenceError> {
    let (genesis, genesis_hash) = sealed("genesis", genesis, authority)?;
    if genesis.number != 0 {
        return Err(EvidenceError::NotAGenesis { actual: genesis.number });
    }
    if genesis.beneficiary != authority {
        return Err(EvidenceError::Authority { expected: genesis.beneficiary, actual: authority });
    }
    let ((first, first_hash), (second, second_hash)) =
        (sealed("first", first, authority)?, sealed("second", second, authority)?);
    for (block, header) in [("first", &first), ("second", &second)] {
        if header.extra_data != genesis.extra_data {
            let (expected, actual) = (genesis.extra_data.clone(), header.extra_data.clone());
            return Err(EvidenceError::Commitment { block, expected, actual });
        }
    }
    if first.number != second.number {
        return Err(EvidenceError::Heights { first: first.number, second: second.number });
    }
    if first_hash == second_hash {
        return Err(EvidenceError::SameBlock { hash: first_hash });
    }
    let (hashes, commitment) = ([first_hash, second_hash], genesis.extra_data);
    Ok(Equivocation { height: first.number, hashes, genesis: genesis_hash, commitment })
}

fn sealed(block: &'static str, exhibit: Exhibit<'_>, authority: Address) -> Result<(Header, B256), EvidenceError> {
    let unreadable = |reason: String| EvidenceError::Header { block, reason };
    let header = Header::decode(&mut &*exhibit.header).map_err(|error| unreadable(error.to_string()))?;
    if alloy_rlp::encode(&header).as_slice() != exhibit.header {
        return Err(unreadable("its bytes are not canonical".to_owned()));
    }
    let actual = exhibit.seal.len();
    let seal = Seal(exhibit.seal.try_into().map_err(|_| EvidenceError::SealLength { block, actual })?);
    let hash = header_hash(&header);
    seal.verify(hash, authority).map_err(|source| EvidenceError::Seal { block, source })?;
    Ok((header, hash))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Block, SecretKey};

    fn key(byte: u8) -> SecretKey {
        SecretKey::from_bytes([byte; 32]).unwrap()
    }

    fn block(number: u64, timestamp: u64, commitment: u8) -> Block {
        let extra_data = vec![commitment; 32].into();
        let header = Header { number, timestamp, extra_data, beneficiary: key(1).address(), ..Header::default() };
        Block::sealed(header, Vec::new(), &key(1))
    }

    /// Checks the evidence after `change` has changed the exhibits: header and seal of genesis, first and second.
    fn check(
        blocks: [Block; 3],
        change: impl FnOnce(&mut [(Vec<u8>, Vec<u8>); 3]),
    ) -> Result<Equivocation, EvidenceError> {
        let mut parts = blocks.map(|block| (alloy_rlp::encode(block.header()), block.seal().0.to_vec()));
        change(&mut parts);
        let [genesis, first, second] = parts.each_ref().map(|(header, seal)| Exhibit { header, seal });
        prove_equivocation(key(1).address(), genesis, first, second)
    }

    fn blocks() -> [Block; 3] {
        [block(0, 1, 7), block(5, 10, 7), block(5, 11, 7)]
    }

    #[test]
    fn two_sealed_blocks_of_one_height_are_proof() {
        let [genesis, first, second] = blocks();
        let (hashes, commitment) = ([first.hash(), second.hash()], vec![7; 32].into());
        let proven = Equivocation { height: 5, hashes, genesis: genesis.hash(), commitment };
        assert_eq!(check([genesis, first, second], |_| ()), Ok(proven));
    }

    #[test]
    fn any_changed_byte_of_any_exhibit_proves_nothing() {
        for exhibit in 0..3 {
            for at in (0..blocks()[exhibit].bytes().len() - 70).step_by(37) {
                assert!(check(blocks(), |parts| parts[exhibit].0[at] ^= 1).is_err(), "header {exhibit}, byte {at}");
            }
            for at in 0..65 {
                assert!(check(blocks(), |parts| parts[exhibit].1[at] ^= 1).is_err(), "seal {exhibit}, byte {at}");
            }
        }
    }

    #[test]
    fn what_is_no_equivocation_is_said() {
        use EvidenceError::*;
        let [genesis, first, second] = blocks();
        let one = |first: &Block, second: &Block| check([genesis.clone(), first.clone(), second.clone()], |_| ());
        assert_eq!(one(&first, &first), Err(SameBlock { hash: first.hash() }));
        assert_eq!(one(&first, &block(6, 11, 7)), Err(Heights { first: 5, second: 6 }));
        assert!(matches!(one(&first, &block(5, 11, 8)), Err(Commitment { block: "second", .. })));
        assert!(matches!(one(&block(5, 11, 8), &first), Err(Commitment { block: "first", .. })));
        let other = Block::sealed(second.header().clone(), Vec::new(), &key(2));
        assert!(matches!(one(&first, &other), Err(Seal { block: "second", .. })));
        assert_eq!(check([first.clone(), first.clone(), second.clone()], |_| ()), Err(NotAGenesis { actual: 5 }));
        let header = alloy_consensus::Header { beneficiary: key(2).address(), ..genesis.header().clone() };
        let named = Block::sealed(header, Vec::new(), &key(1));
        assert!(matches!(check([named, first.clone(), second.clone()], |_| ()), Err(Authority { .. })));
        let short = check(blocks(), |parts| _ = parts[2].1.pop());
        assert_eq!(short, Err(SealLength { block: "second", actual: 64 }));
        let longer = check(blocks(), |parts| parts[1].0.push(0));
        assert!(matches!(longer, Err(Header { block: "first", .. })));
    }
}
