//! What a transaction would do: the machinery of `eth_call`.

use super::environment::{self, Evm, EvmContext};
use super::outcome::{Outcome, outcome};
use super::watch::{Watch, Watched};
use super::{BlockContext, ExecuteError, InvalidTransaction};
use crate::{Blame, StateReadError, StateReader};
use alloy_eips::eip2930::AccessList;
use alloy_eips::eip7702::SignedAuthorization;
use alloy_primitives::{Address, Bytes, Log, TxKind, U256};
use revm::context::TxEnv;
use revm::context::result::ExecutionResult;
use revm::state::EvmState;
use revm::{InspectEvm, Inspector};

/// A transaction as a caller describes it; what is left out is chosen as geth chooses it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CallRequest {
    /// The sender; the zero address where absent. No signature is asked for.
    pub from: Address,
    /// The recipient; `None` creates a contract.
    pub to: Option<Address>,
    /// Gas limit; the most that is allowed where absent.
    pub gas: Option<u64>,
    /// Wei per gas, the old way.
    pub gas_price: Option<u128>,
    /// Wei per gas at most (EIP-1559).
    pub max_fee_per_gas: Option<u128>,
    /// Wei per gas for the beneficiary (EIP-1559).
    pub max_priority_fee_per_gas: Option<u128>,
    /// Wei to send.
    pub value: U256,
    /// Calldata, or init code.
    pub data: Bytes,
    /// Must be this chain's id where given.
    pub chain_id: Option<u64>,
    /// Addresses and slots announced (EIP-2930).
    pub access_list: Option<AccessList>,
    /// Delegations to set first (EIP-7702).
    pub authorization_list: Vec<SignedAuthorization>,
}

/// How much a call may use.
#[derive(Clone, Copy)]
pub struct CallLimits<'a> {
    /// Gas at most; a request for more gets this much.
    pub gas: u64,
    /// Asked every thousand instructions or so; the call ends once it says true.
    pub expired: &'a dyn Fn() -> bool,
}

impl std::fmt::Debug for CallLimits<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CallLimits").field("gas", &self.gas).finish_non_exhaustive()
    }
}

/// What a call did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallOutcome {
    /// How the code ran.
    pub outcome: Outcome,
    /// Gas used, refunds taken off.
    pub gas_used: u64,
    /// Logs; none unless it succeeded.
    pub logs: Vec<Log>,
    /// The contract it created.
    pub contract_address: Option<Address>,
}

