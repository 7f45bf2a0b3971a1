//! Why a block or header is refused: the check, both sides of it, and who is to blame.

use crate::{
    Blame, Check, block::DecodeBlockError, recovery::RecoverError, seal::SealError, transaction::TransactionError,
};
use alloy_primitives::{Address, B64, B256, Bytes, U256};

/// How a header's value is shown in an error.
trait Shown {
    fn shown(&self) -> String;
}

macro_rules! shown_by_display {
    ($($type:ty),*) => { $(impl Shown for $type {
        fn shown(&self) -> String {
            self.to_string()
        }
    })* };
}
shown_by_display!(u64, U256, B64, B256, Address, Bytes);

impl<T: Shown> Shown for Option<T> {
    fn shown(&self) -> String {
        self.as_ref().map_or_else(|| "absent".to_owned(), Shown::shown)
    }
}

/// One variant a header field: what it should be and what it is.
macro_rules! header_error {
    ($($(#[$doc:meta])* $variant:ident($type:ty) = $check:ident, $relation:literal;)*) => {
        /// A header field is not what the rules, the configuration or the parent make it.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum HeaderError {
            $($(#[$doc])* $variant {
                /// What it should be.
                expected: $type,
                /// What it is.
                actual: $type,
            },)*
        }

        impl HeaderError {
            /// The check that failed.
            pub fn failed(&self) -> Check {
                match self { $(Self::$variant { .. } => Check::$check,)* }
            }

            /// The field, as in Ethereum's JSON.
            pub fn check(&self) -> &'static str {
                self.failed().name()
            }

            /// What the field should be.
            pub fn expected(&self) -> String {
                match self { $(Self::$variant { expected, .. } => expected.shown(),)* }
            }

            /// What the field is.
            pub fn actual(&self) -> String {
                match self { $(Self::$variant { actual, .. } => actual.shown(),)* }
            }

            /// How `actual` should relate to `expected`.
            fn relation(&self) -> &'static str {
                match self { $(Self::$variant { .. } => $relation,)* }
            }
        }
    };
}

header_error! {
    /// Not the height after the parent's.
    Number(u64) = Number, "";
    /// Not the parent's hash.
    ParentHash(B256) = ParentHash, "";
    /// Before the parent's; `expected` is the least possible.
    Timestamp(u64) = Timestamp, "at least ";
    /// Not what the base fee policy makes of the parent, wei.
    BaseFeePerGas(Option<u64>) = BaseFee, "";
    /// Not zero, though this chain's gas is free, wei.
    ZeroBaseFee(Option<u64>) = ZeroBaseFee, "";
    /// Not keccak256("callboard/mix/1" ‖ parentHash), or in block 0 not zero.
    MixHash(B256) = MixHash, "";
    /// Not the commitment to this chain's configuration.
    ExtraData(Bytes) = ExtraData, "";
    /// Not the hash of no ommers.
    OmmersHash(B256) = OmmersHash, "";
    /// Not the authority.
    Beneficiary(Address) = Beneficiary, "";
    /// Not zero.
    Difficulty(U256) = Difficulty, "";
    /// Not the chain's gas limit.
    GasLimit(u64) = GasLimit, "";
    /// Above the gas limit; `expected` is the most possible.
    GasUsed(u64) = GasWithinLimit, "at most ";
    /// Not zero.
    Nonce(B64) = Nonce, "";
    /// Not the root of no withdrawals.
    WithdrawalsRoot(Option<B256>) = WithdrawalsRoot, "";
    /// Not zero.
    BlobGasUsed(Option<u64>) = BlobGasUsed, "";
    /// Not zero.
    ExcessBlobGas(Option<u64>) = ExcessBlobGas, "";
    /// Not zero.
    ParentBeaconBlockRoot(Option<B256>) = ParentBeaconBlockRoot, "";
    /// Not the hash of no requests, from Prague on; before it, there.
    RequestsHash(Option<B256>) = RequestsHash, "";
    /// There, though no supported hardfork has it.
    BlockAccessListHash(Option<B256>) = BlockAccessListHash, "";
    /// There, though no supported hardfork has it.
    SlotNumber(Option<u64>) = SlotNumber, "";
}

