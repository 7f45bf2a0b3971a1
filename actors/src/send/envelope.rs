//! A message on its way, and its answer.

#![allow(clippy::disallowed_methods)] // this module is the one place that may send

use super::meter::MessageMeter;
use actix::{Actor, ActorFuture, AsyncContext, Context, Message};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;
use tokio::sync::oneshot;
use tracing::Span;

/// An actor yields to the runtime after this many messages. Actix handles all waiting messages before timers run;
/// measured: with a mailbox kept full, a 20 ms timer never fires without this, and on time with it. A yield costs
/// below 1 µs.
pub const YIELD_EVERY: u32 = 16;

/// A message as it lies in a mailbox: with its sender's span, the time it was sent and the way back for the answer.
/// While it exists it takes a slot of the receiver's mailbox.
pub struct Timed<M: Message> {
    message: M,
    reply: Option<oneshot::Sender<M::Result>>,
    span: Span,
    slot: Slot,
}

impl<M> Message for Timed<M>
where
    M: Message + Send + 'static,
    M::Result: Send + 'static,
{
    type Result = ();
}

impl<M> Timed<M>
where
    M: Message + Send + 'static,
    M::Result: Send + 'static,
{
    pub(super) fn new(message: M, reply: Option<oneshot::Sender<M::Result>>, slot: Slot, span: Span) -> Self {
        Self { message, reply, span, slot }
    }

    /// The message, unhandled; frees the slot.
    pub(super) fn into_message(self) -> M {
        self.message
    }

    /// What was sent.
    pub fn message(&self) -> &M {
        &self.message
    }

    /// Handles the message at once: `handle` runs within the sender's span, and its result goes to the sender if it
    /// asked for one.
    pub fn answer<A>(self, ctx: &mut Context<A>, handle: impl FnOnce(M, &mut Context<A>) -> M::Result)
    where
        A: Actor<Context = Context<A>>,
    {
        let span = self.span.clone();
        let _entered = span.enter();
        let (message, reply) = self.open(ctx);
        let busy = BusyTime::start(&reply.slot.meter);
        let result = handle(message, ctx);
        drop(busy);
        reply.send(result);
    }

    /// Handles the message with a future that runs beside other messages (`future.into_actor(self)`). The message
    /// keeps its mailbox slot until the future is done, so that the mailbox capacity bounds these futures too.
    pub fn answer_later<A, F>(self, ctx: &mut Context<A>, handle: impl FnOnce(M, &mut Context<A>) -> F)
    where
        A: Actor<Context = Context<A>>,
        F: ActorFuture<A, Output = M::Result> + 'static,
    {
        let span = self.span.clone();
        let future = {
            let _entered = span.enter();
            let (message, reply) = self.open(ctx);
            let _busy = BusyTime::start(&reply.slot.meter);
            Answering { future: Box::pin(handle(message, ctx)), reply: Some(reply), span: span.clone() }
        };
        ctx.spawn(future);
    }

    /// Takes the message out and leaves answering to the caller, for handlers that fit neither shape.
    pub fn open<A>(self, ctx: &mut Context<A>) -> (M, Reply<M>)
    where
        A: Actor<Context = Context<A>>,
    {
        let meter = &self.slot.meter;
        meter.waited(self.slot.sent);
        if meter.actor().is_yield_due() {
            ctx.wait(actix::fut::wrap_future::<_, A>(tokio::task::yield_now()));
        }
        (self.message, Reply { sender: self.reply, started: meter.actor().clock(), slot: self.slot })
    }
}

/// The way back for one answer. Dropped without an answer, the asker gets [`super::AskError::Closed`].
#[must_use = "the sender waits for the answer"]
pub struct Reply<M: Message> {
    sender: Option<oneshot::Sender<M::Result>>,
    started: Option<Instant>,
    slot: Slot,
}

impl<M: Message> Reply<M> {
    /// Answers, and counts the message as handled.
    pub fn send(self, result: M::Result) {
        self.slot.meter.finished(self.started);
        // First the slot, then the answer: who has got an answer finds its place free again.
        drop(self.slot);
        if let Some(sender) = self.sender {
            // An asker that has given up needs no answer; it counted the timeout itself.
            sender.send(result).ok();
        }
    }
}

/// A taken place in a mailbox.
pub(super) struct Slot {
    meter: Arc<MessageMeter>,
    sent: Option<Instant>,
}

impl Slot {
    /// Takes a place if fewer than `bound` are taken.
    pub(super) fn take(meter: &Arc<MessageMeter>, bound: usize) -> Option<Self> {
        meter.enter(bound).then(|| Self { meter: meter.clone(), sent: meter.actor().clock() })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.meter.leave();
    }
}

/// Adds the time until it is dropped to the actor's busy time, also when the handler panics.
struct BusyTime {
    meter: Arc<MessageMeter>,
    since: Option<Instant>,
}

impl BusyTime {
    fn start(meter: &Arc<MessageMeter>) -> Self {
        Self { meter: meter.clone(), since: meter.actor().clock() }
    }
}

impl Drop for BusyTime {
    fn drop(&mut self) {
        if let Some(since) = self.since {
            self.meter.actor().add_busy(since.elapsed());
        }
    }
}

struct Answering<M: Message, F> {
    future: Pin<Box<F>>,
    reply: Option<Reply<M>>,
    span: Span,
}

// The future is boxed, the rest is never pinned.
impl<M: Message, F> Unpin for Answering<M, F> {}

impl<M, A, F> ActorFuture<A> for Answering<M, F>
where
    M: Message,
    A: Actor<Context = Context<A>>,
    F: ActorFuture<A, Output = M::Result>,
{
    type Output = ();

    fn poll(
        mut self: Pin<&mut Self>,
        actor: &mut A,
        ctx: &mut Context<A>,
        task: &mut std::task::Context<'_>,
    ) -> Poll<()> {
        let this = &mut *self;
        let _entered = this.span.enter();
        let Some(reply) = this.reply.take() else { return Poll::Ready(()) };
        let busy = BusyTime::start(&reply.slot.meter);
        let polled = this.future.as_mut().poll(actor, ctx, task);
        drop(busy);
        match polled {
            Poll::Ready(result) => {
                reply.send(result);
                Poll::Ready(())
            }
            Poll::Pending => {
                this.reply = Some(reply);
                Poll::Pending
            }
        }
    }
}
