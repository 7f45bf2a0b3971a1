//! Blocks, and their one canonical byte form: rlp([header, [transaction…], seal]), typed transactions as byte
//! strings. The same bytes are on the wire, on disk, in `raw` fields and in export files.

mod codec;

pub use codec::DecodeBlockError;

use crate::{Seal, SecretKey, keccak256};
use alloy_consensus::Header;
use alloy_primitives::{B256, Bytes};
use std::sync::Arc;

/// A signed EIP-2718 transaction, without blob sidecars.
pub type Transaction = alloy_consensus::EthereumTxEnvelope<alloy_consensus::TxEip4844>;
/// A transaction's receipt (EIP-658 status).
pub type Receipt = alloy_consensus::EthereumReceipt;

/// A sealed block together with its hash and canonical bytes, which always belong to each other: it can only be
/// made from its parts or by decoding canonical bytes. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block(Arc<Parts>);

#[derive(Debug, PartialEq, Eq)]
struct Parts {
    header: Header,
    transactions: Vec<Transaction>,
    seal: Seal,
    hash: B256,
    bytes: Bytes,
}

/// keccak256 of the RLP header: the block hash, as everywhere in Ethereum.
pub fn header_hash(header: &Header) -> B256 {
    keccak256(alloy_rlp::encode(header))
}

impl Block {
    /// Seals a header and its transactions with the authority's key. Whether the header fits them is not looked at.
    pub fn sealed(header: Header, transactions: Vec<Transaction>, key: &SecretKey) -> Self {
        let seal = Seal::sign(key, header_hash(&header));
        Self::from_parts(header, transactions, seal)
    }

    /// Puts a block together from its parts. Whether they fit each other is not looked at.
    pub fn from_parts(header: Header, transactions: Vec<Transaction>, seal: Seal) -> Self {
        let hash = header_hash(&header);
        let bytes = codec::encode(&header, &transactions, &seal).into();
        Self(Arc::new(Parts { header, transactions, seal, hash, bytes }))
    }

    /// Decodes canonical bytes, all of them. What does not encode to the same bytes again is refused.
    pub fn decode(bytes: Bytes) -> Result<Self, DecodeBlockError> {
        let (header, transactions, seal) = codec::decode(&bytes)?;
        let hash = header_hash(&header);
        Ok(Self(Arc::new(Parts { header, transactions, seal, hash, bytes })))
    }

    /// The header and the transaction at `index` out of a block's canonical bytes; `None` where it has fewer. Nothing else
    /// of them is looked at: this is for bytes that were decoded as a whole before.
    pub fn decode_one(bytes: &[u8], index: usize) -> Result<Option<(Header, Transaction)>, DecodeBlockError> {
        codec::decode_one(bytes, index)
    }

    /// The block hash: keccak256 of the RLP header, as everywhere in Ethereum.
    pub fn hash(&self) -> B256 {
        self.0.hash
    }

    /// Height (`header.number`).
    pub fn height(&self) -> u64 {
        self.0.header.number
    }

    /// The header.
    pub fn header(&self) -> &Header {
        &self.0.header
    }

    /// The transactions in order.
    pub fn transactions(&self) -> &[Transaction] {
        &self.0.transactions
    }

    /// The authority's seal.
    pub fn seal(&self) -> &Seal {
        &self.0.seal
    }

    /// The canonical bytes.
    pub fn bytes(&self) -> &Bytes {
        &self.0.bytes
    }
}

#[cfg(test)]
mod tests;
