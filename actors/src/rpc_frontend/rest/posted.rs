//! A block as an operator posts it. `raw` decides; a field beside it that says something else is an error, so that a
//! tool that mixes up blocks learns of it.

use super::time::rfc3339;
use crate::rpc_frontend::ports::{ImportError, ImportErrorKind};
use alloy_consensus::Transaction as _;
use alloy_primitives::{Address, B256, Bytes};
use callboard_chain::transaction::recover_sender;
use callboard_chain::{Blame, Block, Transaction};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use std::fmt::Debug;

/// A field: absent, null, or a value. Null is what no block has, but for the recipient of a transaction that creates a
/// contract.
type Field<T> = Option<Option<T>>;

/// Fields that are not listed here are not looked at.
#[derive(Deserialize)]
struct Posted<'a> {
    raw: Option<Bytes>,
    #[serde(default, deserialize_with = "present")]
    height: Field<u64>,
    #[serde(default, deserialize_with = "present")]
    hash: Field<B256>,
    #[serde(default, deserialize_with = "present")]
    parent_hash: Field<B256>,
    #[serde(default, deserialize_with = "present")]
    timestamp: Field<String>,
    #[serde(default, deserialize_with = "present")]
    proposer: Field<Address>,
    #[serde(default, deserialize_with = "present")]
    state_root: Field<B256>,
    #[serde(default, deserialize_with = "present")]
    tx_count: Field<usize>,
    #[serde(borrow, default, deserialize_with = "written")]
    transactions: Option<&'a RawValue>,
}

/// What of a transaction follows from `raw`; its status follows from executing it.
#[derive(Deserialize)]
struct PostedTransaction {
    #[serde(default, deserialize_with = "present")]
    tx_hash: Field<B256>,
    #[serde(default, deserialize_with = "present")]
    hash: Field<B256>,
    #[serde(default, deserialize_with = "present")]
    block_height: Field<u64>,
    #[serde(default, deserialize_with = "present")]
    index: Field<usize>,
    #[serde(default, deserialize_with = "present")]
    sender: Field<Address>,
    #[serde(default, deserialize_with = "present")]
    recipient: Field<Address>,
    #[serde(default, deserialize_with = "present")]
    value: Field<String>,
    #[serde(default, deserialize_with = "present")]
    nonce: Field<u64>,
    #[serde(default, deserialize_with = "present")]
    data: Field<Bytes>,
    #[serde(default, deserialize_with = "present")]
    timestamp: Field<String>,
}

fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Field<T>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// A field as it is written, be it null.
fn written<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

/// The canonical bytes in a posted body, once everything else in it agrees with them.
pub(super) fn canonical_bytes(body: &[u8]) -> Result<Bytes, ImportError> {
    let posted: Posted<'_> = serde_json::from_slice(body).map_err(unreadable)?;
    let Some(raw) = posted.raw.clone() else { return Err(body_missing()) };
    // Bytes that are no block are the verifier's to refuse, which records them.
    if let Ok(block) = Block::decode(raw.clone()) {
        posted.agrees_with(&block)?;
    }
    Ok(raw)
}

/// What of a refused body is worth keeping: `raw`, and the body itself where there is none.
pub(super) fn sent_bytes(body: &[u8]) -> Bytes {
    let posted: Option<Posted<'_>> = serde_json::from_slice(body).ok();
    posted.and_then(|posted| posted.raw).unwrap_or_else(|| Bytes::copy_from_slice(body))
}

impl Posted<'_> {
    fn agrees_with(self, block: &Block) -> Result<(), ImportError> {
        let header = block.header();
        agree("height", self.height, block.height())?;
        agree("hash", self.hash, block.hash())?;
        agree("parent_hash", self.parent_hash, header.parent_hash)?;
        agree("timestamp", self.timestamp, rfc3339(header.timestamp))?;
        agree("proposer", self.proposer, header.beneficiary)?;
        agree("state_root", self.state_root, header.state_root)?;
        agree("tx_count", self.tx_count, block.transactions().len())?;
        let Some(transactions) = self.transactions else { return Ok(()) };
        let posted: Option<Vec<PostedTransaction>> = serde_json::from_str(transactions.get()).map_err(unreadable)?;
        agree("transactions", Some(posted.as_ref().map(Vec::len)), block.transactions().len())?;
        let pairs = posted.into_iter().flatten().zip(block.transactions());
        for (index, (posted, transaction)) in pairs.enumerate() {
            posted.agrees_with(block, index, transaction)?;
        }
        Ok(())
    }
}

impl PostedTransaction {
    fn agrees_with(self, block: &Block, index: usize, transaction: &Transaction) -> Result<(), ImportError> {
        let field = |name: &str| format!("transactions[{index}].{name}");
        agree(&field("tx_hash"), self.tx_hash, *transaction.tx_hash())?;
        agree(&field("hash"), self.hash, *transaction.tx_hash())?;
        agree(&field("block_height"), self.block_height, block.height())?;
        agree(&field("index"), self.index, index)?;
        agree_or_null(&field("recipient"), self.recipient, transaction.to())?;
        agree(&field("value"), self.value, transaction.value().to_string())?;
        agree(&field("nonce"), self.nonce, transaction.nonce())?;
        agree(&field("data"), self.data, transaction.input().clone())?;
        agree(&field("timestamp"), self.timestamp, rfc3339(block.header().timestamp))?;
        // A signature without a signer is the verifier's to refuse.
        match (self.sender, recover_sender(transaction)) {
            (sender @ Some(_), Ok(signer)) => agree(&field("sender"), sender, signer),
            _ => Ok(()),
        }
    }
}

fn agree<T: PartialEq + Debug>(field: &str, posted: Field<T>, raw: T) -> Result<(), ImportError> {
    agree_or_null(field, posted, Some(raw))
}

/// As [`agree`], for a field that may be null.
fn agree_or_null<T: PartialEq + Debug>(field: &str, posted: Field<T>, raw: Option<T>) -> Result<(), ImportError> {
    match posted {
        Some(posted) if posted != raw => {
            let written = |value: Option<T>| value.map_or_else(|| "null".to_owned(), |value| format!("{value:?}"));
            let (expected, actual) = (written(raw), written(posted));
            let message = format!("the field {field} disagrees with raw: raw says {expected}, the field {actual}");
            Err(refusal("field_mismatch", &expected, &actual, message))
        }
        _ => Ok(()),
    }
}

fn body_missing() -> ImportError {
    let message = "the block has no field raw: without its canonical bytes it has no body, and is not imported";
    refusal("body_missing", "raw: the canonical bytes", "no raw", message.to_owned())
}

fn unreadable(error: serde_json::Error) -> ImportError {
    refusal("json", "a block as blocks-range gives it", &error.to_string(), format!("the body cannot be read: {error}"))
}

fn refusal(check: &str, expected: &str, actual: &str, message: String) -> ImportError {
    ImportError {
        kind: ImportErrorKind::Invalid,
        check: check.to_owned(),
        expected: expected.to_owned(),
        actual: actual.to_owned(),
        message,
        blame: Blame::Peer,
    }
}
