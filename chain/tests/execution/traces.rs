//! Traces: they tell of what runs, and change nothing of it.

use crate::memory::{Described, MemoryState};
use crate::support::*;
use alloy_primitives::{Address, B256, Bytes, TxKind, U256, hex};
use callboard_chain::execution::{
    BlockExecutor, BlockTracer, CallConfig, CallError, CallRequest, FlatCallConfig, InvalidTransaction, Mux,
    PrestateConfig, StepConfig, Trace, TraceError, TraceLimits, Tracer, TransactionOutcome, trace_call,
};
use callboard_chain::{Hardfork, SecretKey, Transaction};
use std::cell::Cell;

const LIMITS: TraceLimits<'static> = TraceLimits { steps: 1_000_000, bytes: 10_000_000, expired: &|| false };
const CALLER: Address = Address::repeat_byte(0xca);
const DELEGATOR: Address = Address::repeat_byte(0xde);
const REVERTER: Address = Address::repeat_byte(0x4e);
const DESTROYED: Address = Address::repeat_byte(0xd5);
const ENDLESS: Address = Address::repeat_byte(0xe1);
/// Calls the precompile that copies.
const COPIER: Address = Address::repeat_byte(0xc0);

const fn prestate(config: PrestateConfig) -> Tracer {
    Tracer::Prestate { config, include_empty: false }
}

fn tracers() -> Vec<Tracer> {
    let full = StepConfig { enable_memory: Some(true), enable_return_data: Some(true), ..StepConfig::default() };
    vec![
        Tracer::Steps(StepConfig::default()),
        Tracer::Steps(full),
        Tracer::Calls(CallConfig { with_log: Some(true), ..CallConfig::default() }),
        Tracer::FlatCalls(FlatCallConfig::default()),
        prestate(PrestateConfig::default()),
        Tracer::Prestate { config: PrestateConfig::default(), include_empty: true },
        prestate(PrestateConfig { diff_mode: Some(true), ..PrestateConfig::default() }),
        Tracer::Selectors,
        Tracer::Noop,
        Tracer::Mux(Mux::default()),
        Tracer::Mux(everything()),
    ]
}

/// All tracers at once.
fn everything() -> Mux {
    Mux {
        calls: Some(CallConfig { with_log: Some(true), ..CallConfig::default() }),
        flat_calls: Some(FlatCallConfig::default()),
        prestate: Some(PrestateConfig::default()),
        include_empty: true,
        selectors: true,
        noop: true,
    }
}

/// Code that runs a contract's code over its own storage.
fn delegating(contract: Address) -> String {
    format!("5f5f5f5f73{}5af400", hex::encode(contract))
}

fn world() -> MemoryState {
    let destroyed = Described { balance: U256::from(50), ..with_code(SELFDESTRUCT) };
    state([
        (CONTRACT, with_code(STORE_INPUT)),
        (OTHER_CONTRACT, with_code(LOG)),
        (CALLER, with_code(&calling(OTHER_CONTRACT))),
        (DELEGATOR, with_code(&delegating(OTHER_CONTRACT))),
        (REVERTER, with_code(&logging_and_reverting(&solidity_error("too small")))),
        (DESTROYED, destroyed),
        (ENDLESS, with_code(LOOP)),
        (COPIER, with_code(&calling(Address::with_last_byte(4)))),
    ])
}

/// Something of everything, all by Alice.
fn varied() -> Vec<Transaction> {
    let key = SecretKey::from_bytes([7; 32]).expect("a key");
    let create = |init: &str| {
        let input = code(init);
        move |transaction: &mut alloy_consensus::TxLegacy| (transaction.to, transaction.input) = (TxKind::Create, input)
    };
    let mut all = vec![
        legacy(|transaction| transaction.value = U256::from(1_000)),
        legacy(create(&deploying(LOG))),
        legacy(create(SELFDESTRUCT)),
        legacy(create("5f5ffd")),
        set_code(key.address(), authorize(&key, CONTRACT, 0), U256::from(5)),
    ];
    let called = [CONTRACT, OTHER_CONTRACT, CALLER, DELEGATOR, REVERTER, DESTROYED, ENDLESS, key.address()];
    all.extend(called.map(|contract| calling_with(0, contract, U256::from(3))));
    for (nonce, transaction) in all.iter_mut().enumerate() {
        match transaction {
            Transaction::Legacy(signed) => {
                let transaction = signed.tx_mut();
                transaction.nonce = nonce as u64;
                if transaction.to == TxKind::Call(ENDLESS) {
                    transaction.gas_limit = 60_000;
                }
            }
            Transaction::Eip7702(signed) => signed.tx_mut().nonce = nonce as u64,
            other => panic!("{other:?}"),
        }
    }
    all
}

