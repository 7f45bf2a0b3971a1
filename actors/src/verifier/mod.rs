//! The verifier: decode, hash, seal, body and senders of blocks, on all cores.
//!
//! It holds no state, so it is no actor: worker threads of its own, and one semaphore that bounds the blocks between
//! their arrival and their verdict.

use crate::block_span;
use crate::monitor::StageMeter;
use alloy_primitives::Bytes;
use callboard_chain::verify::{VerifyError, verify_block};
use callboard_chain::{Block, ChainConfig, Verified};
use std::sync::Arc;
use tokio::sync::{Semaphore, oneshot};
use tracing::Span;

/// How much nicer verifiers are than the other threads: where both have work, theirs counts a third. Low enough for a
/// node to get on beside whatever else runs on the machine.
#[cfg(target_os = "linux")]
const NICER: i32 = 5;
/// Blocks under verification for each worker: one in work, one waiting, so that no worker idles while the next
/// block is on its way to it.
const BLOCKS_PER_WORKER: usize = 2;

/// Verifies blocks. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Verifier {
    workers: Arc<rayon::ThreadPool>,
    permits: Arc<Semaphore>,
    config: Arc<ChainConfig>,
    stage: Arc<StageMeter>,
}

/// Why a block has no verdict, or a bad one.
#[derive(Debug, thiserror::Error)]
pub enum VerificationError {
    /// The block is not what it claims to be.
    #[error(transparent)]
    Refused(#[from] VerifyError),
    /// The workers have stopped: the node is stopping.
    #[error("the verifier has stopped")]
    Stopped,
}

/// The worker threads could not be started.
#[derive(Debug, thiserror::Error)]
#[error("the verifier's {workers} threads cannot be started: {source}")]
pub struct StartVerifierError {
    /// How many were asked for.
    pub workers: usize,
    /// What the system said.
    pub source: rayon::ThreadPoolBuildError,
}

/// Lets this thread give way to those that answer, execute and write: verifying takes all cores for as long as there is
/// anything to verify, and whoever shares them waits. Elsewhere than on Linux this would be the whole process.
fn give_way() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::nice(NICER) {
        tracing::debug!(%error, "a verifier's priority stays as it is");
    }
}

impl Verifier {
    /// Starts `workers` threads.
    pub fn start(workers: usize, config: Arc<ChainConfig>, stage: Arc<StageMeter>) -> Result<Self, StartVerifierError> {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(workers)
            .thread_name(|index| format!("verifier-{index}"))
            .start_handler(|_| give_way())
            .build()
            .map_err(|source| StartVerifierError { workers, source })?;
        let permits = Arc::new(Semaphore::new(workers.saturating_mul(BLOCKS_PER_WORKER)));
        Ok(Self { workers: Arc::new(pool), permits, config, stage })
    }

    /// How many blocks can be under verification at once.
    pub fn capacity(&self) -> usize {
        self.workers.current_num_threads().saturating_mul(BLOCKS_PER_WORKER)
    }

    /// Verifies one block's canonical bytes.
    pub async fn verify(&self, bytes: Bytes) -> Result<Verified<Block>, VerificationError> {
        let verdicts = self.verify_each(vec![(bytes, Span::current())]).await?;
        Ok(verdicts.into_iter().next().ok_or(VerificationError::Stopped)??)
    }

    /// Verifies several blocks on one thread, each by itself and within its span; the verdicts are in the blocks' order.
    /// They count as one towards [`Self::capacity`], so they are to be no more work than one large block: the way to a
    /// thread and back costs as much as a small block.
    pub async fn verify_each(
        &self,
        blocks: Vec<(Bytes, Span)>,
    ) -> Result<Vec<Result<Verified<Block>, VerifyError>>, VerificationError> {
        let permit = self.permits.clone().acquire_owned().await.map_err(|_| VerificationError::Stopped)?;
        let (verdict, answer) = oneshot::channel();
        let (config, stage) = (self.config.clone(), self.stage.clone());
        self.workers.spawn(move || {
            // Each by itself, so that the time is counted when it is spent and not at the end.
            let verify = |(bytes, span)| {
                let busy = stage.busy(1);
                let verified = verify_block(bytes, &config);
                drop(busy);
                tell(&span, verified)
            };
            let verified = blocks.into_iter().map(verify).collect();
            drop(permit);
            // Whoever asked may have gone; then nobody needs the verdict.
            verdict.send(verified).ok();
        });
        answer.await.map_err(|_| VerificationError::Stopped)
    }
}

fn tell(span: &Span, verified: Result<Verified<Block>, VerifyError>) -> Result<Verified<Block>, VerifyError> {
    if let Ok(block) = &verified {
        block_span::record(span, block.value());
        span.in_scope(|| tracing::debug!(actor = "Verifier", "block verified"));
    }
    verified
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;
    use crate::monitor::Stages;
    use crate::testing::genesis;

    /// The nice value of this thread, out of `/proc`.
    fn nice_value() -> i32 {
        let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
        // The name, in brackets, may hold spaces; of what comes after it this is number 17.
        stat.rsplit(')').next().unwrap().split_whitespace().nth(16).unwrap().parse().unwrap()
    }

    #[test]
    fn verifiers_give_way_to_all_other_threads() {
        let config = Arc::new(genesis(1337, 30_000_000).config().clone());
        let verifier = Verifier::start(2, config, Stages::new(2).verify).unwrap();
        let before = nice_value();
        let of_workers = verifier.workers.broadcast(|_| nice_value());
        assert_eq!(of_workers, [before + NICER; 2]);
        assert_eq!(nice_value(), before);
    }
}
