//! Everything that `GET /metrics` shows.

use super::stage::{StageMeter, Stages};
use crate::callboard::{Callboard, Delivery, Kind, Origin, Phase};
use crate::send::{ActorRegistry, HistogramSnapshot, MessageMeter};
use parking_lot::Mutex;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;
use std::fmt::Error;
use std::sync::Arc;
use std::time::Duration;

/// A node's metrics. Modules register their own; actors, stages and routes are read when asked. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Metrics(Arc<Mutex<Registry>>);

impl Metrics {
    /// No metrics yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The figures of a node's actors, stages and routing table.
    pub fn of(actors: ActorRegistry, stages: Stages, callboard: Callboard) -> Self {
        let metrics = Self::new();
        metrics.register(|registry| {
            registry.register_collector(Box::new(Actors(actors)));
            registry.register_collector(Box::new(Pipeline(stages)));
            registry.register_collector(Box::new(Routing(callboard)));
        });
        metrics
    }

    /// Lets a module register its metrics. Names bear the prefix `callboard_` and, for counters, no `_total`: the
    /// text form adds it.
    pub fn register<R>(&self, with: impl FnOnce(&mut Registry) -> R) -> R {
        with(&mut self.0.lock())
    }

    /// OpenMetrics text, as `GET /metrics` answers it
    /// (`application/openmetrics-text; version=1.0.0; charset=utf-8`).
    pub fn encode(&self) -> String {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.0.lock()).expect("writing to a string cannot fail");
        text
    }
}

#[derive(Debug)]
struct Actors(ActorRegistry);

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ActorLabel {
    actor: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct MessageLabel {
    actor: &'static str,
    message: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabel {
    actor: &'static str,
    message: &'static str,
    outcome: &'static str,
}

impl Collector for Actors {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        let actors = self.0.meters();
        let messages: Vec<_> = actors.iter().flat_map(|actor| actor.messages()).collect();
        encode_outcomes(&mut encoder, &messages)?;
        let (wait, handle) = ("Time in the mailbox", "Time from the start of handling to the answer");
        encode_times(&mut encoder, "callboard_actor_wait_seconds", wait, &messages, MessageMeter::wait)?;
        encode_times(&mut encoder, "callboard_actor_handle_seconds", handle, &messages, MessageMeter::handle)?;
        let help = "Messages waiting or being answered";
        let mut depths = encoder.encode_descriptor("callboard_actor_mailbox_depth", help, None, MetricType::Gauge)?;
        for actor in &actors {
            let depth = i64::try_from(actor.depth()).unwrap_or(i64::MAX);
            depths.encode_family(&ActorLabel { actor: actor.name() })?.encode_gauge(&depth)?;
        }
        Ok(())
    }
}

fn encode_outcomes(encoder: &mut DescriptorEncoder<'_>, messages: &[Arc<MessageMeter>]) -> Result<(), Error> {
    let help = "Messages by what became of them";
    let mut counts = encoder.encode_descriptor("callboard_actor_messages", help, None, MetricType::Counter)?;
    for meter in messages {
        let outcomes = [("handled", meter.handled()), ("refused", meter.refused()), ("timed_out", meter.timed_out())];
        for (outcome, count) in outcomes {
            let labels = OutcomeLabel { actor: meter.actor().name(), message: meter.name(), outcome };
            counts.encode_family(&labels)?.encode_counter::<NoLabelSet, u64, f64>(&count, None)?;
        }
    }
    Ok(())
}

fn encode_times(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    messages: &[Arc<MessageMeter>],
    times: fn(&MessageMeter) -> HistogramSnapshot,
) -> Result<(), Error> {
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Histogram)?;
    for meter in messages {
        let labels = MessageLabel { actor: meter.actor().name(), message: meter.name() };
        let times = times(meter);
        family.encode_family(&labels)?.encode_histogram::<NoLabelSet>(
            times.total_seconds(),
            times.count(),
            &times.prometheus_buckets(),
            None,
        )?;
    }
    Ok(())
}

#[derive(Debug)]
struct Pipeline(Stages);

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StageLabel {
    stage: &'static str,
}

impl Collector for Pipeline {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        let help = "Busy time of each stage of the sync pipeline";
        encode_stages(&mut encoder, "callboard_sync_stage_seconds", help, &self.0, StageMeter::total)?;
        let (name, help) = ("callboard_sync_stage_stalled_seconds", "Time that each stage waited for the next one");
        encode_stages(&mut encoder, name, help, &self.0, StageMeter::total_stalled)
    }
}

fn encode_stages(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    stages: &Stages,
    time: fn(&StageMeter) -> Duration,
) -> Result<(), Error> {
    let mut seconds = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    for stage in stages.all() {
        seconds
            .encode_family(&StageLabel { stage: stage.name() })?
            .encode_counter::<NoLabelSet, f64, f64>(&time(stage).as_secs_f64(), None)?;
    }
    Ok(())
}

#[derive(Debug)]
struct Routing(Callboard);

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabel {
    origin: &'static str,
    kind: &'static str,
    route: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OriginLabel {
    origin: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PhaseLabel {
    phase: &'static str,
}

impl Collector for Routing {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        let help = "Deliveries of blocks and transactions, by the routing table";
        let mut routes = encoder.encode_descriptor("callboard_route", help, None, MetricType::Counter)?;
        for count in self.0.counts() {
            let (origin, kind, route) = (count.origin.name(), count.kind.name(), count.route.name());
            routes
                .encode_family(&RouteLabel { origin, kind, route })?
                .encode_counter::<NoLabelSet, u64, f64>(&count.count, None)?;
        }
        let help = "Blocks from outside that are part of this chain now, by where they came from";
        let mut imported = encoder.encode_descriptor("callboard_blocks_imported", help, None, MetricType::Counter)?;
        for origin in [Origin::Peer, Origin::Operator] {
            let count = self.0.delivered(origin, Kind::Block, Delivery::ImportBlock);
            imported
                .encode_family(&OriginLabel { origin: origin.name() })?
                .encode_counter::<NoLabelSet, u64, f64>(&count, None)?;
        }
        let help = "1 for the phase the sync coordinator is in, 0 for the others";
        let mut phases = encoder.encode_descriptor("callboard_sync_phase", help, None, MetricType::Gauge)?;
        let now = self.0.phase();
        for &phase in Phase::ALL {
            phases.encode_family(&PhaseLabel { phase: phase.name() })?.encode_gauge(&i64::from(phase == now))?;
        }
        Ok(())
    }
}
