//! The subscriptions of one connection.

use super::push::{self, Syncing};
use crate::event_stream::{Event, Subscription, Topic, Topics};
use crate::rpc_frontend::connections::{CutHandle, Cutter};
use crate::rpc_frontend::eth::{FilterParam, check_filter};
use crate::rpc_frontend::jsonrpc::{Params, RpcError, RpcResult, json};
use crate::rpc_frontend::limits::Limit;
use crate::rpc_frontend::ports::EventsPort;
use crate::rpc_frontend::server::Frontend;
use alloy_primitives::B256;
use alloy_rpc_types_eth::Filter;
use serde::Deserialize;
use std::cell::{OnceCell, RefCell};
use std::collections::HashSet;
use std::rc::Rc;

/// The methods that only a WebSocket has.
pub(crate) const METHODS: &[&str] = &["eth_subscribe", "eth_unsubscribe"];

/// Most transactions whose receipts one subscription names (geth's bound).
const MAX_HASHES: usize = 200;

/// What one subscription tells of.
#[derive(Debug)]
pub(super) enum Kind {
    NewHeads,
    Logs(Box<Filter>),
    /// Of these transactions, or of all where it is empty.
    Receipts(HashSet<B256>),
    PendingHashes,
    PendingBodies,
    Syncing,
}

#[derive(Debug)]
struct Entry {
    id: String,
    kind: Rc<Kind>,
    /// The message that asked for it, until that has been answered: nobody is told of a subscription whose id he does not
    /// know.
    asked_by: Option<u64>,
}

/// The subscriptions of one connection.
#[derive(Default)]
pub(crate) struct Subscriptions {
    entries: RefCell<Vec<Entry>>,
    live: OnceCell<Live>,
    cut: Option<CutHandle>,
    syncing: RefCell<Option<Syncing>>,
}

/// The subscriptions of a connection, as one of its messages sees them.
#[derive(Clone, Copy)]
pub(crate) struct Asking<'a> {
    subscriptions: &'a Subscriptions,
    message: u64,
}

impl Asking<'_> {
    /// Answers one of [`METHODS`].
    pub(crate) async fn call(&self, frontend: &Frontend, method: &str, params: &Params<'_>) -> RpcResult {
        if method == "eth_unsubscribe" {
            return json(self.subscriptions.unsubscribe(&params.required::<String>(0, "subscription id")?));
        }
        self.subscriptions.subscribe(frontend, Kind::parse(params)?, self.message).await
    }
}

/// The connection's end of the event stream.
struct Live {
    events: Rc<Subscription<Event>>,
    _cutter: Option<Cutter>,
}

impl Kind {
    fn topic(&self) -> Topic {
        match self {
            Self::NewHeads | Self::Logs(_) | Self::Receipts(_) => Topic::Blocks,
            Self::PendingHashes | Self::PendingBodies => Topic::Pending,
            Self::Syncing => Topic::Sync,
        }
    }

    fn parse(params: &Params<'_>) -> Result<Self, RpcError> {
        match params.required::<String>(0, "subscription name")?.as_str() {
            "newHeads" => Ok(Self::NewHeads),
            "logs" => {
                // A range, which cast sends, says nothing about blocks that are to come.
                let FilterParam(filter) = params.optional(1, "filter")?.unwrap_or_default();
                check_filter(&filter)?;
                Ok(Self::Logs(Box::new(filter)))
            }
            "newPendingTransactions" => match params.optional(1, "full transactions")?.unwrap_or(false) {
                true => Ok(Self::PendingBodies),
                false => Ok(Self::PendingHashes),
            },
            "transactionReceipts" => Ok(Self::Receipts(receipts_of(params)?)),
            "syncing" => Ok(Self::Syncing),
            other => {
                let other: String = other.chars().take(40).collect();
                Err(RpcError::invalid_params(format!("no {other:?} subscription in eth namespace")))
            }
        }
    }
}

/// The second parameter of `transactionReceipts`.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ReceiptsFilter {
    #[serde(default)]
    transaction_hashes: Option<HashSet<B256>>,
}

