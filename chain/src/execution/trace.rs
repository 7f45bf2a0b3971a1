//! What a transaction did, instruction by instruction or call by call: the machinery of `debug_trace*`.
//!
//! A [`BlockTracer`] is the block's own [`BlockExecutor`] with an inspector in its EVM, and [`trace_call`] is
//! [`super::call()`] with one, so what is traced is what runs. The tracers are those of `revm-inspectors`.

use super::call::{CallLimits, CallRequest, Simulator};
use super::environment::Evm;
use super::executor::BlockExecutor;
use super::mux::{self, Mux};
use super::watch::{Ended, Recorded, Watch};
use super::{BlockContext, CallError, ExecuteError, ExecutionError, TransactionOutcome};
use crate::{Blame, StateReadError, StateReader, Transaction};
use alloy_primitives::{Address, B256, U256};
use alloy_rpc_types_trace::geth::{AccountState, PreStateFrame};
use revm::context::result::ResultAndState;
use revm_inspectors::tracing::{DebugInspector, DebugInspectorError, TracingInspector};
use revm_inspectors::tracing::{TracingInspectorConfig, TransactionContext};

pub use alloy_rpc_types_trace::geth::{
    CallConfig, FlatCallConfig, GethDefaultTracingOptions as StepConfig, GethTrace as Trace,
    PreStateConfig as PrestateConfig,
};

/// What is to be told, named as in geth.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Tracer {
    /// Each instruction (geth's struct logger).
    Steps(StepConfig),
    /// The tree of calls (`callTracer`).
    Calls(CallConfig),
    /// The same as a list, as Parity had it (`flatCallTracer`).
    FlatCalls(FlatCallConfig),
    /// The accounts before, or before and after (`prestateTracer`).
    Prestate {
        /// As of geth.
        config: PrestateConfig,
        /// Accounts that were empty before are told of as well.
        include_empty: bool,
    },
    /// Which functions were called, by selector (`4byteTracer`).
    Selectors,
    /// Nothing (`noopTracer`): that it runs.
    Noop,
    /// Several of these at once (`muxTracer`).
    Mux(Mux),
}

impl Tracer {
    fn inspector(&self) -> DebugInspector {
        let tracing = TracingInspector::new;
        match self {
            Self::Steps(config) => {
                DebugInspector::Default(tracing(TracingInspectorConfig::from_geth_config(config)), *config)
            }
            Self::Calls(config) => {
                DebugInspector::CallTracer(tracing(TracingInspectorConfig::from_geth_call_config(config)), *config)
            }
            Self::FlatCalls(config) => {
                DebugInspector::FlatCallTracer(tracing(TracingInspectorConfig::from_flat_call_config(config)))
            }
            Self::Prestate { config, .. } => DebugInspector::PreStateTracer(
                tracing(TracingInspectorConfig::from_geth_prestate_config(config)),
                *config,
            ),
            Self::Selectors => DebugInspector::FourByte(Default::default()),
            Self::Noop => DebugInspector::Noop(Default::default()),
            Self::Mux(mux) => mux.inspector(),
        }
    }

    fn inspectors(&self) -> Inspectors {
        let second = match self {
            Self::Mux(Mux { flat_calls: Some(config), .. }) => Self::FlatCalls(*config),
            _ => Self::Noop,
        };
        (self.inspector(), second.inspector())
    }

    fn recorded(&self) -> Recorded {
        match self {
            Self::Steps(config) => Recorded {
                calls: 1,
                steps: config.limit.filter(|limit| *limit > 0).unwrap_or(u64::MAX),
                stack: config.is_stack_enabled(),
                memory: config.is_memory_enabled(),
                storage: config.is_storage_enabled(),
            },
            Self::Calls(_) | Self::FlatCalls(_) => Recorded { calls: 1, ..Recorded::default() },
            Self::Mux(mux) => {
                let calls = usize::from(mux.calls.is_some()) + usize::from(mux.flat_calls.is_some());
                Recorded { calls, ..Recorded::default() }
            }
            Self::Prestate { .. } | Self::Selectors | Self::Noop => Recorded::default(),
        }
    }

    fn inspect<'a>(&self, limits: TraceLimits<'a>) -> Inspection<'a> {
        (Watch::with(limits.expired, limits.steps, limits.bytes, self.recorded()), self.inspectors())
    }
}

