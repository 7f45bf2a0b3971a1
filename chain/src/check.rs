//! Every check that a block passes on its way into a chain, in the order in which they are made.
//!
//! The errors of [`crate::verify`] and [`crate::live`] name the check that failed by one of these, so whoever reads a
//! refusal knows which checks the block had passed: all that stand before it.

/// Where a check is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// By the verifier, in parallel: needs nothing but the block and the chain's configuration.
    Verify,
    /// Against the block before it.
    Parent,
    /// By executing it on the state of its parent.
    Execute,
}

macro_rules! checks {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $stage:ident, $demands:literal;)*) => {
        /// A check. They are declared in the order in which they are made.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Check {
            $($(#[$doc])* $variant,)*
        }

        impl Check {
            /// All of them, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// A short stable name for metrics and records: that of the header's field in Ethereum's JSON, where it is
            /// about one.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// Where it is made.
            pub const fn stage(self) -> Stage {
                match self { $(Self::$variant => Stage::$stage,)* }
            }

            /// What it demands, in words.
            pub const fn demands(self) -> &'static str {
                match self { $(Self::$variant => $demands,)* }
            }
        }
    };
}

checks! {
    /// Canonical bytes.
    Decode = "decode", Verify, "the bytes are the one canonical form of a block";
    /// The authority's seal.
    Seal = "seal", Verify, "the seal over the block's hash is the authority's";
    /// The body belongs to the header.
    TransactionsRoot = "transactionsRoot", Verify, "the transactions are those of the header";
    /// The commitment to the configuration.
    ExtraData = "extraData", Verify, "the header commits to this chain's configuration";
    /// No ommers.
    OmmersHash = "sha3Uncles", Verify, "there are no ommers";
    /// The authority.
    Beneficiary = "miner", Verify, "the beneficiary is the authority";
    /// Zero.
    Difficulty = "difficulty", Verify, "the difficulty is zero";
    /// The chain's.
    GasLimit = "gasLimit", Verify, "the gas limit is the chain's";
    /// Made of the parent's hash.
    MixHash = "mixHash", Verify, "the mix hash is made of the parent's hash";
    /// Zero.
    Nonce = "nonce", Verify, "the header's nonce is zero";
    /// Zero, where gas is free.
    ZeroBaseFee = "baseFeePerGas", Verify, "the base fee is zero, where the chain's gas is free";
    /// No withdrawals.
    WithdrawalsRoot = "withdrawalsRoot", Verify, "there are no withdrawals";
    /// Zero.
    BlobGasUsed = "blobGasUsed", Verify, "no blob gas is used";
    /// Zero.
    ExcessBlobGas = "excessBlobGas", Verify, "there is no excess blob gas";
    /// Zero.
    ParentBeaconBlockRoot = "parentBeaconBlockRoot", Verify, "the parent beacon block root is zero";
    /// No requests.
    RequestsHash = "requestsHash", Verify, "there are no requests, where the hardfork has them";
    /// Absent.
    BlockAccessListHash = "blockAccessListHash", Verify, "the header has no block access list";
    /// Absent.
    SlotNumber = "slotNumber", Verify, "the header has no slot number";
    /// Not above the gas limit.
    GasWithinLimit = "gasUsed", Verify, "the gas used is within the gas limit";
    /// The chain's largest block.
    MaxBlockBytes = "maxBlockBytes", Verify, "the block is no longer than the chain allows";
    /// The rules of transactions.
    Transaction = "transaction", Verify, "every transaction keeps the rules that need no state";
    /// The signatures of transactions.
    Sender = "sender", Verify, "every transaction is signed by somebody";
    /// No gap below it.
    Parent = "parent", Parent, "it follows the head";
    /// No other block of its height.
    Hash = "hash", Parent, "it is no other block than the one confirmed at its height";
    /// One more than the parent's.
    Number = "number", Parent, "its number is the one after its parent's";
    /// The parent's hash.
    ParentHash = "parentHash", Parent, "its parent is the head";
    /// Not before the parent's.
    Timestamp = "timestamp", Parent, "it is not older than its parent";
    /// Follows from the parent's.
    BaseFee = "baseFeePerGas", Parent, "the base fee follows from its parent";
    /// Every transaction can run.
    Execution = "execution", Execute, "every transaction can run where it stands";
    /// The gas that execution used.
    GasUsed = "gasUsed", Execute, "executing it here uses as much gas as its header says";
    /// The receipts.
    ReceiptsRoot = "receiptsRoot", Execute, "executing it here gives the receipts of its header";
    /// The logs.
    LogsBloom = "logsBloom", Execute, "executing it here gives the logs bloom of its header";
    /// The state.
    StateRoot = "stateRoot", Execute, "the state after it here is that of its header";
}

impl Check {
    /// The checks that a block has passed when it fails this one.
    pub fn passed_before(self) -> &'static [Self] {
        let place = Self::ALL.iter().position(|check| *check == self).unwrap_or(0);
        &Self::ALL[..place]
    }

    /// What an operator does when a block fails it.
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::Decode | Self::Seal | Self::TransactionsRoot => {
                "nothing is wrong on this node: the sender damaged or forged it, and another peer is asked; a script \
                 that posts blocks must pass on `raw` unchanged"
            }
            Self::ExtraData => {
                "the block is of a chain with another configuration: compare both nodes with `callboard genesis hash` \
                 and `callboard genesis diff`, and take a peer of the other chain out of peers.seeds"
            }
            Self::Parent => "blocks below it are missing: a following node fetches them by itself; post them first",
            Self::Hash | Self::ParentHash | Self::Number => {
                "the authority sealed two chains: read `divergence` in callboard_syncStatus, find out which one is \
                 wanted, and roll back to the last common height or `callboard chain accept` the fork"
            }
            Self::Execution | Self::GasUsed | Self::ReceiptsRoot | Self::LogsBloom => {
                "this node or the authority is wrong: compare `callboard version` on both and update the older one; \
                 where they are equal, run `callboard chain verify` on both"
            }
            Self::StateRoot => {
                "this node or the authority is wrong: where a key is named, ask both nodes for it at the block before; \
                 `callboard chain reconcile` on a stopped node finds and mends a damaged state"
            }
            _ => {
                "the authority sealed it, so the rules of this node and of the authority differ: compare `callboard \
                 version` on both and update the older one"
            }
        }
    }
}

impl std::fmt::Display for Check {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