fn tracer<'a>(state: &'a MemoryState, tracer: &Tracer, limits: TraceLimits<'a>) -> BlockTracer<'a, MemoryState> {
    BlockTracer::new(state, context(Hardfork::Osaka), B256::repeat_byte(1), tracer, limits).expect("the block begins")
}

fn calls(trace: &Trace) -> alloy_rpc_types_trace::geth::CallFrame {
    trace.clone().try_into_call_frame().expect("a tree of calls")
}

/// The trace of one call of a contract that is alone in its block.
fn trace_of(
    state: &MemoryState,
    how: &Tracer,
    contract: Address,
    limits: TraceLimits<'_>,
) -> Result<Trace, TraceError> {
    let transaction = calling_with(0, contract, U256::from(3));
    BlockTracer::new(state, context(Hardfork::Osaka), B256::ZERO, how, limits)?
        .trace(&transaction, ALICE)
        .map(|(trace, _)| trace)
}

#[test]
fn what_is_traced_does_what_it_does_untraced_under_every_tracer() {
    let (state, transactions) = (world(), varied());
    let mut executor = BlockExecutor::new(&state, context(Hardfork::Osaka)).expect("the block begins");
    let real: Vec<_> = transactions.iter().map(|one| executor.execute(one, ALICE).expect("it runs")).collect();
    assert!(
        real.iter().any(|done| !done.outcome.is_success()) && real.iter().any(|done| done.contract_address.is_some())
    );
    for how in tracers() {
        let mut all = tracer(&state, &how, LIMITS);
        let traced: Vec<TransactionOutcome> =
            transactions.iter().map(|one| all.trace(one, ALICE).expect("it is traced").1).collect();
        assert_eq!(traced, real, "{how:?}");
        for index in 0..transactions.len() {
            let mut one = tracer(&state, &how, LIMITS);
            for (before, real) in transactions[..index].iter().zip(&real) {
                assert_eq!(&one.replay(before, ALICE).expect("it runs"), real);
            }
            let (trace, outcome) = one.trace(&transactions[index], ALICE).expect("it is traced");
            assert_eq!(outcome, real[index], "{how:?}");
            told_as_it_ended(&trace, &outcome);
        }
    }
}

/// Where a trace tells gas and success, they are those of the transaction.
fn told_as_it_ended(trace: &Trace, outcome: &TransactionOutcome) {
    match trace {
        Trace::Default(steps) => {
            assert_eq!((steps.gas, steps.failed), (outcome.gas_used, !outcome.outcome.is_success()));
        }
        Trace::CallTracer(root) => {
            assert_eq!(root.gas_used, U256::from(outcome.gas_used));
            assert_eq!(root.error.is_some(), !outcome.outcome.is_success());
        }
        _ => {}
    }
}

#[test]
fn several_tracers_at_once_tell_what_each_tells_by_itself() {
    let (state, mut transactions) = (world(), varied());
    // The list of calls leaves calls of precompiles out, the tree does not.
    let mut precompiled = calling_with(0, COPIER, U256::from(3));
    let Transaction::Legacy(signed) = &mut precompiled else { panic!("{precompiled:?}") };
    signed.tx_mut().nonce = transactions.len() as u64;
    transactions.push(precompiled);
    let mux = everything();
    let alone = [
        ("callTracer", mux.calls.map(Tracer::Calls)),
        ("flatCallTracer", mux.flat_calls.map(Tracer::FlatCalls)),
        ("prestateTracer", mux.prestate.map(|config| Tracer::Prestate { config, include_empty: true })),
        ("4byteTracer", Some(Tracer::Selectors)),
        ("noopTracer", Some(Tracer::Noop)),
    ];
    let traces = |how: Tracer| -> Vec<serde_json::Value> {
        let mut block = tracer(&state, &how, LIMITS);
        let traced = transactions.iter().map(|one| block.trace(one, ALICE).expect("it is traced").0);
        traced.map(|trace| serde_json::to_value(trace).expect("JSON")).collect()
    };
    let together = traces(Tracer::Mux(mux));
    for (name, how) in alone {
        for (index, expected) in traces(how.expect("a tracer")).into_iter().enumerate() {
            assert_eq!(together[index][name], expected, "{name} of transaction {index}");
        }
    }
    let last = together.last().expect("the call of a precompile");
    assert_eq!(last["callTracer"]["calls"][0]["to"], serde_json::json!(Address::with_last_byte(4)));
    assert_eq!(last["flatCallTracer"].as_array().map(Vec::len), Some(1));
    assert!(together.iter().all(|trace| trace.as_object().is_some_and(|parts| parts.len() == 5)));
}

