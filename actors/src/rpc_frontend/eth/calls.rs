//! `eth_call`, `eth_estimateGas`, `eth_createAccessList`: bounded in gas and time, on threads of their own.

use super::{BlockOverridesParam, Quantity, block_or_latest};
use crate::rpc_frontend::jsonrpc::{EXECUTION_REVERTED, Params, RpcError, RpcResult, json};
use crate::rpc_frontend::limits::Limit;
use crate::rpc_frontend::server::Frontend;
use crate::rpc_frontend::view::{View, state_read};
use alloy_eips::BlockId;
use alloy_eips::eip2930::AccessListResult;
use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_rpc_types_eth::TransactionRequest;
use alloy_rpc_types_eth::state::{AccountOverride as RpcAccountOverride, StateOverride};
use callboard_chain::execution::{
    self, AccountOverride, BlockContext, BlockOverrides, CallError, CallLimits, CallRequest, EstimateError, Halt,
    Outcome, OverriddenState,
};
use callboard_store::HistoricState;
use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

/// Most accounts of the state overrides of one call.
const MAX_OVERRIDDEN: usize = 1_000;
/// Most slots of all of them together.
const MAX_OVERRIDDEN_SLOTS: usize = 10_000;
/// Most bytes of code of all of them together: the largest contracts are 24 KiB. All of it is hashed.
const MAX_OVERRIDDEN_CODE: usize = 1 << 20;

pub(super) async fn call(frontend: &Frontend, params: &Params<'_>) -> RpcResult {
    let question = Question::parse(frontend, params)?;
    frontend.computed(move |view| question.ask(&view, run_call)).await
}

pub(super) async fn estimate_gas(frontend: &Frontend, params: &Params<'_>) -> RpcResult {
    let question = Question::parse(frontend, params)?;
    let gas = frontend
        .compute(move |view| {
            question.ask(&view, |state, context, request, limits| {
                execution::estimate_gas(state, context, request, limits)
                    .map_err(|error| estimate_error(error, limits.gas))
            })
        })
        .await?;
    json(Quantity::from(gas))
}

pub(super) async fn create_access_list(frontend: &Frontend, params: &Params<'_>) -> RpcResult {
    let question = Question::parse(frontend, params)?;
    frontend.computed(move |view| question.ask(&view, run_access_list)).await
}

/// A state with what the caller overrides.
pub(crate) type State<'a> = OverriddenState<'a, HistoricState>;

fn run_call(
    state: &State<'_>,
    context: BlockContext,
    request: &CallRequest,
    limits: CallLimits<'_>,
) -> Result<Bytes, RpcError> {
    let done = execution::call(state, context, request, limits).map_err(call_error)?;
    match done.outcome {
        Outcome::Success { output } => Ok(output),
        Outcome::Revert { output } => Err(reverted(&output)),
        Outcome::Halt { reason } => Err(halted(&reason, done.gas_used, limits.gas)),
    }
}

/// Code that has used up all that a call may have is told whose bound that was.
fn halted(reason: &Halt, gas_used: u64, most: u64) -> RpcError {
    if reason.is_out_of_gas() && gas_used >= most {
        return Limit::CallGas.refuse(format!("out of gas: a call may use at most {most} gas here")).into();
    }
    RpcError::refused(reason.to_string())
}

fn run_access_list(
    state: &State<'_>,
    context: BlockContext,
    request: &CallRequest,
    limits: CallLimits<'_>,
) -> Result<AccessListResult, RpcError> {
    let list = execution::create_access_list(state, context, request, limits).map_err(call_error)?;
    let error = match &list.outcome {
        Outcome::Success { .. } => None,
        Outcome::Revert { output } => Some(reverted(output).message),
        Outcome::Halt { reason } => Some(halted(reason, list.gas_used, limits.gas).message),
    };
    Ok(AccessListResult { access_list: list.access_list, gas_used: U256::from(list.gas_used), error })
}

/// What a caller wants to have run, and on which state.
pub(crate) struct Question {
    request: CallRequest,
    block: BlockId,
    accounts: BTreeMap<Address, AccountOverride>,
    overrides: BlockOverrides,
    gas: u64,
    time: Duration,
}

impl Question {
    /// Request, block, state overrides, block overrides; all but the first may be left out.
    fn parse(frontend: &Frontend, params: &Params<'_>) -> Result<Self, RpcError> {
        let accounts: StateOverride = params.optional(2, "state overrides")?.unwrap_or_default();
        let BlockOverridesParam(overrides) = params.optional(3, "block overrides")?.unwrap_or_default();
        let (request, block) = (params.required(0, "transaction")?, block_or_latest(params, 1)?);
        Self::new(request, block, accounts, overrides, (frontend.config.call_gas, frontend.config.call_time))
    }

