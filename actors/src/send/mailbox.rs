//! An actor's mailbox, opened before the actor exists, so that every actor is made with all the ports it needs.

use super::envelope::Timed;
use super::inbox::Inbox;
use super::meter::ActorMeter;
use actix::dev::ToEnvelope;
use actix::{Actor, Addr, ArbiterHandle, AsyncContext, Context, Handler, Message};
use std::sync::Arc;
use tokio::sync::oneshot;

type Make<A> = Box<dyn FnOnce(&mut Context<A>) -> A + Send>;

/// The thread that was to run the actor has ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{actor} cannot start: its thread has ended")]
pub struct OpenMailboxError {
    /// The actor.
    pub actor: &'static str,
}

/// An open mailbox whose actor has not started. Messages sent meanwhile wait in it.
pub struct Mailbox<A: Actor<Context = Context<A>>> {
    address: Addr<A>,
    meter: Arc<ActorMeter>,
    start: oneshot::Sender<Make<A>>,
}

impl<A: Actor<Context = Context<A>>> Mailbox<A> {
    /// Opens a mailbox for an actor that will run on `arbiter`.
    pub async fn open(arbiter: &ArbiterHandle, meter: Arc<ActorMeter>) -> Result<Self, OpenMailboxError> {
        let (start, make) = oneshot::channel::<Make<A>>();
        let (opened, address) = oneshot::channel();
        let actor = meter.name();
        let guarded = meter.clone();
        arbiter.spawn_fn(move || {
            let mut ctx = Context::new();
            // 0 switches actix's own bound off, which every clone of an address stretches by one; ours is exact.
            ctx.set_mailbox_capacity(0);
            if opened.send(ctx.address()).is_err() {
                return;
            }
            actix::spawn(async move {
                if let Ok(make) = make.await {
                    run(ctx, make, &guarded).await;
                }
            });
        });
        let address = address.await.map_err(|_| OpenMailboxError { actor })?;
        Ok(Self { address, meter, start })
    }

    /// A port for messages of type `M` to this actor.
    pub fn inbox<M>(&self) -> Inbox<M>
    where
        A: Handler<Timed<M>>,
        Context<A>: ToEnvelope<A, Timed<M>>,
        M: Message + Send + 'static,
        M::Result: Send + 'static,
    {
        Inbox::new(&self.address, &self.meter)
    }

    /// The actor's figures.
    pub fn meter(&self) -> &Arc<ActorMeter> {
        &self.meter
    }

    /// Starts the actor that `make` builds on the mailbox's thread. From here on the death guard watches it.
    pub fn start(self, make: impl FnOnce(&mut Context<A>) -> A + Send + 'static) {
        if self.start.send(Box::new(make)).is_err() {
            self.meter.ended(None);
        }
    }
}

/// Runs the actor in a task of its own, so that a panic ends that task and not this one, and reports its end.
async fn run<A: Actor<Context = Context<A>>>(mut ctx: Context<A>, make: Make<A>, meter: &Arc<ActorMeter>) {
    meter.running();
    let task = actix::spawn(async move {
        let actor = make(&mut ctx);
        ctx.into_future(actor).await;
    });
    let panic = task.await.err().map(|error| match error.try_into_panic() {
        Ok(payload) => panic_message(&*payload),
        Err(_) => "cancelled".to_owned(),
    });
    meter.ended(panic);
}

fn panic_message(payload: &(dyn std::any::Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("no message").to_owned()
}
