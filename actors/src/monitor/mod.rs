//! Actor and stage figures, their Prometheus text form, and alarms.
//!
//! Figures are kept where they arise ([`crate::send::ActorMeter`], [`StageMeter`]) and read without a message; the
//! [`Monitor`] actor closes their measuring windows at a steady pace, so that rates and quantiles are recent, and looks
//! whether any of them is an alarm ([`Watch`], the core). What stands is in [`Alarms`]; a [`Webhook`] tells of changes.

mod actor;
mod alarms;
mod metrics;
mod notices;
mod stage;
#[cfg(test)]
mod tests;
mod watch;
mod webhook;

pub use actor::{LOOK_EVERY, Monitor, WINDOW, Watching};
pub use alarms::{Alarm, Alarms};
pub use metrics::Metrics;
pub use notices::{MAX_NOTICES, Notice, Notices};
pub use stage::{StageBusy, StageFigures, StageMeter, StageStalled, Stages};
pub use watch::{ActorReading, Limits, Readings, Watch};
pub use webhook::{Sender, Webhook, WebhookSetupError};
