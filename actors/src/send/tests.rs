use super::probe::probe;
use super::*;
use crate::guard::{ActorDied, Cause, DeathWatch, Stop, StopOrder, StopOutcome};
use actix::{Actor, ActorContext, Arbiter, Context, Handler, Message, WrapFuture};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, mpsc, oneshot};

const SOON: Duration = Duration::from_secs(20);
const CAPACITY: usize = 4;

#[derive(Message)]
#[rtype(result = "u64")]
struct Double(u64);

/// Blocks the actor's thread until the sender is dropped.
#[derive(Message)]
#[rtype(result = "()")]
struct Hold(std::sync::mpsc::Receiver<()>);

/// Answers when told to, without holding other messages up.
#[derive(Message)]
#[rtype(result = "u64")]
struct Later(oneshot::Receiver<u64>);

#[derive(Message)]
#[rtype(result = "()")]
struct Panic;

#[derive(Message)]
#[rtype(result = "()")]
struct Leave;

#[derive(Message)]
#[rtype(result = "()")]
struct StartTicking(mpsc::Sender<Instant>);

#[derive(Message)]
#[rtype(result = "()")]
struct SetTimers(mpsc::Sender<&'static str>);

/// Costs the worker some time.
#[derive(Message)]
#[rtype(result = "()")]
struct Toil(Duration);

/// Both timers run out while the worker is busy; the one that comes first cancels the other.
#[derive(Message)]
#[rtype(result = "()")]
struct SetRivals(mpsc::Sender<&'static str>);

#[derive(Default)]
struct Worker {
    rivals: bool,
    timers: Timers<&'static str>,
    fired: Option<mpsc::Sender<&'static str>>,
    ticks: Option<mpsc::Sender<Instant>>,
}

impl Actor for Worker {
    type Context = Context<Self>;
}

impl Handler<Timed<Double>> for Worker {
    type Result = ();
    fn handle(&mut self, timed: Timed<Double>, ctx: &mut Self::Context) {
        timed.answer(ctx, |Double(value), _| value * 2);
    }
}

impl Handler<Timed<Hold>> for Worker {
    type Result = ();
    fn handle(&mut self, timed: Timed<Hold>, ctx: &mut Self::Context) {
        timed.answer(ctx, |Hold(until), _| {
            until.recv().ok();
        });
    }
}

impl Handler<Timed<Later>> for Worker {
    type Result = ();
    fn handle(&mut self, timed: Timed<Later>, ctx: &mut Self::Context) {
        timed.answer_later(ctx, |Later(value), _| async { value.await.unwrap_or_default() }.into_actor(self));
    }
}

impl Handler<Timed<Panic>> for Worker {
    type Result = ();
    fn handle(&mut self, timed: Timed<Panic>, ctx: &mut Self::Context) {
        timed.answer(ctx, |_, _| panic!("on purpose"));
    }
}

impl Handler<Timed<Leave>> for Worker {
    type Result = ();
    fn handle(&mut self, timed: Timed<Leave>, ctx: &mut Self::Context) {
        timed.answer(ctx, |_, ctx| ctx.stop());
    }
}

impl Handler<Timed<Stop>> for Worker {
    type Result = ();
    fn handle(&mut self, timed: Timed<Stop>, ctx: &mut Self::Context) {
        timed.answer(ctx, |_, ctx| ctx.stop());
    }
}

impl Handler<Timed<StartTicking>> for Worker {
    type Result = ();
    fn handle(&mut self, timed: Timed<StartTicking>, ctx: &mut Self::Context) {
        timed.answer(ctx, |StartTicking(ticks), ctx| {
            self.ticks = Some(ticks);
            self.timers.set(ctx, "tick", Duration::from_millis(20));
        });
    }
}

impl Handler<Timed<Toil>> for Worker {
    type Result = ();
    fn handle(&mut self, timed: Timed<Toil>, ctx: &mut Self::Context) {
        timed.answer(ctx, |Toil(time), _| {
            let start = Instant::now();
            while start.elapsed() < time {
                std::hint::spin_loop();
            }
        });
    }
}

impl Handler<Timed<SetRivals>> for Worker {
    type Result = ();
    fn handle(&mut self, timed: Timed<SetRivals>, ctx: &mut Self::Context) {
        timed.answer(ctx, |SetRivals(fired), ctx| {
            (self.rivals, self.fired) = (true, Some(fired));
            // Set first: actix polls in this order, and clears cancelled futures after any that is not ready.
            self.timers.set(ctx, "last", Duration::from_millis(50));
            self.timers.set(ctx, "one", Duration::from_millis(1));
            self.timers.set(ctx, "other", Duration::from_millis(1));
            std::thread::sleep(Duration::from_millis(5));
        });
    }
}

impl Handler<Timed<SetTimers>> for Worker {
    type Result = ();
    fn handle(&mut self, timed: Timed<SetTimers>, ctx: &mut Self::Context) {
        timed.answer(ctx, |SetTimers(fired), ctx| {
            self.fired = Some(fired);
            self.timers.set(ctx, "cancelled", Duration::from_millis(1));
            self.timers.set(ctx, "replaced", Duration::from_millis(1));
            self.timers.set(ctx, "replaced", Duration::from_millis(30));
            self.timers.cancel(ctx, "cancelled");
            self.timers.set(ctx, "first", Duration::from_millis(10));
            assert!(self.timers.is_set("first") && !self.timers.is_set("cancelled"));
        });
    }
}

impl OnTimer<&'static str> for Worker {
    fn timers(&mut self) -> &mut Timers<&'static str> {
        &mut self.timers
    }

    fn on_timer(&mut self, key: &'static str, ctx: &mut Context<Self>) {
        if let Some(fired) = &self.fired {
            fired.try_send(key).expect("the test reads");
        }
        if self.rivals {
            self.timers.cancel(ctx, "one");
            self.timers.cancel(ctx, "other");
        }
        if let Some(ticks) = &self.ticks {
            ticks.try_send(Instant::now()).ok();
            self.timers.set(ctx, key, Duration::from_millis(20));
        }
    }
}

