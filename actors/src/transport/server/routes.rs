//! The routes of `/peer/v1`.

use super::connections::Connection;
use super::stream::{self, Blocks, Chunk, Position};
use super::{PeerBlock, PeerTransactions, Shared, body, proof, refused::Refused};
use crate::peer_discovery::{AddressesRequest, AddressesTold, PeerGreeted};
use crate::sync_coordinator::GuestStatus;
use crate::transport::SealedHead;
use crate::transport::clock::{ClockSample, wall_millis};
use crate::transport::frames::max_frame;
use crate::transport::hello::{HelloAnswerer, HelloError, HelloRefusal, HelloReply, MAX_HELLO_BYTES, Token};
use crate::transport::sessions::{Guest, TurnedAway, Work};
use crate::transport::wire::{
    AddressesBody, AnswersBody, MAX_ADDRESSES, MAX_ADDRESSES_BYTES, MAX_PROOF_QUESTION_BYTES, MAX_STATUS_BYTES,
    MAX_TRANSACTION_BYTES, MAX_TRANSACTIONS, MAX_TRANSACTIONS_BYTES, ProofQuestion, SESSION_HEADER, ShownHead,
    TIME_HEADER,
};
use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::{Next, from_fn};
use actix_web::{Error, HttpRequest, HttpResponse, http::StatusCode, web};
use alloy_primitives::B256;
use callboard_chain::Blame;
use serde::Deserialize;
use std::{
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

/// How long an actor may take to answer a peer's question.
const ASK_DEADLINE: Duration = Duration::from_secs(8);

type State = web::Data<Shared>;

pub(super) fn configure(config: &mut web::ServiceConfig) {
    config.service(
        web::scope("/peer/v1")
            .wrap(from_fn(count_refusals))
            .route("/hello", web::post().to(hello))
            .route("/genesis", web::get().to(genesis))
            .route("/status", web::get().to(status))
            .route("/status", web::post().to(shown_status))
            .route("/peers", web::get().to(peers))
            .route("/peers", web::post().to(told_peers))
            .route("/blocks", web::get().to(blocks))
            .route("/blocks", web::post().to(pushed_block))
            .route("/transactions", web::post().to(transactions))
            .route("/proof", web::post().to(proof))
            .route("/receipts", web::get().to(receipts)),
    );
    config.default_service(web::to(no_such_route));
}

async fn count_refusals<B: MessageBody>(request: ServiceRequest, next: Next<B>) -> Result<ServiceResponse<B>, Error> {
    let state = request.app_data::<State>().cloned();
    let answer = next.call(request).await?;
    let refused = answer.response().error().and_then(|error| error.as_error::<Refused>());
    if let (Some(state), Some(refused)) = (state, refused) {
        state.metrics.refused(refused.code());
    }
    Ok(answer)
}

async fn hello(request: HttpRequest, payload: web::Payload, state: State) -> Result<HttpResponse, Refused> {
    let remote = request.peer_addr().map(|address| address.ip());
    let now = Instant::now();
    if let Some(remote) = remote {
        state.meter.lock().admit(now, remote)?;
    }
    let message = body::read(payload, MAX_HELLO_BYTES as u64).await?;
    let reply = state.answerer.lock().on_message(now, super::super::random(), &message);
    let answer = match reply.map_err(|refusal| turn_away(&state, now, remote, refusal))? {
        HelloReply::Challenge(challenge) => challenge,
        HelloReply::Proven(party) => {
            let guest = Guest { party, remote, since: now };
            let opened = state.sessions.open(now, guest.clone(), super::super::random());
            let token = opened.map_err(|error| {
                let party = Some(Box::new(guest.party.clone()));
                turn_away(&state, now, remote, HelloRefusal { party, ..error.into() })
            })?;
            // A full mailbox only means that the report of peers is late.
            state.ports.greeted.offer(PeerGreeted { guest }).ok();
            HelloAnswerer::session_message(token)
        }
    };
    Ok(HttpResponse::Ok().content_type("application/json").body(answer))
}

/// Says and remembers who was turned away, and why: the operator of either node should find the reason at hand.
fn turn_away(state: &Shared, now: Instant, remote: Option<IpAddr>, refusal: HelloRefusal) -> Refused {
    let HelloRefusal { error, party, differences } = refusal;
    // No node stands for it yet: the address does.
    if let Some(remote) = remote.filter(|_| error.blame() == Blame::Peer)
        && state.meter.lock().on_abuse(now, remote)
    {
        tracing::warn!(%remote, %error, "an address is banned: it does not say hello as nodes do");
        state.metrics.banned("address");
    }
    let reason = match differences.is_empty() {
        true => error.to_string(),
        false => format!("wrong chain: {}", differences.join("; ")),
    };
    if let Some(party) = party {
        let peer = party.node_id.short();
        let away = TurnedAway { party: *party, remote, reason: reason.clone(), at: now };
        match state.sessions.turn_away(away) {
            true => tracing::warn!(peer, ?remote, reason, "a node was turned away"),
            false => tracing::debug!(peer, ?remote, reason, "a node was turned away"),
        }
    }
    let is_foreign = matches!(error, HelloError::WrongChain { .. });
    let refused = Refused::from(error);
    if is_foreign { refused.with_chain(state.facts.clone()) } else { refused }
}

async fn genesis(request: HttpRequest, state: State) -> Result<HttpResponse, Refused> {
    check_ban(&request, &state)?;
    let remote = request.peer_addr().map(|address| address.ip());
    let connection = request.conn_data::<Connection>().map(Connection::number).unwrap_or_default();
    let slot = state.downloads.take(Instant::now(), remote, connection, &state.connections);
    let slot = slot.ok_or_else(|| Refused::busy("too many nodes are fetching the genesis; ask again"))?;
    let store = state.store.clone();
    let length = web::block(move || store.snapshot()?.genesis_length()).await;
    let length = length.map_err(Refused::internal)?.map_err(Refused::internal)?;
    let stream = stream::genesis(state.store.clone(), slot);
    Ok(HttpResponse::Ok().content_type("application/json").no_chunking(length).streaming(stream))
}

/// For everybody; but who sends a token wants to know whether it still counts.
async fn status(request: HttpRequest, state: State) -> Result<HttpResponse, Refused> {
    check_ban(&request, &state)?;
    if request.headers().contains_key(SESSION_HEADER) {
        let node_id = guest(&request, &state)?.party.node_id;
        if let Some(theirs) = said_time(&request) {
            state.sessions.on_clock(node_id, ClockSample::one_way(wall_millis(), theirs));
        }
    }
    let shared = state.into_inner();
    let status = web::block(move || shared.status()).await;
    let status = status.map_err(Refused::internal)?.map_err(Refused::internal)?;
    Ok(HttpResponse::Ok().json(status.ok_or_else(|| Refused::internal("the head block is missing"))?))
}

/// The asker's clock, where it says it.
fn said_time(request: &HttpRequest) -> Option<u64> {
    request.headers().get(TIME_HEADER)?.to_str().ok()?.parse().ok()
}

/// A node that dialled this one shows its head: this one may have no way to ask for it.
async fn shown_status(request: HttpRequest, payload: web::Payload, state: State) -> Result<HttpResponse, Refused> {
    let node_id = guest(&request, &state)?.party.node_id;
    let message = body::read(payload, MAX_STATUS_BYTES).await?;
    let shown: ShownHead = serde_json::from_slice(&message).map_err(Refused::malformed)?;
    let head = SealedHead::verify_shown(&shown, state.chain.authority, state.chain.commitment);
    state.ports.shown.offer(GuestStatus { node_id, head: head.map_err(Refused::malformed)? })?;
    Ok(HttpResponse::Accepted().finish())
}

async fn peers(request: HttpRequest, state: State) -> Result<HttpResponse, Refused> {
    let guest = guest(&request, &state)?;
    let question = AddressesRequest { node_id: guest.party.node_id, remote: guest.remote };
    let mut peers = state.ports.addresses.ask(question, ASK_DEADLINE).await?.ok_or_else(discovery_off)?;
    peers.truncate(MAX_ADDRESSES);
    Ok(HttpResponse::Ok().json(AddressesBody { peers }))
}

async fn told_peers(request: HttpRequest, payload: web::Payload, state: State) -> Result<HttpResponse, Refused> {
    let guest = guest(&request, &state)?;
    let message = body::read(payload, MAX_ADDRESSES_BYTES).await?;
    let body: AddressesBody = serde_json::from_slice(&message).map_err(Refused::malformed)?;
    if body.peers.len() > MAX_ADDRESSES {
        let (actual, expected) = (body.peers.len(), MAX_ADDRESSES);
        return Err(Refused::malformed(format!("{actual} addresses came; at most {expected} are allowed")));
    }
    let told = AddressesTold { node_id: guest.party.node_id, remote: guest.remote, addresses: body.peers };
    state.ports.told.offer(told)?;
    Ok(HttpResponse::Accepted().finish())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BlocksQuery {
    from: u64,
    count: Option<u64>,
    #[serde(default)]
    follow: bool,
}

async fn blocks(request: HttpRequest, state: State) -> Result<HttpResponse, Refused> {
    let guest = guest(&request, &state)?;
    let query = web::Query::<BlocksQuery>::from_query(request.query_string()).map_err(Refused::malformed)?;
    let end = match (query.count, query.follow) {
        (Some(count), false) => Some(query.from.saturating_add(count)),
        (None, true) => None,
        _ => return Err(Refused::malformed("write from and count, or from and follow=true")),
    };
    let peer = guest.party.node_id;
    let slot = Some(state.sessions.open_stream(peer));
    let shared: Arc<Shared> = state.into_inner();
    let busy = request.conn_data::<Connection>().map(|connection| shared.connections.busy(connection.number()));
    let (at, chunk) = (Position::before(query.from), Chunk::default());
    let blocks = Blocks { shared, peer, at, end, chunk, news: None, slot, _busy: busy };
    Ok(HttpResponse::Ok().content_type("application/octet-stream").streaming(blocks.into_stream()))
}

async fn pushed_block(request: HttpRequest, payload: web::Payload, state: State) -> Result<HttpResponse, Refused> {
    let from = guest(&request, &state)?.party.node_id;
    let _permit = state.pushes.try_acquire().map_err(|_| Refused::busy("too many blocks are being pushed"))?;
    let max = max_frame(state.chain.max_block_bytes);
    let message = body::read(payload, max.saturating_add(4)).await?;
    let canonical = body::frames(&message, 1, max)?.pop().ok_or_else(|| Refused::malformed("no block came"))?;
    if !state.sessions.spend(Instant::now(), from, Work::BlockBytes, canonical.len() as u64) {
        return Err(too_much_work("bytes of blocks"));
    }
    state.ports.blocks.ask(PeerBlock { from, canonical }, ASK_DEADLINE).await?;
    Ok(HttpResponse::Accepted().finish())
}

async fn transactions(request: HttpRequest, payload: web::Payload, state: State) -> Result<HttpResponse, Refused> {
    let from = guest(&request, &state)?.party.node_id;
    let message = body::read(payload, MAX_TRANSACTIONS_BYTES).await?;
    let transactions = body::frames(&message, MAX_TRANSACTIONS, MAX_TRANSACTION_BYTES)?;
    // Before the first signature is looked at: whatever comes of them, nobody buys more work than this.
    if !state.sessions.spend(Instant::now(), from, Work::Transactions, transactions.len() as u64) {
        return Err(too_much_work("transactions"));
    }
    let answers = state.ports.transactions.ask(PeerTransactions { from, transactions }, ASK_DEADLINE).await?;
    Ok(HttpResponse::Ok().json(AnswersBody { answers }))
}

async fn proof(request: HttpRequest, payload: web::Payload, state: State) -> Result<HttpResponse, Refused> {
    guest(&request, &state)?;
    let place = state.proofs.place()?;
    let message = body::read(payload, MAX_PROOF_QUESTION_BYTES).await?;
    let question: ProofQuestion = serde_json::from_slice(&message).map_err(Refused::malformed)?;
    // Only now: a question that comes slowly keeps nobody waiting.
    let (turn, store) = (place.turn().await?, state.store.clone());
    let proven = turn.work(move || proof::prove(&store, &question)).await?;
    Ok(HttpResponse::Ok().json(proven))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReceiptsQuery {
    height: u64,
    hash: B256,
}

async fn receipts(
    request: HttpRequest,
    query: web::Query<ReceiptsQuery>,
    state: State,
) -> Result<HttpResponse, Refused> {
    guest(&request, &state)?;
    let turn = state.proofs.place()?.turn().await?;
    let (store, ReceiptsQuery { height, hash }) = (state.store.clone(), query.into_inner());
    let receipts = turn.work(move || proof::receipts(&store, height, hash)).await?;
    Ok(HttpResponse::Ok().content_type("application/octet-stream").body(receipts))
}

async fn no_such_route() -> Result<HttpResponse, Refused> {
    Err(Refused::new(StatusCode::NOT_FOUND, "no_such_route", "this is a Callboard peer listener; see /peer/v1"))
}

fn check_ban(request: &HttpRequest, state: &Shared) -> Result<(), Refused> {
    match request.peer_addr() {
        Some(remote) => Ok(state.meter.lock().check_ban(Instant::now(), remote.ip())?),
        None => Ok(()),
    }
}

fn guest(request: &HttpRequest, state: &Shared) -> Result<Guest, Refused> {
    let header = request.headers().get(SESSION_HEADER).and_then(|value| value.to_str().ok());
    let token = header.and_then(Token::from_hex).ok_or_else(Refused::no_session)?;
    let guest = state.sessions.find(Instant::now(), &token)?;
    match request.conn_data::<Connection>() {
        Some(connection) if !connection.greet(guest.party.node_id, state.sessions.is_kept(guest.party.node_id)) => {
            Err(Refused::too_many("too_many_connections", "your node has too many connections open"))
        }
        _ => Ok(guest),
    }
}

fn too_much_work(what: &str) -> Refused {
    Refused::too_many("too_much_work", format!("your node sends more {what} a second than are looked at; send later"))
}

fn discovery_off() -> Refused {
    Refused::new(StatusCode::FORBIDDEN, "discovery_off", "peers.discovery is off on this node")
}
