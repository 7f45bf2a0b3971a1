//! Accounts.

use super::query::parse;
use super::{RestResult, record};
use crate::rpc_frontend::server::Frontend;
use actix_web::{HttpResponse, web};
use alloy_eips::{BlockId, BlockNumberOrTag};
use alloy_primitives::Address;
use callboard_chain::StateReader;
use serde_json::json;
use std::time::Instant;

/// Confirmed balance and nonce; an account that nobody has used yet has zero of both.
pub(super) async fn account(frontend: web::Data<Frontend>, path: web::Path<String>) -> RestResult {
    let begun = Instant::now();
    let result = match parse::<Address>("address", &path) {
        Ok(address) => answer(&frontend, address).await,
        Err(error) => Err(error),
    };
    record(&frontend, "rest_account", begun, result)
}

async fn answer(frontend: &Frontend, address: Address) -> RestResult {
    let latest = BlockId::Number(BlockNumberOrTag::Latest);
    let account = frontend.of_state(latest, move |state| state.account(address)).await?.unwrap_or_default();
    Ok(HttpResponse::Ok().json(json!({
        "address": address,
        "balance": account.balance.to_string(),
        "nonce": account.nonce,
    })))
}
