//! Messages between agents: transactions that carry text.

use crate::rpc_frontend::jsonrpc::{Params, RpcError, RpcResult};
use crate::rpc_frontend::rest::cursor::{self, After, Before};
use crate::rpc_frontend::rest::shape::Status;
use crate::rpc_frontend::rest::transactions::{DEFAULT_LIMIT, direction};
use crate::rpc_frontend::server::Frontend;
use crate::rpc_frontend::view::{View, listed, storage};
use alloy_consensus::Transaction as _;
use alloy_primitives::{Address, B256};
use callboard_store::{AddressQuery, ConfirmedTransaction, Direction, TransactionLocation};
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};

/// Transactions that one call looks at, whatever `limit` asks for: each costs a read in its block. Most of a
/// contract's transactions are no messages, so a page may come back short, or empty, with a `next`.
const MAX_LOOKED_AT: usize = 500;
/// Text of one answer, beyond which no further message is added to it.
const MAX_TEXT_BYTES: usize = 1 << 20;
/// After so long a page ends where it is: large blocks take their time to read.
const LOOK_FOR: Duration = Duration::from_secs(1);

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct MessagesRequest {
    limit: Option<usize>,
    before: Option<Before>,
    after: Option<After>,
    direction: Option<String>,
}

/// A page of messages, newest first; oldest first with `after`.
#[derive(Default, Serialize)]
struct MessagesPage {
    messages: Vec<Message>,
    count: usize,
    /// What to ask for as `before`, or as `after` where that was given, to go on; null at the end.
    next: Option<String>,
}

/// A confirmed transaction with a recipient whose input is text: not empty, and valid UTF-8.
#[derive(Serialize)]
struct Message {
    hash: B256,
    from: Address,
    to: Address,
    text: String,
    height: u64,
    index: u32,
    /// Unix seconds.
    timestamp: u64,
    nonce: u64,
    status: Status,
}

/// The messages of an address: those it received, unless `direction` says otherwise.
pub(super) async fn messages(frontend: &Frontend, params: &Params<'_>) -> RpcResult {
    let address: Address = params.required(0, "address")?;
    let request: MessagesRequest = params.optional(1, "options")?.unwrap_or_default();
    let direction = match request.direction.as_deref() {
        None => Direction::Received,
        given => {
            direction(given).ok_or_else(|| RpcError::invalid_params("direction must be sent, received or both"))?
        }
    };
    let query = AddressQuery {
        before: request.before.map(|before| before.0),
        after: request.after.map(|after| after.0),
        limit: MAX_LOOKED_AT,
        direction,
    };
    let limit = request.limit.unwrap_or(DEFAULT_LIMIT).clamp(1, MAX_LOOKED_AT);
    frontend.read(move |view| page(&view, address, query, limit)).await
}

fn page(view: &View, address: Address, query: AddressQuery, limit: usize) -> Result<MessagesPage, RpcError> {
    let until = Instant::now() + LOOK_FOR;
    let found = view.snapshot.by_address(address, query).map_err(storage)?;
    let mut page = MessagesPage::default();
    let (mut reader, mut looked_at, mut bytes) = (view.snapshot.confirmed_reader(), None, 0usize);
    for entry in &found.entries {
        let full = page.messages.len() == limit || bytes >= MAX_TEXT_BYTES || Instant::now() >= until;
        if let Some(last) = looked_at.filter(|_| full) {
            return Ok(page.ending_at(Some(last)));
        }
        looked_at = Some(entry.location);
        if let Some(message) = message(&listed(&mut reader, entry.location)?, entry.location) {
            bytes = bytes.saturating_add(message.text.len());
            page.messages.push(message);
        }
    }
    Ok(page.ending_at(found.next))
}

/// The transaction as a message, if it is one.
fn message(confirmed: &ConfirmedTransaction, location: TransactionLocation) -> Option<Message> {
    let ConfirmedTransaction { header, transaction, sender, receipt } = confirmed;
    let text = std::str::from_utf8(transaction.input()).ok().filter(|text| !text.is_empty())?;
    Some(Message {
        hash: *transaction.tx_hash(),
        from: *sender,
        to: transaction.to()?,
        text: text.to_owned(),
        height: location.height,
        index: location.index,
        timestamp: header.timestamp,
        nonce: transaction.nonce(),
        status: Status::of(receipt),
    })
}

impl MessagesPage {
    fn ending_at(self, next: Option<TransactionLocation>) -> Self {
        Self { count: self.messages.len(), next: next.map(cursor::text), ..self }
    }
}
