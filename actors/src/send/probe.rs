//! A stand-in actor for tests: records the messages of one type and answers them with a closure.

use super::{ActorRegistry, Inbox, Mailbox, Timed};
use crate::guard::DeathWatch;
use actix::{Actor, Arbiter, Context, Handler, Message};
use tokio::sync::mpsc;

/// Test code reads what arrived from here.
pub(crate) struct Probe<M> {
    arrived: mpsc::Receiver<M>,
    /// Hears of deaths and lost signals of the stand-in.
    pub(crate) deaths: DeathWatch,
}

impl<M> Probe<M> {
    /// The next message; waits for it.
    pub(crate) async fn next(&mut self) -> M {
        self.arrived.recv().await.expect("the probe is alive while its port is")
    }

    /// The next message if one has arrived.
    pub(crate) fn try_next(&mut self) -> Option<M> {
        self.arrived.try_recv().ok()
    }
}

struct ProbeActor<M: Message> {
    record: mpsc::Sender<M>,
    answer: Box<dyn FnMut(&M) -> M::Result>,
}

impl<M: Message + Unpin + 'static> Actor for ProbeActor<M> {
    type Context = Context<Self>;
}

impl<M> Handler<Timed<M>> for ProbeActor<M>
where
    M: Message + Send + Unpin + 'static,
    M::Result: Send + 'static,
{
    type Result = ();

    fn handle(&mut self, timed: Timed<M>, ctx: &mut Self::Context) {
        timed.answer(ctx, |message, _| {
            let result = (self.answer)(&message);
            self.record.try_send(message).ok();
            result
        });
    }
}

/// A port to a mailbox of `capacity` messages that nobody reads until the returned function is called.
pub(crate) async fn idle_probe<M>(capacity: usize) -> (Inbox<M>, impl FnOnce() -> Probe<M>)
where
    M: Message<Result = ()> + Send + Unpin + 'static,
{
    let (registry, deaths) = ActorRegistry::new();
    let (record, arrived) = mpsc::channel(4096);
    let mailbox = Mailbox::open(&Arbiter::current(), registry.actor("Probe", capacity))
        .await
        .expect("the test's own arbiter runs");
    let inbox = mailbox.inbox();
    let start = move || {
        mailbox.start(move |_| ProbeActor { record, answer: Box::new(|_: &M| ()) });
        Probe { arrived, deaths }
    };
    (inbox, start)
}

/// A port, and the probe that hears what is sent to it. `answer` makes the answer to each message.
pub(crate) async fn probe<M>(answer: impl FnMut(&M) -> M::Result + Send + 'static) -> (Inbox<M>, Probe<M>)
where
    M: Message + Send + Unpin + 'static,
    M::Result: Send + 'static,
{
    let (registry, deaths) = ActorRegistry::new();
    let (record, arrived) = mpsc::channel(4096);
    let mailbox =
        Mailbox::open(&Arbiter::current(), registry.actor("Probe", 4096)).await.expect("the test's own arbiter runs");
    let inbox = mailbox.inbox();
    mailbox.start(move |_| ProbeActor { record, answer: Box::new(answer) });
    (inbox, Probe { arrived, deaths })
}
