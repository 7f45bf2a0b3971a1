//! Building the next block: execute what fits, compute its roots, wait for the seal.

use super::{BuildError, DurableState, LiveState, SealCandidateError, View};
use crate::execution::{BlockContext, BlockExecutor, ExecuteError, Executed, ExecutionError};
use crate::proof::{receipts_root, transactions_root};
use crate::transaction::validate_transaction;
use crate::verify::child_header;
use crate::{Block, BlockChanges, Confirmed, Receipt, Seal, Transaction, Verified};
use alloy_consensus::Header;
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, B256};
use std::collections::HashSet;
use std::sync::Arc;

/// Canonical bytes set aside for header, seal and list prefixes when transactions are chosen.
const BLOCK_OVERHEAD_BYTES: u64 = 1_024;
/// Bytes that a transaction's own string prefix takes at most.
const TRANSACTION_PREFIX_BYTES: u64 = 5;

/// What the proposer wants in the next block.
#[derive(Debug)]
pub struct Proposal {
    /// Unix seconds; not below the parent's.
    pub timestamp: u64,
    /// Candidates with their senders, best first, each sender's in nonce order.
    pub candidates: Vec<(Transaction, Address)>,
}

/// A block that lacks only its seal.
#[derive(Debug, Clone)]
pub struct Built {
    /// Its header.
    pub header: Header,
    /// Its hash: what the authority seals.
    pub hash: B256,
    /// Its transactions, in order.
    pub transactions: Arc<[Transaction]>,
    /// Candidates that can never be executed on this state as they are, with the reason.
    pub skipped: Vec<Skipped>,
}

/// A candidate that was left out because it is invalid on this state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// Which transaction.
    pub hash: B256,
    /// Why.
    pub reason: String,
}

#[derive(Debug)]
pub(super) struct Candidate {
    header: Header,
    hash: B256,
    transactions: Arc<[Transaction]>,
    senders: Arc<[Address]>,
    receipts: Arc<[Receipt]>,
    changes: BlockChanges,
}

#[derive(Default)]
struct Chosen {
    transactions: Vec<Transaction>,
    senders: Vec<Address>,
    skipped: Vec<Skipped>,
    bytes: u64,
}

impl Built {
    /// The block with its seal.
    pub fn with_seal(&self, seal: Seal) -> Block {
        Block::from_parts(self.header.clone(), self.transactions.to_vec(), seal)
    }
}

impl<R: DurableState> LiveState<R> {
    /// Builds the next block from `proposal` and keeps it until it is sealed, another is built, or another block is
    /// confirmed. `out_of_time` is asked before each transaction; once true, the block closes with what it has.
    pub fn build(&mut self, proposal: Proposal, out_of_time: &dyn Fn() -> bool) -> Result<Built, BuildError> {
        self.check_trie()?;
        self.discard_candidate()?;
        let mut header = self.next_header(proposal.timestamp)?;
        let (chosen, executed) = self.fill(&header, proposal.candidates, out_of_time)?;
        let Executed { receipts, gas_used, logs_bloom, mut changes } = executed;
        header.gas_used = gas_used;
        header.logs_bloom = logs_bloom;
        header.transactions_root = transactions_root(&chosen.transactions);
        header.receipts_root = receipts_root(&receipts);
        header.state_root = self.trie.apply(&self.base, &mut changes)?;
        let hash = header.hash_slow();
        let transactions: Arc<[Transaction]> = chosen.transactions.into();
        self.candidate = Some(Candidate {
            header: header.clone(),
            hash,
            transactions: transactions.clone(),
            senders: chosen.senders.into(),
            receipts: receipts.into(),
            changes,
        });
        Ok(Built { header, hash, transactions, skipped: chosen.skipped })
    }

    /// Makes the built block with `hash` the head, if `seal` is the authority's over it.
    pub fn seal_candidate(&mut self, hash: B256, seal: Seal) -> Result<Confirmed<Block>, SealCandidateError> {
        if self.candidate.as_ref().is_none_or(|candidate| candidate.hash != hash) {
            return Err(SealCandidateError::NoCandidate { hash });
        }
        seal.verify(hash, self.config.authority)?;
        let candidate = self.candidate.take().ok_or(SealCandidateError::NoCandidate { hash })?;
        let block = Block::from_parts(candidate.header, candidate.transactions.to_vec(), seal);
        let verified = Verified::new(block, candidate.senders);
        Ok(self.advance(verified, candidate.receipts, candidate.changes))
    }

    /// Drops the candidate, if one waits, and puts the trie back to the head's root.
    pub fn discard_candidate(&mut self) -> Result<(), crate::trie::TrieError> {
        if let Some(candidate) = self.candidate.take() {
            self.trie.revert(&self.base, &candidate.changes)?;
        }
        Ok(())
    }

    fn next_header(&self, timestamp: u64) -> Result<Header, BuildError> {
        if timestamp < self.head.timestamp {
            return Err(BuildError::Timestamp { parent: self.head.timestamp, actual: timestamp });
        }
        if self.head.number == u64::MAX {
            return Err(BuildError::HeightExhausted);
        }
        Ok(child_header(&self.head, timestamp, &self.config))
    }

    fn fill(
        &self,
        header: &Header,
        candidates: Vec<(Transaction, Address)>,
        out_of_time: &dyn Fn() -> bool,
    ) -> Result<(Chosen, Executed), BuildError> {
        let view = View { overlay: &self.overlay, base: &self.base };
        let context = BlockContext::for_header(header, &self.config);
        let mut executor = BlockExecutor::new(&view, context)?;
        let mut chosen = Chosen { bytes: BLOCK_OVERHEAD_BYTES, ..Chosen::default() };
        let mut passed_over = HashSet::new();
        for (transaction, sender) in candidates {
            if out_of_time() {
                break;
            }
            if passed_over.contains(&sender) {
                continue;
            }
            if !self.include(&mut executor, &mut chosen, header, transaction, sender)? {
                passed_over.insert(sender);
            }
        }
        Ok((chosen, executor.finish()?))
    }

    /// Whether the transaction went into the block. Where it did not, its sender's later ones cannot either.
    fn include<S: crate::StateReader>(
        &self,
        executor: &mut BlockExecutor<'_, S>,
        chosen: &mut Chosen,
        header: &Header,
        transaction: Transaction,
        sender: Address,
    ) -> Result<bool, BuildError> {
        let bytes = transaction.encode_2718_len() as u64 + TRANSACTION_PREFIX_BYTES;
        let total = chosen.bytes.saturating_add(bytes);
        if total > self.config.max_block_bytes {
            return Ok(false);
        }
        let base_fee = header.base_fee_per_gas.unwrap_or_default();
        let outcome = match validate_transaction(&transaction, &self.config, header.number, base_fee) {
            Ok(()) => executor.execute(&transaction, sender).map(drop),
            Err(error) => {
                chosen.skipped.push(Skipped { hash: *transaction.tx_hash(), reason: error.to_string() });
                return Ok(false);
            }
        };
        match outcome {
            Ok(()) => {
                chosen.bytes = total;
                chosen.transactions.push(transaction);
                chosen.senders.push(sender);
                Ok(true)
            }
            Err(ExecuteError::State(error)) => Err(ExecutionError::State(error).into()),
            Err(ExecuteError::BlockGasExhausted { .. }) => Ok(false),
            Err(error) => {
                chosen.skipped.push(Skipped { hash: *transaction.tx_hash(), reason: error.to_string() });
                Ok(false)
            }
        }
    }
}
