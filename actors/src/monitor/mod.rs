//! Actor and stage figures, and their Prometheus text form.
//!
//! Figures are kept where they arise ([`crate::send::ActorMeter`], [`StageMeter`]) and read without a message; the
//! [`Monitor`] actor only closes their measuring windows at a steady pace, so that rates and quantiles are recent.

mod actor;
mod alarms;
mod metrics;
mod stage;
#[cfg(test)]
mod tests;

pub use actor::{Monitor, WINDOW};
pub use alarms::{Alarm, Alarms};
pub use metrics::Metrics;
pub use stage::{StageBusy, StageFigures, StageMeter, Stages};
