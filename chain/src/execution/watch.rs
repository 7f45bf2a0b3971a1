//! Ends code whose time or allowance is up: the bounds of calls and traces.

use alloy_primitives::{Address, U256};
use revm::Inspector;
use revm::bytecode::opcode::{SLOAD, SSTORE};
use revm::interpreter::interpreter::EthInterpreter;
use revm::interpreter::interpreter_types::{InputsTr, Jumps};
use revm::interpreter::{CallInputs, CallOutcome, CreateInputs, CreateOutcome, Interpreter};
use std::collections::{HashMap, HashSet};

/// Instructions between two looks at the deadline: some microseconds of cheap ones.
const POLL_EVERY: u64 = 1_024;
/// Bytes that a recorded instruction takes beside its stack and memory, about.
const STEP_BYTES: usize = 128;
/// Bytes that a recorded call takes beside its input and output, about.
const CALL_BYTES: usize = 1_024;
/// Bytes that a slot takes in a list of slots.
const SLOT_BYTES: usize = 64;

/// Why code was ended before its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// It ran longer than allowed.
    Time,
    /// It ran more instructions than allowed.
    Steps,
    /// What is recorded of it is more than allowed.
    Bytes,
}

/// What is recorded, and so has to be counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Recorded {
    /// Calls, with what goes in and what comes out: by so many tracers.
    pub(super) calls: usize,
    /// The first so many instructions; none where 0.
    pub(super) steps: u64,
    /// With the stack.
    pub(super) stack: bool,
    /// With the memory.
    pub(super) memory: bool,
    /// With all slots of its contract that were touched so far.
    pub(super) storage: bool,
}

/// An inspector that ends code: from then on every instruction of every frame runs out of gas.
pub(super) struct Watch<'a> {
    deadline: &'a dyn Fn() -> bool,
    max_steps: u64,
    max_bytes: usize,
    recorded: Recorded,
    steps: u64,
    /// Instructions when the transaction began.
    before: u64,
    bytes: usize,
    slots: HashMap<Address, HashSet<U256>>,
    ended: Option<Ended>,
}

impl<'a> Watch<'a> {
    /// Bounds time alone.
    pub(super) fn new(deadline: &'a dyn Fn() -> bool) -> Self {
        Self::with(deadline, u64::MAX, usize::MAX, Recorded::default())
    }

    pub(super) fn with(deadline: &'a dyn Fn() -> bool, max_steps: u64, max_bytes: usize, recorded: Recorded) -> Self {
        let (steps, before, bytes, slots, ended) = Default::default();
        Self { deadline, max_steps, max_bytes, recorded, steps, before, bytes, slots, ended }
    }

    /// Why the code was ended, if it was.
    pub(super) const fn ended(&self) -> Option<Ended> {
        self.ended
    }

    /// Begins another transaction: what was recorded of those before is not held any more. Steps and time go on.
    pub(super) fn begin(&mut self) {
        self.before = self.steps;
        self.bytes = 0;
        self.slots.clear();
        self.look();
    }

    fn look(&mut self) {
        if self.ended.is_none() && (self.deadline)() {
            self.ended = Some(Ended::Time);
        }
    }

    fn hold(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes > self.max_bytes && self.ended.is_none() {
            self.ended = Some(Ended::Bytes);
        }
    }

    fn hold_call(&mut self, bytes: usize) {
        self.hold(bytes.saturating_mul(self.recorded.calls));
    }

    fn hold_step(&mut self, interpreter: &Interpreter<EthInterpreter>) {
        let mut bytes = STEP_BYTES;
        if self.recorded.stack {
            bytes = bytes.saturating_add(interpreter.stack.len().saturating_mul(32));
        }
        if self.recorded.memory {
            bytes = bytes.saturating_add(interpreter.memory.len());
        }
        if self.recorded.storage && matches!(interpreter.bytecode.opcode(), SLOAD | SSTORE) {
            let slots = self.slots.entry(interpreter.input.target_address()).or_default();
            slots.extend(interpreter.stack.peek(0));
            bytes = bytes.saturating_add(slots.len().saturating_mul(SLOT_BYTES));
        }
        self.hold(bytes);
    }
}

impl<CTX> Inspector<CTX> for Watch<'_> {
    fn step(&mut self, interpreter: &mut Interpreter<EthInterpreter>, _context: &mut CTX) {
        self.steps = self.steps.wrapping_add(1);
        if self.steps.is_multiple_of(POLL_EVERY) {
            self.look();
        }
        if self.steps > self.max_steps && self.ended.is_none() {
            self.ended = Some(Ended::Steps);
        }
        if self.steps.wrapping_sub(self.before) <= self.recorded.steps {
            self.hold_step(interpreter);
        }
        if self.ended.is_some() {
            interpreter.halt_oog();
        }
    }

    fn call(&mut self, _context: &mut CTX, inputs: &mut CallInputs) -> Option<CallOutcome> {
        self.hold_call(CALL_BYTES.saturating_add(inputs.input.len()));
        None
    }

    fn call_end(&mut self, _context: &mut CTX, _inputs: &CallInputs, outcome: &mut CallOutcome) {
        self.hold_call(outcome.result.output.len());
    }

    fn create(&mut self, _context: &mut CTX, inputs: &mut CreateInputs) -> Option<CreateOutcome> {
        self.hold_call(CALL_BYTES.saturating_add(inputs.init_code().len()));
        None
    }

    fn create_end(&mut self, _context: &mut CTX, _inputs: &CreateInputs, outcome: &mut CreateOutcome) {
        self.hold_call(outcome.result.output.len());
    }
}

/// An inspector with a [`Watch`] in it.
pub(super) trait Watched {
    /// The watch.
    fn watch(&self) -> &Watch<'_>;
}

impl Watched for Watch<'_> {
    fn watch(&self) -> &Watch<'_> {
        self
    }
}

impl<T> Watched for (Watch<'_>, T) {
    fn watch(&self) -> &Watch<'_> {
        &self.0
    }
}
