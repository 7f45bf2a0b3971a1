//! `cargo bench --bench meters [-- BLOCKS TRANSFERS]`: what the meters of actors and stages cost, in instructions, as
//! callgrind counts them. Default: 60 blocks of 10 transfers. Needs valgrind.
//!
//! The same verified blocks go through the same importer, verifier, ConfirmedState and BlockStore twice, each time in a
//! process of its own from the same database: once with time measured as in a node, once with meters that only count.
//! What a process takes that imports nothing is subtracted from both.

#[expect(dead_code, reason = "the tests use the rest")]
#[path = "../tests/it/forge.rs"]
mod forge;
#[expect(dead_code, reason = "the tests use the rest")]
#[path = "../tests/it/support/mod.rs"]
mod support;

use actix::{Actor, Arbiter, Context, Handler, Message};
use callboard::configuration::Configuration;
use callboard::start;
use callboard_actors::block_store::{self, BlockStore, CommitMetrics};
use callboard_actors::callboard::{Callboard, Phase, Provenance, Role};
use callboard_actors::confirmed_state::{self, CommitPolicy, ConfirmedState, State};
use callboard_actors::guard::StorageGuard;
use callboard_actors::importer::{Executors, Importer, Records, SealWatch};
use callboard_actors::monitor::{Alarms, Metrics, Stages};
use callboard_actors::send::{ActorRegistry, Mailbox, Timed};
use callboard_actors::verifier::Verifier;
use callboard_chain::live::LiveState;
use callboard_chain::{Block, SealedGenesis};
use callboard_store::NodeStore;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;
use support::chain;
use support::chain::Failure;
use tokio::sync::watch;

/// A cost above this many percent is a failure.
const ALLOWED_PERCENT: f64 = 3.0;

fn main() {
    // `cargo bench` adds a flag of its own, and `cargo test` runs this without one: then there is nothing to measure.
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [word, timed, home] = &arguments[..]
        && word == "run"
    {
        let running = catch_up(timed == "timed", timed != "nothing", Path::new(home));
        actix::System::new().block_on(running).expect("it catches up");
        return;
    }
    if !arguments.iter().any(|argument| argument == "--bench") {
        return;
    }
    let mut numbers = arguments.iter().filter_map(|argument| argument.parse::<u64>().ok());
    let (blocks, transfers) = (numbers.next().unwrap_or(60), numbers.next().unwrap_or(10));
    let folder = tempfile::tempdir().expect("temporary folder");
    let home = folder.path().join("authority");
    chain::build(&home, blocks, transfers).expect("a chain");
    let idle = instructions("nothing", &home);
    let [with, without] = ["timed", "untimed"].map(|timed| instructions(timed, &home) - idle);
    let percent = (with as f64 / without as f64 - 1.0) * 100.0;
    println!("{blocks} blocks of {transfers} transfers: {with} instructions with meters, {without} without");
    println!("meters cost {percent:.2} % (allowed: {ALLOWED_PERCENT} %)");
    assert!(percent < ALLOWED_PERCENT, "measuring costs too much");
}

/// What one run takes under callgrind.
fn instructions(timed: &str, home: &Path) -> u64 {
    let own = std::env::current_exe().expect("a program");
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).arg(own).args(["run", timed]).arg(home);
    let output = command.output().expect("valgrind is installed");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    let collected = said.lines().find_map(|line| line.split_once("Collected : "));
    collected.expect("a count").1.trim().parse().expect("a number")
}

/// Takes every message, and does nothing.
struct Sink;

impl Actor for Sink {
    type Context = Context<Self>;
}

impl<M> Handler<Timed<M>> for Sink
where
    M: Message<Result = ()> + Send + 'static,
{
    type Result = ();

    fn handle(&mut self, message: Timed<M>, ctx: &mut Context<Self>) {
        message.answer(ctx, |_, _| ());
    }
}

