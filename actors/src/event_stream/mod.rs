//! Events for whoever faces clients: durable blocks, pending transactions, the sync status, deliveries.
//!
//! An event is shared by all subscribers, and so is each form in which it is written: the first subscriber that needs a
//! form writes it. All queues hold ends of one sequence of events, so what they keep together is no more than what the
//! slowest one keeps.

mod actor;
mod changes;
mod event;
mod messages;
mod metrics;
mod queue;
pub(crate) mod state;
#[cfg(test)]
pub(crate) mod tests;

pub use actor::{EventStream, Look, Sources};
pub use event::{BlockEvent, Event, PendingEvent, RoutesEvent, SyncEvent, Topic, Topics};
pub(crate) use event::{WrittenLog, WrittenReceipt};
pub use messages::{BlocksStored, SubscribeToEvents, TransactionPending};
pub use metrics::EventMetrics;
pub use queue::{Subscription, SubscriptionEnded};

/// Events that may wait for one subscriber; blocks that became durable together are one event.
pub const SUBSCRIBER_EVENTS: usize = 4_096;
/// Bytes of the blocks and transactions that may wait for one subscriber: two full blocks.
pub const SUBSCRIBER_BYTES: usize = 16 << 20;
