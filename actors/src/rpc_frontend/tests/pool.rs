//! The pool's messages behind the port.

use super::chain::{legacy, sign, user};
use crate::callboard::Origin;
use crate::rpc_frontend::{PoolInboxes, PoolPort, Submission, SubmitError};
use crate::send::Inbox;
use crate::send::probe::probe;
use crate::tx_pool::{
    Content, DropReason, DropTransaction, Fate, PendingNonce, PoolContent, PoolError, PoolStatus, PooledTransaction,
    Status, Story, SubmitTransaction, TransactionFate,
};
use actix::Message;
use alloy_primitives::{Address, B256, U256};
use std::time::Duration;

async fn answering<M>(answer: impl FnMut(&M) -> M::Result + Send + 'static) -> Inbox<M>
where
    M: Message + Send + Unpin + 'static,
    M::Result: Send + 'static,
{
    probe(answer).await.0
}

async fn inboxes(
    submit: impl FnMut(&SubmitTransaction) -> <SubmitTransaction as Message>::Result + Send + 'static,
) -> PoolInboxes {
    PoolInboxes {
        submit: answering(submit).await,
        pending_nonce: answering(|question: &PendingNonce| {
            let sender = question.address;
            Err(PoolError::State { sender, reason: "disk".to_owned() })
        })
        .await,
        pending: answering(|_| None).await,
        fate: answering(|question: &TransactionFate| (question.hash == B256::ZERO).then(evicted)).await,
        content: answering(|question: &PoolContent| content(question.sender)).await,
        drop: answering(|command: &DropTransaction| command.reason == DropReason::Operator).await,
        refused: answering(|_| ()).await,
        status: answering(|_: &PoolStatus| Status { pending: 3, queued: 2, bytes: 9 }).await,
    }
}

fn content(sender: Option<Address>) -> Content {
    let of = |number: u8| {
        let (transaction, sender) = (sign(legacy(0), &user(number)), user(number).address());
        PooledTransaction::new(transaction, sender, 0, Duration::ZERO)
    };
    let (pending, queued): (Vec<_>, Vec<_>) = (vec![of(2)], vec![of(3)]);
    let asked = |all: Vec<PooledTransaction>| {
        all.into_iter().filter(|one| sender.is_none_or(|sender| sender == one.sender)).collect()
    };
    Content { pending: asked(pending), queued: asked(queued) }
}

fn evicted() -> Story {
    Story { fate: Fate::Dropped(DropReason::Evicted), timeline: Vec::new() }
}

fn submission() -> Submission {
    Submission { transaction: sign(legacy(0), &user(2)), sender: user(2).address() }
}

#[actix_web::test]
async fn a_submission_says_that_it_came_over_rpc() {
    let pool = inboxes(|message| {
        assert_eq!((message.origin, message.sender), (Origin::Rpc, user(2).address()));
        Ok(*message.transaction.tx_hash())
    })
    .await;
    assert_eq!(pool.submit(submission()).await, Ok(()));
    assert_eq!(pool.pending(*submission().transaction.tx_hash()).await.map(|found| found.is_none()), Ok(true));
    assert_eq!(pool.story(B256::ZERO).await, Ok(Some(evicted())));
    let status = pool.status().await.unwrap();
    assert_eq!((status.pending, status.queued), (3, 2));
    for (sender, held) in [(None, (1, 1)), (Some(user(3).address()), (0, 1))] {
        let content = pool.content(sender).await.unwrap();
        assert_eq!((content.pending.len(), content.queued.len()), held);
    }
    assert_eq!(pool.drop_transaction(B256::ZERO).await, Ok(true), "the operator's wish");
}

#[actix_web::test]
async fn refusals_keep_their_text_and_failures_are_no_refusals() {
    let sender = user(2).address();
    let funds = PoolError::InsufficientFunds { sender, balance: U256::ZERO, required: U256::from(1) };
    for refusal in [PoolError::AlreadyKnown, PoolError::NonceTooLow { expected: 5, actual: 0 }, funds] {
        let text = refusal.to_string();
        let pool = inboxes(move |_| Err(refusal.clone())).await;
        assert_eq!(pool.submit(submission()).await, Err(SubmitError::Refused(text)));
    }
    let failing = inboxes(move |_| Err(PoolError::State { sender, reason: "disk".to_owned() })).await;
    assert!(matches!(failing.submit(submission()).await, Err(SubmitError::Unavailable(_))));
    assert!(failing.pending_nonce(sender).await.is_err());
}