/// A tracer, and another beside it where it needs one.
type Inspectors = (DebugInspector, DebugInspector);
/// The bounds, and the tracers under them.
type Inspection<'a> = (Watch<'a>, Inspectors);

/// How much a trace may use.
#[derive(Clone, Copy)]
pub struct TraceLimits<'a> {
    /// Instructions at most, of all transactions together.
    pub steps: u64,
    /// Bytes that may be recorded of one transaction, about.
    pub bytes: usize,
    /// Asked every thousand instructions or so; the trace ends once it says true.
    pub expired: &'a dyn Fn() -> bool,
}

impl std::fmt::Debug for TraceLimits<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TraceLimits").field("steps", &self.steps).field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

/// Why there is no trace.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// It took longer than allowed.
    #[error("the trace took longer than allowed")]
    TimedOut,
    /// More instructions than allowed.
    #[error("the trace has too many steps: at most {most}")]
    TooManySteps {
        /// How many are allowed.
        most: u64,
    },
    /// More bytes than allowed.
    #[error("the trace is too large: at most {most} bytes")]
    TooLarge {
        /// How many are allowed.
        most: usize,
    },
    /// The block could not be executed.
    #[error(transparent)]
    Block(#[from] ExecutionError),
    /// The call could not be run.
    #[error(transparent)]
    Call(#[from] CallError),
}

impl TraceError {
    /// Whose fault.
    pub const fn blame(&self) -> Blame {
        match self {
            Self::TimedOut | Self::TooManySteps { .. } | Self::TooLarge { .. } => Blame::Nobody,
            Self::Block(error) => error.blame(),
            Self::Call(error) => error.blame(),
        }
    }

    const fn of(ended: Ended, limits: TraceLimits<'_>) -> Self {
        match ended {
            Ended::Time => Self::TimedOut,
            Ended::Steps => Self::TooManySteps { most: limits.steps },
            Ended::Bytes => Self::TooLarge { most: limits.bytes },
        }
    }
}

/// Runs the transactions of a block that was executed before, in order, and tells of those that are wanted.
pub struct BlockTracer<'a, S: StateReader> {
    executor: BlockExecutor<'a, S, Inspection<'a>>,
    block_hash: B256,
    tracer: Tracer,
    limits: TraceLimits<'a>,
    ran: usize,
}

impl<'a, S: StateReader> BlockTracer<'a, S> {
    /// Begins the block over the state of its parent, with the block's system calls.
    pub fn new(
        state: &'a S,
        context: BlockContext,
        block_hash: B256,
        tracer: &Tracer,
        limits: TraceLimits<'a>,
    ) -> Result<Self, TraceError> {
        let executor = BlockExecutor::inspected(state, context, tracer.inspect(limits))?;
        Ok(Self { executor, block_hash, tracer: *tracer, limits, ran: 0 })
    }

    /// Runs the next transaction without a trace.
    pub fn replay(&mut self, transaction: &Transaction, sender: Address) -> Result<TransactionOutcome, TraceError> {
        if (self.limits.expired)() {
            return Err(TraceError::TimedOut);
        }
        let done = self.executor.execute(transaction, sender);
        self.next(transaction, done)
    }

    /// Runs the next transaction and tells what it did.
    pub fn trace(
        &mut self,
        transaction: &Transaction,
        sender: Address,
    ) -> Result<(Trace, TransactionOutcome), TraceError> {
        let place = TransactionContext {
            block_hash: Some(self.block_hash),
            tx_index: Some(self.ran),
            tx_hash: Some(*transaction.tx_hash()),
        };
        self.executor.inspector().0.begin();
        let tracer = self.tracer;
        let done =
            self.executor.inspect(transaction, sender, |evm, executed| told(evm, &tracer, Some(place), executed));
        if let Some(ended) = self.executor.inspector().0.ended() {
            return Err(TraceError::of(ended, self.limits));
        }
        self.next(transaction, done)
    }

    fn next<T>(&mut self, transaction: &Transaction, done: Result<T, ExecuteError>) -> Result<T, TraceError> {
        let done = done.map_err(|error| ExecutionError::of_transaction(self.ran, *transaction.tx_hash(), error))?;
        self.ran = self.ran.saturating_add(1);
        Ok(done)
    }
}

impl<S: StateReader> std::fmt::Debug for BlockTracer<'_, S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BlockTracer").field("block", &self.block_hash).field("ran", &self.ran).finish_non_exhaustive()
    }
}

