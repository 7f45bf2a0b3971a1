//! Executing transactions with revm.
//!
//! [`BlockExecutor`] runs the transactions of a block and says what the block did; [`execute_block`] does that for a
//! whole verified block. [`call()`], [`estimate_gas()`] and [`create_access_list()`] answer what a transaction would do,
//! and leave nothing behind. [`BlockTracer`] and [`trace_call()`] tell how either went.

mod access_list;
mod call;
mod context;
mod database;
mod environment;
mod error;
mod estimate;
mod executor;
mod mux;
mod outcome;
mod overrides;
mod trace;
mod watch;

pub use access_list::{AccessListOutcome, create_access_list};
pub use call::{CallError, CallLimits, CallOutcome, CallRequest, call};
pub use context::BlockContext;
pub use error::{ExecuteError, ExecutionError, InvalidTransaction};
pub use estimate::{EstimateError, estimate_gas};
pub use executor::{BlockExecutor, Executed, TransactionOutcome, execute_block};
pub use mux::Mux;
pub use outcome::{Halt, Outcome, revert_reason};
pub use overrides::{AccountOverride, BlockOverrides, OverriddenState, OverrideError};
pub use trace::{
    BlockTracer, CallConfig, FlatCallConfig, PrestateConfig, StepConfig, Trace, TraceError, TraceLimits, Tracer,
    trace_call,
};