#[test]
fn a_revert_is_told_with_its_reason_and_without_its_logs() {
    let with_log = Tracer::Calls(CallConfig { with_log: Some(true), ..CallConfig::default() });
    let root = calls(&trace_of(&world(), &with_log, REVERTER, LIMITS).expect("a trace"));
    assert_eq!((root.typ.as_str(), root.from, root.to), ("CALL", ALICE, Some(REVERTER)));
    assert_eq!(root.error.as_deref(), Some("execution reverted"));
    assert_eq!(root.revert_reason.as_deref(), Some("too small"));
    assert!(root.logs.is_empty(), "{root:?}");
    assert_eq!(root.output, Some(Bytes::from(solidity_error("too small"))));
    assert_eq!(root.gas, U256::from(1_000_000));
    let halted = calls(&trace_of(&world(), &with_log, ENDLESS, LIMITS).expect("a trace"));
    assert_eq!((halted.error.as_deref(), halted.revert_reason), (Some("out of gas"), None));
}

#[test]
fn a_flat_list_has_geths_texts_unless_paritys_are_wanted() {
    let error = |contract: Address, convert_parity_errors| {
        let tracer = Tracer::FlatCalls(FlatCallConfig { convert_parity_errors, include_precompiles: None });
        let trace = trace_of(&world(), &tracer, contract, LIMITS).expect("a trace");
        trace.try_into_flat_call_frame().expect("a list")[0].trace.error.clone()
    };
    for (contract, geths, paritys) in
        [(REVERTER, "execution reverted", "Reverted"), (ENDLESS, "out of gas", "Out of gas")]
    {
        assert_eq!(error(contract, None).as_deref(), Some(geths));
        assert_eq!(error(contract, Some(false)).as_deref(), Some(geths));
        assert_eq!(error(contract, Some(true)).as_deref(), Some(paritys));
    }
}

#[test]
fn calls_inside_are_told_as_a_tree_and_only_if_wanted() {
    let state = world();
    let all = Tracer::Calls(CallConfig { with_log: Some(true), ..CallConfig::default() });
    let root = calls(&trace_of(&state, &all, CALLER, LIMITS).expect("a trace"));
    let [inner] = root.calls.as_slice() else { panic!("{root:?}") };
    assert_eq!((inner.typ.as_str(), inner.from, inner.to), ("CALL", CALLER, Some(OTHER_CONTRACT)));
    assert_eq!(inner.logs.len(), 1);
    assert_eq!(inner.logs[0].topics, Some(vec![B256::with_last_byte(7)]));
    let delegated = calls(&trace_of(&state, &all, DELEGATOR, LIMITS).expect("a trace"));
    assert_eq!(delegated.calls[0].typ, "DELEGATECALL");
    let destroyed = calls(&trace_of(&state, &all, DESTROYED, LIMITS).expect("a trace"));
    assert_eq!((destroyed.calls[0].typ.as_str(), destroyed.calls[0].value), ("SELFDESTRUCT", Some(U256::from(50))));
    let top = Tracer::Calls(CallConfig { only_top_call: Some(true), ..CallConfig::default() });
    assert!(calls(&trace_of(&state, &top, CALLER, LIMITS).expect("a trace")).calls.is_empty());
}

