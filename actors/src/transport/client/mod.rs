//! Asking other nodes.
//!
//! No proxy, no redirect, no compression; each connection within [`CONNECT_TIMEOUT`], each answer bounded in length
//! and slowness ([`Pace`]). Every dial has connections of its own, so that host names are looked up again for each:
//! a pooled connection would lead to where the name pointed before.

mod blocks;
mod body;
mod error;
mod resolver;
mod session;
#[cfg(test)]
mod tests;

pub use blocks::BlockStream;
pub use body::Pace;
pub use error::{CallError, Problem};
pub use session::Session;

use super::clock::{ClockSample, wall_millis};
use super::hello::{Identity, MAX_HELLO_BYTES, OpenedHello, PROTOCOL_VERSION};
use super::wire::{MAX_GENESIS_BYTES, MAX_STATUS_BYTES, StatusBody};
use super::{NodeId, PeerUrl, SealedHead, StreamBudget, Tls, tls};
use alloy_primitives::{Address, B256};
use body::Answer;
use bytes::Bytes;
use reqwest::redirect::Policy;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// A connection that is not made within this time will not be: three SYN retransmissions are sent in 3 s.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A dead connection under an idle stream is noticed this soon.
const TCP_KEEPALIVE: Duration = Duration::from_secs(30);

/// How far an address may reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reach {
    /// Anywhere: the operator wrote the address, or a node of this machine or link told it.
    Anywhere,
    /// Not to this machine or link, whatever the host name resolves to: a stranger told the address.
    NotLocal,
}

/// What a peer's chain must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChainIdentity {
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// Hash of block 0.
    pub genesis_hash: B256,
    /// Whose seal makes a block.
    pub authority: Address,
    /// What every header carries in `extraData`.
    pub commitment: B256,
    /// Longest block, bytes.
    pub max_block_bytes: u64,
}

/// The client side of the peer protocol. Cheap to clone.
#[derive(Clone)]
pub struct PeerClient {
    look_up: resolver::LookUp,
    tls: Option<Tls>,
    pace: Pace,
    budget: StreamBudget,
}

/// The HTTP client could not be set up.
#[derive(Debug, thiserror::Error)]
#[error("the HTTP client for peers cannot be set up: {0}")]
pub struct ClientSetupError(#[source] reqwest::Error);

/// A peer's answer to `status`, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerState {
    /// Who answered, by its own word.
    pub node_id: NodeId,
    /// Its head.
    pub head: SealedHead,
    /// How its clock stands to ours, where it says its time.
    pub clock: Option<ClockSample>,
}

impl PeerClient {
    /// A client with the given patience. The process must have installed a rustls crypto provider.
    /// With `tls`, a peer that speaks https must have a certificate of that authority, and is shown this node's.
    pub fn new(pace: Pace, tls: Option<Tls>) -> Result<Self, ClientSetupError> {
        let client = Self { look_up: resolver::system(), tls, pace, budget: StreamBudget::default() };
        // What can go wrong goes wrong at start.
        client.connections("https", Reach::Anywhere).map_err(ClientSetupError)?;
        Ok(client)
    }

    /// One whose streams of blocks share this memory with others.
    #[must_use]
    pub fn with_budget(mut self, budget: StreamBudget) -> Self {
        self.budget = budget;
        self
    }

    /// One that looks names up in its own way.
    #[cfg(test)]
    pub(crate) fn with_names(
        mut self,
        look_up: impl Fn(String) -> std::io::Result<Vec<std::net::SocketAddr>> + Send + Sync + 'static,
    ) -> Self {
        self.look_up = Arc::new(move |name| Box::pin(std::future::ready(look_up(name))));
        self
    }

    /// Connections for one dial and the session that comes of it.
    fn connections(&self, scheme: &str, reach: Reach) -> Result<reqwest::Client, reqwest::Error> {
        let resolver = resolver::Resolver { look_up: self.look_up.clone(), reach };
        let builder = plain_client().dns_resolver(Arc::new(resolver));
        match (&self.tls, scheme) {
            (Some(tls), _) => builder.tls_backend_preconfigured(tls.client()),
            // Reading the system's certificates takes a while, and none is needed.
            (None, "http") => builder.tls_backend_preconfigured(tls::trusting_nobody()),
            (None, _) => builder,
        }
        .build()
    }

    fn dial(&self, url: &PeerUrl, reach: Reach) -> Result<reqwest::Client, CallError> {
        self.check_reach(url, reach)?;
        self.connections(url.scheme(), reach).map_err(|error| {
            let reason = super::wire::printable(&error.to_string());
            CallError { url: url.to_string(), problem: Problem::Unreachable { reason } }
        })
    }

