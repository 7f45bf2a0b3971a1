//! The one sentence that says what holds the node up.

use super::answers::Status;
use crate::units::{grouped, percent, seconds};

/// What holds this node up, or that nothing does.
pub fn of(status: &Status) -> String {
    match status.phase.as_str() {
        "genesis" => "Waiting for the genesis: no seed has given it yet.".to_owned(),
        "replaying" => format!(
            "Verifying the stored chain again before anything else: {} blocks to go.",
            grouped(status.behind_blocks)
        ),
        "catching-up" => catching_up(status),
        "following" => following(status),
        "stalled" => stalled(status),
        "diverged" => diverged(status),
        phase => format!("The node says that it is {phase}."),
    }
}

fn catching_up(status: &Status) -> String {
    let busy = |name: &str| {
        let stage = status.stages.iter().find(|stage| stage.name == name);
        stage.map_or_else(String::new, |stage| format!(" ({} busy)", percent(stage.busy)))
    };
    let Some(stage) = status.bottleneck.as_deref() else { return "Catching up; no stage holds it up.".to_owned() };
    let because = match stage {
        "fetch" => {
            return "The bottleneck is fetch: blocks come more slowly than this node takes them.".to_owned();
        }
        "verify" => "checking seals and signatures takes all its threads",
        "execute" => "running the transactions takes longest",
        "root" => "computing the state root takes longest",
        "commit" => "writing to disk takes longest",
        other => return format!("The bottleneck is {other}{}.", busy(other)),
    };
    format!("The bottleneck is {stage}{}: {because}.", busy(stage))
}

fn following(status: &Status) -> String {
    match (status.role.as_str(), status.peers.is_empty()) {
        ("authority", _) => "Nothing holds it up: it seals the chain.".to_owned(),
        (_, true) => "No peer is connected: no new block can come.".to_owned(),
        (_, false) => "Nothing holds it up: it has every block that its peers have shown.".to_owned(),
    }
}

fn stalled(status: &Status) -> String {
    match status.behind_blocks {
        0 => format!(
            "Stalled: the head is {} old, and no newer block comes; see the alerts.",
            seconds(status.head_age_seconds)
        ),
        behind => format!("Stalled: {} blocks behind, and none of them comes; see the alerts.", grouped(behind)),
    }
}

fn diverged(status: &Status) -> String {
    match &status.divergence {
        Some(found) => format!("Diverged at block {}: {}.", grouped(found.height), found.remedy),
        None => "Diverged: a peer shows another sealed chain.".to_owned(),
    }
}
