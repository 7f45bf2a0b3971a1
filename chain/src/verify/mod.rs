//! The rules of a block that need no state: what the parallel stage of an import checks ([`verify_block`]), and what
//! ties a header to its parent ([`verify_child`]).

mod error;
mod header;

pub use error::{HeaderError, VerifyError};
pub use header::{EMPTY_REQUESTS_HASH, child_header, mix_hash, next_base_fee, verify_child, verify_header};
pub(crate) use header::{constants_at, verify_child_of};

use crate::{
    Block, ChainConfig, Verified,
    recovery::RecoverError,
    transaction::{recover_sender, validate_transaction},
};
use alloy_consensus::proofs::calculate_transaction_root;
use alloy_primitives::{Address, Bytes};
use std::sync::Arc;

/// Checks everything about a block that needs neither its parent nor the state: canonical form, seal, transactions
/// root, header constants, size, the rules of its transactions, and who sent them.
///
/// The order decides who is to blame. Form, seal, body and commitment come first, and what fails there is the
/// sender's fault. What fails after them was sealed by the authority as it is.
pub fn verify_block(bytes: Bytes, config: &ChainConfig) -> Result<Verified<Block>, VerifyError> {
    let block = Block::decode(bytes)?;
    block.seal().verify(block.hash(), config.authority)?;
    verify_body(&block)?;
    verify_header(block.header(), config)?;
    verify_size(&block, config)?;
    verify_transactions(&block, config)?;
    let senders = recover_senders(&block)?;
    Ok(Verified::new(block, senders))
}

fn verify_body(block: &Block) -> Result<(), VerifyError> {
    let (expected, actual) = (block.header().transactions_root, calculate_transaction_root(block.transactions()));
    if expected != actual {
        return Err(VerifyError::TransactionsRoot { expected, actual });
    }
    Ok(())
}

fn verify_size(block: &Block, config: &ChainConfig) -> Result<(), VerifyError> {
    let actual = block.bytes().len() as u64;
    if actual > config.max_block_bytes {
        return Err(VerifyError::TooLong { limit: config.max_block_bytes, actual });
    }
    Ok(())
}

fn verify_transactions(block: &Block, config: &ChainConfig) -> Result<(), VerifyError> {
    let base_fee = block.header().base_fee_per_gas.unwrap_or_default();
    for (index, transaction) in block.transactions().iter().enumerate() {
        validate_transaction(transaction, config, block.height(), base_fee)
            .map_err(|source| VerifyError::Transaction { index, source })?;
    }
    Ok(())
}

fn recover_senders(block: &Block) -> Result<Arc<[Address]>, VerifyError> {
    let sender = |(index, transaction)| {
        recover_sender(transaction).map_err(|source: RecoverError| VerifyError::Sender { index, source })
    };
    block.transactions().iter().enumerate().map(sender).collect()
}

#[cfg(test)]
mod tests;
