//! The transaction pool as a [`PoolPort`].

use super::ports::{Pending, PoolPort, PoolStatus, PoolUnavailable, Submission, SubmitError};
use crate::callboard::Origin;
use crate::send::{AskError, Inbox};
use crate::tx_pool::{
    self, Content, DropReason, DropTransaction, PendingNonce, PendingTransaction, PoolContent, PoolError, Source,
    Story, SubmitTransaction, TransactionFate, TransactionsRefused,
};
use alloy_primitives::{Address, B256};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use std::sync::Arc;
use std::time::Duration;

/// How long the pool may take to answer: it never waits for anything itself, so after this it hangs.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// The pool's ports that the frontend asks through.
#[derive(Debug, Clone)]
pub struct PoolInboxes {
    /// New transactions.
    pub submit: Inbox<SubmitTransaction>,
    /// Nonces.
    pub pending_nonce: Inbox<PendingNonce>,
    /// Transactions by hash.
    pub pending: Inbox<PendingTransaction>,
    /// Takes transactions out.
    pub drop: Inbox<DropTransaction>,
    /// All that is held.
    pub content: Inbox<PoolContent>,
    /// Counts.
    pub status: Inbox<tx_pool::PoolStatus>,
    /// Where transactions are.
    pub fate: Inbox<TransactionFate>,
    /// What did not come as far as the pool.
    pub refused: Inbox<TransactionsRefused>,
}

impl PoolPort for PoolInboxes {
    fn submit(&self, submission: Submission) -> BoxFuture<'static, Result<(), SubmitError>> {
        let Submission { transaction, sender } = submission;
        let message = SubmitTransaction { transaction, sender, origin: Origin::Rpc };
        let answer = self.submit.ask(message, ANSWER_WITHIN);
        async move {
            match answer.await.map_err(PoolUnavailable::from)? {
                Ok(_) => Ok(()),
                Err(error @ PoolError::State { .. }) => Err(unreadable(&error).into()),
                Err(refusal) => Err(SubmitError::Refused(refusal.to_string())),
            }
        }
        .boxed()
    }

    fn pending_nonce(&self, address: Address) -> BoxFuture<'static, Result<Option<u64>, PoolUnavailable>> {
        let answer = self.pending_nonce.ask(PendingNonce { address }, ANSWER_WITHIN);
        async move { answer.await?.map(Some).map_err(|error| unreadable(&error)) }.boxed()
    }

    fn pending(&self, hash: B256) -> BoxFuture<'static, Result<Option<Pending>, PoolUnavailable>> {
        let answer = self.pending.ask(PendingTransaction { hash }, ANSWER_WITHIN);
        async move {
            let found = answer.await?;
            Ok(found
                .map(|pooled| Pending { transaction: Arc::unwrap_or_clone(pooled.transaction), sender: pooled.sender }))
        }
        .boxed()
    }

    fn refused(&self, hash: B256, reason: String) {
        // A pool that is behind does not remember it: the client has the answer.
        self.refused.offer(TransactionsRefused { refused: vec![(hash, reason)], from: Source::Rpc }).ok();
    }

    fn story(&self, hash: B256) -> BoxFuture<'static, Result<Option<Story>, PoolUnavailable>> {
        let answer = self.fate.ask(TransactionFate { hash }, ANSWER_WITHIN);
        async move { Ok(answer.await?) }.boxed()
    }

    fn drop_transaction(&self, hash: B256) -> BoxFuture<'static, Result<bool, PoolUnavailable>> {
        let command = DropTransaction { hash, reason: DropReason::Operator, detail: None };
        let answer = self.drop.ask(command, ANSWER_WITHIN);
        async move { Ok(answer.await?) }.boxed()
    }

    fn content(&self, sender: Option<Address>) -> BoxFuture<'static, Result<Content, PoolUnavailable>> {
        let answer = self.content.ask(PoolContent { sender }, ANSWER_WITHIN);
        async move { Ok(answer.await?) }.boxed()
    }

    fn status(&self) -> BoxFuture<'static, Result<PoolStatus, PoolUnavailable>> {
        let answer = self.status.ask(tx_pool::PoolStatus, ANSWER_WITHIN);
        async move {
            let status = answer.await?;
            Ok(PoolStatus { pending: status.pending as u64, queued: status.queued as u64 })
        }
        .boxed()
    }
}

impl From<AskError> for PoolUnavailable {
    fn from(error: AskError) -> Self {
        Self(error.to_string())
    }
}

/// The pool could not read the database: nothing the client did.
fn unreadable(error: &PoolError) -> PoolUnavailable {
    PoolUnavailable(error.to_string())
}
