//! `debug_trace*`: transactions are run again from the state before them, on the lane for traces.

use super::answer::{BoundedAnswer, too_large};
use super::options::Options;
use crate::rpc_frontend::eth::{BlockOverridesParam, Question, block_named, block_or_latest, call_error};
use crate::rpc_frontend::jsonrpc::{Params, RpcError, RpcResult};
use crate::rpc_frontend::limits::Limit;
use crate::rpc_frontend::server::Frontend;
use crate::rpc_frontend::view::{ExecutedBlock, View, history, state_read};
use alloy_primitives::B256;
use callboard_chain::execution::{
    self, BlockContext, BlockTracer, ExecutionError, Trace, TraceError, TraceLimits, Tracer, TransactionOutcome,
};
use callboard_store::{HistoricState, HistoryError};
use serde::Serialize;
use std::time::{Duration, Instant};

pub(super) async fn transaction(frontend: &Frontend, params: &Params<'_>) -> RpcResult {
    let hash: B256 = params.required(0, "transaction hash")?;
    let plan = Plan::new(frontend, &Options::of_the_past(params, 1)?)?;
    frontend
        .trace(move |view| {
            let (height, index) = view.location(hash)?.ok_or_else(|| {
                RpcError::refused(format!("transaction not found: {hash} is in no block of this chain"))
            })?;
            plan.one(&view, height, index)
        })
        .await
}

pub(super) async fn block(frontend: &Frontend, method: &str, params: &Params<'_>) -> RpcResult {
    let id = block_named(method, params)?;
    if id.is_pending() {
        let message = "the pending block cannot be traced: transactions have no block before they are confirmed, trace \
                       `latest`, or a call by debug_traceCall";
        return Err(RpcError::refused(message));
    }
    let plan = Plan::new(frontend, &Options::of_the_past(params, 1)?)?;
    frontend.trace(move |view| plan.all(&view, view.height(id)?)).await
}

pub(super) async fn call(frontend: &Frontend, params: &Params<'_>) -> RpcResult {
    let options = Options::parse(params, 2)?;
    let plan = Plan::new(frontend, &options)?;
    let (request, block) = (params.required(0, "transaction")?, block_or_latest(params, 1)?);
    let accounts = options.state_overrides.unwrap_or_default();
    let BlockOverridesParam(overrides) = options.block_overrides.unwrap_or_default();
    let question = Question::new(request, block, accounts, overrides, (frontend.config.call_gas, plan.time))?;
    frontend
        .trace(move |view| {
            let trace = question.ask(&view, |state, context, request, limits| {
                let bounds = plan.limits(limits.expired);
                let trace = execution::trace_call(state, context, request, &plan.tracer, limits.gas, bounds);
                trace.map_err(trace_error)
            })?;
            let mut answer = BoundedAnswer::new(plan.bytes);
            answer.value(&trace)?;
            answer.finish()
        })
        .await
}

/// What is to be told, and within which bounds.
struct Plan {
    tracer: Tracer,
    steps: u64,
    bytes: usize,
    time: Duration,
}

/// An entry of a block's trace.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    tx_hash: B256,
    result: Trace,
}

impl Plan {
    fn new(frontend: &Frontend, options: &Options) -> Result<Self, RpcError> {
        let config = &frontend.config.trace;
        let time = options.time(config.time)?;
        Ok(Self { tracer: options.tracer()?, steps: config.steps, bytes: config.bytes, time })
    }

    fn limits<'a>(&self, expired: &'a dyn Fn() -> bool) -> TraceLimits<'a> {
        TraceLimits { steps: self.steps, bytes: self.bytes, expired }
    }

    /// The trace of the transaction at `index` of a block.
    fn one(&self, view: &View, height: u64, index: usize) -> RpcResult {
        let replayed = Replayed::of(view, height)?;
        let until = Instant::now() + self.time;
        let expired = || Instant::now() > until;
        let mut tracer = replayed.begin(view, &self.tracer, self.limits(&expired))?;
        (0..index).try_for_each(|before| replayed.run(&mut tracer, before))?;
        let mut answer = BoundedAnswer::new(self.bytes);
        answer.value(&replayed.trace(&mut tracer, index)?)?;
        answer.finish()
    }

    /// The traces of all transactions of a block. Each is written and forgotten before the next one runs.
    fn all(&self, view: &View, height: u64) -> RpcResult {
        let replayed = Replayed::of(view, height)?;
        let until = Instant::now() + self.time;
        let expired = || Instant::now() > until;
        let mut tracer = replayed.begin(view, &self.tracer, self.limits(&expired))?;
        let mut answer = BoundedAnswer::new(self.bytes);
        answer.text("[")?;
        for (index, transaction) in replayed.executed.block.transactions().iter().enumerate() {
            if index > 0 {
                answer.text(",")?;
            }
            let result = replayed.trace(&mut tracer, index)?;
            answer.value(&Entry { tx_hash: *transaction.tx_hash(), result })?;
        }
        answer.text("]")?;
        answer.finish()
    }
}