fn receipts_of(params: &Params<'_>) -> Result<HashSet<B256>, RpcError> {
    let filter: ReceiptsFilter = params.optional(1, "filter")?.unwrap_or_default();
    let hashes = filter.transaction_hashes.unwrap_or_default();
    if hashes.len() > MAX_HASHES {
        return Err(RpcError::invalid_params(format!("at most {MAX_HASHES} transaction hashes in a subscription")));
    }
    Ok(hashes)
}

impl Subscriptions {
    pub(super) fn new(cut: Option<CutHandle>) -> Self {
        Self { cut, ..Self::default() }
    }

    /// As the message with this number sees them.
    pub(super) const fn asked_by(&self, message: u64) -> Asking<'_> {
        Asking { subscriptions: self, message }
    }

    /// The message with this number has been answered: what it has subscribed to is pushed from now on.
    pub(super) fn on_answered(&self, message: u64) {
        let mut entries = self.entries.borrow_mut();
        entries.iter_mut().filter(|entry| entry.asked_by == Some(message)).for_each(|entry| entry.asked_by = None);
    }

    async fn subscribe(&self, frontend: &Frontend, kind: Kind, message: u64) -> RpcResult {
        frontend.chain()?;
        self.open(&*frontend.ports.events).await.map_err(RpcError::unavailable)?;
        let most = frontend.config.max_subscriptions;
        if self.entries.borrow().len() >= most {
            let sentence = format!("too many subscriptions: at most {most} on a connection");
            return Err(Limit::Subscriptions.refuse(sentence).into());
        }
        let id = new_id()?;
        self.entries.borrow_mut().push(Entry { id: id.clone(), kind: Rc::new(kind), asked_by: Some(message) });
        self.listen();
        json(id)
    }

    /// Takes an end of the event stream, where there is one by now.
    pub(super) async fn open(&self, port: &dyn EventsPort) -> Result<(), String> {
        if self.live.get().is_some() {
            return Ok(());
        }
        let events = port.subscribe(Topics::default()).await.map_err(|error| error.to_string())?;
        let cutter = self.cut.as_ref().map(|cut| cut.after(events.end()));
        // Another message may have been quicker: its end is as good, and this one goes.
        let _ = self.live.set(Live { events: Rc::new(events), _cutter: cutter });
        Ok(())
    }

    /// The connection's end of the event stream, where it has one.
    pub(super) fn live(&self) -> Option<Rc<Subscription<Event>>> {
        self.live.get().map(|live| Rc::clone(&live.events))
    }

    fn unsubscribe(&self, id: &str) -> bool {
        let mut entries = self.entries.borrow_mut();
        let before = entries.len();
        entries.retain(|entry| entry.id != id);
        let found = entries.len() < before;
        drop(entries);
        self.listen();
        found
    }

    /// Hears of what the entries want, and no more.
    fn listen(&self) {
        let entries = self.entries.borrow();
        let topics = entries.iter().fold(Topics::default(), |topics, entry| topics.with(entry.kind.topic()));
        if let Some(live) = self.live.get() {
            live.events.listen_to(topics);
        }
    }

    /// Who is told of an event: id and kind of each subscription that it concerns.
    pub(super) fn pushes(&self, event: &Event) -> Vec<(String, Rc<Kind>)> {
        if let Event::Sync(event) = event {
            let now = Syncing::of(&event.report);
            let last = self.syncing.replace(Some(now));
            // Nobody needs to hear that a node still follows.
            if last == Some(now) || (last.is_none() && now == Syncing::No) {
                return Vec::new();
            }
        }
        let entries = self.entries.borrow();
        let concerned = entries.iter().filter(|entry| entry.asked_by.is_none() && entry.kind.topic() == event.topic());
        concerned.map(|entry| (entry.id.clone(), Rc::clone(&entry.kind))).collect()
    }
}

fn new_id() -> Result<String, RpcError> {
    Ok(push::prefixed(&unguessable()?))
}

/// Bytes of an id that nobody can guess, so that it says nothing about others.
pub(crate) fn unguessable() -> Result<[u8; 16], RpcError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|_| RpcError::internal("this machine gives no random numbers"))?;
    Ok(bytes)
}
