//! What the proposer is told.

use actix::Message;

/// Seal nothing before the block of this height is the head: it carries this authority's seal, and the node lacks it.
/// Asked by the importer before it imports that block; answered once no proposal is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Message)]
#[rtype(result = "()")]
pub struct HoldProposing {
    /// The height of the block.
    pub height: u64,
}

/// Whether this node may propose now. Signalled by the sync coordinator, only when it changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Message)]
#[rtype(result = "()")]
pub struct ProposePermission {
    /// Whether it may.
    pub may_propose: bool,
}