    /// Proves to the node at `url` who this node is, and who it is. With `expected`, nobody else will do.
    pub async fn hello(
        &self,
        url: &PeerUrl,
        reach: Reach,
        identity: &Identity,
        chain: ChainIdentity,
        expected: Option<NodeId>,
    ) -> Result<Session, CallError> {
        let http = self.dial(url, reach)?;
        let route = url.route("hello");
        let fail = |problem: super::hello::HelloError| CallError { url: route.to_string(), problem: problem.into() };
        let (opened, open) = OpenedHello::open(identity, expected, super::random());
        let (challenge, _) = self.post_hello(&http, url, open).await?;
        let (proved, proof) = opened.on_challenge(identity, &challenge).map_err(fail)?;
        let (session, remote) = self.post_hello(&http, url, proof).await?;
        let greeted = proved.on_session(&session).map_err(fail)?;
        Ok(Session::new(self.clone(), http, url.clone(), chain, greeted, remote))
    }

    /// The signed `genesis.json` of the node at `url`, unchecked.
    pub async fn genesis(&self, url: &PeerUrl, reach: Reach) -> Result<Bytes, CallError> {
        let http = self.dial(url, reach)?;
        self.get(&http, url.route("genesis"), None).await?.bytes(MAX_GENESIS_BYTES).await
    }

    /// What the node at `url` says of itself, unchecked.
    pub async fn raw_status(&self, url: &PeerUrl, reach: Reach) -> Result<StatusBody, CallError> {
        self.status_body(&self.dial(url, reach)?, url, None).await
    }

    /// The head of the node at `url`, proven by its seal. With a session, whether that still lives is found out, too.
    async fn status(
        &self,
        http: &reqwest::Client,
        url: &PeerUrl,
        chain: ChainIdentity,
        session: Option<&Session>,
    ) -> Result<PeerState, CallError> {
        let (asked, began) = (wall_millis(), Instant::now());
        let status = self.status_body(http, url, session).await?;
        let clock = status.time_ms.map(|theirs| ClockSample::new(asked, began.elapsed(), theirs));
        let fail = |problem: Problem| CallError { url: url.route("status").to_string(), problem };
        if status.version != PROTOCOL_VERSION {
            let (expected, actual) = (PROTOCOL_VERSION, status.version);
            return Err(fail(super::hello::HelloError::Version { expected, actual }.into()));
        }
        if status.genesis_hash != chain.genesis_hash {
            let (expected, actual) = (chain.genesis_hash, status.genesis_hash);
            return Err(fail(super::hello::HelloError::WrongChain { expected, actual }.into()));
        }
        let head =
            SealedHead::verify(&status, chain.authority, chain.commitment).map_err(|error| fail(error.into()))?;
        Ok(PeerState { node_id: status.node_id, head, clock })
    }

    /// The timestamp of the head of a node on another chain of the same authority, proven by its seal.
    pub async fn head_time(&self, url: &PeerUrl, reach: Reach, chain: ChainIdentity) -> Result<u64, CallError> {
        Ok(self.status(&self.dial(url, reach)?, url, chain, None).await?.head.timestamp())
    }

    async fn status_body(
        &self,
        http: &reqwest::Client,
        url: &PeerUrl,
        session: Option<&Session>,
    ) -> Result<StatusBody, CallError> {
        self.get(http, url.route("status"), session).await?.json(MAX_STATUS_BYTES, "a status").await
    }

    async fn post_hello(
        &self,
        http: &reqwest::Client,
        url: &PeerUrl,
        message: Vec<u8>,
    ) -> Result<(Bytes, Option<std::net::IpAddr>), CallError> {
        let route = url.route("hello");
        let request = http.post(route.clone()).header("content-type", "application/json").body(message);
        let mut answer = Answer::to(request, &route, self.pace).await?;
        Ok((answer.bytes(MAX_HELLO_BYTES as u64).await?, answer.remote()))
    }

    async fn get(
        &self,
        http: &reqwest::Client,
        route: reqwest::Url,
        session: Option<&Session>,
    ) -> Result<Answer, CallError> {
        let mut request = http.get(route.clone());
        if let Some(session) = session {
            request = request.header(super::wire::SESSION_HEADER, session.token().to_hex());
            request = request.header(super::wire::TIME_HEADER, wall_millis());
        }
        Answer::to(request, &route, self.pace).await
    }

    /// Addresses written as numbers never reach the resolver.
    fn check_reach(&self, url: &PeerUrl, reach: Reach) -> Result<(), CallError> {
        if reach == Reach::NotLocal && url.is_local_only() {
            let reason = "the address is one of this machine or link, and a stranger told it".to_owned();
            return Err(CallError { url: url.to_string(), problem: Problem::Unreachable { reason } });
        }
        Ok(())
    }
}

impl std::fmt::Debug for PeerClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PeerClient").field("tls", &self.tls).field("pace", &self.pace).finish_non_exhaustive()
    }
}

/// How this node speaks HTTP to anybody: directly, and to whoever it has asked.
pub(crate) fn plain_client() -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .http1_only()
        .no_proxy()
        .redirect(Policy::none())
        .referer(false)
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_keepalive(TCP_KEEPALIVE)
        .tcp_nodelay(true)
        .user_agent(concat!("callboard/", env!("CARGO_PKG_VERSION")))
}
