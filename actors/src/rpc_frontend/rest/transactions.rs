//! Transactions: by address, by hash, and new ones.

use super::cursor::{self, After, Before};
use super::query::{Query, parse};
use super::shape::{RestTransaction, Time};
use super::{RestResult, error::RestError, ok_json, record};
use crate::rpc_frontend::body::{BodyBounds, read_body};
use crate::rpc_frontend::config::RpcConfig;
use crate::rpc_frontend::eth::{submit, unavailable};
use crate::rpc_frontend::guard::refuse;
use crate::rpc_frontend::jsonrpc::{RpcError, SERVER_ERROR};
use crate::rpc_frontend::limits::Limit;
use crate::rpc_frontend::server::Frontend;
use crate::rpc_frontend::view::{View, listed, storage};
use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use alloy_consensus::Transaction as _;
use alloy_primitives::{Address, B256, Bytes};
use callboard_store::{AddressQuery, Direction};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::time::{Duration, Instant};

/// Transactions of one answer where no limit is asked for.
pub(crate) const DEFAULT_LIMIT: usize = 50;
/// Most transactions of one answer: each costs a read in its block.
const MAX_LIMIT: usize = 500;
/// Bytes of data after which an answer ends: as JSON they are twice as long.
const MAX_DATA_BYTES: usize = 4 << 20;
/// Time after which an answer ends: no snapshot lives longer than five seconds, and the last block is still to be read.
const WITHIN: Duration = Duration::from_secs(4);

/// A page of an account's transactions, newest first; oldest first with `after`.
#[derive(Serialize)]
pub(crate) struct Page {
    success: bool,
    transactions: Vec<RestTransaction>,
    count: usize,
    /// What to ask for as `before`, or as `after` where that was given, to go on; null at the end.
    next: Option<String>,
}

/// `sent`, `received` or `both`.
pub(crate) fn direction(text: Option<&str>) -> Option<Direction> {
    match text {
        None | Some("both") => Some(Direction::Both),
        Some("sent") => Some(Direction::Sent),
        Some("received") => Some(Direction::Received),
        Some(_) => None,
    }
}

/// Reads one page. Shared with `callboard_getTransactionsByAddress`.
pub(crate) fn page(
    view: &View,
    address: Address,
    query: AddressQuery,
    time: fn(u64) -> Time,
) -> Result<Page, RpcError> {
    let query = AddressQuery { limit: query.limit.clamp(1, MAX_LIMIT), ..query };
    let found = view.snapshot.by_address(address, query).map_err(storage)?;
    let mut transactions = Vec::with_capacity(found.entries.len());
    let (until, mut bytes, mut cut) = (Instant::now() + WITHIN, 0, None);
    let (mut reader, mut last) = (view.snapshot.confirmed_reader(), None);
    for entry in found.entries {
        if bytes > MAX_DATA_BYTES || Instant::now() > until {
            cut = last;
        }
        // The first one is given whatever it takes, so that every page goes on.
        if cut.is_some() {
            break;
        }
        let confirmed = listed(&mut reader, entry.location)?;
        bytes += confirmed.transaction.input().len();
        transactions.push(RestTransaction::confirmed(entry.location, &confirmed, time));
        last = Some(entry.location);
    }
    let next = cut.or(found.next).map(cursor::text);
    Ok(Page { success: true, count: transactions.len(), transactions, next })
}

pub(super) async fn by_address(frontend: web::Data<Frontend>, request: HttpRequest) -> RestResult {
    let begun = Instant::now();
    let result = match parse_query(&Query::parse(request.query_string())) {
        Ok((address, query)) => ok_json(frontend.read(move |view| page(&view, address, query, Time::text)).await),
        Err(error) => Err(error),
    };
    record(&frontend, "rest_transactions", begun, result)
}

