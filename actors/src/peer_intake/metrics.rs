//! What peers bring and is refused before the pool sees it.

use crate::monitor::Metrics;
use callboard_chain::recovery::RecoverError;
use callboard_chain::transaction::{DecodeTransactionError, TransactionError};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::{counter::Counter, family::Family};

/// Why a transaction is not valid by itself.
#[derive(Debug, thiserror::Error)]
pub(super) enum WrongTransaction {
    #[error(transparent)]
    Decode(#[from] DecodeTransactionError),
    #[error(transparent)]
    Rule(#[from] TransactionError),
    #[error(transparent)]
    Signature(#[from] RecoverError),
}

impl WrongTransaction {
    const fn reason(&self) -> &'static str {
        match self {
            Self::Decode(_) => "decode",
            Self::Rule(_) => "rule",
            Self::Signature(_) => "signature",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    reason: &'static str,
}

/// What `GET /metrics` shows of the intake.
#[derive(Debug, Clone, Default)]
pub struct IntakeMetrics {
    refused: Family<Reason, Counter>,
}

impl IntakeMetrics {
    /// Registers them.
    pub fn register(metrics: &Metrics) -> Self {
        let intake = Self::default();
        metrics.register(|registry| {
            let help = "Transactions of peers that are not valid by themselves: no transaction, against a rule, or \
                        signed by nobody";
            registry.register("callboard_peer_transactions_refused", help, intake.refused.clone());
        });
        intake
    }

    pub(super) fn refused(&self, wrong: &WrongTransaction) {
        self.refused.get_or_create(&Reason { reason: wrong.reason() }).inc();
    }

    #[cfg(test)]
    pub(super) fn count(&self, reason: &'static str) -> u64 {
        self.refused.get_or_create(&Reason { reason }).get()
    }
}
