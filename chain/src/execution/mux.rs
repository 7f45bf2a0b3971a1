//! Several tracers in one run of a transaction (`muxTracer`).

use super::trace::{CallConfig, FlatCallConfig, PrestateConfig, Trace, Tracer};
use alloy_rpc_types_trace::geth::GethDebugBuiltInTracerType as Name;
use alloy_rpc_types_trace::geth::mux::{MuxConfig, MuxFrame};
use alloy_rpc_types_trace::geth::{GethDebugTracerConfig, GethDebugTracerType};
use revm_inspectors::tracing::{DebugInspector, MuxInspector};

/// Tracers that tell of one run, each as it does by itself.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Mux {
    /// The tree of calls.
    pub calls: Option<CallConfig>,
    /// The same as a list.
    pub flat_calls: Option<FlatCallConfig>,
    /// The accounts before, or before and after.
    pub prestate: Option<PrestateConfig>,
    /// Of the accounts before, those that were empty as well.
    pub include_empty: bool,
    /// Which functions were called.
    pub selectors: bool,
    /// That it runs.
    pub noop: bool,
}

impl Mux {
    /// The tracers, by name.
    pub(super) fn parts(&self) -> impl Iterator<Item = (GethDebugTracerType, Tracer)> {
        let include_empty = self.include_empty;
        let parts = [
            (Name::CallTracer, self.calls.map(Tracer::Calls)),
            (Name::FlatCallTracer, self.flat_calls.map(Tracer::FlatCalls)),
            (Name::PreStateTracer, self.prestate.map(|config| Tracer::Prestate { config, include_empty })),
            (Name::FourByteTracer, self.selectors.then_some(Tracer::Selectors)),
            (Name::NoopTracer, self.noop.then_some(Tracer::Noop)),
        ];
        parts.into_iter().filter_map(|(name, part)| Some((name.into(), part?)))
    }

    /// The inspector of all but the list of calls. That one has its own: in a shared one the calls that it leaves out are
    /// missing from the tree as well.
    pub(super) fn inspector(&self) -> DebugInspector {
        let shared = self.parts().filter(|(_, part)| !matches!(part, Tracer::FlatCalls(_)));
        let config = MuxConfig(shared.map(|(name, part)| (name, config(&part))).collect());
        let inspector = MuxInspector::try_from_config(config.clone());
        DebugInspector::Mux(inspector.expect("each has the config that it takes, and none other"), config)
    }
}

fn config(part: &Tracer) -> Option<GethDebugTracerConfig> {
    match part {
        Tracer::Calls(config) => Some((*config).into()),
        Tracer::Prestate { config, .. } => Some((*config).into()),
        _ => None,
    }
}

/// Each tracer's part of what was told, with the tracer.
pub(super) fn each<'a>(frame: &'a mut MuxFrame, mux: &'a Mux) -> impl Iterator<Item = (&'a mut Trace, Tracer)> {
    frame.0.iter_mut().filter_map(|(name, trace)| {
        let (_, tracer) = mux.parts().find(|(part, _)| part == name)?;
        Some((trace, tracer))
    })
}

/// Puts the list of calls beside the others.
pub(super) fn insert_flat_calls(frame: &mut MuxFrame, calls: Trace) {
    frame.0.insert(Name::FlatCallTracer.into(), calls);
}