/// Imports every block of the chain in `home` into an empty database; or none.
async fn catch_up(is_timed: bool, imports: bool, home: &Path) -> Result<(), Failure> {
    let source = start::open(&Configuration::from_toml(chain::AUTHORITY, home)?)?.chain.ok_or("a chain")?;
    let snapshot = source.store.snapshot()?;
    let block = |height| snapshot.block(height).map(|block| block.map(|block: Block| block.bytes().clone()));
    let blocks = (1..=snapshot.head().height).map(block).collect::<Result<Option<Vec<_>>, _>>()?.ok_or("all blocks")?;
    let (importer, _kept) = importer(is_timed, &source.genesis).await?;
    let last = if imports { blocks.len() as u64 } else { 0 };
    for bytes in blocks.into_iter().filter(|_| imports) {
        let provenance = Provenance::operator(None);
        let verified = importer.verify(bytes, provenance).await?;
        importer.import_verified(verified, provenance).await?;
    }
    importer.durable(last).await?;
    Ok(())
}

/// The importer of a new follower of this chain, and what it works in.
async fn importer(is_timed: bool, genesis: &SealedGenesis) -> Result<(Importer, tempfile::TempDir), Failure> {
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("genesis.json"), genesis.json())?;
    let text = "[node]\nrole = \"follower\"\n[genesis]\nfile = \"genesis.json\"\n";
    let chain = start::open(&Configuration::from_toml(text, folder.path())?)?.chain.ok_or("a genesis")?;
    let (registry, _deaths) = if is_timed { ActorRegistry::new() } else { ActorRegistry::without_times() };
    let stages = if is_timed { Stages::new(1) } else { Stages::without_times(1) };
    let (callboard, metrics) = (Callboard::new(Role::Follower), Metrics::new());
    callboard.set_phase(Phase::CatchingUp);
    let (config, store) = (Arc::new(genesis.config().clone()), chain.store.clone());
    let here = Arbiter::current();
    let sink = Mailbox::<Sink>::open(&here, registry.actor("Sink", 1_024)).await?;
    let disk = Mailbox::<BlockStore>::open(&here, registry.actor("BlockStore", 1_024)).await?;
    let state = Mailbox::open(&here, registry.actor("ConfirmedState", 1_024)).await?;

    let head = store.snapshot()?.head();
    let (head_sender, durable) = watch::channel(head);
    let node_store = NodeStore::open(folder.path().join("node.redb"))?;
    let records = Records::new(node_store.clone(), &metrics);
    let alarms = Alarms::new(&metrics);
    let seals = SealWatch::new(
        store.clone(),
        config.commitment(),
        node_store,
        None,
        alarms,
        &metrics,
        StorageGuard::default(),
    )?;
    let verifier = Verifier::start(1, config.clone(), stages.verify.clone())?;
    let executors = Executors { block: state.inbox(), blocks: state.inbox() };
    let importer = Importer::new(callboard.clone(), verifier, executors, durable, records, seals, None);
    importer.measure_waits_by(stages.execute.clone());

    let ports = block_store::Ports {
        confirmed_state: state.inbox(),
        heads: vec![sink.inbox()],
        pool: sink.inbox(),
        events: sink.inbox(),
        broadcast: sink.inbox(),
        relay: sink.inbox(),
        passports: importer.passports().clone(),
    };
    let live = LiveState::new(config.clone(), store.latest(), genesis.block().header().clone());
    let policy = CommitPolicy { transactions: 50, bytes: 1 << 20, age: Duration::from_secs(1) };
    let (live, to_disk) = (State::new(live, policy), confirmed_state::Ports { store: disk.inbox() });
    let (execute, root) = (stages.execute.clone(), stages.root.clone());
    state.start(move |_| ConfirmedState::new(to_disk, live, execute, root));
    let (commits, writer) = (CommitMetrics::register(&metrics, stages.commit.clone()), chain.writer);
    disk.start(move |_| BlockStore::new(ports, callboard, config, writer, head_sender, commits, None));
    sink.start(|_| Sink);
    Ok((importer, folder))
}