impl std::fmt::Display for HeaderError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} is {}, expected {}{}", self.check(), self.actual(), self.relation(), self.expected())
    }
}

impl std::error::Error for HeaderError {}

impl HeaderError {
    /// What the field should be, in words where that is no single value, and what it is.
    pub fn expected_and_actual(&self) -> (String, String) {
        (format!("{}{}", self.relation(), self.expected()), self.actual())
    }

    /// Who is to blame, where the seal over the header is the authority's. Another chain's commitment: the sender,
    /// who should not have sent it. Number and parent: nobody, the block belongs elsewhere. Any other field: this
    /// node's rules differ from the authority's.
    pub fn blame(&self) -> Blame {
        match self {
            Self::ExtraData { .. } => Blame::Peer,
            Self::Number { .. } | Self::ParentHash { .. } => Blame::Nobody,
            _ => Blame::Local,
        }
    }
}

/// Why [`verify_block`](super::verify_block) refused a block.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// Not the canonical bytes of a block.
    #[error(transparent)]
    Decode(#[from] DecodeBlockError),
    /// Not sealed by the authority.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The transactions are not those of the header.
    #[error("transactionsRoot of the body is {actual}, expected {expected} as in the header")]
    TransactionsRoot {
        /// The header's.
        expected: B256,
        /// The body's.
        actual: B256,
    },
    /// A header field breaks a rule.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// More canonical bytes than this chain allows.
    #[error("the block has {actual} bytes, expected at most maxBlockBytes = {limit}")]
    TooLong {
        /// The chain's `maxBlockBytes`.
        limit: u64,
        /// The block's bytes.
        actual: u64,
    },
    /// A transaction breaks a rule.
    #[error("transaction {index}: {source}")]
    Transaction {
        /// Its place, from 0.
        index: usize,
        /// Which rule.
        source: TransactionError,
    },
    /// A transaction's signature has no sender.
    #[error("transaction {index}: {source}")]
    Sender {
        /// Its place, from 0.
        index: usize,
        /// What is wrong with it.
        source: RecoverError,
    },
}

impl VerifyError {
    /// The check that failed.
    pub fn failed(&self) -> Check {
        match self {
            Self::Decode(_) => Check::Decode,
            Self::Seal(_) => Check::Seal,
            Self::TransactionsRoot { .. } => Check::TransactionsRoot,
            Self::Header(error) => error.failed(),
            Self::TooLong { .. } => Check::MaxBlockBytes,
            Self::Transaction { .. } => Check::Transaction,
            Self::Sender { .. } => Check::Sender,
        }
    }

    /// Its name.
    pub fn check(&self) -> &'static str {
        self.failed().name()
    }

    /// What the check expected, and what it found.
    pub fn expected_and_actual(&self) -> (String, String) {
        let in_transaction = |index: &usize, (expected, actual): (String, String)| {
            (format!("transaction {index}: {expected}"), format!("transaction {index}: {actual}"))
        };
        match self {
            Self::Decode(error) => error.expected_and_actual(),
            Self::Seal(error) => error.expected_and_actual(),
            Self::TransactionsRoot { expected, actual } => (expected.shown(), actual.shown()),
            Self::Header(error) => error.expected_and_actual(),
            Self::TooLong { limit, actual } => (format!("at most {limit} bytes"), format!("{actual} bytes")),
            Self::Transaction { index, source } => in_transaction(index, source.expected_and_actual()),
            Self::Sender { index, source } => in_transaction(index, source.expected_and_actual()),
        }
    }

    /// The sender, where form, seal, commitment or body are wrong. Where those are right and a rule differs, this
    /// node or the authority is wrong, never the sender.
    pub fn blame(&self) -> Blame {
        match self {
            Self::Decode(error) => error.blame(),
            Self::Seal(error) => error.blame(),
            Self::TransactionsRoot { .. } => Blame::Peer,
            Self::Header(error) => error.blame(),
            Self::TooLong { .. } | Self::Transaction { .. } | Self::Sender { .. } => Blame::Local,
        }
    }
}
