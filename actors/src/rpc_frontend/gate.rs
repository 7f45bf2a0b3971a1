//! Work that reads the database or runs the EVM: off the server threads, and bounded in number.

use super::jsonrpc::RpcError;
use super::limits::{Limit, Refusal};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Database reads at once. They are short; more of them would only wait for the disk.
const READS: usize = 64;
/// How long work waits for its turn before it is refused.
const TURN: Duration = Duration::from_secs(5);

/// Calls of one connection at once that may take seconds, at most: others have the rest.
const OWN_CALLS: usize = 2;

tokio::task_local! {
    static OWN_TURNS: Arc<Semaphore>;
}

/// The turns of somebody who has several calls under way at once. Cheap to clone.
#[derive(Clone)]
pub(crate) struct OwnTurns(Arc<Semaphore>);

/// Makes a call of somebody who has others under way: those that may take seconds wait for each other as long as it takes,
/// and so never fill the lane that they would be refused by.
pub(crate) fn taking_turns<F: Future>(turns: &OwnTurns, call: F) -> impl Future<Output = F::Output> + use<F> {
    OWN_TURNS.scope(Arc::clone(&turns.0), call)
}

/// A turn, for who takes turns.
async fn own_turn() -> Option<OwnedSemaphorePermit> {
    let turns = OWN_TURNS.try_with(Arc::clone).ok()?;
    turns.acquire_owned().await.ok()
}

/// Two bounded lanes: reads, and calls that may take seconds and must not hold up reads.
#[derive(Clone)]
pub(crate) struct Gate {
    reads: Arc<Semaphore>,
    calls: Arc<Semaphore>,
    /// Places of the lane for calls.
    width: usize,
    turn: Duration,
}

/// The lane of traces, one for all listeners: each holds much memory, so few run at once.
#[derive(Clone)]
pub(crate) struct TraceLane {
    places: Arc<Semaphore>,
    most: usize,
    turn: Duration,
}

impl TraceLane {
    /// So many at once.
    pub(crate) fn new(most: usize) -> Self {
        Self::with(most, TURN)
    }

    pub(crate) fn with(most: usize, turn: Duration) -> Self {
        Self { places: Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS))), most, turn }
    }

    /// Runs a trace.
    pub(crate) async fn run<T, F>(&self, work: F) -> Result<T, RpcError>
    where
        T: Send + 'static,
        F: FnOnce() -> Result<T, RpcError> + Send + 'static,
    {
        let _own = own_turn().await;
        let most = self.most;
        let busy = move || Limit::Traces.refuse(format!("busy: at most {most} traces at once, try again later"));
        run(&self.places, self.turn, busy, work).await
    }
}

impl Gate {
    /// Lanes for this machine: as many calls at once as it has cores.
    pub(crate) fn new() -> Self {
        let cores = std::thread::available_parallelism().map_or(2, std::num::NonZeroUsize::get);
        Self::with(READS, cores, TURN)
    }

    pub(crate) fn with(reads: usize, calls: usize, turn: Duration) -> Self {
        Self { reads: Arc::new(Semaphore::new(reads)), calls: Arc::new(Semaphore::new(calls)), width: calls, turn }
    }

    /// Turns for a caller who has several calls under way at once.
    pub(crate) fn own_turns(&self) -> OwnTurns {
        OwnTurns(Arc::new(Semaphore::new(OWN_CALLS.min(self.width))))
    }

    /// Runs a short read.
    pub(crate) async fn read<T, F>(&self, work: F) -> Result<T, RpcError>
    where
        T: Send + 'static,
        F: FnOnce() -> Result<T, RpcError> + Send + 'static,
    {
        run(&self.reads, self.turn, busy, work).await
    }

    /// Runs a call that may take as long as its own time bound.
    pub(crate) async fn call<T, F>(&self, work: F) -> Result<T, RpcError>
    where
        T: Send + 'static,
        F: FnOnce() -> Result<T, RpcError> + Send + 'static,
    {
        let _own = own_turn().await;
        run(&self.calls, self.turn, busy, work).await
    }
}

fn busy() -> Refusal {
    Limit::Busy.refuse("busy: too many requests at once, try again later")
}