struct Bench {
    registry: ActorRegistry,
    deaths: DeathWatch,
    meter: Arc<ActorMeter>,
    mailbox: Mailbox<Worker>,
    arbiter: Arbiter,
}

/// A worker on a thread of its own, not yet started.
async fn bench() -> Bench {
    let (registry, deaths) = ActorRegistry::new();
    let meter = registry.actor("Worker", CAPACITY);
    let arbiter = Arbiter::new();
    let mailbox = Mailbox::open(&arbiter.handle(), meter.clone()).await.expect("the arbiter runs");
    Bench { registry, deaths, meter, mailbox, arbiter }
}

fn hold(worker: &Mailbox<Worker>) -> std::sync::mpsc::Sender<()> {
    let (release, until) = std::sync::mpsc::channel();
    worker.inbox::<Hold>().offer(Hold(until)).expect("there is room");
    release
}

#[actix::test]
async fn a_question_is_answered() {
    let bench = bench().await;
    let double = bench.mailbox.inbox::<Double>();
    let early = double.ask(Double(4), SOON);
    assert_eq!(bench.meter.state(), ActorState::Starting);
    bench.mailbox.start(|_| Worker::default());
    assert_eq!(early.await, Ok(8));
    assert_eq!(double.ask(Double(21), SOON).await, Ok(42));
    assert_eq!(bench.meter.state(), ActorState::Running);
}

#[actix::test]
async fn timeout_and_closed_are_different_errors() {
    let mut bench = bench().await;
    let (double, leave) = (bench.mailbox.inbox::<Double>(), bench.mailbox.inbox::<Leave>());
    let release = hold(&bench.mailbox);
    bench.mailbox.start(|_| Worker::default());

    let deadline = Duration::from_millis(5);
    let expected = AskError::Timeout { actor: "Worker", message: "Double", deadline };
    assert_eq!(double.ask(Double(1), deadline).await, Err(expected));
    assert_eq!(double.meter().timed_out(), 1);

    drop(release);
    leave.ask(Leave, SOON).await.expect("it answers before it goes");
    assert_eq!(bench.deaths.next().await, Some(ActorDied { actor: "Worker", cause: Cause::Ended }));
    let expected = AskError::Closed { actor: "Worker", message: "Double" };
    assert_eq!(double.ask(Double(1), SOON).await, Err(expected));
    assert_eq!(double.offer(Double(7)).map_err(|error| error.into_message().0), Err(7));
    assert!(!double.is_open());
}

