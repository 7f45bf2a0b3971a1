//! Proofs that a transaction is in a sealed block, as JSON that can be kept in a file and checked without a node.

use crate::rpc_frontend::jsonrpc::{Params, RpcError, RpcResult};
use crate::rpc_frontend::server::Frontend;
use crate::rpc_frontend::view::{View, storage};
use alloy_consensus::Header;
use alloy_primitives::{B256, Bytes};
use alloy_rlp::Decodable;
use callboard_chain::proof::{InclusionProof, Subject, prove_transaction};
use callboard_chain::{Seal, keccak256};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// An [`InclusionProof`] as JSON: header as RLP, everything binary as hex.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransactionProof {
    /// What is proven.
    pub subject: Subject,
    /// The block's header, RLP.
    pub header: Bytes,
    /// The authority's seal over the block, 65 bytes.
    pub seal: Bytes,
    /// Position in the block, from 0.
    pub index: u64,
    /// Trie nodes from the root to the value.
    pub nodes: Vec<Bytes>,
    /// The transaction's EIP-2718 bytes.
    pub value: Bytes,
}

/// A [`TransactionProof`] cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MalformedProof {
    /// Not the RLP of a header.
    #[error("the proof's header cannot be read: {0}")]
    Header(alloy_rlp::Error),
    /// Not 65 bytes.
    #[error("the proof's seal has {actual} bytes, a seal has 65")]
    Seal {
        /// Bytes given.
        actual: usize,
    },
}

impl From<InclusionProof> for TransactionProof {
    fn from(proof: InclusionProof) -> Self {
        Self {
            subject: proof.subject,
            header: alloy_rlp::encode(&proof.header).into(),
            seal: Bytes::copy_from_slice(&proof.seal.0),
            index: proof.index,
            nodes: proof.nodes,
            value: proof.value,
        }
    }
}

impl TryFrom<TransactionProof> for InclusionProof {
    type Error = MalformedProof;

    fn try_from(proof: TransactionProof) -> Result<Self, MalformedProof> {
        let header = Header::decode(&mut proof.header.as_ref()).map_err(MalformedProof::Header)?;
        let seal = proof.seal.as_ref().try_into().map_err(|_| MalformedProof::Seal { actual: proof.seal.len() })?;
        let TransactionProof { subject, index, nodes, value, .. } = proof;
        Ok(Self { subject, header, seal: Seal(seal), index, nodes, value })
    }
}

/// The proof for a confirmed transaction.
pub(super) async fn prove(frontend: &Frontend, params: &Params<'_>) -> RpcResult {
    let hash: B256 = params.required(0, "transaction hash")?;
    frontend
        .read(move |view| {
            let location = view.location(hash)?;
            let (height, index) = location
                .ok_or_else(|| RpcError::refused(format!("transaction {hash} is in no block of this chain")))?;
            let proof = prove_transaction(&view.block(height)?, index as u64);
            let proof = proof.ok_or_else(|| RpcError::internal("the transaction index does not match its block"))?;
            Ok(TransactionProof::from(proof))
        })
        .await
}

/// Whether a proof holds under this chain's authority, what it proves, and whether its block is in this chain.
pub(super) async fn verify(frontend: &Frontend, params: &Params<'_>) -> RpcResult {
    let proof: TransactionProof = params.required(0, "proof")?;
    let proof = InclusionProof::try_from(proof).map_err(|error| RpcError::invalid_params(error.to_string()))?;
    frontend.read(move |view| check(&view, &proof)).await
}

fn check(view: &View, proof: &InclusionProof) -> Result<Value, RpcError> {
    let block_hash = match proof.verify(view.config.authority) {
        Ok(block_hash) => block_hash,
        Err(error) => return Ok(json!({ "valid": false, "reason": error.to_string() })),
    };
    if proof.subject != Subject::Transaction {
        return Err(RpcError::invalid_params("the proof is of a receipt, not of a transaction"));
    }
    let mut verdict = proven(proof, block_hash);
    verdict["inThisChain"] = json!(view.snapshot.height_of(block_hash).map_err(storage)?.is_some());
    Ok(verdict)
}

/// What a transaction's proof proves, once [`InclusionProof::verify`] has answered the hash of its block: the part of
/// `callboard_verifyTransactionProof` that needs no node.
pub fn proven(proof: &InclusionProof, block_hash: B256) -> Value {
    json!({
        "valid": true,
        "transactionHash": keccak256(&proof.value),
        "blockHash": block_hash,
        "height": proof.header.number,
        "timestamp": proof.header.timestamp,
        "index": proof.index,
    })
}
