//! Roots over a block's transactions and receipts, and proofs that one of them is in a block. A proof carries the
//! header and the seal, so it is checked with nothing but the authority's address.

use crate::{Block, Receipt, Seal, Transaction, block::header_hash, seal::SealError};
use alloy_consensus::{Header, TxReceipt, proofs};
use alloy_eips::Encodable2718;
use alloy_primitives::{B256, Bloom, Bytes};
use alloy_trie::{
    HashBuilder, Nibbles,
    proof::{ProofRetainer, ProofVerificationError, verify_proof},
    root::adjust_index_for_rlp,
};

/// The `transactionsRoot` of a header.
pub fn transactions_root(transactions: &[Transaction]) -> B256 {
    proofs::calculate_transaction_root(transactions)
}

/// The `receiptsRoot` of a header.
pub fn receipts_root(receipts: &[Receipt]) -> B256 {
    let with_bloom: Vec<_> = receipts.iter().map(TxReceipt::with_bloom_ref).collect();
    proofs::calculate_receipt_root(&with_bloom)
}

/// The `logsBloom` of a header.
pub fn logs_bloom(receipts: &[Receipt]) -> Bloom {
    alloy_primitives::logs_bloom(receipts.iter().flat_map(|receipt| &receipt.logs))
}

/// What an [`InclusionProof`] proves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Subject {
    /// A transaction, against `transactionsRoot`.
    Transaction,
    /// A receipt, against `receiptsRoot`.
    Receipt,
}

/// Proof that a transaction or a receipt is in a sealed block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InclusionProof {
    /// What is proven.
    pub subject: Subject,
    /// The block's header.
    pub header: Header,
    /// The authority's seal over the block.
    pub seal: Seal,
    /// Position in the block, from 0.
    pub index: u64,
    /// Trie nodes from the root to the value.
    pub nodes: Vec<Bytes>,
    /// The EIP-2718 bytes of the transaction, or of the receipt with its bloom.
    pub value: Bytes,
}

/// An [`InclusionProof`] proves nothing.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// The seal is not the authority's.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The nodes do not lead from the header's root to the value.
    #[error("{subject:?} {index} is not proven to be in block {block_hash}: {source}")]
    NotIncluded {
        /// What was to be proven.
        subject: Subject,
        /// Its position.
        index: u64,
        /// The block's hash.
        block_hash: B256,
        /// Where the nodes do not fit.
        source: ProofVerificationError,
    },
}

impl ProofError {
    /// Whoever made the proof.
    pub fn blame(&self) -> crate::Blame {
        crate::Blame::Peer
    }
}

/// Proves that the transaction at `index` is in the block; `None` where the block has no such transaction.
pub fn prove_transaction(block: &Block, index: u64) -> Option<InclusionProof> {
    let values: Vec<_> = block.transactions().iter().map(Encodable2718::encoded_2718).collect();
    prove(Subject::Transaction, block, &values, index)
}

/// Proves that the receipt at `index` is in the block whose receipts these are; `None` where there is no such receipt.
pub fn prove_receipt(block: &Block, receipts: &[Receipt], index: u64) -> Option<InclusionProof> {
    let values: Vec<_> = receipts.iter().map(|receipt| receipt.with_bloom_ref().encoded_2718()).collect();
    prove(Subject::Receipt, block, &values, index)
}

fn prove(subject: Subject, block: &Block, values: &[Vec<u8>], index: u64) -> Option<InclusionProof> {
    let position = usize::try_from(index).ok()?;
    let value = Bytes::copy_from_slice(values.get(position)?);
    let mut builder = HashBuilder::default().with_proof_retainer(ProofRetainer::from_iter([key(position)]));
    for rank in 0..values.len() {
        let position = adjust_index_for_rlp(rank, values.len());
        builder.add_leaf(key(position), &values[position]);
    }
    builder.root();
    let nodes = builder.take_proof_nodes().into_nodes_sorted().into_iter().map(|(_, node)| node).collect();
    Some(InclusionProof { subject, header: block.header().clone(), seal: *block.seal(), index, nodes, value })
}

/// The key of an item in a transactions or receipts trie.
fn key(index: usize) -> Nibbles {
    Nibbles::unpack(alloy_rlp::encode_fixed_size(&index))
}