fn parse_query(query: &Query) -> Result<(Address, AddressQuery), RestError> {
    let address = query.required("address")?;
    let direction = direction(query.optional::<String>("direction")?.as_deref())
        .ok_or_else(|| RestError::bad_request("the parameter direction must be sent, received or both"))?;
    let before = query.optional::<Before>("before")?.map(|before| before.0);
    let after = query.optional::<After>("after")?.map(|after| after.0);
    let limit = query.optional("limit")?.unwrap_or(DEFAULT_LIMIT);
    Ok((address, AddressQuery { before, after, limit, direction }))
}

pub(super) async fn by_hash(frontend: web::Data<Frontend>, path: web::Path<String>) -> RestResult {
    let begun = Instant::now();
    let result = match parse::<B256>("hash", &path) {
        Ok(hash) => look_up(&frontend, hash).await,
        Err(error) => Err(error),
    };
    record(&frontend, "rest_transaction", begun, result)
}

async fn look_up(frontend: &Frontend, hash: B256) -> RestResult {
    let mut found = frontend.load(move |view| confirmed(&view, hash)).await?;
    if found.is_none() {
        let pending = frontend.ports.pool.pending(hash).await;
        let pending = pending.map_err(unavailable)?;
        found = pending.as_ref().map(RestTransaction::pending);
    }
    if found.is_none() {
        // It may have been confirmed between the two looks.
        found = frontend.load(move |view| confirmed(&view, hash)).await?;
    }
    Ok(match found {
        Some(transaction) => HttpResponse::Ok().json(json!({ "success": true, "transaction": transaction })),
        None => refuse(StatusCode::NOT_FOUND, "Transaction not found"),
    })
}

fn confirmed(view: &View, hash: B256) -> Result<Option<RestTransaction>, RpcError> {
    let found = view.snapshot.confirmed_by_hash(hash).map_err(storage)?;
    Ok(found.map(|(location, confirmed)| RestTransaction::confirmed(location, &confirmed, Time::text)))
}

/// The body of POST /rpc/transactions: the signed bytes alone, or as the member `raw`.
#[derive(Deserialize)]
#[serde(untagged)]
enum Signed {
    Bytes(Bytes),
    Object { raw: Bytes },
}

pub(super) async fn send(frontend: web::Data<Frontend>, request: HttpRequest, payload: web::Payload) -> RestResult {
    let begun = Instant::now();
    let result = accept(&frontend, &request, payload).await;
    record(&frontend, "rest_send", begun, result)
}

async fn accept(frontend: &Frontend, request: &HttpRequest, payload: web::Payload) -> RestResult {
    let RpcConfig { max_body_bytes: bytes, body_within: within, .. } = frontend.config;
    let body = read_body(request, payload, BodyBounds { bytes, within, limit: Limit::Body, remedy: "" }).await?;
    let signed = serde_json::from_slice(&body).map_err(|_| {
        RestError::bad_request("the body must be {\"raw\": \"0x…\"} or \"0x…\", the signed transaction")
    })?;
    let (Signed::Bytes(bytes) | Signed::Object { raw: bytes }) = signed;
    frontend.chain()?;
    let hash = submit(frontend, &bytes).await.map_err(not_taken)?;
    Ok(HttpResponse::Ok().json(json!({ "success": true, "hash": hash })))
}

/// A transaction that is refused for what it is will never be taken; one that meets a busy node may be.
fn not_taken(error: RpcError) -> RestError {
    match (error.limit, error.code) {
        (None, SERVER_ERROR) => RestError::new(StatusCode::UNPROCESSABLE_ENTITY, error.message),
        _ => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::ResponseError;

    #[test]
    fn a_busy_node_refuses_no_transaction_for_good() {
        let status = |error: RpcError| not_taken(error).status_code().as_u16();
        assert_eq!(status(RpcError::refused("nonce too low: next nonce 1, tx nonce 0")), 422);
        assert_eq!(status(Limit::Busy.refuse("busy: too many requests at once, try again later").into()), 503);
        assert_eq!(status(RpcError::invalid_params("invalid transaction: no RLP")), 400);
    }
}