#[test]
fn prestate_is_what_the_transactions_before_it_left() {
    let state = world();
    let (first, second) = (calling_with(0, CONTRACT, U256::from(5)), calling_with(1, CONTRACT, U256::from(6)));
    let slot = |trace: Trace| {
        let frame = trace.try_into_pre_state_frame().expect("accounts");
        let before = frame.as_default().expect("before").0.clone();
        let contract = before[&CONTRACT].storage.values().next().copied();
        (contract, before[&ALICE].nonce)
    };
    let mut block = tracer(&state, &prestate(PrestateConfig::default()), LIMITS);
    let (trace, _) = block.trace(&first, ALICE).expect("a trace");
    assert_eq!(slot(trace), (Some(B256::ZERO), None), "a nonce of 0 is left out, as in geth");
    let (trace, _) = block.trace(&second, ALICE).expect("a trace");
    assert_eq!(slot(trace), (Some(B256::with_last_byte(5)), Some(1)));
}

#[test]
fn steps_are_told_with_what_is_wanted_of_each() {
    let state = world();
    let steps = |config: StepConfig| {
        let trace = trace_of(&state, &Tracer::Steps(config), CONTRACT, LIMITS).expect("a trace");
        trace.try_into_default_frame().expect("steps").struct_logs
    };
    let all = steps(StepConfig::default());
    let names: Vec<_> = all.iter().map(|step| step.op.as_ref()).collect();
    assert_eq!(names, ["PUSH0", "CALLDATALOAD", "PUSH0", "SSTORE", "STOP"]);
    assert_eq!(all[3].stack, Some(vec![U256::from(3), U256::ZERO]));
    assert_eq!(all[3].storage.as_ref().map(|slots| slots[&B256::ZERO]), Some(B256::with_last_byte(3)));
    assert!(all[0].memory.is_none() && all[0].return_data.is_none());
    let bare = steps(StepConfig { disable_stack: Some(true), disable_storage: Some(true), ..StepConfig::default() });
    assert!(bare.iter().all(|step| step.stack.is_none() && step.storage.is_none()));
    assert_eq!(steps(StepConfig { limit: Some(2), ..StepConfig::default() }).len(), 2);
    let memory = StepConfig { enable_memory: Some(true), ..StepConfig::default() };
    assert!(steps(memory).iter().all(|step| step.memory.is_some()));
}

#[test]
fn a_trace_ends_at_its_bounds() {
    let state = world();
    let looks = Cell::new(0);
    let expired = || looks.replace(looks.get() + 1) > 2;
    let noop = |limits| trace_of(&state, &Tracer::Noop, ENDLESS, limits);
    let few = noop(TraceLimits { steps: 1_000, ..LIMITS });
    assert!(matches!(few, Err(TraceError::TooManySteps { most: 1_000 })), "{few:?}");
    let late = noop(TraceLimits { expired: &expired, ..LIMITS });
    assert!(matches!(late, Err(TraceError::TimedOut)), "{late:?}");
    assert!(noop(TraceLimits { bytes: 0, ..LIMITS }).is_ok(), "nothing is recorded");

    let stack = |limit| {
        let config = StepConfig { limit, ..StepConfig::default() };
        trace_of(&state, &Tracer::Steps(config), ENDLESS, TraceLimits { bytes: 100_000, ..LIMITS })
    };
    let large = stack(None);
    assert!(matches!(large, Err(TraceError::TooLarge { most: 100_000 })), "{large:?}");
    assert!(stack(Some(10)).is_ok(), "what is not recorded is not counted");

    let mut late = tracer(&state, &Tracer::Noop, TraceLimits { expired: &|| true, ..LIMITS });
    let replayed = late.replay(&calling_with(0, CONTRACT, U256::from(3)), ALICE);
    assert!(matches!(replayed, Err(TraceError::TimedOut)), "also before the one that is wanted: {replayed:?}");
}

#[test]
fn steps_are_counted_over_the_whole_block_and_bytes_for_each_transaction() {
    let state = world();
    let transactions = [0, 1].map(|nonce| calling_with(nonce, CONTRACT, U256::from(3)));
    let both = |limits| {
        let mut block = tracer(&state, &Tracer::Steps(StepConfig::default()), limits);
        block.trace(&transactions[0], ALICE).expect("the first fits");
        block.trace(&transactions[1], ALICE).map(|_| ())
    };
    // Five instructions each.
    assert!(both(TraceLimits { steps: 10, ..LIMITS }).is_ok());
    assert!(matches!(both(TraceLimits { steps: 9, ..LIMITS }), Err(TraceError::TooManySteps { most: 9 })));
    assert!(both(TraceLimits { bytes: 2_500, ..LIMITS }).is_ok());
}

