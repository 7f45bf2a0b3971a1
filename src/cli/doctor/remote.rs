//! What the running node says of itself, and what its seeds answer.

use super::finding::Finding;
use crate::configuration::Configuration;
use crate::rpc_client::RpcClient;
use callboard_actors::peer_discovery::MAX_SKEW_SECONDS;
use callboard_actors::transport::PeerUrl;
use callboard_actors::transport::client::{PeerClient, Reach};
use callboard_actors::transport::clock::{ClockSample, wall_millis};
use callboard_chain::genesis::SealedGenesis;
use serde_json::{Value, json};
use std::time::Instant;

/// Phase, head, peers and alerts of the node.
pub(super) async fn status(client: &RpcClient, status: &Value) -> Vec<Finding> {
    let height = &status["head"]["height"];
    let age = &status["headAgeSeconds"];
    let phase = status["phase"].as_str().unwrap_or("unknown");
    let mut findings = vec![Finding::ok("node", format!("answers at {}, {}", client.url(), status["role"]))];
    findings.push(match phase {
        "following" => Finding::ok("phase", format!("following, head {height}, {age} s old")),
        "stalled" | "diverged" => Finding::fail("phase", format!("{phase}, head {height}, {age} s old"), "see alerts"),
        other => Finding::warn("phase", format!("{other}, head {height}, {} behind", status["behindBlocks"]), "wait"),
    });
    if let Some(divergence) = status["divergence"].as_object() {
        let (at, remedy) = (&divergence["height"], divergence["remedy"].as_str().unwrap_or_default());
        findings.push(Finding::fail("divergence", format!("at height {at}, shown by {}", divergence["peer"]), remedy));
    }
    let alerts = status["alerts"].as_array().into_iter().flatten().filter_map(Value::as_str);
    findings.extend(alerts.map(|alert| Finding::fail("alert", alert.to_owned(), "see docs: Alarms")));
    findings.push(peers(client).await);
    findings
}

async fn peers(client: &RpcClient) -> Finding {
    let peers: Value = match client.call("callboard_peers", json!([])).await {
        Ok(peers) => peers,
        Err(error) => return Finding::fail("peers", error.to_string(), "look at the node's log"),
    };
    let states = peers.as_array().into_iter().flatten().map(|peer| peer["state"].as_str().unwrap_or_default());
    let states: Vec<_> = states.collect();
    let count = |state: &str| states.iter().filter(|found| **found == state).count();
    let found = format!("{} dialled, {} that dialled this node", count("connected"), count("inbound"));
    match count("connected") + count("inbound") {
        0 => Finding::warn("peers", found, "set peers.seeds, or let others dial this node"),
        _ => Finding::ok("peers", found),
    }
}

/// Whether each seed answers, is on this chain, and has the same time.
pub(super) async fn seeds(configuration: &Configuration) -> Vec<Finding> {
    let tls = match crate::node::peer_tls(configuration) {
        Ok(tls) => tls,
        Err(error) => return vec![Finding::fail("seed", error.to_string(), "give the files that belong there")],
    };
    let client = match PeerClient::new(Default::default(), tls) {
        Ok(client) => client,
        Err(error) => return vec![Finding::fail("seed", error.to_string(), "look at the system's TLS settings")],
    };
    let own = std::fs::read(configuration.genesis_path()).ok();
    let own = own.and_then(|json| SealedGenesis::from_json(&json).ok()).map(|genesis| genesis.hash());
    let mut findings = Vec::new();
    for url in &configuration.peers.seeds {
        findings.extend(seed(&client, url, own.or(configuration.genesis.hash)).await);
    }
    findings
}

async fn seed(client: &PeerClient, url: &PeerUrl, own: Option<alloy_primitives::B256>) -> Vec<Finding> {
    let (asked, began) = (wall_millis(), Instant::now());
    let status = match client.raw_status(url, Reach::Anywhere).await {
        Ok(status) => status,
        Err(error) => {
            return vec![Finding::warn("seed", error.to_string(), "start it, or take it out of peers.seeds")];
        }
    };
    let took = began.elapsed();
    if let Some(own) = own.filter(|own| *own != status.genesis_hash) {
        let found = format!("{url} has the genesis {}, this node {own}", status.genesis_hash);
        return vec![Finding::fail("seed", found, "see `callboard genesis diff`")];
    }
    let mut findings = vec![Finding::ok("seed", format!("{url} answers, head {}", status.height))];
    if let Some(theirs) = status.time_ms {
        let ahead = ClockSample::new(asked, took, theirs).ahead_ms as f64 / 1_000.0;
        let found = format!("{url} is {ahead:.1} s ahead of this machine");
        findings.push(match ahead.abs() > MAX_SKEW_SECONDS {
            true => Finding::warn("clock", found, "set whichever is wrong, best by NTP"),
            false => Finding::ok("clock", found),
        });
    }
    findings
}
