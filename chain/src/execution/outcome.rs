//! How a transaction or a call ended, in the words Ethereum clients expect.

use alloy_primitives::{Address, Bytes, U256};
use revm::context::result::{ExecutionResult, HaltReason};

/// How the code ran.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// To its end.
    Success {
        /// What it returned; for a creation, the code that was stored.
        output: Bytes,
    },
    /// It took itself back (`REVERT`); unused gas was returned.
    Revert {
        /// What it gave as the reason.
        output: Bytes,
    },
    /// It broke a rule of the EVM; all gas is gone.
    Halt {
        /// Which rule.
        reason: Halt,
    },
}

impl Outcome {
    /// Whether the effects were kept (receipt status 1).
    pub const fn is_success(&self) -> bool {
        matches!(self, Self::Success { .. })
    }
}

/// Why the EVM stopped code, worded as geth words it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Halt(HaltReason);

impl Halt {
    /// Whether more gas could have helped.
    pub const fn is_out_of_gas(&self) -> bool {
        matches!(self.0, HaltReason::OutOfGas(_))
    }
}

impl std::fmt::Display for Halt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match &self.0 {
            HaltReason::OutOfGas(_) => "out of gas",
            HaltReason::OpcodeNotFound | HaltReason::InvalidFEOpcode | HaltReason::NotActivated => "invalid opcode",
            HaltReason::InvalidJump => "invalid jump destination",
            HaltReason::StackUnderflow => "stack underflow",
            HaltReason::StackOverflow => "stack limit reached",
            HaltReason::OutOfOffset => "return data out of bounds",
            HaltReason::CreateCollision => "contract address collision",
            HaltReason::PrecompileError | HaltReason::PrecompileErrorWithContext(_) => "precompile failed",
            HaltReason::NonceOverflow => "nonce uint64 overflow",
            HaltReason::CreateContractSizeLimit => "max code size exceeded",
            HaltReason::CreateContractStartingWithEF => "invalid code: must not begin with 0xef",
            HaltReason::CreateInitCodeSizeLimit => "max initcode size exceeded",
            HaltReason::OverflowPayment | HaltReason::OutOfFunds => "insufficient balance for transfer",
            HaltReason::StateChangeDuringStaticCall | HaltReason::CallNotAllowedInsideStatic => "write protection",
            HaltReason::CallTooDeep => "max call depth exceeded",
        })
    }
}

/// Splits what revm says into the outcome and the address of the contract that was created.
pub(super) fn outcome(result: ExecutionResult) -> (Outcome, Option<Address>) {
    let created = result.created_address();
    let outcome = match result {
        ExecutionResult::Success { output, .. } => Outcome::Success { output: output.into_data() },
        ExecutionResult::Revert { output, .. } => Outcome::Revert { output },
        ExecutionResult::Halt { reason, .. } => Outcome::Halt { reason: Halt(reason) },
    };
    (outcome, created)
}

/// Selector of Solidity's `Error(string)`.
const ERROR_SELECTOR: [u8; 4] = [0x08, 0xc3, 0x79, 0xa0];
/// Selector of Solidity's `Panic(uint256)`.
const PANIC_SELECTOR: [u8; 4] = [0x4e, 0x48, 0x7b, 0x71];

/// What a revert's output says, if it is Solidity's `Error(string)` or `Panic(uint256)`.
pub fn revert_reason(output: &[u8]) -> Option<String> {
    let (selector, arguments) = output.split_first_chunk::<4>()?;
    match *selector {
        ERROR_SELECTOR => abi_string(arguments),
        PANIC_SELECTOR => abi_word(arguments, 0).map(panic_reason),
        _ => None,
    }
}

fn abi_word(data: &[u8], offset: usize) -> Option<U256> {
    Some(U256::from_be_slice(data.get(offset..offset.checked_add(32)?)?))
}

fn abi_string(arguments: &[u8]) -> Option<String> {
    let offset = usize::try_from(abi_word(arguments, 0)?).ok()?;
    let length = usize::try_from(abi_word(arguments, offset)?).ok()?;
    let start = offset.checked_add(32)?;
    let bytes = arguments.get(start..start.checked_add(length)?)?;
    Some(String::from_utf8_lossy(bytes).into_owned())
}

/// Solidity's panic codes (its documentation, "Panic via assert").
fn panic_reason(code: U256) -> String {
    let known = match u8::try_from(code).ok() {
        Some(0x00) => "generic panic",
        Some(0x01) => "assert(false)",
        Some(0x11) => "arithmetic underflow or overflow",
        Some(0x12) => "division or modulo by zero",
        Some(0x21) => "enum overflow",
        Some(0x22) => "invalid encoded storage byte array accessed",
        Some(0x31) => "out-of-bounds array access; popping on an empty array",
        Some(0x32) => "out-of-bounds access of an array or bytesN",
        Some(0x41) => "out of memory",
        Some(0x51) => "uninitialized function",
        _ => return format!("unknown panic code: {code:#x}"),
    };
    known.to_owned()
}