#[test]
fn what_grows_faster_than_the_gas_is_counted() {
    // PUSH2 n, JUMPDEST, DUP1 SLOAD POP, PUSH1 1 SWAP1 SUB, DUP1 PUSH1 3 JUMPI: reads n slots, each step listing those before.
    let slots = "6101f45b80545060019003806003575b00";
    // CALLER's code calls with all of 64 KiB of memory, a hundred times.
    let inputs = "60645b5f5f620100005f5f305af1506001900380600257";
    let state = state([(CONTRACT, with_code(slots)), (OTHER_CONTRACT, with_code(inputs))]);
    let call = |to, tracer: &Tracer| {
        let request = CallRequest { from: ALICE, to: Some(to), ..CallRequest::default() };
        let limits = TraceLimits { bytes: 4_000_000, ..LIMITS };
        trace_call(&state, context(Hardfork::Osaka), &request, tracer, 30_000_000, limits)
    };
    let steps = |disable_storage| {
        let config = StepConfig { disable_storage: Some(disable_storage), ..StepConfig::default() };
        call(CONTRACT, &Tracer::Steps(config))
    };
    assert!(matches!(steps(false), Err(TraceError::TooLarge { .. })));
    assert!(steps(true).is_ok());
    let tree = call(OTHER_CONTRACT, &Tracer::Calls(CallConfig::default()));
    assert!(matches!(tree, Err(TraceError::TooLarge { .. })), "{tree:?}");
}

#[test]
fn what_is_recorded_of_steps_and_calls_is_counted_with_its_size() {
    let five_hundred_pushes = "5f".repeat(500);
    // 64 KiB of memory, and then a hundred times PUSH0 POP.
    let memory = format!("5f6201000052{}", "5f50".repeat(100));
    let a_hundred_times = |what: &str| format!("60645b{what}506001900380600257");
    let outputs = a_hundred_times(&format!("5f5f5f5f5f73{}5af1", hex::encode(OTHER_CONTRACT)));
    let init_codes = a_hundred_times("61c0005f5ff0");
    let trace = |code: &str, tracer: &Tracer| {
        // The other one returns 64 KiB.
        let state = state([(CONTRACT, with_code(code)), (OTHER_CONTRACT, with_code("620100005ff3"))]);
        let request = CallRequest { from: ALICE, to: Some(CONTRACT), ..CallRequest::default() };
        let limits = TraceLimits { bytes: 2_000_000, ..LIMITS };
        trace_call(&state, context(Hardfork::Osaka), &request, tracer, 30_000_000, limits)
    };
    let bare = StepConfig { disable_stack: Some(true), disable_storage: Some(true), ..StepConfig::default() };
    let with_stack = StepConfig { disable_stack: None, ..bare };
    let with_memory = StepConfig { enable_memory: Some(true), ..bare };
    let calls = Tracer::Calls(CallConfig::default());
    for (code, tracer, without) in [
        (&five_hundred_pushes, Tracer::Steps(with_stack), Tracer::Steps(bare)),
        (&memory, Tracer::Steps(with_memory), Tracer::Steps(bare)),
        (&outputs, calls, Tracer::Noop),
        (&init_codes, calls, Tracer::Noop),
    ] {
        assert!(matches!(trace(code, &tracer), Err(TraceError::TooLarge { .. })), "{tracer:?}");
        assert!(trace(code, &without).is_ok(), "{without:?}");
    }
}

#[test]
fn a_call_is_traced_as_it_would_run() {
    let state = world();
    let calls_of = Tracer::Calls(CallConfig::default());
    let run = |request: &CallRequest| trace_call(&state, context(Hardfork::Osaka), request, &calls_of, 50_000, LIMITS);
    let request = CallRequest { from: ALICE, to: Some(CALLER), ..CallRequest::default() };
    let root = calls(&run(&request).expect("a trace"));
    assert_eq!((root.gas, root.calls.len()), (U256::from(50_000), 1));
    let poor = CallRequest { from: BOB, value: U256::from(1), ..request };
    let refused = run(&poor);
    let funds = |error: &CallError| matches!(error, CallError::Invalid(InvalidTransaction::InsufficientFunds { .. }));
    assert!(matches!(&refused, Err(TraceError::Call(error)) if funds(error)), "{refused:?}");
}
