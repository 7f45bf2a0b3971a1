//! The least gas a transaction needs: the machinery of `eth_estimateGas`.

use super::call::Simulator;
use super::outcome::{Halt, Outcome, outcome};
use super::{BlockContext, CallError, CallLimits, CallRequest, InvalidTransaction};
use crate::{Blame, Hardfork, StateReader};
use alloy_eips::eip7825::MAX_TX_GAS_LIMIT_OSAKA;
use alloy_primitives::{Bytes, KECCAK256_EMPTY, TxKind};
use revm::context::result::ExecutionResult;

/// What a plain transfer costs; less is never enough.
const TRANSFER_GAS: u64 = 21_000;
/// Gas that a call with value adds for the callee.
const CALL_STIPEND: u64 = 2_300;
/// The search ends when what is left to search is below this many thousandths of the answer (geth's 1.5 %).
const TOLERANCE_PER_MILLE: u64 = 15;

/// Why gas could not be estimated.
#[derive(Debug, thiserror::Error)]
pub enum EstimateError {
    /// The request could not be run at all.
    #[error(transparent)]
    Call(#[from] CallError),
    /// It takes itself back, however much gas it has.
    #[error("execution reverted{}", super::revert_reason(output).map(|reason| format!(": {reason}")).unwrap_or_default())]
    Reverted {
        /// What it gave as the reason.
        output: Bytes,
    },
    /// It breaks a rule of the EVM, however much gas it has.
    #[error("{reason}")]
    Halted {
        /// Which rule.
        reason: Halt,
    },
    /// All the gas it may have is not enough.
    #[error("gas required exceeds allowance ({allowance})")]
    AllowanceExceeded {
        /// The most gas it could get: by the block, the hardfork, the request or the sender's balance.
        allowance: u64,
    },
}

impl EstimateError {
    /// Whose fault.
    pub const fn blame(&self) -> Blame {
        match self {
            Self::Call(error) => error.blame(),
            Self::Reverted { .. } | Self::Halted { .. } | Self::AllowanceExceeded { .. } => Blame::Peer,
        }
    }
}

/// The gas limit with which the request succeeds, found by bisection as geth does. Never above the block's gas limit
/// nor, from Osaka on, EIP-7825's cap.
pub fn estimate_gas<S: StateReader>(
    state: &S,
    context: BlockContext,
    request: &CallRequest,
    limits: CallLimits<'_>,
) -> Result<u64, EstimateError> {
    let mut simulator = Simulator::new(state, context, request, limits)?;
    let allowance = allowance(&mut simulator, request, limits)?;
    if is_transfer(&mut simulator)? && allowance >= TRANSFER_GAS && succeeds(&mut simulator, TRANSFER_GAS)? {
        return Ok(TRANSFER_GAS);
    }
    let exceeded = EstimateError::AllowanceExceeded { allowance };
    let result = attempt(&mut simulator, allowance)?.ok_or(exceeded)?;
    let gas = *result.gas();
    match outcome(result).0 {
        Outcome::Success { .. } => {}
        Outcome::Revert { output } => return Err(EstimateError::Reverted { output }),
        Outcome::Halt { reason } if reason.is_out_of_gas() => {
            return Err(EstimateError::AllowanceExceeded { allowance });
        }
        Outcome::Halt { reason } => return Err(EstimateError::Halted { reason }),
    }
    let mut bounds = Bounds { too_little: gas.tx_gas_used().saturating_sub(1), enough: allowance };
    // EIP-150 keeps back a 64th at each call, so what was spent is often not quite enough as a limit.
    let likely = gas.total_gas_spent().saturating_add(CALL_STIPEND);
    let likely = likely.saturating_add(likely / 63).saturating_add(1);
    if likely < bounds.enough {
        bounds.narrow(likely, succeeds(&mut simulator, likely)?);
    }
    while !bounds.are_close() {
        let gas = bounds.middle();
        bounds.narrow(gas, succeeds(&mut simulator, gas)?);
    }
    Ok(bounds.enough)
}

struct Bounds {
    too_little: u64,
    enough: u64,
}

impl Bounds {
    const fn are_close(&self) -> bool {
        let open = self.enough.saturating_sub(self.too_little);
        open <= 1 || open.saturating_mul(1_000) < self.enough.saturating_mul(TOLERANCE_PER_MILLE)
    }

    /// Half way, but not above twice the lower bound: most transactions need little more than they use.
    fn middle(&self) -> u64 {
        self.too_little.midpoint(self.enough).min(self.too_little.saturating_mul(2)).max(self.too_little + 1)
    }

    const fn narrow(&mut self, gas: u64, succeeded: bool) {
        if succeeded {
            self.enough = gas;
        } else {
            self.too_little = gas;
        }
    }
}

fn allowance<S: StateReader>(
    simulator: &mut Simulator<'_, S>,
    request: &CallRequest,
    limits: CallLimits<'_>,
) -> Result<u64, CallError> {
    let asked = request.gas.filter(|gas| *gas >= TRANSFER_GAS).unwrap_or(u64::MAX);
    let cap = if simulator.context.hardfork >= Hardfork::Osaka { MAX_TX_GAS_LIMIT_OSAKA } else { u64::MAX };
    let affordable = simulator.affordable_gas()?.unwrap_or(u64::MAX);
    Ok(asked.min(simulator.context.gas_limit).min(limits.gas).min(cap).min(affordable))
}

fn is_transfer<S: StateReader>(simulator: &mut Simulator<'_, S>) -> Result<bool, CallError> {
    let transaction = &simulator.transaction;
    let TxKind::Call(to) = transaction.kind else { return Ok(false) };
    if !transaction.data.is_empty() || !transaction.access_list.is_empty() || transaction.tx_type == 4 {
        return Ok(false);
    }
    let recipient = simulator.evm.ctx.journaled_state.database.account(to)?;
    Ok(recipient.is_none_or(|account| account.code_hash == KECCAK256_EMPTY))
}

/// Runs with this gas; `None` where it does not even pay for the transaction itself.
fn attempt<S: StateReader>(simulator: &mut Simulator<'_, S>, gas: u64) -> Result<Option<ExecutionResult>, CallError> {
    match simulator.run(gas) {
        Ok((result, _)) => Ok(Some(result)),
        Err(CallError::Invalid(InvalidTransaction::IntrinsicGas { .. } | InvalidTransaction::CalldataFloor { .. })) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn succeeds<S: StateReader>(simulator: &mut Simulator<'_, S>, gas: u64) -> Result<bool, CallError> {
    Ok(attempt(simulator, gas)?.is_some_and(|result| result.is_success()))
}
