//! Dialling one address, and what its answer means.

use super::messages::ForeignChain;
use super::state::{Failure, FailureKind};
use crate::transport::client::{CallError, ChainIdentity, PeerClient, Problem, Reach, Session};
use crate::transport::hello::{HelloError, Identity};
use crate::transport::{ChainFacts, NodeId, PeerUrl};
use alloy_primitives::B256;
use callboard_chain::Blame;
use callboard_chain::genesis::{SealedGenesis, differences as genesis_differences};

/// Refusals by which a node says that it is no peer, or no peer any more: trying once more does not help.
const LASTING_REFUSALS: [&str; 8] =
    ["this_node", "copied_directory", "wrong_chain", "not_allowed", "banned", "version", "signature", "no_session"];

/// What dialling needs besides the address.
#[derive(Debug, Clone)]
pub(super) struct Dialler {
    pub(super) client: PeerClient,
    pub(super) identity: Identity,
    pub(super) chain: ChainIdentity,
    pub(super) genesis: SealedGenesis,
}

/// How a dial ended.
#[derive(Debug)]
pub(super) struct DialEnd {
    pub(super) url: PeerUrl,
    pub(super) result: Result<Session, Failure>,
    pub(super) foreign: Option<ForeignChain>,
}

impl DialEnd {
    /// For counters.
    pub(super) fn outcome(&self) -> &'static str {
        match &self.result {
            Ok(_) => "connected",
            Err(_) if self.foreign.is_some() => "wrong_chain",
            Err(Failure { kind: FailureKind::Unreachable, .. }) => "unreachable",
            Err(Failure { kind: FailureKind::Refused, .. }) => "refused",
            Err(Failure { kind: FailureKind::Misbehaved, .. }) => "misbehaved",
        }
    }
}

impl Dialler {
    /// Says hello. Where a seed is on another chain, finds out in what it differs, unless `known` says so already.
    pub(super) async fn dial(
        self,
        url: PeerUrl,
        reach: Reach,
        expected: Option<NodeId>,
        is_seed: bool,
        known: Option<ForeignChain>,
    ) -> DialEnd {
        let result = self.client.hello(&url, reach, &self.identity, self.chain, expected).await;
        let Err(error) = result else {
            return DialEnd { url, result: result.map_err(|error| failure(&error)), foreign: None };
        };
        let Some((genesis_hash, claimed)) = foreign_genesis(&error) else {
            return DialEnd { url, result: Err(failure(&error)), foreign: None };
        };
        // A seed's genesis that could not be had is asked for again: it may be this chain made anew.
        let known = known.filter(|known| known.genesis_hash == genesis_hash && known.is_compared);
        let mut foreign = match known {
            Some(known) => known,
            None => self.explain(url.clone(), is_seed, genesis_hash, claimed).await,
        };
        if foreign.same_chain_and_authority {
            let chain = ChainIdentity { genesis_hash, ..self.chain };
            let newest = self.client.head_time(&url, reach, chain).await.ok();
            foreign.newest_timestamp = newest.or(foreign.newest_timestamp);
        }
        let mut failure = failure(&error);
        if !foreign.differences.is_empty() {
            failure.reason = format!("wrong chain: {}", foreign.differences.join("; "));
        }
        DialEnd { url, result: Err(failure), foreign: Some(foreign) }
    }

    /// Only the operator's seeds are asked for a genesis: it may be long. Of others, and where a seed does not give
    /// its genesis, there is what it says of its chain.
    async fn explain(
        &self,
        url: PeerUrl,
        is_seed: bool,
        genesis_hash: B256,
        claimed: Option<ChainFacts>,
    ) -> ForeignChain {
        let differences = claimed.map(|theirs| self.identity.chain.differences(&theirs)).unwrap_or_default();
        let mut foreign = ForeignChain {
            url,
            is_seed,
            genesis_hash,
            is_compared: false,
            same_chain_and_authority: false,
            newest_timestamp: None,
            differences,
        };
        if !is_seed {
            return foreign;
        }
        let Ok(json) = self.client.genesis(&foreign.url, Reach::Anywhere).await else { return foreign };
        let ours = self.genesis.clone();
        let compare = move || {
            let theirs = SealedGenesis::from_json(&json).ok()?;
            let same = theirs.config().chain_id == ours.config().chain_id
                && theirs.config().authority == ours.config().authority;
            let found = genesis_differences(ours.genesis(), theirs.genesis());
            let timestamp = theirs.block().header().timestamp;
            (theirs.hash() == genesis_hash)
                .then(|| (same, timestamp, found.iter().map(ToString::to_string).collect::<Vec<_>>()))
        };
        if let Ok(Some((same, timestamp, found))) = actix_rt::task::spawn_blocking(compare).await {
            foreign.is_compared = true;
            foreign.same_chain_and_authority = same;
            foreign.newest_timestamp = same.then_some(timestamp);
            foreign.differences = found.into_iter().take(8).collect();
        }
        foreign
    }
}

/// What a failed request says about the peer.
pub(super) fn failure(error: &CallError) -> Failure {
    let is_lasting = |code: &str| LASTING_REFUSALS.contains(&code);
    let kind = match &error.problem {
        _ if error.blame() == Blame::Peer => FailureKind::Misbehaved,
        Problem::Hello(_) => FailureKind::Refused,
        Problem::Refused { refusal, .. } if is_lasting(&refusal.code) => FailureKind::Refused,
        _ => FailureKind::Unreachable,
    };
    Failure { kind, reason: error.problem.to_string() }
}

fn foreign_genesis(error: &CallError) -> Option<(B256, Option<ChainFacts>)> {
    match &error.problem {
        Problem::Hello(HelloError::WrongChain { actual, .. }) => Some((*actual, None)),
        Problem::Refused { refusal, .. } if refusal.code == "wrong_chain" => {
            Some((refusal.genesis_hash?, refusal.chain.clone()))
        }
        _ => None,
    }
}