/// Runs a request on top of `state`, as [`super::call()`] does with at most `gas`, and tells what it did; nothing is kept.
pub fn trace_call<S: StateReader>(
    state: &S,
    context: BlockContext,
    request: &CallRequest,
    tracer: &Tracer,
    gas: u64,
    limits: TraceLimits<'_>,
) -> Result<Trace, TraceError> {
    let bounds = CallLimits { gas, expired: limits.expired };
    let mut simulator = Simulator::inspected(state, context, request, bounds, tracer.inspect(limits))?;
    simulator.evm.inspector.0.begin();
    let gas = simulator.gas(request, bounds)?;
    let done = simulator.run(gas);
    if let Some(ended) = simulator.evm.inspector.0.ended() {
        return Err(TraceError::of(ended, limits));
    }
    let (result, state) = done?;
    let told = told(&mut simulator.evm, tracer, None, &ResultAndState { result, state });
    Ok(told.map_err(CallError::from)?)
}

/// What the tracer has to say, before the effects of the transaction are kept.
fn told<S: StateReader>(
    evm: &mut Evm<'_, S, Inspection<'_>>,
    asked: &Tracer,
    place: Option<TransactionContext>,
    executed: &ResultAndState,
) -> Result<Trace, ExecuteError> {
    let (context, (first, second)) = (&mut evm.ctx, &mut evm.inspector.1);
    let database = &mut context.journaled_state.database;
    let mut tell = |tracer: &mut DebugInspector| {
        let trace = tracer.get_result(place, &context.tx, &context.block, executed, database).map_err(unread)?;
        tracer.fuse().map_err(|error| ExecuteError::Evm { reason: error.to_string() })?;
        Ok::<_, ExecuteError>(trace)
    };
    let mut trace = tell(first)?;
    if let (Trace::MuxTracer(frame), Tracer::Mux(Mux { flat_calls: Some(_), .. })) = (&mut trace, asked) {
        mux::insert_flat_calls(frame, tell(second)?);
    }
    match (&mut trace, asked) {
        (Trace::MuxTracer(frame), Tracer::Mux(mux)) => {
            mux::each(frame, mux).for_each(|(trace, tracer)| as_geth(trace, &tracer, executed));
        }
        (trace, asked) => as_geth(trace, asked, executed),
    }
    Ok(trace)
}

/// Tells as geth does where the inspectors do not.
fn as_geth(trace: &mut Trace, asked: &Tracer, executed: &ResultAndState) {
    match (trace, asked) {
        (Trace::CallTracer(root), _) if root.error.is_some() => root.logs.clear(),
        (Trace::FlatCallTracer(calls), Tracer::FlatCalls(config)) if config.convert_parity_errors != Some(true) => {
            calls.iter_mut().filter_map(|call| call.trace.error.as_mut()).for_each(as_geth_says);
        }
        // The beneficiary is among them, whatever it is paid.
        (Trace::PreStateTracer(PreStateFrame::Default(accounts)), Tracer::Prestate { include_empty: true, .. }) => {
            for address in executed.state.keys() {
                accounts.0.entry(*address).or_insert_with(empty_account);
            }
        }
        _ => {}
    }
}

fn empty_account() -> AccountState {
    AccountState::from_account_info(0, U256::ZERO, None)
}

/// The inspector writes Parity's texts; geth has its own unless it is asked for those.
fn as_geth_says(error: &mut String) {
    let text = match error.as_str() {
        "Reverted" => "execution reverted",
        "Out of gas" => "out of gas",
        "Insufficient balance for transfer" => "insufficient balance for transfer",
        "Bad instruction" => "invalid opcode",
        "Bad jump destination" => "invalid jump destination",
        "Stack underflow" => "stack underflow",
        "Mutable Call In Static Context" => "write protection",
        "Out of bounds" => "return data out of bounds",
        "Invalid code" => "invalid code: must not begin with 0xef",
        "Contract address collision" => "contract address collision",
        "Nonce overflow" => "nonce uint64 overflow",
        "Max call depth exceeded" => "max call depth exceeded",
        "Built-in failed" => "precompiled failed",
        _ => return,
    };
    *error = text.to_owned();
}

fn unread(error: DebugInspectorError<StateReadError>) -> ExecuteError {
    match error {
        DebugInspectorError::Database(error) => ExecuteError::State(error),
        other => ExecuteError::Evm { reason: other.to_string() },
    }
}