/// Why a call could not be run.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The request makes no valid transaction.
    #[error(transparent)]
    Invalid(#[from] InvalidTransaction),
    /// Two ways of naming the price at once.
    #[error("both gasPrice and (maxFeePerGas or maxPriorityFeePerGas) specified")]
    ConflictingFees,
    /// Delegations cannot be set while creating a contract (EIP-7702).
    #[error("EIP-7702 transaction cannot be used to create contract")]
    AuthorizationsWithoutRecipient,
    /// It ran longer than allowed.
    #[error("execution aborted: it took longer than allowed")]
    TimedOut,
    /// State could not be read.
    #[error(transparent)]
    State(#[from] StateReadError),
    /// The EVM itself failed.
    #[error("the EVM failed: {reason}")]
    Evm {
        /// Its words.
        reason: String,
    },
}

impl CallError {
    /// Whose fault.
    pub const fn blame(&self) -> Blame {
        match self {
            Self::State(_) | Self::Evm { .. } => Blame::Local,
            Self::TimedOut => Blame::Nobody,
            Self::Invalid(_) | Self::ConflictingFees | Self::AuthorizationsWithoutRecipient => Blame::Peer,
        }
    }
}

impl From<ExecuteError> for CallError {
    fn from(error: ExecuteError) -> Self {
        match error {
            ExecuteError::Invalid(invalid) => Self::Invalid(invalid),
            ExecuteError::State(error) => Self::State(error),
            ExecuteError::Evm { reason } => Self::Evm { reason },
            exhausted @ ExecuteError::BlockGasExhausted { .. } => Self::Evm { reason: exhausted.to_string() },
        }
    }
}

/// Runs a request on top of `state` and answers what it did; nothing is kept.
///
/// As in geth: nonce and EIP-3607 are not checked, the balance is; without a price the base fee is zero, with one it
/// is checked.
pub fn call<S: StateReader>(
    state: &S,
    context: BlockContext,
    request: &CallRequest,
    limits: CallLimits<'_>,
) -> Result<CallOutcome, CallError> {
    let mut simulator = Simulator::new(state, context, request, limits)?;
    let gas = simulator.gas(request, limits)?;
    let (result, _) = simulator.run(gas)?;
    let gas_used = result.tx_gas_used();
    let logs = result.logs().to_vec();
    let (outcome, contract_address) = outcome(result);
    Ok(CallOutcome { outcome, gas_used, logs, contract_address })
}

/// Runs one request as often as needed, each time on the same state.
pub(super) struct Simulator<'a, S: StateReader, I = Watch<'a>> {
    pub(super) evm: Evm<'a, S, I>,
    pub(super) transaction: TxEnv,
    pub(super) context: BlockContext,
}

impl<'a, S: StateReader> Simulator<'a, S> {
    pub(super) fn new(
        state: &'a S,
        context: BlockContext,
        request: &CallRequest,
        limits: CallLimits<'a>,
    ) -> Result<Self, CallError> {
        Self::inspected(state, context, request, limits, Watch::new(limits.expired))
    }
}

impl<'a, S: StateReader, I: Inspector<EvmContext<'a, S>> + Watched> Simulator<'a, S, I> {
    /// With an inspector that sees everything that runs.
    pub(super) fn inspected(
        state: &'a S,
        mut context: BlockContext,
        request: &CallRequest,
        limits: CallLimits<'a>,
        inspector: I,
    ) -> Result<Self, CallError> {
        let transaction = environment_of(request, &context, limits)?;
        if transaction.gas_price == 0 && transaction.gas_priority_fee.unwrap_or_default() == 0 {
            context.base_fee = 0;
        }
        let mut rules = environment::rules(&context);
        rules.disable_nonce_check = true;
        rules.disable_eip3607 = true;
        rules.disable_block_gas_limit = true;
        // EIP-7825 is about transactions in blocks; a call is bounded by its own limit.
        rules.tx_gas_limit_cap = Some(limits.gas);
        let evm = environment::evm(state, &context, rules, inspector);
        Ok(Self { evm, transaction, context })
    }

    /// Runs the request with this gas limit.
    pub(super) fn run(&mut self, gas: u64) -> Result<(ExecutionResult, EvmState), CallError> {
        self.transaction.gas_limit = gas;
        let executed = self.evm.inspect_tx(self.transaction.clone());
        if self.evm.inspector.watch().ended().is_some() {
            return Err(CallError::TimedOut);
        }
        let executed = executed.map_err(|error| ExecuteError::from_revm(error, &self.transaction, &self.context))?;
        Ok((executed.result, executed.state))
    }

    /// The gas limit of the request: what it asks for, or what its sender can pay for, and never more than allowed.
    pub(super) fn gas(&mut self, request: &CallRequest, limits: CallLimits<'_>) -> Result<u64, CallError> {
        Ok(match request.gas {
            Some(gas) => gas.min(limits.gas),
            None => limits.gas.min(self.affordable_gas()?.unwrap_or(u64::MAX)),
        })
    }

    /// Gas that the sender can pay for at the price it offers; `None` where gas is free.
    pub(super) fn affordable_gas(&mut self) -> Result<Option<u64>, CallError> {
        let price = U256::from(self.transaction.gas_price);
        if price.is_zero() {
            return Ok(None);
        }
        let sender = self.evm.ctx.journaled_state.database.account(self.transaction.caller)?;
        let balance = sender.unwrap_or_default().balance;
        let required = self.transaction.value;
        let left = balance.checked_sub(required);
        let left = left.ok_or(InvalidTransaction::InsufficientFunds { required, balance })?;
        Ok(Some((left / price).saturating_to()))
    }
}

fn environment_of(request: &CallRequest, context: &BlockContext, limits: CallLimits<'_>) -> Result<TxEnv, CallError> {
    let dynamic = request.max_fee_per_gas.is_some() || request.max_priority_fee_per_gas.is_some();
    if request.gas_price.is_some() && dynamic {
        return Err(CallError::ConflictingFees);
    }
    if !request.authorization_list.is_empty() && request.to.is_none() {
        return Err(CallError::AuthorizationsWithoutRecipient);
    }
    if request.chain_id.is_some_and(|id| id != context.chain_id) {
        let mismatch = InvalidTransaction::ChainId { expected: context.chain_id, actual: request.chain_id };
        return Err(mismatch.into());
    }
    let tx_type = match request {
        request if !request.authorization_list.is_empty() => 4,
        _ if dynamic => 2,
        request if request.access_list.is_some() => 1,
        _ => 0,
    };
    Ok(TxEnv {
        tx_type,
        caller: request.from,
        gas_price: request.gas_price.or(request.max_fee_per_gas).unwrap_or_default(),
        gas_priority_fee: if tx_type >= 2 { Some(request.max_priority_fee_per_gas.unwrap_or_default()) } else { None },
        kind: request.to.map_or(TxKind::Create, TxKind::Call),
        value: request.value,
        data: request.data.clone(),
        chain_id: Some(context.chain_id),
        access_list: request.access_list.clone().unwrap_or_default(),
        authorization_list: environment::authorizations(&request.authorization_list, limits.gas),
        ..TxEnv::default()
    })
}
