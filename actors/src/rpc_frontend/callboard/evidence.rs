//! Evidence of two sealed blocks of one height, as JSON that can be kept in a file and checked without a node.

use crate::rpc_frontend::jsonrpc::{Params, RpcError, RpcResult};
use crate::rpc_frontend::server::Frontend;
use alloy_primitives::{Address, B256, Bytes};
use callboard_chain::Block;
use callboard_chain::evidence::{Equivocation, EvidenceError, Exhibit, prove_equivocation};
use callboard_store::{Evidence, SealedHeader};
use serde::{Deserialize, Serialize};

/// What the document calls itself; another form gets another name.
pub const EVIDENCE_FORMAT: &str = "callboard-evidence/1";
/// Most pieces of evidence in one answer.
const MAX_EVIDENCE_IN_ANSWER: usize = 100;

/// All that is needed to check evidence: the chain's sealed genesis header and pairs of sealed headers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EvidenceDocument {
    /// [`EVIDENCE_FORMAT`].
    pub format: String,
    /// Whose seals they are.
    pub authority: Address,
    /// The configuration commitment of the chain, which is the `extraData` of every header here.
    pub commitment: Bytes,
    /// Block 0; its hash names the chain.
    pub genesis: SealedHeaderBody,
    /// The pairs, by height.
    pub evidence: Vec<EvidenceBody>,
    /// With more to come: the height to go on from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
}

/// Two sealed blocks of one height.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EvidenceBody {
    /// The height of both.
    pub height: u64,
    /// When the second one was met, unix seconds: a claim of the node that met it.
    pub seen_at: u64,
    /// The one in that node's chain, or the one it met first.
    pub first: SealedHeaderBody,
    /// The other.
    pub second: SealedHeaderBody,
}

/// A header and its seal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SealedHeaderBody {
    /// The block hash: keccak256 of the header.
    pub hash: B256,
    /// RLP of the header.
    pub header: Bytes,
    /// The seal, r ‖ s ‖ yParity.
    pub seal: Bytes,
}

/// A document does not prove what it says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    /// Another format.
    #[error("the format is \"{actual}\", expected \"{EVIDENCE_FORMAT}\"")]
    Format {
        /// What it says.
        actual: String,
    },
    /// It holds nothing.
    #[error("it holds no evidence")]
    Empty,
    /// A value beside a header is not the header's.
    #[error("{field} is {actual} beside the header and {expected} in it")]
    Differs {
        /// Which.
        field: &'static str,
        /// In the header.
        expected: String,
        /// Beside it.
        actual: String,
    },
    /// The exhibits prove nothing.
    #[error(transparent)]
    Evidence(#[from] EvidenceError),
}

impl From<SealedHeader> for SealedHeaderBody {
    fn from(sealed: SealedHeader) -> Self {
        Self { hash: sealed.hash(), header: sealed.header, seal: sealed.seal }
    }
}

impl From<Evidence> for EvidenceBody {
    fn from(evidence: Evidence) -> Self {
        let Evidence { height, ours, theirs, time } = evidence;
        Self { height, seen_at: time, first: ours.into(), second: theirs.into() }
    }
}

impl SealedHeaderBody {
    fn exhibit(&self) -> Exhibit<'_> {
        Exhibit { header: &self.header, seal: &self.seal }
    }
}

impl EvidenceDocument {
    /// The document of this authority's chain with this block 0.
    pub fn new(authority: Address, genesis: &Block, evidence: Vec<Evidence>) -> Self {
        Self {
            format: EVIDENCE_FORMAT.to_owned(),
            authority,
            commitment: genesis.header().extra_data.clone(),
            genesis: SealedHeader::of(genesis).into(),
            evidence: evidence.into_iter().map(EvidenceBody::from).collect(),
            next: None,
        }
    }

    /// Checks every seal and every value: what the pairs prove, in their order.
    pub fn check(&self) -> Result<Vec<Equivocation>, DocumentError> {
        if self.format != EVIDENCE_FORMAT {
            return Err(DocumentError::Format { actual: self.format.clone() });
        }
        if self.evidence.is_empty() {
            return Err(DocumentError::Empty);
        }
        self.evidence.iter().map(|pair| self.check_pair(pair)).collect()
    }

    fn check_pair(&self, pair: &EvidenceBody) -> Result<Equivocation, DocumentError> {
        let [genesis, first, second] = [&self.genesis, &pair.first, &pair.second].map(SealedHeaderBody::exhibit);
        let proven = prove_equivocation(self.authority, genesis, first, second)?;
        same("genesis.hash", &proven.genesis, &self.genesis.hash)?;
        same("commitment", &proven.commitment, &self.commitment)?;
        same("height", &proven.height, &pair.height)?;
        same("first.hash", &proven.hashes[0], &pair.first.hash)?;
        same("second.hash", &proven.hashes[1], &pair.second.hash)?;
        Ok(proven)
    }
}

fn same<T: PartialEq + ToString>(field: &'static str, expected: &T, actual: &T) -> Result<(), DocumentError> {
    if expected == actual {
        return Ok(());
    }
    Err(DocumentError::Differs { field, expected: expected.to_string(), actual: actual.to_string() })
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct PageRequest {
    #[serde(default)]
    from: u64,
    limit: Option<usize>,
}

/// What is kept from a height on, at most [`MAX_EVIDENCE_IN_ANSWER`] pieces.
pub(super) async fn evidence(frontend: &Frontend, params: &Params<'_>) -> RpcResult {
    let PageRequest { from, limit } = params.optional(0, "options")?.unwrap_or_default();
    let limit = limit.unwrap_or(MAX_EVIDENCE_IN_ANSWER).clamp(1, MAX_EVIDENCE_IN_ANSWER);
    let status = frontend.ports.status.clone();
    frontend
        .read(move |view| {
            let genesis = view.block(0)?;
            let mut kept = status.evidence(from, limit + 1).map_err(RpcError::internal)?;
            let next = kept.get(limit).map(|more| more.height);
            kept.truncate(limit);
            Ok(EvidenceDocument { next, ..EvidenceDocument::new(view.config.authority, &genesis, kept) })
        })
        .await
}
