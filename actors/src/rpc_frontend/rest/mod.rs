//! The REST routes that operators' scripts call.

mod accounts;
mod blocks;
pub(crate) mod cursor;
mod error;
mod health;
mod import;
mod limit;
mod posted;
mod query;
pub(crate) mod shape;
mod time;
pub(crate) mod transactions;

pub(crate) use import::{ImportLimits, import_bytes};

use super::guard::refuse;
use super::jsonrpc::RpcResult;
use super::server::Frontend;
use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
pub(crate) use error::RestError;
use std::time::Instant;

/// What a route answers.
pub(crate) type RestResult = Result<HttpResponse, RestError>;

/// All routes.
pub(crate) fn routes(services: &mut web::ServiceConfig) {
    services
        .route("/rpc/head", web::get().to(blocks::head))
        .route("/rpc/blocks-range", web::get().to(blocks::range))
        .route("/rpc/importBlock", web::post().to(import::import))
        .route("/rpc/transactions", web::get().to(transactions::by_address))
        .route("/rpc/transactions", web::post().to(transactions::send))
        .route("/rpc/transactions/{hash}", web::get().to(transactions::by_hash))
        .route("/rpc/transaction/{hash}", web::get().to(transactions::by_hash))
        .route("/rpc/accounts/{address}", web::get().to(accounts::account))
        .route("/rpc/sync", web::get().to(health::sync))
        .route("/rpc/actors", web::get().to(health::actors))
        .route("/rpc/peers", web::get().to(health::peers))
        .route("/health/live", web::get().to(health::live))
        .route("/health/ready", web::get().to(health::ready))
        .route("/metrics", web::get().to(health::metrics));
}

/// Every other path.
pub(crate) async fn not_found(request: HttpRequest) -> HttpResponse {
    let path: String = request.path().chars().take(100).collect();
    refuse(StatusCode::NOT_FOUND, &format!("there is nothing at {} {path}", request.method()))
}

/// JSON that was written where it was read.
fn ok_json(result: RpcResult) -> RestResult {
    let text = result?;
    Ok(HttpResponse::Ok().content_type("application/json").body(text.get().to_owned()))
}

/// Counts a request by its route's name, and the bound that refused it.
pub(crate) fn record(frontend: &Frontend, route: &'static str, begun: Instant, result: RestResult) -> RestResult {
    frontend.metrics.record(route, result.as_ref().is_ok_and(|answer| answer.status().is_success()), begun.elapsed());
    if let Some(limit) = result.as_ref().err().and_then(|error| error.limit) {
        frontend.metrics.refused(limit);
    }
    result
}
