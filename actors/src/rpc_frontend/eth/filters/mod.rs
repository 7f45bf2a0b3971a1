//! Filters: what came since a client last asked. Nothing is kept for a filter but where it stands: blocks and logs are
//! read from the store when it is asked, and hashes of pending transactions are kept once for all.
//!
//! They are bounded in number and not by time: some clients never install a forgotten filter again.

mod cursor;
mod registry;

use super::filter_param::FilterParam;
use super::logs::{SearchBounds, check_filter, find};
use crate::event_stream::{Event, Subscription, Topic, Topics};
use crate::rpc_frontend::jsonrpc::{Params, RpcError, RpcResult, json};
use crate::rpc_frontend::limits::Limit;
use crate::rpc_frontend::rate::holder;
use crate::rpc_frontend::server::Frontend;
use crate::rpc_frontend::view::View;
use crate::rpc_frontend::websocket::unguessable;
use alloy_rpc_types_eth::{Filter, FilterBlockOption};
use cursor::Cursor;
use parking_lot::Mutex;
use registry::{FilterId, Full, Kind, Registry};
use serde::Serialize;
use serde_json::value::RawValue;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// So many blocks are looked through as a short read; more wait among the calls.
const SHORT: u64 = 64;

/// The filters of a listener.
pub(crate) struct Filters {
    registry: Mutex<Registry>,
    start: Instant,
}

impl Filters {
    /// No filter yet, and room for so many.
    pub(crate) fn new(most: usize) -> Self {
        Self { registry: Mutex::new(Registry::new(most)), start: Instant::now() }
    }

    fn with<T>(&self, change: impl FnOnce(&mut Registry, Duration) -> T) -> T {
        change(&mut self.registry.lock(), self.start.elapsed())
    }
}

pub(super) async fn new_logs(frontend: &Frontend, params: &Params<'_>, from: Option<SocketAddr>) -> RpcResult {
    let FilterParam(filter) = params.required(0, "filter")?;
    check_filter(&filter)?;
    check_range(&filter)?;
    let filter = Arc::new(filter);
    install(frontend, from, |cursor| Kind::Logs(filter, cursor)).await
}

pub(super) async fn new_blocks(frontend: &Frontend, from: Option<SocketAddr>) -> RpcResult {
    install(frontend, from, Kind::Blocks).await
}

pub(super) async fn new_pending(frontend: &Frontend, params: &Params<'_>, from: Option<SocketAddr>) -> RpcResult {
    if params.optional(0, "full transactions")? == Some(true) {
        let message = "a filter gives hashes: whole transactions are pushed by eth_subscribe";
        return Err(RpcError::invalid_params(message));
    }
    frontend.chain()?;
    let id = new_id()?;
    let installed = frontend.filters.with(|registry, now| registry.on_install_pending(now, holder(from), id));
    let (gone, feed) = installed.map_err(full)?;
    tell_gone(&gone);
    if feed {
        let subscribed = frontend.ports.events.subscribe(Topics::default().with(Topic::Pending)).await;
        let live = subscribed.map_err(|error| {
            frontend.filters.with(|registry, _| registry.on_feed_ended());
            RpcError::unavailable(error.to_string())
        })?;
        actix_web::rt::spawn(bring(Arc::clone(&frontend.filters), live));
    }
    name(id)
}

/// Brings the hashes of pending transactions for as long as a filter wants them.
async fn bring(filters: Arc<Filters>, live: Subscription<Event>) {
    loop {
        match live.next().await {
            Ok(Event::Pending(event)) => {
                if !filters.with(|registry, _| registry.on_pending(event.transaction.hash())) {
                    return;
                }
            }
            Ok(_) => {}
            Err(ended) => {
                tracing::debug!(%ended, "filters of pending transactions are lost");
                return filters.with(|registry, _| registry.on_feed_ended());
            }
        }
    }
}

pub(super) fn uninstall(frontend: &Frontend, params: &Params<'_>) -> RpcResult {
    let id = id(params)?;
    json(id.is_some_and(|id| frontend.filters.with(|registry, _| registry.on_uninstall(id))))
}

pub(super) async fn changes(frontend: &Frontend, params: &Params<'_>) -> RpcResult {
    let (id, kind) = asked(frontend, params)?;
    match kind {
        Kind::Pending(_) => json(frontend.filters.with(|registry, _| registry.on_pending_asked(id))),
        Kind::Blocks(cursor) => {
            let most = frontend.config.max_log_blocks;
            tell(frontend, id, cursor, move |view| cursor.blocks(view, most)).await
        }
        Kind::Logs(filter, cursor) => {
            let bounds = SearchBounds::of(&frontend.config);
            tell(frontend, id, cursor, move |view| cursor.logs(view, &filter, bounds)).await
        }
    }
}

