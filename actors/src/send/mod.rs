//! The only place that sends actor messages.
//!
//! Actix's own sends are banned (clippy's `disallowed-methods`): `do_send` ignores the mailbox capacity and drops
//! errors, `send` has no deadline. Here a [`Mailbox`] has an exact bound, and each outgoing message of an actor is a
//! port of type [`Inbox`], with three ways to send:
//!
//! - [`Inbox::ask`]: await the answer until a deadline. [`AskError`] keeps timeout, closed and full apart.
//! - [`Inbox::offer`]: bounded; a full mailbox is counted and the message comes back.
//! - [`Inbox::signal`]: for events whose rate this node controls (one a block, one a start). May go over the bound
//!   by [`SIGNAL_HEADROOM`]; past that, or when the receiver is gone, the death guard hears of it.
//!
//! A message travels as [`Timed`]: the receiver implements `Handler<Timed<M>>` and calls [`Timed::answer`] or
//! [`Timed::answer_later`], which measure queue wait, handling time, depth and counts into the actor's
//! [`ActorMeter`]. Nothing is global: a node makes one [`ActorRegistry`] and takes a meter for each actor from it.
//!
//! Actix drains a mailbox before it looks at timers, so a flooded actor would never see its own ticks. Answering
//! yields to the runtime every [`YIELD_EVERY`] messages, which is why `answer` wants the context.

mod envelope;
mod error;
mod histogram;
mod inbox;
mod mailbox;
mod meter;
#[cfg(test)]
pub(crate) mod probe;
mod registry;
#[cfg(test)]
mod span_tests;
#[cfg(test)]
mod tests;
mod timers;

pub use envelope::{Reply, Timed, YIELD_EVERY};
pub use error::{AskError, OfferError};
pub use histogram::{Histogram, HistogramSnapshot};
pub use inbox::{Inbox, SIGNAL_HEADROOM};
pub use mailbox::{Mailbox, OpenMailboxError};
pub use meter::{ActorFigures, ActorMeter, ActorPace, ActorState, MessageFigures, MessageMeter};
pub use registry::ActorRegistry;
pub use timers::{OnTimer, Timers};
