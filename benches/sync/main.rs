//! How fast a follower that starts from nothing catches up: two processes on one machine, every block fully verified.
//!
//! ```text
//! cargo bench --bench sync [-- NAME... [--runs N]]    all workloads, or those whose names contain one of NAME
//! cargo bench --bench sync -- NAME... --cache-mib N   the same with another cache: what grows besides it shows
//! cargo bench --profile dev --bench sync -- --quick   the small ones, held against benches/sync/quick.dev.json
//! cargo bench --profile dev --bench sync -- --quick --write    the same, and their ratios become the ones to hold against
//! cargo bench --bench sync -- --by-hand               4,000 blocks through blocks-range and importBlock, one by one
//! cargo bench --bench sync -- --restart               from the start of a process to its readiness
//! ```
//!
//! A chain is built once, by the code that an authority runs. An authority serves it; a follower in an empty folder
//! fetches genesis and blocks. What is measured is the follower's durable head, from the last block of the preparation
//! (accounts, contracts) to the last of all. Beside it stands how many senders the bare library recovers in a second on
//! the same cores, measured right before and after, so that a figure of one machine means something on another.

mod by_hand;
mod catch_up;
#[expect(dead_code, reason = "other benches use the rest")]
#[path = "../common/connection.rs"]
mod connection;
mod figures;
#[expect(dead_code, reason = "the tests use the rest")]
#[path = "../../tests/it/forge.rs"]
mod forge;
#[path = "../common/process.rs"]
mod process;
mod quick;
mod recovery;
mod restart;
#[path = "../common/statistics.rs"]
mod statistics;
#[expect(dead_code, reason = "the tests use the rest")]
#[path = "../../tests/it/support/mod.rs"]
mod support;
mod workload;

use std::process::ExitCode;
use std::str::FromStr;
use support::chain::Failure;

/// Runs of each workload, where nothing else is asked for.
const RUNS: usize = 3;

fn main() -> ExitCode {
    // `cargo bench` adds a flag of its own, and `cargo test` runs this without one: then there is nothing to measure.
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    if !arguments.iter().any(|argument| argument == "--bench") {
        return ExitCode::SUCCESS;
    }
    arguments.retain(|argument| argument != "--bench");
    match run(arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

/// Whether everything is as fast as it has to be.
fn run(mut arguments: Vec<String>) -> Result<bool, Failure> {
    let runs = take_value(&mut arguments, "--runs")?.unwrap_or(RUNS);
    let cache = take_value(&mut arguments, "--cache-mib")?;
    let mut flag = |name: &str| {
        let before = arguments.len();
        arguments.retain(|argument| argument != name);
        arguments.len() != before
    };
    let (quick, write, by_hand, restart) = (flag("--quick"), flag("--write"), flag("--by-hand"), flag("--restart"));
    if let Some(unknown) = arguments.iter().find(|argument| argument.starts_with("--")) {
        let known = "--runs N, --cache-mib N, --quick, --write, --by-hand and --restart";
        return Err(format!("{unknown} is no flag of this bench; it takes {known}, and names of workloads").into());
    }
    if by_hand {
        return by_hand::run(runs).map(|()| true);
    }
    if restart {
        return restart::run(runs).map(|()| true);
    }
    if quick {
        return quick::run(write);
    }
    let chosen = workload::chosen(&workload::ALL, &arguments)?;
    figures::print_head();
    for workload in chosen {
        let stand = catch_up::Stand::new(workload, cache)?;
        let runs = (0..runs).map(|_| stand.catch_up()).collect::<Result<Vec<_>, _>>()?;
        figures::print(workload, &runs);
    }
    Ok(true)
}

fn take_value<N>(arguments: &mut Vec<String>, name: &str) -> Result<Option<N>, Failure>
where
    N: FromStr + Default + PartialOrd,
{
    let Some(place) = arguments.iter().position(|argument| argument == name) else { return Ok(None) };
    let value = arguments.get(place + 1).and_then(|value| value.parse().ok()).filter(|value| *value > N::default());
    let value = value.ok_or_else(|| format!("{name} takes a number above 0"))?;
    arguments.drain(place..=place + 1);
    Ok(Some(value))
}