#[actix::test]
async fn a_full_mailbox_is_counted_and_the_message_comes_back() {
    let bench = bench().await;
    let double = bench.mailbox.inbox::<Double>();
    for value in 0..CAPACITY as u64 {
        double.offer(Double(value)).expect("there is room");
    }
    // Clones of a port give no extra room, as clones of an actix address would.
    match double.clone().offer(Double(99)) {
        Err(OfferError::Full(Double(value))) => assert_eq!(value, 99),
        other => panic!("expected a full mailbox, got {other:?}"),
    }
    let full = AskError::Full { actor: "Worker", message: "Double", capacity: CAPACITY };
    assert_eq!(double.ask(Double(1), SOON).await, Err(full));
    assert_eq!((double.meter().refused(), bench.meter.depth()), (2, CAPACITY));

    bench.mailbox.start(|_| Worker::default());
    while bench.meter.depth() > 0 {
        tokio::task::yield_now().await;
    }
    double.offer(Double(1)).expect("there is room again");
}

#[actix::test]
async fn futures_in_flight_keep_their_mailbox_slots() {
    let bench = bench().await;
    let (later, double) = (bench.mailbox.inbox::<Later>(), bench.mailbox.inbox::<Double>());
    let (finish, value) = oneshot::channel();
    let slow = later.ask(Later(value), SOON);
    bench.mailbox.start(|_| Worker::default());
    assert_eq!(double.ask(Double(2), SOON).await, Ok(4), "the slow one must not hold others up");
    let mut waiting = Vec::new();
    for _ in 1..CAPACITY {
        let (finish, value) = oneshot::channel();
        later.offer(Later(value)).expect("there is room");
        waiting.push(finish);
    }
    assert!(matches!(double.ask(Double(2), SOON).await, Err(AskError::Full { .. })));
    finish.send(5).expect("the worker waits");
    assert_eq!(slow.await, Ok(5));
    assert_eq!(double.ask(Double(2), SOON).await, Ok(4));
}

#[actix::test]
async fn a_panicking_handler_is_reported_and_its_asker_hears_closed() {
    let mut bench = bench().await;
    let (panic, double) = (bench.mailbox.inbox::<Panic>(), bench.mailbox.inbox::<Double>());
    bench.mailbox.start(|_| Worker::default());
    assert!(matches!(panic.ask(Panic, SOON).await, Err(AskError::Closed { .. })));
    let died = bench.deaths.next().await.expect("the registry lives");
    assert_eq!(died, ActorDied { actor: "Worker", cause: Cause::Panicked { message: "on purpose".to_owned() } });
    assert_eq!(died.to_string(), "actor Worker panicked: on purpose");
    assert_eq!(bench.meter.state(), ActorState::Dead);
    assert!(matches!(double.ask(Double(1), SOON).await, Err(AskError::Closed { .. })));
    assert_eq!(panic.meter().handled(), 0);
}

#[actix::test]
async fn a_signal_to_a_dead_actor_is_reported() {
    let mut bench = bench().await;
    let double = bench.mailbox.inbox::<Double>();
    // Dropped unstarted: nobody has reported a death yet.
    drop(bench.mailbox);
    while double.is_open() {
        tokio::task::yield_now().await;
    }
    double.signal(Double(1));
    assert_eq!(bench.deaths.next().await, Some(ActorDied { actor: "Worker", cause: Cause::Ended }));
}

#[actix::test]
async fn signals_go_over_the_capacity_but_not_without_bound() {
    let mut bench = bench().await;
    let double = bench.mailbox.inbox::<Double>();
    let most = CAPACITY + SIGNAL_HEADROOM;
    (0..most).for_each(|_| double.signal(Double(1)));
    assert_eq!((bench.meter.depth(), bench.deaths.try_next()), (most, None));
    (0..10).for_each(|_| double.signal(Double(1)));
    assert_eq!(bench.meter.depth(), most);
    let hung = ActorDied { actor: "Worker", cause: Cause::Hung { waiting: most } };
    assert_eq!(bench.deaths.next().await, Some(hung));
    assert_eq!(bench.deaths.try_next(), None, "one report is enough");
}

