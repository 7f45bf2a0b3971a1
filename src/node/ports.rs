//! What the RPC sees of the node. The RPC answers before the actors exist; what needs them is set once they run.

use super::Shared;
use super::replay::{Replay, Replaying};
use alloy_primitives::{Address, B256, Bytes};
use callboard_actors::callboard::{Callboard, Phase, Provenance};
use callboard_actors::event_stream::{self, Event, SubscribeToEvents, Subscription, Topics};
use callboard_actors::importer::{Explanation, ImportFailure, Importer, Refused, Rejection};
use callboard_actors::monitor::{Alarms, Metrics};
use callboard_actors::peer_discovery::{Direction, PeerReport};
use callboard_actors::reconciler::{Reconciled, VerifyRange, VerifyState};
use callboard_actors::rpc_frontend::{
    AdminPort, ChainAccess, EventsPort, EventsUnavailable, ExplainPort, ExplainQuestion, ImportError, ImportErrorKind,
    ImportPort, Imported, Pending, PoolInboxes, PoolPort, PoolStatus, PoolUnavailable, RpcPorts, StatusPort,
    Submission, SubmitError, SyncProgress, VerifyUnavailable, Verifying,
};
use callboard_actors::send::{ActorRegistry, Inbox};
use callboard_actors::sync_coordinator::{DivergenceReport, HeadReport, SyncReport};
use callboard_actors::tx_pool::{Content, Story};
use callboard_chain::live::ConfirmError;
use callboard_store::{Evidence, StorageError};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet};
use prometheus_client::metrics::MetricType;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tracing::Instrument;

/// The reconciler answers at once; only beginning a check takes a moment.
const VERIFY_ANSWERS_WITHIN: Duration = Duration::from_secs(30);

/// What runs once the genesis is known.
#[derive(Clone)]
pub(super) struct Running {
    pub(super) importer: Importer,
    pub(super) pool: PoolInboxes,
    pub(super) events: Inbox<SubscribeToEvents>,
    pub(super) sync: watch::Receiver<SyncReport>,
    pub(super) peers: watch::Receiver<Vec<PeerReport>>,
    pub(super) verify: Inbox<VerifyRange>,
    pub(super) reconciled: watch::Receiver<Option<Reconciled>>,
}

/// The node behind the RPC's ports. Cheap to clone.
#[derive(Clone)]
pub(super) struct NodePorts(Arc<Ports>);

