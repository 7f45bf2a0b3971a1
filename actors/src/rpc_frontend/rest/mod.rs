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
use super::jsonrpc::{RpcResult, into_bytes};
use super::server::Frontend;
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpRequest, HttpResponse, Route, web};
pub(crate) use error::RestError;
use std::time::Instant;

/// What a route answers.
pub(crate) type RestResult = Result<HttpResponse, RestError>;

/// All routes: how each is asked, and who answers.
fn table() -> [(Method, &'static str, Route); 14] {
    [
        (Method::GET, "/rpc/head", web::to(blocks::head)),
        (Method::GET, "/rpc/blocks-range", web::to(blocks::range)),
        (Method::POST, "/rpc/importBlock", web::to(import::import)),
        (Method::GET, "/rpc/transactions", web::to(transactions::by_address)),
        (Method::POST, "/rpc/transactions", web::to(transactions::send)),
        (Method::GET, "/rpc/transactions/{hash}", web::to(transactions::by_hash)),
        (Method::GET, "/rpc/transaction/{hash}", web::to(transactions::by_hash)),
        (Method::GET, "/rpc/accounts/{address}", web::to(accounts::account)),
        (Method::GET, "/rpc/sync", web::to(health::sync)),
        (Method::GET, "/rpc/actors", web::to(health::actors)),
        (Method::GET, "/rpc/peers", web::to(health::peers)),
        (Method::GET, "/health/live", web::to(health::live)),
        (Method::GET, "/health/ready", web::to(health::ready)),
        (Method::GET, "/metrics", web::to(health::metrics)),
    ]
}

/// Registers all routes.
pub(crate) fn routes(services: &mut web::ServiceConfig) {
    for (method, path, route) in table() {
        services.route(path, route.method(method));
    }
}

/// Every REST route as `METHOD /path`. The reference has an example of each.
pub fn rest_routes() -> Vec<String> {
    table().iter().map(|(method, path, _)| format!("{method} {path}")).collect()
}

/// Every other path.
pub(crate) async fn not_found(request: HttpRequest) -> HttpResponse {
    let path: String = request.path().chars().take(100).collect();
    refuse(StatusCode::NOT_FOUND, &format!("there is nothing at {} {path}", request.method()))
}

/// JSON that was written where it was read.
fn ok_json(result: RpcResult) -> RestResult {
    Ok(HttpResponse::Ok().content_type("application/json").body(into_bytes(result?)))
}

/// Counts a request by its route's name, and the bound that refused it.
pub(crate) fn record(frontend: &Frontend, route: &'static str, begun: Instant, result: RestResult) -> RestResult {
    frontend.metrics.record(route, result.as_ref().is_ok_and(|answer| answer.status().is_success()), begun.elapsed());
    if let Some(limit) = result.as_ref().err().and_then(|error| error.limit) {
        frontend.metrics.refused(limit);
    }
    result
}
