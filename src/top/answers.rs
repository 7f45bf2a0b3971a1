//! What the node says, as far as it is shown. What a node does not say, because it is older or newer, is left out and is
//! no error.

use super::sentence;
use crate::rpc_client::RpcClientError;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// Refusals that are asked for: more than a screen holds.
const REFUSALS: usize = 50;

/// The calls of one round.
pub fn calls() -> [(&'static str, Value); 4] {
    [
        ("callboard_syncStatus", json!([])),
        ("callboard_actors", json!([])),
        ("callboard_peers", json!([])),
        ("callboard_rejections", json!([{ "limit": REFUSALS }])),
    ]
}

/// A list, or why there is none.
pub type Part<T> = Result<Vec<T>, String>;

/// Everything that one round brought.
#[derive(Debug, Clone, PartialEq)]
pub struct Answers {
    /// `callboard_syncStatus`
    pub status: Status,
    /// `callboard_actors`, or why they are not known.
    pub actors: Part<Actor>,
    /// `callboard_peers`, or why they are not known.
    pub peers: Part<Peer>,
    /// `callboard_rejections`, the newest first; or why they are not known.
    pub refusals: Part<Refusal>,
}

impl Answers {
    /// From the results of [`calls`]. Without a status there is nothing to show.
    pub fn read(results: [Result<Value, RpcClientError>; 4]) -> Result<Self, String> {
        let [status, actors, peers, refusals] = results;
        Ok(Self { status: part(status)?, actors: part(actors), peers: part(peers), refusals: part(refusals) })
    }

    /// How a peer stands to this node's chain: `agrees`, `ahead`, `differs`, `accepted`, `unknown`.
    pub fn agreement(&self, peer: &Peer) -> Option<&str> {
        let id = peer.id.as_deref()?;
        self.status.peers.iter().find(|known| known.id == id).map(|known| known.state.as_str())
    }

    /// The sentence that names the bottleneck.
    pub fn sentence(&self) -> String {
        sentence::of(&self.status)
    }
}

fn part<T: DeserializeOwned>(result: Result<Value, RpcClientError>) -> Result<T, String> {
    let value = result.map_err(|error| error.to_string())?;
    serde_json::from_value(value).map_err(|error| format!("its answer cannot be read: {error}"))
}

/// See `callboard_syncStatus`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Status {
    /// What it is doing.
    pub phase: String,
    /// What it is.
    pub role: String,
    /// Its durable head.
    pub head: Head,
    /// What it catches up to.
    pub target: Option<Head>,
    /// Blocks between the two.
    pub behind_blocks: u64,
    /// Seconds since the head's timestamp.
    pub head_age_seconds: u64,
    /// Lately.
    pub blocks_per_second: f64,
    /// Lately.
    pub transactions_per_second: f64,
    /// Until the target is reached.
    pub eta_seconds: Option<u64>,
    /// The stage that holds the others up.
    pub bottleneck: Option<String>,
    /// The pipeline.
    pub stages: Vec<Stage>,
    /// Connected peers.
    pub peers: Vec<Standing>,
    /// Where the chain differs from a peer's.
    pub divergence: Option<Divergence>,
    /// What the operator should know.
    pub alerts: Vec<Value>,
}

impl Status {
    /// The alerts' sentences, whatever else is said with them.
    pub fn alerts(&self) -> impl Iterator<Item = &str> {
        self.alerts.iter().map(|alert| {
            let member = |name: &str| alert.get(name).and_then(Value::as_str);
            alert.as_str().or_else(|| member("message")).or_else(|| member("name")).unwrap_or("an alert without words")
        })
    }
}

/// A head.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Head {
    /// Height.
    pub height: u64,
    /// Block hash.
    pub hash: String,
}

/// A stage of the pipeline.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Stage {
    /// Which.
    pub name: String,
    /// Share of its workers' time that it was busy lately.
    pub busy: f64,
    /// Share that it waited for the stage after it, where the node measures it.
    pub stalled: Option<f64>,
    /// Items since the start.
    pub items: u64,
    /// Busy seconds since the start.
    pub seconds: f64,
}

/// How a connected peer stands to the node's chain.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Standing {
    /// Node id.
    pub id: String,
    /// How.
    pub state: String,
}

/// Where two chains part.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Divergence {
    /// The first height that differs.
    pub height: u64,
    /// The last that does not.
    pub last_common_height: Option<u64>,
    /// Who showed it.
    pub peer: String,
    /// What to do.
    pub remedy: String,
}

/// What is measured of an actor and of each kind of message it takes.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Figures {
    /// Since the start.
    pub handled: u64,
    /// Since the start.
    pub refused: u64,
    /// Handled lately.
    pub per_second: f64,
    /// Microseconds that half of the messages waited at most.
    #[serde(rename = "waitP50Us")]
    pub wait_p50: u64,
    /// Of 99 in 100.
    #[serde(rename = "waitP99Us")]
    pub wait_p99: u64,
    /// Microseconds that half of the messages took at most.
    #[serde(rename = "handleP50Us")]
    pub handle_p50: u64,
    /// Of 99 in 100.
    #[serde(rename = "handleP99Us")]
    pub handle_p99: u64,
}

/// An actor.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Actor {
    /// Its name.
    pub actor: String,
    /// Where it is in its life.
    pub state: String,
    /// Messages that wait or are being answered.
    pub mailbox_depth: u64,
    /// How many may.
    pub mailbox_capacity: u64,
    /// Share of the time that it was busy lately.
    pub busy: f64,
    /// Over all messages.
    #[serde(flatten)]
    pub figures: Figures,
    /// Each kind of message.
    pub messages: Vec<Message>,
}

/// A kind of message.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Message {
    /// Its name.
    pub message: String,
    /// How many wait.
    pub depth: u64,
    /// Whose sender waited no longer for the answer, since the start.
    pub timed_out: u64,
    /// The rest.
    #[serde(flatten)]
    pub figures: Figures,
}

/// A known peer.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Peer {
    /// Node id, where it is known.
    pub id: Option<String>,
    /// Its address, where it is known.
    pub url: Option<String>,
    /// What it is.
    pub role: Option<String>,
    /// Who dialled.
    pub direction: Option<String>,
    /// Whether there is a connection.
    pub state: String,
    /// 0, and less for each offence.
    pub score: i64,
    /// Why it is banned.
    pub ban: Option<Ban>,
    /// Why it is not connected.
    pub reason: Option<String>,
    /// Height of its head.
    pub height: Option<u64>,
    /// Hash of its head.
    pub hash: Option<String>,
}

impl Peer {
    /// Whether blocks and transactions can go to it or come from it.
    pub fn is_connected(&self) -> bool {
        matches!(self.state.as_str(), "connected" | "inbound")
    }
}

/// A ban.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Ban {
    /// What the peer did.
    pub reason: String,
}

/// A refused block.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Refusal {
    /// Its height, where it could be read.
    pub height: Option<u64>,
    /// The check that failed.
    pub check: String,
    /// In one sentence.
    pub message: String,
    /// Whose fault it is.
    pub blame: String,
    /// Who brought it.
    pub sender: Option<String>,
    /// How often it came.
    pub count: u64,
    /// What the operator can do.
    pub remedy: Option<String>,
}
