//! Confirmed blocks, for whoever inside this process wants to hear of them.

mod actor;
mod messages;
mod state;
#[cfg(test)]
mod tests;

pub use actor::EventStream;
pub use messages::{BlocksStored, Subscribe};
pub use state::{SUBSCRIBER_CAPACITY, Subscription, SubscriptionEnded};
