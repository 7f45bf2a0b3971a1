//! Asking a node that knows who asks.

use super::{BlockStream, CallError, ChainIdentity, PeerClient, PeerState, Problem, body::Answer};
use crate::callboard::Role;
use crate::transport::frames::frame_prefix;
use crate::transport::hello::{Greeted, Party, Token};
use crate::transport::wire::{
    AddressesBody, AnswersBody, MAX_ADDRESSES, MAX_ADDRESSES_BYTES, MAX_ANSWERS_BYTES, MAX_PROOF_BYTES,
    MAX_RECEIPTS_BYTES, PeerAddress, ProofBody, ProofQuestion, SESSION_HEADER, ShownHead, TransactionAnswer,
};
use crate::transport::{NodeId, PeerUrl, SealedHead};
use alloy_primitives::B256;
use bytes::{Bytes, BytesMut};
use callboard_chain::{AccountProof, Receipt};
use std::{net::IpAddr, sync::Arc, time::Duration};

/// A peer that has proven who it is and let this node in. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Session(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    client: PeerClient,
    http: reqwest::Client,
    url: PeerUrl,
    chain: ChainIdentity,
    party: Party,
    token: Token,
    remote: Option<IpAddr>,
}

impl Session {
    pub(in crate::transport) fn new(
        client: PeerClient,
        http: reqwest::Client,
        url: PeerUrl,
        chain: ChainIdentity,
        greeted: Greeted,
        remote: Option<IpAddr>,
    ) -> Self {
        let Greeted { party, token } = greeted;
        Self(Arc::new(Inner { client, http, url, chain, party, token, remote }))
    }

    /// Who it is.
    pub fn node_id(&self) -> NodeId {
        self.0.party.node_id
    }

    /// Where it answered.
    pub fn url(&self) -> &PeerUrl {
        &self.0.url
    }

    /// The role it claims.
    pub fn role(&self) -> Role {
        self.0.party.role
    }

    /// Everything it said in its hello.
    pub fn party(&self) -> &Party {
        &self.0.party
    }

    /// The address its host name stood for.
    pub fn remote(&self) -> Option<IpAddr> {
        self.0.remote
    }

    pub(in crate::transport) fn token(&self) -> Token {
        self.0.token
    }

    /// Its head, proven by the seal. Keeps the session alive; refused where the peer has forgotten it, or where
    /// another node has begun to answer at its address.
    pub async fn status(&self) -> Result<PeerState, CallError> {
        let state = self.0.client.status(&self.0.http, &self.0.url, self.0.chain, Some(self)).await?;
        if state.node_id != self.node_id() {
            let (expected, actual) = (self.node_id(), state.node_id);
            let problem = crate::transport::hello::HelloError::OtherNode { expected, actual }.into();
            return Err(CallError { url: self.0.url.route("status").to_string(), problem });
        }
        Ok(state)
    }

    /// Shows it a head of this node's, which it may be unable to ask for.
    pub async fn show_head(&self, head: &SealedHead) -> Result<(), CallError> {
        let body = serde_json::to_vec(&ShownHead::from(head)).expect("bytes are plain text");
        self.post("status", "application/json", body.into()).await.map(|_| ())
    }

    /// At most `count` blocks from height `from`; fewer where the peer has fewer.
    pub async fn blocks(&self, from: u64, count: u64) -> Result<BlockStream, CallError> {
        self.block_stream(&format!("from={from}&count={count}"), None).await
    }

    /// All blocks from height `from`, and new ones as they come, without end. `silence`: how long nothing may come
    /// between two blocks; take three heartbeats.
    pub async fn follow(&self, from: u64, silence: Duration) -> Result<BlockStream, CallError> {
        self.block_stream(&format!("from={from}&follow=true"), Some(silence)).await
    }

    async fn block_stream(&self, query: &str, silence: Option<Duration>) -> Result<BlockStream, CallError> {
        let mut route = self.0.url.route("blocks");
        route.set_query(Some(query));
        let answer = self.0.client.get(&self.0.http, route, Some(self)).await?;
        Ok(BlockStream::new(answer, self.0.chain.max_block_bytes, silence, &self.0.client.budget))
    }