#[actix::test]
async fn actors_stop_in_order_and_without_a_death_report() {
    let (registry, mut deaths) = ActorRegistry::new();
    let here = Arbiter::current();
    let mut order = StopOrder::new();
    let mut meters = Vec::new();
    for name in ["First", "Second", "Third"] {
        let mailbox = Mailbox::open(&here, registry.actor(name, CAPACITY)).await.expect("this arbiter runs");
        order = order.then(mailbox.inbox(), SOON);
        meters.push(mailbox.meter().clone());
        mailbox.start(|_| Worker::default());
    }
    let outcomes = order.stop().await;
    let stopped = |name| (name, StopOutcome::Stopped);
    assert_eq!(outcomes, [stopped("First"), stopped("Second"), stopped("Third")]);
    assert!(meters.iter().all(|meter| meter.state() == ActorState::Stopped));
    assert_eq!(deaths.try_next(), None);
}

#[actix::test]
async fn an_actor_that_does_not_stop_does_not_hold_up_the_others() {
    let stuck = bench().await;
    let other = bench().await;
    let release = hold(&stuck.mailbox);
    let deadline = Duration::from_millis(20);
    let order = StopOrder::new().then(stuck.mailbox.inbox(), deadline).then(other.mailbox.inbox(), SOON);
    stuck.mailbox.start(|_| Worker::default());
    other.mailbox.start(|_| Worker::default());
    let outcomes = order.stop().await;
    assert_eq!(outcomes, [("Worker", StopOutcome::TooSlow { deadline }), ("Worker", StopOutcome::Stopped)]);
    drop(release);
}

#[actix::test]
async fn stop_reaches_an_actor_whose_mailbox_is_full() {
    let bench = bench().await;
    let (double, stop) = (bench.mailbox.inbox::<Double>(), bench.mailbox.inbox::<Stop>());
    while double.offer(Double(1)).is_ok() {}
    let stopping = StopOrder::new().then(stop, SOON).stop();
    bench.mailbox.start(|_| Worker::default());
    assert_eq!(stopping.await, [("Worker", StopOutcome::Stopped)]);
}

#[actix::test]
async fn a_20_ms_timer_fires_under_a_flood_of_messages() {
    let (registry, _deaths) = ActorRegistry::new();
    let arbiter = Arbiter::new();
    let mailbox = Mailbox::open(&arbiter.handle(), registry.actor("Worker", 64)).await.expect("the arbiter runs");
    let (toil, ticking) = (mailbox.inbox::<Toil>(), mailbox.inbox::<StartTicking>());
    let (ticks, mut ticked) = mpsc::channel(64);
    ticking.offer(StartTicking(ticks)).expect("there is room");
    mailbox.start(|_| Worker::default());
    let done = Arc::new(AtomicBool::new(false));
    let flood = {
        let (toil, done) = (toil.clone(), done.clone());
        std::thread::spawn(move || {
            while !done.load(SeqCst) {
                toil.offer(Toil(Duration::from_micros(500))).ok();
            }
        })
    };
    for tick in 0..5 {
        let fired = tokio::time::timeout(SOON, ticked.recv()).await;
        assert!(fired.is_ok(), "tick {tick} did not come");
    }
    done.store(true, SeqCst);
    flood.join().expect("the flood does not panic");
    assert!(toil.meter().refused() > 0, "the mailbox was never full: this was no flood");
}

#[actix::test]
async fn a_timer_cancelled_in_the_turn_in_which_it_runs_out_does_not_fire() {
    let bench = bench().await;
    let set = bench.mailbox.inbox::<SetRivals>();
    bench.mailbox.start(|_| Worker::default());
    let (fired, mut log) = mpsc::channel(8);
    set.ask(SetRivals(fired), SOON).await.expect("answered");
    let (first, second) = (log.recv().await, log.recv().await);
    assert!(matches!(first, Some("one" | "other")), "{first:?}");
    assert_eq!(second, Some("last"), "the loser fired as well");
}

#[actix::test]
async fn a_replaced_or_cancelled_timer_does_not_fire() {
    let bench = bench().await;
    let set = bench.mailbox.inbox::<SetTimers>();
    bench.mailbox.start(|_| Worker::default());
    let (fired, mut log) = mpsc::channel(8);
    set.ask(SetTimers(fired), SOON).await.expect("answered");
    assert_eq!(log.recv().await, Some("first"));
    assert_eq!(log.recv().await, Some("replaced"));
    assert!(log.try_recv().is_err());
}

