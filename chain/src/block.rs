//! Blocks, and their one canonical byte form: rlp([header, [transaction…], seal]), typed transactions as byte
//! strings. The same bytes are on the wire, on disk, in `raw` fields and in export files.

use crate::Seal;
use alloy_consensus::Header;
use alloy_primitives::{B256, Bytes};
use std::sync::Arc;

/// A signed EIP-2718 transaction, without blob sidecars.
pub type Transaction = alloy_consensus::EthereumTxEnvelope<alloy_consensus::TxEip4844>;
/// A transaction's receipt (EIP-658 status).
pub type Receipt = alloy_consensus::EthereumReceipt;

/// A sealed block together with its hash and canonical bytes, which always belong to each other: it can only be
/// made by sealing (`Block::seal`) or by decoding canonical bytes (`Block::decode`). Cheap to clone.
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

impl Block {
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
