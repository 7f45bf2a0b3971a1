//! Accounts.

use super::query::parse;
use super::{RestResult, ok_json, record};
use crate::rpc_frontend::server::Frontend;
use crate::rpc_frontend::view::state_read;
use actix_web::web;
use alloy_primitives::Address;
use callboard_chain::StateReader;
use serde_json::json;
use std::time::Instant;

/// Confirmed balance and nonce; an account that nobody has used yet has zero of both.
pub(super) async fn account(frontend: web::Data<Frontend>, path: web::Path<String>) -> RestResult {
    let begun = Instant::now();
    let result = match parse::<Address>("address", &path) {
        Ok(address) => ok_json(
            frontend
                .read(move |view| {
                    let account = view.snapshot.account(address).map_err(state_read)?.unwrap_or_default();
                    Ok(json!({
                        "address": address,
                        "balance": account.balance.to_string(),
                        "nonce": account.nonce,
                    }))
                })
                .await,
        ),
        Err(error) => Err(error),
    };
    record(&frontend, "rest_account", begun, result)
}
