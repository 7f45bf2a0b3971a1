//! The EIP-2718 form of transactions.

use super::MAX_TRANSACTION_BYTES;
use crate::{Blame, Transaction};
use alloy_consensus::{TxLegacy, transaction::RlpEcdsaDecodableTx};
use alloy_eips::eip2718::{Decodable2718, EIP2930_TX_TYPE_ID, EIP7702_TX_TYPE_ID, Encodable2718};
use alloy_rlp::Header as RlpHeader;
use std::ops::RangeInclusive;

/// The first byte of an RLP list is at least this: a legacy transaction.
const LIST: u8 = 0xc0;
/// The first byte of an RLP string of more than one byte is at least this; below it is a type (EIP-2718).
const STRING: u8 = 0x80;
/// The EIP-2718 types there are. A legacy transaction has no type byte, not a zero.
const TYPES: RangeInclusive<u8> = EIP2930_TX_TYPE_ID..=EIP7702_TX_TYPE_ID;

/// Bytes are not the EIP-2718 form of one transaction.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeTransactionError {
    /// More than a transaction may have.
    #[error("transaction too large: {actual} bytes, at most {limit} are allowed")]
    TooLong {
        /// Bytes given.
        actual: usize,
        /// [`MAX_TRANSACTION_BYTES`].
        limit: usize,
    },
    /// An EIP-2718 type this chain does not know.
    #[error("transaction type not supported: {transaction_type:#04x}")]
    UnknownType {
        /// The type byte.
        transaction_type: u8,
    },
    /// Not well-formed RLP, or not the fields of a transaction.
    #[error("transaction is not well-formed: {source}")]
    Malformed {
        /// What is wrong with it.
        source: alloy_rlp::Error,
    },
    /// Bytes after the transaction.
    #[error("{count} bytes after the transaction")]
    TrailingBytes {
        /// How many.
        count: usize,
    },
    /// Well-formed, but its content encodes to other bytes.
    #[error("transaction is not in canonical form")]
    NotCanonical,
}

impl DecodeTransactionError {
    /// Whoever sent the bytes.
    pub fn blame(&self) -> Blame {
        Blame::Peer
    }
}

impl From<alloy_rlp::Error> for DecodeTransactionError {
    fn from(source: alloy_rlp::Error) -> Self {
        Self::Malformed { source }
    }
}

/// Decodes one transaction in its EIP-2718 form (as `eth_sendRawTransaction` takes it), from the whole input.
pub fn decode_transaction(bytes: &[u8]) -> Result<Transaction, DecodeTransactionError> {
    let transaction = decode_envelope(bytes)?;
    if transaction.encoded_2718() != bytes {
        return Err(DecodeTransactionError::NotCanonical);
    }
    Ok(transaction)
}

/// As [`decode_transaction`], without encoding it again: for the block decoder, which compares the whole block.
pub(crate) fn decode_envelope(bytes: &[u8]) -> Result<Transaction, DecodeTransactionError> {
    if bytes.len() > MAX_TRANSACTION_BYTES {
        return Err(DecodeTransactionError::TooLong { actual: bytes.len(), limit: MAX_TRANSACTION_BYTES });
    }
    let mut rest = bytes;
    let transaction = match bytes.first() {
        Some(&first) if first >= LIST => TxLegacy::rlp_decode_signed(&mut rest)?.into(),
        Some(&transaction_type) if transaction_type < STRING && !TYPES.contains(&transaction_type) => {
            return Err(DecodeTransactionError::UnknownType { transaction_type });
        }
        _ => Transaction::decode_2718(&mut rest).map_err(alloy_rlp::Error::from)?,
    };
    match rest.len() {
        0 => Ok(transaction),
        count => Err(DecodeTransactionError::TrailingBytes { count }),
    }
}

/// The EIP-2718 bytes of the next transaction in a block's list, where typed transactions are byte strings and legacy
/// transactions are lists; `list` goes on after it.
pub(crate) fn transaction_item<'a>(list: &mut &'a [u8]) -> Result<&'a [u8], DecodeTransactionError> {
    let mut payload = *list;
    let header = RlpHeader::decode(&mut payload)?;
    let item = if header.list {
        let length = list.len() - payload.len() + header.payload_length;
        &list[..length]
    } else {
        &payload[..header.payload_length]
    };
    *list = &payload[header.payload_length..];
    Ok(item)
}
