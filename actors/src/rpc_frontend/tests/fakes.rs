//! The actors behind a frontend, as far as it sees them: each keeps what it was asked and answers as it is told.

use crate::event_stream::state::State;
use crate::event_stream::{Event, Subscription, Topics};
use crate::importer::{Explanation, Rejection};
use crate::reconciler::VerifyState;
use crate::rpc_frontend::*;
use crate::tx_pool::{Content, PooledTransaction, Story};
use alloy_primitives::{Address, B256, Bytes};
use callboard_store::{Evidence, StorageError};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use prometheus_client::registry::Registry;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, mpsc};
use std::time::Duration;
use tokio::sync::{Semaphore, oneshot};

/// All of them.
#[derive(Default)]
pub(super) struct Fakes {
    pub(super) pool: Arc<FakePool>,
    pub(super) import: Arc<FakeImport>,
    pub(super) status: Arc<FakeStatus>,
    pub(super) admin: Arc<FakeAdmin>,
    pub(super) blocks: Arc<FakeExplain>,
    pub(super) events: Arc<FakeEvents>,
}

impl Fakes {
    /// As a frontend over a chain is given them.
    pub(super) fn ports(&self, chain: ChainAccess) -> (RpcPorts, RpcMetrics) {
        let ports = RpcPorts {
            chain,
            pool: self.pool.clone(),
            import: self.import.clone(),
            status: self.status.clone(),
            admin: self.admin.clone(),
            blocks: self.blocks.clone(),
            events: self.events.clone(),
        };
        (ports, RpcMetrics::register(&mut self.status.registry.lock()))
    }
}

/// A pool that keeps what it is given, or refuses as it is told.
#[derive(Default)]
pub(super) struct FakePool {
    pub(super) taken: Mutex<Vec<Submission>>,
    pub(super) refusal: Mutex<Option<SubmitError>>,
    pub(super) nonces: Mutex<HashMap<Address, u64>>,
    pub(super) stories: Mutex<HashMap<B256, Story>>,
    pub(super) refused: Mutex<Vec<(B256, String)>>,
    /// What waits for a transaction before it.
    pub(super) queued: Mutex<Vec<Submission>>,
}

impl PoolPort for FakePool {
    fn submit(&self, submission: Submission) -> BoxFuture<'static, Result<(), SubmitError>> {
        let refusal = self.refusal.lock().clone();
        if refusal.is_none() {
            self.taken.lock().push(submission);
        }
        async move { refusal.map_or(Ok(()), Err) }.boxed()
    }

    fn pending_nonce(&self, address: Address) -> BoxFuture<'static, Result<Option<u64>, PoolUnavailable>> {
        let nonce = self.nonces.lock().get(&address).copied();
        async move { Ok(nonce) }.boxed()
    }

    fn pending(&self, hash: B256) -> BoxFuture<'static, Result<Option<Pending>, PoolUnavailable>> {
        let taken = self.taken.lock();
        let found = taken.iter().find(|submission| *submission.transaction.tx_hash() == hash).cloned();
        async move { Ok(found.map(|found| Pending { transaction: found.transaction, sender: found.sender })) }.boxed()
    }

    fn refused(&self, hash: B256, reason: String) {
        self.refused.lock().push((hash, reason));
    }

    fn story(&self, hash: B256) -> BoxFuture<'static, Result<Option<Story>, PoolUnavailable>> {
        let story = self.stories.lock().get(&hash).cloned();
        async move { Ok(story) }.boxed()
    }

    fn drop_transaction(&self, hash: B256) -> BoxFuture<'static, Result<bool, PoolUnavailable>> {
        let mut taken = self.taken.lock();
        let before = taken.len();
        taken.retain(|submission| *submission.transaction.tx_hash() != hash);
        let dropped = taken.len() < before;
        async move { Ok(dropped) }.boxed()
    }

    fn content(&self, sender: Option<Address>) -> BoxFuture<'static, Result<Content, PoolUnavailable>> {
        let pooled = |of: &Mutex<Vec<Submission>>| {
            let asked = of.lock().clone().into_iter().filter(|one| sender.is_none_or(|sender| sender == one.sender));
            asked.map(|one| PooledTransaction::new(one.transaction, one.sender, 0, Duration::ZERO)).collect()
        };
        let content = Content { pending: pooled(&self.taken), queued: pooled(&self.queued) };
        async move { Ok(content) }.boxed()
    }

    fn status(&self) -> BoxFuture<'static, Result<PoolStatus, PoolUnavailable>> {
        let (pending, queued) = (self.taken.lock().len() as u64, self.queued.lock().len() as u64);
        async move { Ok(PoolStatus { pending, queued }) }.boxed()
    }
}

/// An importer that keeps what it is given and answers as it is told.
pub(super) struct FakeImport {
    pub(super) received: Mutex<Vec<Bytes>>,
    pub(super) refused: Mutex<Vec<(Bytes, String)>>,
    /// Imports from now on that never end.
    pub(super) endless: Mutex<usize>,
    /// Lets each import from now on end that takes a permit.
    pub(super) held: Mutex<Option<Arc<Semaphore>>>,
    pub(super) answer: Mutex<Result<Imported, ImportError>>,
}

impl Default for FakeImport {
    fn default() -> Self {
        let imported = Imported { imported: true, height: 1, hash: B256::ZERO };
        let (received, refused, endless, held) = Default::default();
        Self { received, refused, endless, held, answer: Mutex::new(Ok(imported)) }
    }
}