struct Ports {
    running: OnceLock<Running>,
    registry: ActorRegistry,
    callboard: Callboard,
    metrics: Metrics,
    alarms: Alarms,
    replay: Replay,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PeerLabel {
    state: String,
}

/// Figures of the chain, read when somebody looks: of two who look at once each gets a whole picture. A registered metric
/// gets the full stop of its help by itself.
#[derive(Debug)]
struct Figures(Weak<Ports>);

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SkewLabel {
    peer: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DivergenceLabel {
    height: u64,
    ours: String,
    theirs: String,
    peer: String,
    remedy: String,
}

impl From<&DivergenceReport> for DivergenceLabel {
    fn from(found: &DivergenceReport) -> Self {
        Self {
            height: found.height,
            ours: found.ours.map_or_else(String::new, |ours| ours.to_string()),
            theirs: found.theirs.to_string(),
            peer: found.peer.clone(),
            remedy: found.remedy.clone(),
        }
    }
}

impl Collector for Figures {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let Some(ports) = self.0.upgrade().map(NodePorts) else { return Ok(()) };
        let (report, peers) = (ports.report(), ports.peer_reports());
        let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        for (name, help, value) in [
            ("callboard_head_height", "Height of the durable head.", report.head.height),
            ("callboard_head_age_seconds", "Seconds since the head's timestamp.", report.head_age_seconds),
            ("callboard_sync_behind_blocks", "Blocks between head and target.", report.behind_blocks),
        ] {
            encoder.encode_descriptor(name, help, None, MetricType::Gauge)?.encode_gauge(&number(value))?;
        }
        encode_peers(&mut encoder, &peers)?;
        let help =
            "1 while a peer shows another validly sealed chain: the first differing height, both blocks, and who.";
        let mut diverged = encoder.encode_descriptor("callboard_sync_diverged", help, None, MetricType::Gauge)?;
        match &report.divergence {
            Some(found) => diverged.encode_family(&DivergenceLabel::from(found))?.encode_gauge(&1i64),
            None => Ok(()),
        }
    }
}

fn encode_peers(encoder: &mut DescriptorEncoder<'_>, peers: &[PeerReport]) -> Result<(), std::fmt::Error> {
    let mut states = BTreeMap::<String, i64>::new();
    for peer in peers {
        let state = serde_json::to_value(peer.state).ok().and_then(|state| state.as_str().map(str::to_owned));
        *states.entry(state.unwrap_or_default()).or_default() += 1;
    }
    let mut known = encoder.encode_descriptor("callboard_peers", "Known peers by state.", None, MetricType::Gauge)?;
    for (state, count) in states {
        known.encode_family(&PeerLabel { state })?.encode_gauge(&count)?;
    }
    let help = "A peer's clock less this node's.";
    let mut skews = encoder.encode_descriptor("callboard_peer_clock_skew_seconds", help, None, MetricType::Gauge)?;
    // Anybody can dial in under as many ids as they like: only whom this node dials has a figure of its own.
    let dialled = peers.iter().filter(|peer| peer.direction.is_some_and(|direction| direction != Direction::Inbound));
    for (peer, skew) in dialled.filter_map(|peer| peer.id.zip(peer.clock_skew_seconds)) {
        skews.encode_family(&SkewLabel { peer: peer.to_string() })?.encode_gauge(&skew)?;
    }
    Ok(())
}

impl NodePorts {
    pub(super) fn new(shared: &Shared) -> Self {
        let ports = Arc::new(Ports {
            running: OnceLock::new(),
            registry: shared.registry.clone(),
            callboard: shared.callboard.clone(),
            metrics: shared.metrics.clone(),
            alarms: shared.alarms.clone(),
            replay: shared.replay.clone(),
        });
        let figures = Figures(Arc::downgrade(&ports));
        shared.metrics.register(|registry| registry.register_collector(Box::new(figures)));
        Self(ports)
    }

    pub(super) fn rpc_ports(&self, chain: ChainAccess) -> RpcPorts {
        let node = Arc::new(self.clone());
        RpcPorts {
            chain,
            pool: node.clone(),
            import: node.clone(),
            status: node.clone(),
            admin: node.clone(),
            blocks: node.clone(),
            events: node,
        }
    }

    /// What the event stream looks at by itself.
    pub(super) fn event_sources(&self) -> event_stream::Sources {
        let node = self.clone();
        event_stream::Sources { sync: Box::new(move || node.report()), callboard: self.0.callboard.clone() }
    }

    /// The actors run: from now on the RPC reaches them.
    pub(super) fn open(&self, running: Running) {
        // Set once, by the one start of the actors.
        self.0.running.set(running).ok();
    }

    fn running(&self) -> Option<Running> {
        self.0.running.get().cloned()
    }

    /// What `callboard_syncStatus` says now.
    pub(super) fn report(&self) -> SyncReport {
        let mut report = match self.0.running.get() {
            Some(running) => with_reconciled(running.sync.borrow().clone(), running.reconciled.borrow().as_ref()),
            None => {
                let report = SyncReport::before_genesis(self.0.callboard.role());
                self.0.replay.running().map_or(report.clone(), |replaying| while_replaying(report, replaying))
            }
        };
        report.alerts = self.0.alarms.sentences();
        report
    }

