//! What the proposer is told.

use actix::Message;

/// Whether this node may propose now. Signalled by the sync coordinator, only when it changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Message)]
#[rtype(result = "()")]
pub struct ProposePermission {
    /// Whether it may.
    pub may_propose: bool,
}
