//! The routing table.

use serde::{Deserialize, Serialize};

macro_rules! named {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum $name {
            $($(#[$variant_doc])* #[serde(rename = $text)] $variant,)+
        }

        impl $name {
            /// All of them, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The name that users see.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.name())
            }
        }
    };
}

named! {
    /// Where a block or transaction came from.
    Origin {
        /// Made by this node's proposer.
        Proposer = "proposer",
        /// Sent by, or fetched from, another node.
        Peer = "peer",
        /// Handed in by the operator: `importBlock`, or a file.
        Operator = "operator",
        /// Submitted over JSON-RPC or REST.
        Rpc = "rpc",
    }
}

named! {
    /// What is routed.
    Kind {
        /// A block.
        Block = "block",
        /// A transaction.
        Transaction = "transaction",
    }
}

named! {
    /// What this node is, by its key and its genesis.
    Role {
        /// Holds the key that the genesis names.
        Authority = "authority",
        /// Any other node.
        Follower = "follower",
    }
}

named! {
    /// What the sync coordinator is doing.
    Phase {
        /// Gets and checks the genesis.
        Genesis = "genesis",
        /// Re-applies stored blocks: rollback, reconcile, verify on start.
        Replaying = "replaying",
        /// Fetches blocks it lacks.
        CatchingUp = "catching-up",
        /// At the head of the chain.
        Following = "following",
        /// Does not get on, and says why.
        Stalled = "stalled",
        /// A peer showed a validly sealed block that differs from ours.
        Diverged = "diverged",
    }
}

named! {
    /// One thing to be done with a block or transaction.
    Delivery {
        /// Verify, execute and store it as part of this chain.
        ImportBlock = "ImportBlock",
        /// Announce a block sealed here, once it is durable.
        BroadcastBlock = "BroadcastBlock",
        /// Pass an imported block on to the other peers, once it is durable.
        RelayBlock = "RelayBlock",
        /// Take no notice of it, and say so.
        RefuseBlock = "RefuseBlock",
        /// It carries this authority's seal, and this authority lacks it: stop proposing, and raise the alarm.
        AlarmBlock = "AlarmBlock",
        /// It is on this chain already.
        IgnoreBlock = "IgnoreBlock",
        /// Put it into the pool.
        PoolTransaction = "PoolTransaction",
        /// Pass it on to the other peers, once the pool has taken it.
        RelayTransaction = "RelayTransaction",
        /// Bring it to the authority, once the pool has taken it; the authority acknowledges.
        ForwardTransaction = "ForwardTransaction",
        /// Take no notice of it.
        DropTransaction = "DropTransaction",
    }
}

/// What to do with what comes from `origin`, on a node of this role and in this phase; in order, each after the one
/// before has succeeded. A block on this chain already is not routed but ignored ([`Delivery::IgnoreBlock`]).
///
/// - Only the authority proposes, and only while following; its blocks are confirmed, stored and broadcast. They are
///   not imports: an import is a block from outside.
/// - Blocks from outside are imported, in any phase that can apply them, and relayed only by a follower that is
///   itself up to date. While diverged too: only what extends our own chain can be imported, and a node whose branch
///   goes on beside a dead one finds back by that.
/// - A proposing authority has every block with its seal. One that it lacks stops it before it is taken back.
/// - A transaction from RPC is always held; one from a peer only while following, as the peer keeps its own copy.
/// - A follower brings what it takes to the authority, also for a peer: it may be the peer's only way there.
pub fn route(origin: Origin, kind: Kind, role: Role, phase: Phase) -> Vec<Delivery> {
    match kind {
        Kind::Block => route_block(origin, role, phase),
        Kind::Transaction => route_transaction(origin, role, phase),
    }
}

fn route_block(origin: Origin, role: Role, phase: Phase) -> Vec<Delivery> {
    use Delivery::{AlarmBlock, BroadcastBlock, ImportBlock, RefuseBlock, RelayBlock};
    match (origin, role, phase) {
        (Origin::Proposer, Role::Authority, Phase::Following) => vec![BroadcastBlock],
        (Origin::Proposer | Origin::Rpc, _, _) => vec![RefuseBlock],
        (_, _, Phase::Genesis | Phase::Replaying) => vec![RefuseBlock],
        (_, Role::Follower, Phase::Following) => vec![ImportBlock, RelayBlock],
        (_, Role::Authority, Phase::Following) => vec![AlarmBlock, ImportBlock],
        (_, _, Phase::CatchingUp | Phase::Stalled | Phase::Diverged) => vec![ImportBlock],
    }
}

fn route_transaction(origin: Origin, role: Role, phase: Phase) -> Vec<Delivery> {
    use Delivery::{DropTransaction, ForwardTransaction, PoolTransaction, RelayTransaction};
    match (origin, role, phase) {
        (Origin::Proposer | Origin::Operator, _, _) | (_, _, Phase::Genesis) => vec![DropTransaction],
        (Origin::Rpc, Role::Authority, Phase::Following) => vec![PoolTransaction, RelayTransaction],
        (Origin::Rpc, Role::Authority, _) => vec![PoolTransaction],
        (Origin::Rpc, Role::Follower, Phase::Following) => vec![PoolTransaction, ForwardTransaction, RelayTransaction],
        (Origin::Rpc, Role::Follower, _) => vec![PoolTransaction, ForwardTransaction],
        (Origin::Peer, Role::Authority, Phase::Following) => vec![PoolTransaction, RelayTransaction],
        (Origin::Peer, Role::Follower, Phase::Following) => vec![PoolTransaction, ForwardTransaction, RelayTransaction],
        (Origin::Peer, _, _) => vec![DropTransaction],
    }
}
