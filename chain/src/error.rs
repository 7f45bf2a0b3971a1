//! Who is to blame when something is refused.

/// Who caused a refusal. Every error enum of this crate that can be met on input from outside answers it with
/// `blame()`, so that no caller has to guess whether a peer lied or this node is at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Blame {
    /// The sender: what it sent does not match its own seal, or is malformed.
    Peer,
    /// This node: its state, its disk or its code.
    Local,
    /// Nobody: known already, not yet applicable, or a race.
    Nobody,
}