pub(super) async fn logs(frontend: &Frontend, params: &Params<'_>) -> RpcResult {
    match asked(frontend, params)? {
        (_, Kind::Logs(filter, _)) => find(frontend, Filter::clone(&filter)).await,
        _ => Err(not_found()),
    }
}

/// Reads what came after a filter's cursor and moves the cursor. A caller who goes away meanwhile moves nothing, so that
/// the same is told again.
async fn tell<T, F>(frontend: &Frontend, id: FilterId, from: Cursor, read: F) -> RpcResult
where
    T: Serialize,
    F: FnOnce(&View) -> Result<(Vec<T>, Cursor), RpcError> + Clone + Send + 'static,
{
    let look = {
        let read = read.clone();
        move |view: View| match from.behind(&view) {
            behind if behind > SHORT => Ok(Look::Long),
            _ => Ok(told(&view, from, read)?.map_or(Look::Lost, |(text, to)| Look::Told(text, to))),
        }
    };
    let looked = match frontend.load(look).await? {
        Look::Long => frontend.compute(move |view| told(&view, from, read)).await?,
        Look::Lost => None,
        Look::Told(text, to) => Some((text, to)),
    };
    let Some((text, to)) = looked else {
        frontend.filters.with(|registry, _| registry.on_uninstall(id));
        return Err(not_found());
    };
    if frontend.filters.with(|registry, _| registry.on_read(id, from, to)) {
        return Ok(text);
    }
    // Somebody else has been told the same meanwhile.
    json([(); 0])
}

enum Look {
    Long,
    Lost,
    Told(Box<RawValue>, Cursor),
}

/// What a filter tells, and where it stands then; `None` where the chain is not the one it has told of.
fn told<T: Serialize>(
    view: &View,
    from: Cursor,
    read: impl FnOnce(&View) -> Result<(Vec<T>, Cursor), RpcError>,
) -> Result<Option<(Box<RawValue>, Cursor)>, RpcError> {
    if !from.is_in(view)? {
        return Ok(None);
    }
    let (news, to) = read(view)?;
    Ok(Some((json(news)?, to)))
}

async fn install(frontend: &Frontend, from: Option<SocketAddr>, kind: impl FnOnce(Cursor) -> Kind) -> RpcResult {
    let cursor = frontend.load(|view| Ok(Cursor::at_head(&view))).await?;
    let id = new_id()?;
    let installed = frontend.filters.with(|registry, now| registry.on_install(now, holder(from), id, kind(cursor)));
    let gone = installed.map_err(full)?;
    tell_gone(&gone);
    name(id)
}

fn asked(frontend: &Frontend, params: &Params<'_>) -> Result<(FilterId, Kind), RpcError> {
    let id = id(params)?.ok_or_else(not_found)?;
    let kind = frontend.filters.with(|registry, now| registry.on_asked(now, id)).ok_or_else(not_found)?;
    Ok((id, kind))
}

/// Refuses a range that holds no block, whatever comes.
fn check_range(filter: &Filter) -> Result<(), RpcError> {
    let FilterBlockOption::Range { from_block: Some(from), to_block: Some(to) } = filter.block_option else {
        return Ok(());
    };
    match from.as_number().zip(to.as_number()) {
        Some((from, to)) if from > to => {
            Err(RpcError::invalid_params(format!("invalid block range: it begins at {from} and ends at {to}")))
        }
        _ => Ok(()),
    }
}

fn new_id() -> Result<FilterId, RpcError> {
    Ok(FilterId::from_be_bytes(unguessable()?))
}

/// A filter's name as clients know it: a quantity.
fn name(id: FilterId) -> RpcResult {
    json(format!("{id:#x}"))
}

/// The id that is asked for; `None` where no filter can have it.
fn id(params: &Params<'_>) -> Result<Option<FilterId>, RpcError> {
    let id: String = params.required(0, "filter id")?;
    Ok(id.strip_prefix("0x").and_then(|digits| FilterId::from_str_radix(digits, 16).ok()))
}

/// Geth's text: viem installs its filter again on exactly this.
fn not_found() -> RpcError {
    RpcError::refused("filter not found")
}

fn full(error: Full) -> RpcError {
    Limit::Filters.refuse(format!("too many filters: {error}")).into()
}

fn tell_gone(gone: &[FilterId]) {
    if !gone.is_empty() {
        tracing::info!(filters = gone.len(), "idle filters have given way: rpc.max_filters is reached");
    }
}