    fn peer_reports(&self) -> Vec<PeerReport> {
        self.0.running.get().map(|running| running.peers.borrow().clone()).unwrap_or_default()
    }
}

/// What is said while the stored chain is verified again, before the node works on it.
fn while_replaying(mut report: SyncReport, Replaying { head, at }: Replaying) -> SyncReport {
    report.phase = Phase::Replaying;
    report.head = HeadReport { height: head.height, hash: head.hash, timestamp: head.timestamp };
    report.behind_blocks = head.height.saturating_sub(at);
    report.not_ready = Some(format!("the stored chain is being verified again: block {at} of {}", head.height));
    report
}

/// The report with what the background check has found: no ready node has a damaged chain.
fn with_reconciled(mut report: SyncReport, reconciled: Option<&Reconciled>) -> SyncReport {
    let Some(result) = reconciled else { return report };
    report.last_reconciled = Some(json!(result));
    if let Some(alarm) = damage(result) {
        report.not_ready.get_or_insert(alarm);
    }
    report
}

/// What the background check has found wrong, and what to do about it.
pub(super) fn damage(result: &Reconciled) -> Option<String> {
    let fault = result.fault.as_ref()?;
    Some(format!("the stored chain is damaged: {fault}; stop this node and run `callboard chain reconcile --full`"))
}

/// How long the event stream may take to answer: it never waits for anything itself.
const EVENTS_ANSWER_WITHIN: Duration = Duration::from_secs(5);

const NO_GENESIS: &str = "genesis not known yet";

impl PoolPort for NodePorts {
    fn submit(&self, submission: Submission) -> BoxFuture<'static, Result<(), SubmitError>> {
        match self.0.running.get() {
            Some(running) => running.pool.submit(submission),
            None => ready(Err(no_pool().into())).boxed(),
        }
    }

    fn pending_nonce(&self, address: Address) -> BoxFuture<'static, Result<Option<u64>, PoolUnavailable>> {
        match self.0.running.get() {
            Some(running) => running.pool.pending_nonce(address),
            None => ready(Err(no_pool())).boxed(),
        }
    }

    fn pending(&self, hash: B256) -> BoxFuture<'static, Result<Option<Pending>, PoolUnavailable>> {
        match self.0.running.get() {
            Some(running) => running.pool.pending(hash),
            None => ready(Ok(None)).boxed(),
        }
    }

    fn refused(&self, hash: B256, reason: String) {
        if let Some(running) = self.0.running.get() {
            running.pool.refused(hash, reason);
        }
    }

    fn story(&self, hash: B256) -> BoxFuture<'static, Result<Option<Story>, PoolUnavailable>> {
        match self.0.running.get() {
            Some(running) => running.pool.story(hash),
            None => ready(Ok(None)).boxed(),
        }
    }

    fn drop_transaction(&self, hash: B256) -> BoxFuture<'static, Result<bool, PoolUnavailable>> {
        match self.0.running.get() {
            Some(running) => running.pool.drop_transaction(hash),
            None => ready(Ok(false)).boxed(),
        }
    }

    fn content(&self, sender: Option<Address>) -> BoxFuture<'static, Result<Content, PoolUnavailable>> {
        match self.0.running.get() {
            Some(running) => running.pool.content(sender),
            None => ready(Ok(Content::default())).boxed(),
        }
    }

    fn status(&self) -> BoxFuture<'static, Result<PoolStatus, PoolUnavailable>> {
        match self.0.running.get() {
            Some(running) => running.pool.status(),
            None => ready(Ok(PoolStatus::default())).boxed(),
        }
    }
}

fn no_pool() -> PoolUnavailable {
    PoolUnavailable(NO_GENESIS.to_owned())
}

impl AdminPort for NodePorts {
    fn verify(&self, from: Option<u64>, to: Option<u64>) -> BoxFuture<'static, Result<VerifyState, VerifyUnavailable>> {
        let Some(running) = self.running() else {
            return ready(Err(VerifyUnavailable(NO_GENESIS.to_owned()))).boxed();
        };
        let unavailable = |error: &dyn std::fmt::Display| VerifyUnavailable(error.to_string());
        async move {
            let answer = running.verify.ask(VerifyRange { from, to }, VERIFY_ANSWERS_WITHIN).await;
            answer.map_err(|error| unavailable(&error))?.map_err(|refused| unavailable(&refused))
        }
        .boxed()
    }
}

