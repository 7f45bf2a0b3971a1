//! The canonical byte form: rlp([header, [transaction…], seal]).

use super::Transaction;
use crate::{
    Blame, Seal,
    config::MAX_BLOCK_BYTES_LIMIT,
    transaction::{DecodeTransactionError, decode_envelope, transaction_item},
};
use alloy_consensus::Header;
use alloy_eips::eip2718::Encodable2718;
use alloy_rlp::{Decodable, Encodable, Header as RlpHeader};

/// Bytes are not the canonical form of a block.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeBlockError {
    /// More than any chain allows.
    #[error("a block has {actual} bytes, at most {limit} are allowed")]
    TooLong {
        /// Bytes given.
        actual: usize,
        /// [`MAX_BLOCK_BYTES_LIMIT`].
        limit: u64,
    },
    /// A part is not well-formed RLP.
    #[error("the block's {part} is not well-formed: {source}")]
    Malformed {
        /// Which part.
        part: &'static str,
        /// What is wrong with it.
        source: alloy_rlp::Error,
    },
    /// A transaction cannot be decoded.
    #[error("transaction {index} of the block: {source}")]
    Transaction {
        /// Its place, from 0.
        index: usize,
        /// What is wrong with it.
        source: DecodeTransactionError,
    },
    /// Bytes after the block, or after the seal inside of it.
    #[error("{count} bytes after {after}")]
    TrailingBytes {
        /// How many.
        count: usize,
        /// What they follow.
        after: &'static str,
    },
    /// Well-formed, but not in the one canonical form.
    #[error("the block is not in canonical form: it differs at byte {offset} from what its content encodes to")]
    NotCanonical {
        /// The first byte that differs.
        offset: usize,
    },
}

impl DecodeBlockError {
    /// Whoever sent the bytes.
    pub fn blame(&self) -> Blame {
        Blame::Peer
    }

    /// What was expected, and what came.
    pub fn expected_and_actual(&self) -> (String, String) {
        match self {
            Self::TooLong { actual, limit } => (format!("at most {limit} bytes"), format!("{actual} bytes")),
            Self::Malformed { part, source } => (format!("a well-formed {part}"), source.to_string()),
            Self::Transaction { index, source } => (format!("a well-formed transaction {index}"), source.to_string()),
            Self::TrailingBytes { count, after } => (format!("nothing after {after}"), format!("{count} bytes")),
            Self::NotCanonical { offset } => {
                ("the canonical form".to_owned(), format!("another form from byte {offset} on"))
            }
        }
    }
}

pub(super) fn encode(header: &Header, transactions: &[Transaction], seal: &Seal) -> Vec<u8> {
    let list = transactions.iter().map(Encodable2718::network_len).sum();
    let list_header = RlpHeader { list: true, payload_length: list };
    let payload_length = header.length() + list_header.length_with_payload() + seal.0.length();
    let block_header = RlpHeader { list: true, payload_length };
    let mut out = Vec::with_capacity(block_header.length_with_payload());
    block_header.encode(&mut out);
    header.encode(&mut out);
    list_header.encode(&mut out);
    for transaction in transactions {
        transaction.network_encode(&mut out);
    }
    seal.0.encode(&mut out);
    out
}

pub(super) fn decode(bytes: &[u8]) -> Result<(Header, Vec<Transaction>, Seal), DecodeBlockError> {
    if bytes.len() as u64 > MAX_BLOCK_BYTES_LIMIT {
        return Err(DecodeBlockError::TooLong { actual: bytes.len(), limit: MAX_BLOCK_BYTES_LIMIT });
    }
    let (header, list, mut content) = open(bytes)?;
    let transactions = decode_transactions(list)?;
    let seal =
        <[u8; 65]>::decode(&mut content).map_err(|source| DecodeBlockError::Malformed { part: "seal", source })?;
    nothing_after(content, "the seal")?;
    let block = (header, transactions, Seal(seal));
    let canonical = encode(&block.0, &block.1, &block.2);
    match canonical_difference(bytes, &canonical) {
        None => Ok(block),
        Some(offset) => Err(DecodeBlockError::NotCanonical { offset }),
    }
}

/// The header and the transaction at `index` of canonical bytes that were decoded as a whole before.
pub(super) fn decode_one(bytes: &[u8], index: usize) -> Result<Option<(Header, Transaction)>, DecodeBlockError> {
    let (header, mut transactions, _) = open(bytes)?;
    let failed = |index| move |source| DecodeBlockError::Transaction { index, source };
    for before in 0..index {
        if transactions.is_empty() {
            return Ok(None);
        }
        transaction_item(&mut transactions).map_err(failed(before))?;
    }
    if transactions.is_empty() {
        return Ok(None);
    }
    let transaction = transaction_item(&mut transactions).and_then(decode_envelope).map_err(failed(index))?;
    Ok(Some((header, transaction)))
}

/// A block's header, the payload of its list of transactions, and what follows that.
fn open(mut bytes: &[u8]) -> Result<(Header, &[u8], &[u8]), DecodeBlockError> {
    let mut content = list(&mut bytes, "outer list")?;
    nothing_after(bytes, "the block")?;
    let header =
        Header::decode(&mut content).map_err(|source| DecodeBlockError::Malformed { part: "header", source })?;
    let transactions = list(&mut content, "list of transactions")?;
    Ok((header, transactions, content))
}

/// The payload of the list that `rest` begins with; `rest` goes on after it.
fn list<'a>(rest: &mut &'a [u8], part: &'static str) -> Result<&'a [u8], DecodeBlockError> {
    RlpHeader::decode_bytes(rest, true).map_err(|source| DecodeBlockError::Malformed { part, source })
}

fn nothing_after(rest: &[u8], after: &'static str) -> Result<(), DecodeBlockError> {
    match rest.len() {
        0 => Ok(()),
        count => Err(DecodeBlockError::TrailingBytes { count, after }),
    }
}

fn decode_transactions(mut list: &[u8]) -> Result<Vec<Transaction>, DecodeBlockError> {
    let mut transactions = Vec::new();
    while !list.is_empty() {
        let index = transactions.len();
        let transaction = transaction_item(&mut list).and_then(decode_envelope);
        transactions.push(transaction.map_err(|source| DecodeBlockError::Transaction { index, source })?);
    }
    Ok(transactions)
}

/// The first byte at which two strings differ.
fn canonical_difference(given: &[u8], canonical: &[u8]) -> Option<usize> {
    if given == canonical {
        return None;
    }
    let equal = given.iter().zip(canonical).take_while(|(a, b)| a == b).count();
    Some(equal)
}
