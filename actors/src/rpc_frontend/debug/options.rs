//! What is asked of a trace: geth's `TraceConfig`. Names that are not known are refused, but in `tracerConfig`, where geth
//! passes them over and clients send one tracer's to another.

use crate::rpc_frontend::eth::BlockOverridesParam;
use crate::rpc_frontend::jsonrpc::{Params, RpcError};
use alloy_rpc_types_eth::state::StateOverride;
use callboard_chain::execution::{CallConfig, FlatCallConfig, Mux, PrestateConfig, StepConfig, Tracer};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::time::Duration;

/// The tracers by name.
const TRACERS: &str = "callTracer, flatCallTracer, prestateTracer, 4byteTracer, noopTracer, muxTracer for several of \
                       these, and none for the steps of the EVM";
const NANOS_PER_SECOND: f64 = 1e9;

/// The second parameter (the third of `debug_traceCall`).
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Options {
    tracer: Option<String>,
    tracer_config: Option<Value>,
    timeout: Option<String>,
    /// How many blocks geth may execute again to get at the state. Here it is stored.
    #[serde(rename = "reexec")]
    _reexec: Option<u64>,
    enable_memory: Option<bool>,
    disable_memory: Option<bool>,
    disable_stack: Option<bool>,
    disable_storage: Option<bool>,
    enable_return_data: Option<bool>,
    disable_return_data: Option<bool>,
    limit: Option<u64>,
    pub(super) state_overrides: Option<StateOverride>,
    pub(super) block_overrides: Option<BlockOverridesParam>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Calls {
    only_top_call: Option<bool>,
    with_log: Option<bool>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct FlatCalls {
    convert_parity_errors: Option<bool>,
    include_precompiles: Option<bool>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Prestate {
    include_empty: Option<bool>,
    diff_mode: Option<bool>,
    disable_code: Option<bool>,
    disable_storage: Option<bool>,
}

impl Options {
    /// The options of a trace of what happened, where nothing can be overridden.
    pub(super) fn of_the_past(params: &Params<'_>, index: usize) -> Result<Self, RpcError> {
        let options = Self::parse(params, index)?;
        if options.state_overrides.is_some() || options.block_overrides.is_some() {
            let message = "stateOverrides and blockOverrides are options of debug_traceCall only";
            return Err(RpcError::invalid_params(message));
        }
        Ok(options)
    }

    /// The options of a trace of a call.
    pub(super) fn parse(params: &Params<'_>, index: usize) -> Result<Self, RpcError> {
        Ok(params.optional(index, "trace options")?.unwrap_or_default())
    }

    /// What is to be told.
    pub(super) fn tracer(&self) -> Result<Tracer, RpcError> {
        match self.tracer.as_deref().unwrap_or_default() {
            "" => Ok(Tracer::Steps(self.steps())),
            "muxTracer" => Ok(Tracer::Mux(mux(self.tracer_config.as_ref())?)),
            name => named(name, self.tracer_config.as_ref()),
        }
    }

    /// How long it may take: what is asked for, and never more than `most`.
    pub(super) fn time(&self, most: Duration) -> Result<Duration, RpcError> {
        let Some(text) = &self.timeout else { return Ok(most) };
        let asked = duration(text).ok_or_else(|| {
            RpcError::invalid_params(format!("timeout {text:?} is no duration: write 300ms, 5s or 1m30s"))
        })?;
        Ok(asked.min(most))
    }

    fn steps(&self) -> StepConfig {
        StepConfig {
            enable_memory: self.enable_memory,
            disable_memory: self.disable_memory,
            disable_stack: self.disable_stack,
            disable_storage: self.disable_storage,
            enable_return_data: self.enable_return_data,
            disable_return_data: self.disable_return_data,
            limit: self.limit,
            ..StepConfig::default()
        }
    }
}

/// A tracer that tells of one thing.
fn named(name: &str, given: Option<&Value>) -> Result<Tracer, RpcError> {
    match name {
        "callTracer" => {
            let Calls { only_top_call, with_log } = config(name, given)?;
            Ok(Tracer::Calls(CallConfig { only_top_call, with_log }))
        }
        "flatCallTracer" => {
            let FlatCalls { convert_parity_errors, include_precompiles } = config(name, given)?;
            Ok(Tracer::FlatCalls(FlatCallConfig { convert_parity_errors, include_precompiles }))
        }
        "prestateTracer" => {
            let Prestate { include_empty, diff_mode, disable_code, disable_storage } = config(name, given)?;
            let config = PrestateConfig { diff_mode, disable_code, disable_storage };
            Ok(Tracer::Prestate { config, include_empty: include_empty.unwrap_or_default() })
        }
        "4byteTracer" => Ok(Tracer::Selectors),
        "noopTracer" => Ok(Tracer::Noop),
        other => Err(unknown_tracer(other)),
    }
}

/// The tracers that a muxTracer holds, each with its config.
fn mux(given: Option<&Value>) -> Result<Mux, RpcError> {
    let tracers = given.and_then(Value::as_object).filter(|tracers| !tracers.is_empty()).ok_or_else(|| {
        let message = r#"muxTracer takes its tracers in tracerConfig, such as {"callTracer":{"withLog":true},"4byteTracer":null}"#;
        RpcError::invalid_params(message)
    })?;
    let mut mux = Mux::default();
    for (name, given) in tracers {
        match named(name, Some(given))? {
            Tracer::Calls(config) => mux.calls = Some(config),
            Tracer::FlatCalls(config) => mux.flat_calls = Some(config),
            Tracer::Prestate { config, include_empty } => {
                (mux.prestate, mux.include_empty) = (Some(config), include_empty)
            }
            Tracer::Selectors => mux.selectors = true,
            Tracer::Noop => mux.noop = true,
            Tracer::Steps(_) | Tracer::Mux(_) => return Err(unknown_tracer(name)),
        }
    }
    Ok(mux)
}

fn config<T: DeserializeOwned + Default>(tracer: &str, given: Option<&Value>) -> Result<T, RpcError> {
    let Some(config) = given.filter(|config| !config.is_null()) else { return Ok(T::default()) };
    T::deserialize(config)
        .map_err(|error| RpcError::invalid_params(format!("invalid tracerConfig of {tracer}: {error}")))
}

fn unknown_tracer(name: &str) -> RpcError {
    let shown: String = name.chars().take(40).collect();
    let script = if name.contains(['{', '(']) { "; tracers in JavaScript are not supported" } else { "" };
    RpcError::invalid_params(format!("tracer not found: {shown:?}{script}; there are {TRACERS}"))
}

/// A duration as Go writes it: numbers with units, one after the other.
fn duration(text: &str) -> Option<Duration> {
    let (mut rest, mut sum) = (text, Duration::ZERO);
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let letters = rest.find(|letter: char| letter.is_ascii_digit() || letter == '.').unwrap_or(rest.len());
        let nanos = match &rest[..letters] {
            "ns" => 1.0,
            "us" | "µs" => 1e3,
            "ms" => 1e6,
            "s" => NANOS_PER_SECOND,
            "m" => 60.0 * NANOS_PER_SECOND,
            "h" => 3_600.0 * NANOS_PER_SECOND,
            _ => return None,
        };
        rest = &rest[letters..];
        sum = sum.checked_add(Duration::try_from_secs_f64(number * nanos / NANOS_PER_SECOND).ok()?)?;
    }
    Some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(json: &str) -> Result<Options, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    #[test]
    fn durations_are_read_as_go_writes_them() {
        let millis = |text| duration(text).map(|duration| duration.as_millis());
        assert_eq!(
            [millis("300ms"), millis("5s"), millis("1m30s"), millis("0.5s")],
            [300, 5_000, 90_000, 500].map(Some)
        );
        for wrong in ["", "5", "s", "5 s", "-1s", "5days", "1e400s", "."] {
            assert_eq!(duration(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn timeout_shortens_and_never_lengthens() {
        let time = |timeout: &str| {
            let options = options(&format!(r#"{{"timeout":"{timeout}"}}"#)).unwrap();
            options.time(Duration::from_secs(5)).map_err(|error| error.message)
        };
        assert_eq!(time("1s"), Ok(Duration::from_secs(1)));
        assert_eq!(time("1h"), Ok(Duration::from_secs(5)));
        assert_eq!(time("soon"), Err(r#"timeout "soon" is no duration: write 300ms, 5s or 1m30s"#.to_owned()));
    }

    #[test]
    fn what_is_not_known_is_named_with_what_is() {
        let unknown = options(r#"{"disableStacks":true}"#).unwrap_err();
        assert!(unknown.contains("disableStacks") && unknown.contains("disableStack`"), "{unknown}");
        let refused = |json: &str| options(json).unwrap().tracer().unwrap_err().message;
        let named = refused(r#"{"tracer":"bigramTracer"}"#);
        assert!(named.starts_with(r#"tracer not found: "bigramTracer"; there are callTracer,"#), "{named}");
        let script = refused(r#"{"tracer":"{fault: function() {}}"}"#);
        assert!(script.contains("JavaScript are not supported") && script.contains("callTracer"), "{script}");
        let config = refused(r#"{"tracer":"callTracer","tracerConfig":{"onlyTopCall":"yes"}}"#);
        assert!(config.starts_with("invalid tracerConfig of callTracer: invalid type: string"), "{config}");
    }

    #[test]
    fn a_mux_holds_tracers_by_name_each_with_its_config() {
        let mux = |config: &str| {
            let options = options(&format!(r#"{{"tracer":"muxTracer","tracerConfig":{config}}}"#)).unwrap();
            options.tracer().map_err(|error| error.message)
        };
        let calls = Some(CallConfig { only_top_call: None, with_log: Some(true) });
        let held = Mux { calls, selectors: true, prestate: Some(PrestateConfig::default()), ..Mux::default() };
        let config = r#"{"callTracer":{"withLog":true},"4byteTracer":null,"prestateTracer":{"includeEmpty":true}}"#;
        assert_eq!(mux(config), Ok(Tracer::Mux(Mux { include_empty: true, ..held })));
        for none in ["null", "{}", "[]", r#""callTracer""#] {
            let refused = mux(none).unwrap_err();
            assert!(refused.starts_with("muxTracer takes its tracers in tracerConfig, such as {"), "{refused}");
        }
        for (name, config) in [("muxTracer", "null"), ("", "null"), ("bigramTracer", "{}")] {
            let refused = mux(&format!(r#"{{"{name}":{config}}}"#)).unwrap_err();
            assert!(refused.starts_with(&format!("tracer not found: {name:?}; there are callTracer,")), "{refused}");
        }
        let wrong = mux(r#"{"callTracer":{"withLog":"yes"}}"#).unwrap_err();
        assert!(wrong.starts_with("invalid tracerConfig of callTracer: invalid type: string"), "{wrong}");
    }

    #[test]
    fn what_a_tracer_does_not_know_is_passed_over_in_its_config() {
        let tracer = |name: &str, config: &str| {
            options(&format!(r#"{{"tracer":"{name}","tracerConfig":{config}}}"#)).unwrap().tracer().unwrap()
        };
        let top = CallConfig { only_top_call: Some(true), with_log: None };
        assert_eq!(tracer("callTracer", r#"{"onlyTopCall":true,"diffMode":true}"#), Tracer::Calls(top));
        assert_eq!(tracer("noopTracer", r#"{"onlyTopCall":true}"#), Tracer::Noop);
        let parity = FlatCallConfig { convert_parity_errors: Some(true), include_precompiles: None };
        assert_eq!(tracer("flatCallTracer", r#"{"convertParityErrors":true}"#), Tracer::FlatCalls(parity));
    }
}