impl ImportPort for FakeImport {
    fn import(&self, bytes: Bytes, _from: Option<SocketAddr>) -> BoxFuture<'static, Result<Imported, ImportError>> {
        self.received.lock().push(bytes);
        let mut endless = self.endless.lock();
        if *endless > 0 {
            *endless -= 1;
            return std::future::pending().boxed();
        }
        let (answer, held) = (self.answer.lock().clone(), self.held.lock().clone());
        async move {
            if let Some(held) = held {
                held.acquire().await.unwrap().forget();
            }
            answer
        }
        .boxed()
    }

    fn refused(&self, bytes: Bytes, error: &ImportError, _from: Option<SocketAddr>) {
        self.refused.lock().push((bytes, error.check.clone()));
    }
}

/// Explanations out of a list of refusals, and a record of the questions.
#[derive(Default)]
pub(super) struct FakeExplain {
    pub(super) rejections: Mutex<Vec<Rejection>>,
    pub(super) asked: Mutex<Vec<ExplainQuestion>>,
}

impl ExplainPort for FakeExplain {
    fn rejections(&self, limit: usize) -> Result<Vec<Rejection>, StorageError> {
        Ok(self.rejections.lock().iter().take(limit).cloned().collect())
    }

    fn explain(&self, question: ExplainQuestion) -> Result<Option<Explanation>, StorageError> {
        self.asked.lock().push(question);
        let found = question.confirmed.map(|block| Explanation {
            height: block.height,
            hash: block.hash,
            confirmed: None,
            refusals: self.rejections.lock().clone(),
        });
        Ok(found)
    }
}

/// A status that says what it is told.
#[derive(Default)]
pub(super) struct FakeStatus {
    pub(super) not_ready: Mutex<Option<String>>,
    pub(super) progress: Mutex<Option<SyncProgress>>,
    pub(super) verifying: Mutex<Option<Verifying>>,
    pub(super) registry: Arc<Mutex<Registry>>,
    pub(super) evidence: Mutex<Vec<Evidence>>,
    held: Mutex<Option<(oneshot::Sender<()>, mpsc::Receiver<()>)>>,
}

impl FakeStatus {
    /// Holds the thread that asks for the peers next: what lets it go, and what says that it is held.
    pub(super) fn hold_peers(&self) -> (mpsc::Sender<()>, oneshot::Receiver<()>) {
        let ((release, held), (started, holds)) = (mpsc::channel(), oneshot::channel());
        *self.held.lock() = Some((started, held));
        (release, holds)
    }
}

impl StatusPort for FakeStatus {
    fn sync_status(&self) -> Value {
        json!({ "phase": "following" })
    }

    fn actors(&self) -> Value {
        json!([])
    }

    fn routes(&self) -> Value {
        json!({ "table": [], "counts": [] })
    }

    fn peers(&self) -> Value {
        if let Some((started, held)) = self.held.lock().take() {
            started.send(()).unwrap();
            held.recv().unwrap();
        }
        json!([])
    }

    fn peer_count(&self) -> u64 {
        2
    }

    fn progress(&self) -> Option<SyncProgress> {
        *self.progress.lock()
    }

    fn verifying(&self) -> Option<Verifying> {
        *self.verifying.lock()
    }

    fn ready(&self) -> Result<(), String> {
        self.not_ready.lock().clone().map_or(Ok(()), Err)
    }

    fn evidence(&self, from: u64, limit: usize) -> Result<Vec<Evidence>, String> {
        let kept = self.evidence.lock();
        Ok(kept.iter().filter(|evidence| evidence.height >= from).take(limit).cloned().collect())
    }

    fn metrics(&self) -> String {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry.lock()).unwrap();
        text
    }
}

/// An operator's side that finishes each check at the second time it is asked.
#[derive(Default)]
pub(super) struct FakeAdmin {
    pub(super) asked: Mutex<Vec<(Option<u64>, Option<u64>)>>,
}

impl AdminPort for FakeAdmin {
    fn verify(&self, from: Option<u64>, to: Option<u64>) -> BoxFuture<'static, Result<VerifyState, VerifyUnavailable>> {
        let mut asked = self.asked.lock();
        asked.push((from, to));
        let (from, to) = (from.unwrap_or(0), to.unwrap_or(9));
        let state = match asked.len() {
            1 => VerifyState::Running { from, to, at: from },
            _ => VerifyState::Done { from, to, fault: None },
        };
        async move { Ok(state) }.boxed()
    }
}

/// Events that a test publishes. A subscriber may have eight of them waiting.
pub(super) struct FakeEvents(Mutex<State<Event>>);

impl Default for FakeEvents {
    fn default() -> Self {
        Self(Mutex::new(State::bounded(8)))
    }
}

impl FakeEvents {
    pub(super) fn publish(&self, event: &Event) {
        self.0.lock().publish(event);
    }

    /// How many events may wait for each subscriber from now on. Those that are there are told that the node stops.
    pub(super) fn allow_waiting(&self, events: usize) {
        *self.0.lock() = State::bounded(events);
    }

    /// Ends every subscription, as a node that stops does.
    pub(super) fn stop(&self) {
        self.allow_waiting(8);
    }

    pub(super) fn subscribers(&self) -> usize {
        self.0.lock().on_tick()
    }
}

impl EventsPort for FakeEvents {
    fn subscribe(&self, topics: Topics) -> BoxFuture<'static, Result<Subscription<Event>, EventsUnavailable>> {
        let subscription = self.0.lock().on_subscribe(topics);
        async move { Ok(subscription) }.boxed()
    }
}