/// A block and the state that it began with.
struct Replayed {
    executed: ExecutedBlock,
    state: HistoricState,
}

impl Replayed {
    fn of(view: &View, height: u64) -> Result<Self, RpcError> {
        let parent = height.checked_sub(1).ok_or_else(|| {
            RpcError::refused("genesis is not traceable: block 0 has no transactions and nothing before it")
        })?;
        let state = view.snapshot.state_at(parent).map_err(|error| before(height, error))?;
        Ok(Self { executed: view.executed(height)?, state })
    }

    fn begin<'a>(
        &'a self,
        view: &View,
        tracer: &Tracer,
        limits: TraceLimits<'a>,
    ) -> Result<BlockTracer<'a, HistoricState>, RpcError> {
        let block = &self.executed.block;
        let context = BlockContext::for_header(block.header(), &view.config);
        BlockTracer::new(&self.state, context, block.hash(), tracer, limits).map_err(trace_error)
    }

    fn run(&self, tracer: &mut BlockTracer<'_, HistoricState>, index: usize) -> Result<(), RpcError> {
        let ExecutedBlock { block, senders, .. } = &self.executed;
        let outcome = tracer.replay(&block.transactions()[index], senders[index]).map_err(trace_error)?;
        self.check(index, &outcome)
    }

    fn trace(&self, tracer: &mut BlockTracer<'_, HistoricState>, index: usize) -> Result<Trace, RpcError> {
        let ExecutedBlock { block, senders, .. } = &self.executed;
        let (trace, outcome) = tracer.trace(&block.transactions()[index], senders[index]).map_err(trace_error)?;
        self.check(index, &outcome)?;
        Ok(trace)
    }

    /// What ran now is what ran then, or nothing is told of it.
    fn check(&self, index: usize, now: &TransactionOutcome) -> Result<(), RpcError> {
        let ExecutedBlock { block, receipts, .. } = &self.executed;
        let receipt = &receipts[index];
        let gas_before = index.checked_sub(1).map_or(0, |before| receipts[before].cumulative_gas_used);
        let gas_used = receipt.cumulative_gas_used.saturating_sub(gas_before);
        if (receipt.success, gas_used) == (now.outcome.is_success(), now.gas_used) {
            return Ok(());
        }
        let height = block.height();
        tracing::error!(height, index, expected = gas_used, actual = now.gas_used, "a replay differs from its receipt");
        Err(RpcError::internal(format!("transaction {index} of block {height} runs otherwise than its receipt says")))
    }
}

/// The state before a block is not kept: says from which block on there are traces.
fn before(height: u64, error: HistoryError) -> RpcError {
    match error {
        HistoryError::Pruned { oldest, .. } => RpcError::refused(format!(
            "block {height} cannot be traced: the state before it was pruned, the oldest block that can be is {}",
            oldest.saturating_add(1)
        )),
        other => history(other),
    }
}

fn trace_error(error: TraceError) -> RpcError {
    match error {
        TraceError::TimedOut => Limit::TraceTime.refuse(error).into(),
        TraceError::TooManySteps { .. } => Limit::TraceSteps.refuse(error).into(),
        TraceError::TooLarge { most } => too_large(most),
        TraceError::Call(error) => call_error(error),
        TraceError::Block(ExecutionError::State(error)) => state_read(error),
        TraceError::Block(error) => {
            tracing::error!(%error, "a block of this chain cannot be run again");
            RpcError::internal("this node could not run the block again")
        }
    }
}
