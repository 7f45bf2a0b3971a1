//! The typed port of one outgoing message.

#![allow(clippy::disallowed_methods)] // this module is the one place that may send

use super::envelope::{Slot, Timed};
use super::error::{AskError, OfferError};
use super::meter::{ActorMeter, MessageMeter};
use crate::guard::Cause;
use actix::dev::ToEnvelope;
use actix::{Actor, Addr, Context, Handler, Message, Recipient};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tracing::Span;

/// How far signals may go over a mailbox's capacity. Signals come at a rate this node controls (a few a block), so
/// whoever is this many behind has hung for minutes.
pub const SIGNAL_HEADROOM: usize = 1_024;

/// Where messages of type `M` can be sent. Knows neither the type nor the address of its actor. Cheap to clone.
pub struct Inbox<M>
where
    M: Message + Send + 'static,
    M::Result: Send + 'static,
{
    to: Recipient<Timed<M>>,
    meter: Arc<MessageMeter>,
}

impl<M> Clone for Inbox<M>
where
    M: Message + Send + 'static,
    M::Result: Send + 'static,
{
    fn clone(&self) -> Self {
        Self { to: self.to.clone(), meter: self.meter.clone() }
    }
}

impl<M> std::fmt::Debug for Inbox<M>
where
    M: Message + Send + 'static,
    M::Result: Send + 'static,
{
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Inbox({}.{})", self.meter.actor().name(), self.meter.name())
    }
}

impl<M> Inbox<M>
where
    M: Message + Send + 'static,
    M::Result: Send + 'static,
{
    pub(super) fn new<A>(address: &Addr<A>, actor: &Arc<ActorMeter>) -> Self
    where
        A: Actor<Context = Context<A>> + Handler<Timed<M>>,
        Context<A>: ToEnvelope<A, Timed<M>>,
    {
        Self { to: address.clone().recipient(), meter: actor.message(short_name::<M>()) }
    }

    /// Sends now and returns a future of the answer, which waits at most `deadline`. The answer that is not there
    /// within it is an [`AskError::Timeout`], an actor that is gone is [`AskError::Closed`].
    pub fn ask(
        &self,
        message: M,
        deadline: Duration,
    ) -> impl Future<Output = Result<M::Result, AskError>> + Send + use<M> {
        self.ask_within(self.meter.actor().capacity(), message, deadline)
    }

    /// As [`Self::ask`], also where the mailbox is full.
    pub(crate) fn ask_urgently(
        &self,
        message: M,
        deadline: Duration,
    ) -> impl Future<Output = Result<M::Result, AskError>> + Send + use<M> {
        self.ask_within(self.meter.actor().capacity().saturating_add(2 * SIGNAL_HEADROOM), message, deadline)
    }

    fn ask_within(
        &self,
        bound: usize,
        message: M,
        deadline: Duration,
    ) -> impl Future<Output = Result<M::Result, AskError>> + Send + use<M> {
        let (reply, answer) = oneshot::channel();
        let sent = self.deliver(message, Some(reply), bound, Span::current());
        let meter = self.meter.clone();
        async move {
            let (actor, message) = (meter.actor().name(), meter.name());
            match sent {
                Err(OfferError::Full(_)) => {
                    return Err(AskError::Full { actor, message, capacity: meter.actor().capacity() });
                }
                Err(OfferError::Closed(_)) => return Err(AskError::Closed { actor, message }),
                Ok(()) => {}
            }
            match tokio::time::timeout(deadline, answer).await {
                Ok(Ok(result)) => Ok(result),
                Ok(Err(_)) => Err(AskError::Closed { actor, message }),
                Err(_) => {
                    meter.timed_out_once();
                    Err(AskError::Timeout { actor, message, deadline })
                }
            }
        }
    }

    /// Sends unless the mailbox is full or the actor gone; then the message comes back. A refusal is counted.
    pub fn offer(&self, message: M) -> Result<(), OfferError<M>> {
        self.deliver(message, None, self.meter.actor().capacity(), Span::current())
    }

    /// Sends an event whose rate this node controls. It may go over the mailbox's capacity; an actor that is
    /// [`SIGNAL_HEADROOM`] beyond it, or gone, is reported to the death guard, and the event is lost with it.
    pub fn signal(&self, message: M) {
        self.signal_within(message, Span::current());
    }

    /// As [`Self::signal`], outside of the span that is entered now: for what concerns more than that.
    pub fn signal_apart(&self, message: M) {
        self.signal_within(message, Span::none());
    }

    fn signal_within(&self, message: M, span: Span) {
        let actor = self.meter.actor();
        let cause = match self.deliver(message, None, actor.capacity().saturating_add(SIGNAL_HEADROOM), span) {
            Ok(()) => return,
            Err(OfferError::Full(_)) => Cause::Hung { waiting: actor.depth() },
            Err(OfferError::Closed(_)) => Cause::Ended,
        };
        actor.signal_lost(self.meter.name(), cause);
    }

    /// Whether the actor is there.
    pub fn is_open(&self) -> bool {
        self.to.connected()
    }

    /// The figures of this message type.
    pub fn meter(&self) -> &Arc<MessageMeter> {
        &self.meter
    }

    fn deliver(
        &self,
        message: M,
        reply: Option<oneshot::Sender<M::Result>>,
        bound: usize,
        span: Span,
    ) -> Result<(), OfferError<M>> {
        let Some(slot) = Slot::take(&self.meter, bound) else {
            return Err(if self.is_open() { OfferError::Full(message) } else { OfferError::Closed(message) });
        };
        // The mailbox's own bound is off (see `Mailbox`), so the only error is a closed one.
        self.to
            .try_send(Timed::new(message, reply, slot, span))
            .map_err(|refused| OfferError::Closed(refused.into_inner().into_message()))
    }
}

/// The type's name without its path, as it appears in metrics.
fn short_name<M>() -> &'static str {
    let full = std::any::type_name::<M>();
    let path = full.split('<').next().unwrap_or(full);
    path.rsplit("::").next().unwrap_or(path)
}