impl ImportPort for NodePorts {
    fn import(&self, bytes: Bytes, from: Option<SocketAddr>) -> BoxFuture<'static, Result<Imported, ImportError>> {
        let running = self.running();
        Box::pin(async move {
            let running = running.ok_or_else(no_genesis)?;
            let provenance = Provenance::operator(from);
            let importing = running.importer.import(bytes, provenance).instrument(running.importer.block_span());
            let outcome = importing.await.map_err(|failure| import_error(&failure))?;
            Ok(Imported { imported: outcome.imported, height: outcome.height, hash: outcome.hash })
        })
    }

    fn refused(&self, bytes: Bytes, error: &ImportError, from: Option<SocketAddr>) {
        let Some(running) = self.0.running.get() else { return };
        let refused = Refused {
            check: error.check.clone(),
            passed: Vec::new(),
            expected: error.expected.clone(),
            actual: error.actual.clone(),
            message: error.message.clone(),
            blame: error.blame,
        };
        running.importer.refusals().record_unchecked(refused, Provenance::operator(from), &bytes);
    }
}

fn no_genesis() -> ImportError {
    ImportError {
        kind: ImportErrorKind::Busy,
        check: "genesis".to_owned(),
        expected: String::new(),
        actual: String::new(),
        message: NO_GENESIS.to_owned(),
        blame: callboard_chain::Blame::Nobody,
    }
}

fn import_error(failure: &ImportFailure) -> ImportError {
    let kind = match failure {
        ImportFailure::Confirm(ConfirmError::Gap { .. }) => ImportErrorKind::ParentUnknown,
        ImportFailure::NotRouted { .. }
        | ImportFailure::NoNews { .. }
        | ImportFailure::Busy { .. }
        | ImportFailure::Stopping { .. } => ImportErrorKind::Busy,
        ImportFailure::Refused(_) | ImportFailure::Confirm(_) | ImportFailure::GivenUp { .. } => {
            ImportErrorKind::Invalid
        }
    };
    let (expected, actual) = failure.expected_and_actual();
    let (check, message) = (failure.check().to_owned(), failure.to_string());
    ImportError { kind, check, expected, actual, message, blame: failure.blame() }
}

impl ExplainPort for NodePorts {
    fn rejections(&self, limit: usize) -> Result<Vec<Rejection>, StorageError> {
        self.0.running.get().map_or(Ok(Vec::new()), |running| running.importer.rejections(limit))
    }

    fn explain(&self, question: ExplainQuestion) -> Result<Option<Explanation>, StorageError> {
        let ExplainQuestion { height, hash, confirmed, raw } = question;
        self.0.running.get().map_or(Ok(None), |running| running.importer.explain(height, hash, confirmed, raw))
    }
}

impl EventsPort for NodePorts {
    fn subscribe(&self, topics: Topics) -> BoxFuture<'static, Result<Subscription<Event>, EventsUnavailable>> {
        let Some(running) = self.0.running.get() else {
            return ready(Err(EventsUnavailable(NO_GENESIS.to_owned()))).boxed();
        };
        let answer = running.events.ask(SubscribeToEvents { topics }, EVENTS_ANSWER_WITHIN);
        async move { answer.await.map_err(|error| EventsUnavailable(error.to_string())) }.boxed()
    }
}

impl StatusPort for NodePorts {
    fn sync_status(&self) -> Value {
        json!(self.report())
    }

    fn actors(&self) -> Value {
        json!(self.0.registry.figures(Instant::now()))
    }

    fn routes(&self) -> Value {
        json!(self.0.callboard.routes())
    }

    fn peers(&self) -> Value {
        json!(self.peer_reports())
    }

    fn peer_count(&self) -> u64 {
        self.report().peers.len() as u64
    }

    fn progress(&self) -> Option<SyncProgress> {
        let report = self.report();
        let target = report.target?;
        (report.phase == Phase::CatchingUp)
            .then_some(SyncProgress { starting: report.catching_up_from, target: target.height })
    }

    fn verifying(&self) -> Option<Verifying> {
        self.0.replay.running().map(|Replaying { head, at }| Verifying { at, of: head.height })
    }

    fn ready(&self) -> Result<(), String> {
        self.report().not_ready.map_or(Ok(()), Err)
    }

    fn evidence(&self, from: u64, limit: usize) -> Result<Vec<Evidence>, String> {
        let running = self.running().ok_or(NO_GENESIS)?;
        running.importer.seals().evidence(from, limit).map_err(|error| error.to_string())
    }

    fn metrics(&self) -> String {
        self.0.metrics.encode()
    }
}