    /// The addresses of other nodes that it knows.
    pub async fn addresses(&self) -> Result<Vec<PeerAddress>, CallError> {
        let mut answer = self.0.client.get(&self.0.http, self.0.url.route("peers"), Some(self)).await?;
        let mut body: AddressesBody = answer.json(MAX_ADDRESSES_BYTES, "a list of peers").await?;
        body.peers.truncate(MAX_ADDRESSES);
        Ok(body.peers)
    }

    /// Tells it addresses of other nodes.
    pub async fn tell_addresses(&self, peers: Vec<PeerAddress>) -> Result<(), CallError> {
        let body = serde_json::to_vec(&AddressesBody { peers }).expect("addresses are plain text");
        self.post("peers", "application/json", body.into()).await.map(|_| ())
    }

    /// Hands in transactions (EIP-2718 bytes, at most 1,024 and 1 MiB together) and returns what became of each.
    pub async fn submit(&self, transactions: &[Bytes]) -> Result<Vec<TransactionAnswer>, CallError> {
        let mut answer = self.post("transactions", "application/octet-stream", framed(transactions)).await?;
        let body: AnswersBody = answer.json(MAX_ANSWERS_BYTES, "an answer for each transaction").await?;
        let (expected, actual) = (transactions.len(), body.answers.len());
        if expected != actual {
            let actual = format!("{actual} answers to {expected} transactions came");
            return Err(answer.fail(Problem::Malformed { expected: "an answer for each transaction", actual }));
        }
        Ok(body.answers)
    }

    /// Proofs of accounts and slots under the state root of one of its blocks: for the first accounts of the question,
    /// at least one. Unchecked.
    pub async fn prove(&self, question: &ProofQuestion) -> Result<Vec<AccountProof>, CallError> {
        let body = serde_json::to_vec(question).expect("numbers and hashes are plain text");
        let mut answer = self.post("proof", "application/json", body.into()).await?;
        let body: ProofBody = answer.json(MAX_PROOF_BYTES, "proofs").await?;
        if !body.answers(question) {
            let actual = "others came".to_owned();
            return Err(
                answer.fail(Problem::Malformed { expected: "proofs of the accounts and slots asked for", actual })
            );
        }
        Ok(body.accounts)
    }

    /// The receipts of one of its blocks. Unchecked.
    pub async fn receipts(&self, height: u64, hash: B256) -> Result<Vec<Receipt>, CallError> {
        let mut route = self.0.url.route("receipts");
        route.set_query(Some(&format!("height={height}&hash={hash}")));
        let mut answer = self.0.client.get(&self.0.http, route, Some(self)).await?;
        let bytes = answer.bytes(MAX_RECEIPTS_BYTES).await?;
        let malformed =
            |error: alloy_rlp::Error| Problem::Malformed { expected: "receipts", actual: error.to_string() };
        alloy_rlp::Decodable::decode(&mut bytes.as_ref()).map_err(|error| answer.fail(malformed(error)))
    }

    /// Pushes a block's canonical bytes; it comes to its other streams as if it had been fetched. The peer answers once it
    /// has imported or refused it.
    pub async fn push_block(&self, canonical: Bytes) -> Result<(), CallError> {
        self.post("blocks", "application/octet-stream", framed(&[canonical])).await.map(|_| ())
    }

    async fn post(&self, route: &str, content_type: &str, body: Bytes) -> Result<Answer, CallError> {
        let route = self.0.url.route(route);
        let request = self.0.http.post(route.clone());
        let request = request.header(SESSION_HEADER, self.0.token.to_hex()).header("content-type", content_type);
        Answer::to(request.body(body), &route, self.0.client.pace).await
    }
}

fn framed(items: &[Bytes]) -> Bytes {
    let mut body = BytesMut::with_capacity(items.iter().map(|item| item.len() + 4).sum());
    for item in items {
        body.extend_from_slice(&frame_prefix(item.len()));
        body.extend_from_slice(item);
    }
    body.freeze()
}