    /// This request on this block, with these overrides, within these bounds of gas and time.
    pub(crate) fn new(
        request: TransactionRequest,
        block: BlockId,
        accounts: StateOverride,
        overrides: BlockOverrides,
        (gas, time): (u64, Duration),
    ) -> Result<Self, RpcError> {
        check_overrides(&accounts)?;
        Ok(Self {
            request: call_request(request)?,
            block,
            accounts: accounts
                .into_iter()
                .map(|(address, account)| Ok((address, account_override(account)?)))
                .collect::<Result<_, RpcError>>()?,
            overrides,
            gas,
            time,
        })
    }

    /// Runs it on the state that it asks for.
    pub(crate) fn ask<T>(
        self,
        view: &View,
        run: impl FnOnce(&State<'_>, BlockContext, &CallRequest, CallLimits<'_>) -> Result<T, RpcError>,
    ) -> Result<T, RpcError> {
        let until = Instant::now() + self.time;
        let state = view.state(self.block)?;
        let header = view.header(state.height())?;
        let state =
            OverriddenState::new(&state, self.accounts).map_err(|error| RpcError::invalid_params(error.to_string()))?;
        let context = self.overrides.apply(BlockContext::for_header(&header, &view.config));
        let limits = CallLimits { gas: self.gas, expired: &|| Instant::now() > until };
        run(&state, context, &self.request, limits)
    }
}

fn call_request(request: TransactionRequest) -> Result<CallRequest, RpcError> {
    let data = request
        .input
        .try_into_unique_input()
        .map_err(|_| RpcError::invalid_params("both \"data\" and \"input\" are set and not equal"))?;
    Ok(CallRequest {
        from: request.from.unwrap_or_default(),
        to: request.to.and_then(|to| to.to().copied()),
        gas: request.gas,
        gas_price: request.gas_price,
        max_fee_per_gas: request.max_fee_per_gas,
        max_priority_fee_per_gas: request.max_priority_fee_per_gas,
        value: request.value.unwrap_or_default(),
        data: data.unwrap_or_default(),
        chain_id: request.chain_id,
        access_list: request.access_list,
        authorization_list: request.authorization_list.unwrap_or_default(),
    })
}

/// Refuses state overrides that cost too much to lay over the state.
fn check_overrides(accounts: &StateOverride) -> Result<(), RpcError> {
    let slots = |account: &RpcAccountOverride| {
        [&account.state, &account.state_diff].into_iter().flatten().map(|slots| slots.len()).sum::<usize>()
    };
    let code = |account: &RpcAccountOverride| account.code.as_ref().map_or(0, |code| code.len());
    for (what, actual, most) in [
        ("accounts", accounts.len(), MAX_OVERRIDDEN),
        ("slots", accounts.values().map(slots).sum(), MAX_OVERRIDDEN_SLOTS),
        ("bytes of code", accounts.values().map(code).sum(), MAX_OVERRIDDEN_CODE),
    ] {
        if actual > most {
            let message =
                format!("too many {what} in the state overrides: {actual} are given, at most {most} are allowed");
            return Err(RpcError::invalid_params(message));
        }
    }
    Ok(())
}

fn account_override(account: RpcAccountOverride) -> Result<AccountOverride, RpcError> {
    if account.move_precompile_to.is_some() {
        return Err(RpcError::invalid_params("state override movePrecompileToAddress is not supported"));
    }
    let slots = |slots: alloy_primitives::map::B256HashMap<B256>| -> HashMap<U256, U256> {
        slots.into_iter().map(|(slot, value)| (slot.into(), value.into())).collect()
    };
    Ok(AccountOverride {
        balance: account.balance,
        nonce: account.nonce,
        code: account.code,
        state: account.state.map(slots),
        state_diff: account.state_diff.map(slots),
    })
}

/// Why a call was not run.
pub(crate) fn call_error(error: CallError) -> RpcError {
    match error {
        CallError::State(error) => state_read(error),
        CallError::Evm { reason } => {
            tracing::error!(%reason, "a call for the RPC failed inside the EVM");
            RpcError::internal("the EVM failed")
        }
        CallError::TimedOut => Limit::CallTime.refuse(error).into(),
        refused => RpcError::refused(refused.to_string()),
    }
}

fn estimate_error(error: EstimateError, most: u64) -> RpcError {
    match error {
        EstimateError::Call(error) => call_error(error),
        EstimateError::Reverted { output } => reverted(&output),
        EstimateError::AllowanceExceeded { allowance } if allowance >= most => Limit::CallGas.refuse(error).into(),
        refused => RpcError::refused(refused.to_string()),
    }
}

/// Code 3 and the output as data: what every client decodes custom errors from.
fn reverted(output: &Bytes) -> RpcError {
    let message = match execution::revert_reason(output) {
        Some(reason) => format!("execution reverted: {reason}"),
        None => "execution reverted".to_owned(),
    };
    RpcError { data: Some(output.to_string().into()), ..RpcError::new(EXECUTION_REVERTED, message) }
}
