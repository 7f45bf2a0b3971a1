//! What the node is doing, for people, probes and Prometheus.

use crate::rpc_frontend::server::Frontend;
use actix_web::{HttpResponse, web};
use serde_json::json;

/// The text format that the registry writes.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

pub(super) async fn sync(frontend: web::Data<Frontend>) -> HttpResponse {
    HttpResponse::Ok().json(frontend.ports.status.sync_status())
}

pub(super) async fn actors(frontend: web::Data<Frontend>) -> HttpResponse {
    HttpResponse::Ok().json(frontend.ports.status.actors())
}

pub(super) async fn peers(frontend: web::Data<Frontend>) -> HttpResponse {
    HttpResponse::Ok().json(frontend.ports.status.peers())
}

/// The process answers: that is all this says.
pub(super) async fn live() -> HttpResponse {
    HttpResponse::Ok().json(json!({ "status": "live" }))
}

pub(super) async fn ready(frontend: web::Data<Frontend>) -> HttpResponse {
    match frontend.ports.status.ready() {
        Ok(()) => HttpResponse::Ok().json(json!({ "status": "ready" })),
        Err(reason) => HttpResponse::ServiceUnavailable().json(json!({ "status": "not ready", "reason": reason })),
    }
}

pub(super) async fn metrics(frontend: web::Data<Frontend>) -> HttpResponse {
    HttpResponse::Ok().content_type(OPEN_METRICS).body(frontend.ports.status.metrics())
}