impl InclusionProof {
    /// Checks that `authority` sealed a block with this header and that the value is in it at `index`. Returns the
    /// block's hash. Which chain the block belongs to, its height and time are in the header.
    pub fn verify(&self, authority: alloy_primitives::Address) -> Result<B256, ProofError> {
        let block_hash = header_hash(&self.header);
        self.seal.verify(block_hash, authority)?;
        let root = match self.subject {
            Subject::Transaction => self.header.transactions_root,
            Subject::Receipt => self.header.receipts_root,
        };
        let key = Nibbles::unpack(alloy_rlp::encode_fixed_size(&self.index));
        match verify_proof(root, key, Some(self.value.to_vec()), &self.nodes) {
            Ok(()) => Ok(block_hash),
            Err(source) => {
                Err(ProofError::NotIncluded { subject: self.subject, index: self.index, block_hash, source })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SecretKey;
    use alloy_consensus::{SignableTransaction, TxLegacy, TxType};
    use alloy_primitives::{Address, Log, Signature, U256};

    fn authority() -> SecretKey {
        SecretKey::from_bytes([1; 32]).unwrap()
    }

    fn transaction(nonce: u64) -> Transaction {
        let transaction = TxLegacy { nonce, gas_limit: 21_000, to: Address::ZERO.into(), ..TxLegacy::default() };
        transaction.into_signed(Signature::new(U256::from(7), U256::from(8), false)).into()
    }

    fn receipt(gas: u64) -> Receipt {
        let logs = vec![Log::new_unchecked(Address::with_last_byte(gas as u8), vec![B256::ZERO], Bytes::new())];
        Receipt { tx_type: TxType::Eip1559, success: true, cumulative_gas_used: gas, logs }
    }

    fn block(count: u64) -> (Block, Vec<Receipt>) {
        let transactions: Vec<_> = (0..count).map(transaction).collect();
        let receipts: Vec<_> = (0..count).map(receipt).collect();
        let header = Header {
            number: 5,
            transactions_root: transactions_root(&transactions),
            receipts_root: receipts_root(&receipts),
            logs_bloom: logs_bloom(&receipts),
            ..Header::default()
        };
        (Block::sealed(header, transactions, &authority()), receipts)
    }

    /// Every item of blocks whose tries are a leaf, a branch, and deep enough for the index encodings of 1 to 3 bytes.
    fn proofs() -> Vec<(Block, InclusionProof)> {
        let mut proofs = Vec::new();
        for count in [1, 2, 3, 16, 17, 127, 128, 129, 300] {
            let (block, receipts) = block(count);
            for index in 0..count {
                proofs.push((block.clone(), prove_transaction(&block, index).unwrap()));
                proofs.push((block.clone(), prove_receipt(&block, &receipts, index).unwrap()));
            }
        }
        proofs
    }

    #[test]
    fn every_transaction_and_receipt_of_a_block_is_proven() {
        for (block, proof) in proofs() {
            assert_eq!(proof.verify(authority().address()), Ok(block.hash()));
        }
    }

    #[test]
    fn item_beyond_the_block_has_no_proof() {
        let (block, receipts) = block(3);
        assert_eq!(prove_transaction(&block, 3), None);
        assert_eq!(prove_receipt(&block, &receipts, u64::MAX), None);
        assert_eq!(prove_transaction(&self::block(0).0, 0), None);
    }

    #[test]
    fn proof_with_any_part_exchanged_is_refused() {
        let (block, receipts) = block(20);
        let good = prove_transaction(&block, 3).unwrap();
        let changes: [fn(&mut InclusionProof); 8] = [
            |proof| proof.index = 4,
            |proof| proof.subject = Subject::Receipt,
            |proof| proof.value = transaction(4).encoded_2718().into(),
            |proof| proof.header.timestamp += 1,
            |proof| proof.header.transactions_root = B256::ZERO,
            |proof| drop(proof.nodes.pop()),
            |proof| drop(proof.nodes.remove(0)),
            |proof| proof.nodes.push(proof.nodes[0].clone()),
        ];
        for (case, change) in changes.into_iter().enumerate() {
            let mut proof = good.clone();
            change(&mut proof);
            assert!(proof.verify(authority().address()).is_err(), "change {case} was not noticed");
        }
        let other = Block::sealed(block.header().clone(), Vec::new(), &SecretKey::from_bytes([2; 32]).unwrap());
        let proof = InclusionProof { seal: *other.seal(), ..prove_receipt(&block, &receipts, 3).unwrap() };
        assert!(matches!(proof.verify(authority().address()), Err(ProofError::Seal(_))));
    }

    #[test]
    fn bloom_of_a_block_is_the_union_of_its_receipts() {
        let receipts = [receipt(1), receipt(2)];
        let bloom = logs_bloom(&receipts);
        assert_eq!(bloom, receipts[0].bloom() | receipts[1].bloom());
        assert_ne!(bloom, receipts[0].bloom());
    }

    #[test]
    fn empty_lists_have_the_empty_root() {
        assert_eq!(transactions_root(&[]), alloy_trie::EMPTY_ROOT_HASH);
        assert_eq!(receipts_root(&[]), alloy_trie::EMPTY_ROOT_HASH);
        assert_eq!(logs_bloom(&[]), Bloom::ZERO);
    }
}