#[actix::test]
async fn figures_tell_waiting_from_handling() {
    let bench = bench().await;
    let (double, hold_inbox) = (bench.mailbox.inbox::<Double>(), bench.mailbox.inbox::<Hold>());
    let release = hold(&bench.mailbox);
    let waiting = double.ask(Double(1), SOON);
    bench.mailbox.start(|_| Worker::default());
    let held = Duration::from_millis(30);
    tokio::time::sleep(held).await; // the time that is measured below
    drop(release);
    waiting.await.expect("answered");

    let figures = bench.registry.figures(Instant::now());
    let actor = &figures[0];
    assert_eq!((actor.actor, actor.state, actor.mailbox_capacity), ("Worker", ActorState::Running, CAPACITY));
    assert_eq!((actor.handled, actor.refused, actor.mailbox_depth), (2, 0, 0));
    let of = |name| actor.messages.iter().find(|message| message.message == name).expect("it has an inbox");
    let held = held.as_micros() as u64;
    assert!(of("Double").wait_p50_us >= held, "{:?}", of("Double"));
    assert!(of("Double").handle_p99_us < held);
    assert!(of("Hold").handle_p50_us >= held * 9 / 10, "{:?}", of("Hold"));
    assert_eq!(hold_inbox.meter().handled(), 1);
    assert!(actor.busy > 0.0 && actor.busy <= 1.0);
    assert!(actor.per_second > 0.0);
    drop(bench.arbiter);
}

#[actix::test]
async fn rates_and_quantiles_cover_the_recent_windows_only() {
    let bench = bench().await;
    let double = bench.mailbox.inbox::<Double>();
    bench.mailbox.start(|_| Worker::default());
    for _ in 0..3 {
        double.ask(Double(1), SOON).await.expect("answered");
    }
    let start = Instant::now();
    let seconds = |seconds| start + Duration::from_secs(seconds);
    bench.registry.roll(seconds(0));
    bench.registry.roll(seconds(10));
    double.ask(Double(1), SOON).await.expect("answered");
    let figures = &bench.registry.figures(seconds(20))[0];
    assert_eq!((figures.handled, figures.per_second), (4, 1.0 / 20.0));
    bench.registry.roll(seconds(20));
    bench.registry.roll(seconds(30));
    let figures = &bench.registry.figures(seconds(40))[0];
    assert_eq!((figures.handled, figures.per_second), (4, 0.0));
    assert!(figures.wait_p50_us > 0, "an idle actor shows the figures of its whole life");
}

#[actix::test]
async fn figures_are_serialised_as_documented() {
    let bench = bench().await;
    let double = bench.mailbox.inbox::<Double>();
    double.offer(Double(1)).expect("there is room");
    let answer = serde_json::to_value(bench.registry.figures(Instant::now())).expect("plain data");
    let actor = answer[0].as_object().expect("an object");
    let members = [
        "actor",
        "state",
        "mailboxDepth",
        "mailboxCapacity",
        "handled",
        "refused",
        "perSecond",
        "waitP50Us",
        "waitP99Us",
        "handleP50Us",
        "handleP99Us",
        "busy",
        "messages",
    ];
    assert!(members.iter().all(|member| actor.contains_key(*member)), "{actor:?}");
    assert_eq!(actor.len(), members.len());
    assert_eq!((&actor["state"], &actor["mailboxDepth"]), (&"starting".into(), &1.into()));
    assert_eq!(answer[0]["messages"][0]["message"], "Double");
}

#[actix::test]
async fn a_probe_records_what_is_sent_to_a_port() {
    let (port, mut heard) = probe::<Double>(|Double(value)| value + 1).await;
    assert_eq!(port.ask(Double(1), SOON).await, Ok(2));
    port.signal(Double(3));
    assert_eq!((heard.next().await.0, heard.next().await.0), (1, 3));
    assert!(heard.try_next().is_none());
    assert_eq!(heard.deaths.try_next(), None);
}

#[actix::test]
async fn many_messages_yield_to_other_tasks_of_the_same_thread() {
    let (registry, _deaths) = ActorRegistry::new();
    let meter = registry.actor("Worker", 1_000);
    let mailbox = Mailbox::open(&Arbiter::current(), meter.clone()).await.expect("this arbiter runs");
    let double = mailbox.inbox::<Double>();
    (0..1_000).for_each(|_| double.offer(Double(1)).expect("there is room"));
    mailbox.start(|_| Worker::default());
    let woken = Notify::new();
    woken.notify_one();
    woken.notified().await;
    while double.meter().handled() == 0 {
        tokio::task::yield_now().await;
    }
    assert!(double.meter().handled() < 1_000, "all messages were handled in one turn");
}