async fn run<T, F>(
    lane: &Arc<Semaphore>,
    turn: Duration,
    full: impl FnOnce() -> Refusal,
    work: F,
) -> Result<T, RpcError>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T, RpcError> + Send + 'static,
{
    let permit = match tokio::time::timeout(turn, Arc::clone(lane).acquire_owned()).await {
        Ok(Ok(permit)) => permit,
        Ok(Err(_)) | Err(_) => return Err(full().into()),
    };
    // The permit goes with the work: a caller that hangs up does not make room for a second one beside it.
    let done = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        work()
    });
    done.await.unwrap_or_else(|error| {
        tracing::error!(%error, "a request's work ended abnormally");
        Err(RpcError::internal("internal error"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rpc_frontend::config::{RpcConfig, TraceConfig};
    use crate::rpc_frontend::server::SharedLimits;
    use std::sync::mpsc;

    #[actix_web::test]
    async fn a_full_lane_refuses_and_leaves_the_other_alone() {
        let gate = Gate::with(1, 1, Duration::from_millis(20));
        let (release, held) = mpsc::channel::<()>();
        let (started, running) = tokio::sync::oneshot::channel();
        let first = actix_web::rt::spawn({
            let gate = gate.clone();
            async move {
                let work = move || {
                    let _ = started.send(());
                    held.recv().map_err(|error| RpcError::internal(error.to_string()))
                };
                gate.call(work).await
            }
        });
        running.await.unwrap();
        let refused = gate.call(|| Ok(())).await.unwrap_err();
        assert!(refused.message.starts_with("busy"), "{refused}");
        assert_eq!((refused.limit, refused.retry_after), (Some(Limit::Busy), Some(1)));
        assert_eq!(gate.read(|| Ok(1)).await, Ok(1));
        release.send(()).unwrap();
        assert_eq!(first.await.unwrap(), Ok(()));
        assert_eq!(gate.call(|| Ok(2)).await, Ok(2), "its place is free again");
    }

    #[actix_web::test]
    async fn a_trace_too_many_waits_its_turn_and_is_then_refused_by_its_key() {
        let lane = TraceLane::with(1, Duration::from_millis(20));
        let (release, held) = mpsc::channel::<()>();
        let (started, running) = tokio::sync::oneshot::channel();
        let first = actix_web::rt::spawn({
            let lane = lane.clone();
            async move {
                let work = move || {
                    let _ = started.send(());
                    held.recv().map_err(|error| RpcError::internal(error.to_string()))
                };
                lane.run(work).await
            }
        });
        running.await.unwrap();
        let refused = lane.run(|| Ok(())).await.unwrap_err();
        assert_eq!(refused.message, "busy: at most 1 traces at once, try again later (rpc.limit.traces)");
        assert_eq!((refused.code, refused.limit, refused.retry_after), (-32000, Some(Limit::Traces), Some(1)));
        release.send(()).unwrap();
        assert_eq!(first.await.unwrap(), Ok(()));
        assert_eq!(lane.run(|| Ok(2)).await, Ok(2), "its place is free again");
    }

    #[actix_web::test]
    async fn so_many_traces_run_at_once_as_are_configured_and_two_unless_it_is_said() {
        for (config, expected) in
            [(TraceConfig::default(), 2), (TraceConfig { at_once: 5, ..TraceConfig::default() }, 5)]
        {
            let limits = SharedLimits::new(&RpcConfig { trace: config, ..RpcConfig::default() });
            assert_eq!((limits.traces.most, limits.traces.places.available_permits()), (expected, expected));
        }
    }

    #[actix_web::test]
    async fn who_has_several_calls_under_way_waits_for_his_own_and_is_not_refused_for_them() {
        let gate = Gate::with(1, 1, Duration::from_millis(20));
        let turns = gate.own_turns();
        let (release, held) = mpsc::channel::<()>();
        let (started, running) = tokio::sync::oneshot::channel();
        let first = taking_turns(
            &turns,
            gate.call(move || {
                let _ = started.send(());
                held.recv().map_err(|error| RpcError::internal(error.to_string()))
            }),
        );
        let second = taking_turns(&turns, gate.call(|| Ok(2)));
        let other = async {
            running.await.unwrap();
            let refused = gate.call(|| Ok(())).await.unwrap_err();
            assert_eq!(refused.limit, Some(Limit::Busy), "somebody else's turn is over by then");
            release.send(()).unwrap();
        };
        let (first, second, ()) = tokio::join!(first, second, other);
        assert_eq!((first, second), (Ok(()), Ok(2)));
    }

    #[actix_web::test]
    async fn work_that_panics_is_an_error_and_frees_its_place() {
        let gate = Gate::with(1, 1, Duration::from_millis(20));
        let failed: Result<(), _> = gate.read(|| panic!("a test's panic")).await;
        assert_eq!(failed.unwrap_err(), RpcError::internal("internal error"));
        assert_eq!(gate.read(|| Ok(1)).await, Ok(1));
    }
}
