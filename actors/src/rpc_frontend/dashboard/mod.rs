//! The dashboard: one page at `GET /` and its parts under `/dashboard/`, out of the binary.
//!
//! Its files stand beside this one as they are served: no build step, no framework, nothing from elsewhere. A browser
//! is told so by the [`POLICY`], so that whatever a chain holds can only ever be text on this page.

mod assets;

use super::guard::refuse;
use super::server::Frontend;
use super::websocket::is_upgrade;
use actix_web::guard::{GuardContext, fn_guard};
use actix_web::http::header::{self, ETag, EntityTag, Header, IfNoneMatch};
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, web};
use assets::{ASSETS, Asset, PAGE};
use std::time::Instant;

/// Where the parts of the page are.
const FOLDER: &str = "/dashboard/";

/// What a browser may do for this page: run the files that came with it, talk to this node, show pictures that are its
/// own, and nothing else.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The routes of the dashboard. They come before those of JSON-RPC, which answers at `/` too.
pub(crate) fn routes(services: &mut web::ServiceConfig) {
    let page = web::resource("/").guard(fn_guard(asks_for_the_page)).default_service(web::to(page));
    let part = web::resource("/dashboard/{name}").default_service(web::to(part));
    services.service(page).service(part);
}

/// Whether a path is one of the page's parts. They are a few files out of memory, asked for together: a limit on
/// requests that let some of them through would only break the page.
pub(crate) fn is_part(path: &str) -> bool {
    path.strip_prefix(FOLDER).is_some_and(|name| asset(name).is_some())
}

/// Programs `POST`, and WebSockets are upgraded: what else reads `/` is a browser.
fn asks_for_the_page(context: &GuardContext<'_>) -> bool {
    is_read(&context.head().method) && !is_upgrade(context)
}

fn is_read(method: &Method) -> bool {
    [Method::GET, Method::HEAD].contains(method)
}

fn asset(name: &str) -> Option<&'static Asset> {
    ASSETS.iter().find(|asset| asset.name == name)
}

async fn page(frontend: web::Data<Frontend>, request: HttpRequest) -> HttpResponse {
    let begun = Instant::now();
    let response = answer(&request, &PAGE);
    frontend.metrics.record("dashboard", true, begun.elapsed());
    response
}

async fn part(request: HttpRequest) -> HttpResponse {
    let name = request.match_info().query("name");
    match asset(name) {
        None => super::rest::not_found(request).await,
        Some(_) if !is_read(request.method()) => {
            let sentence = format!("{FOLDER}{name} is read by GET, not {}", request.method());
            let mut response = refuse(StatusCode::METHOD_NOT_ALLOWED, &sentence);
            response.headers_mut().insert(header::ALLOW, header::HeaderValue::from_static("GET, HEAD"));
            response
        }
        Some(asset) => answer(&request, asset),
    }
}

/// The asset, or that the browser has it already. A browser asks each time, as another binary may be here by then.
fn answer(request: &HttpRequest, asset: &'static Asset) -> HttpResponse {
    let tag = EntityTag::new_strong(asset.tag());
    let known = match IfNoneMatch::parse(request) {
        Ok(IfNoneMatch::Any) => request.headers().contains_key(header::IF_NONE_MATCH),
        Ok(IfNoneMatch::Items(tags)) => tags.iter().any(|known| known.weak_eq(&tag)),
        Err(_) => false,
    };
    let status = if known { StatusCode::NOT_MODIFIED } else { StatusCode::OK };
    let mut response = HttpResponse::build(status);
    protect(response.insert_header(ETag(tag)));
    if known { response.finish() } else { response.content_type(asset.media_type).body(asset.body) }
}

fn protect(response: &mut HttpResponseBuilder) {
    response
        .insert_header((header::CACHE_CONTROL, "no-cache"))
        .insert_header((header::CONTENT_SECURITY_POLICY, POLICY))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((header::REFERRER_POLICY, "no-referrer"))
        .insert_header(("Cross-Origin-Opener-Policy", "same-origin"))
        .insert_header(("Cross-Origin-Resource-Policy", "same-origin"));
}
