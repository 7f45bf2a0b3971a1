//! What is printed.

use crate::catch_up::Run;
use crate::statistics::median;
use crate::workload::Workload;
use std::collections::BTreeMap;

/// Threads and stages that took less of a run are not worth a word, seconds.
const LITTLE: f64 = 0.02;

/// What the columns are.
pub(crate) fn print_head() {
    println!("medians; ratio: signatures a second over the bare library's on all cores; RSS and CPU of the follower");
    println!(
        "{:<18}  {:>9}  {:>9}  {:>6}  {:>10}  {:>8}  {:>23}  {:>7}  {:>9}",
        "workload",
        "blocks/s",
        "tx/s",
        "ratio",
        "recovery/s",
        "peak MiB",
        "MiB at 1,000, half, end",
        "CPU s",
        "serving s"
    );
}

/// One workload's line, and where the time went in its middle run.
pub(crate) fn print(workload: Workload, runs: &[Run]) {
    let blocks = median(runs.iter().map(Run::blocks_per_second));
    println!(
        "{:<18}  {:>9.0}  {:>9.0}  {:>6.3}  {:>10.0}  {:>8.0}  {:>23}  {:>7.2}  {:>9.2}",
        workload.name,
        blocks,
        blocks * workload.transactions as f64,
        median(runs.iter().map(|run| run.ratio(&workload))),
        median(runs.iter().map(|run| run.recovery)),
        median(runs.iter().map(|run| run.peak)),
        [0, 1, 2].map(|look| mib(median(runs.iter().map(|run| run.memory[look])))).join(", "),
        median(runs.iter().map(|run| run.threads.values().sum())),
        median(runs.iter().map(|run| run.serving)),
    );
    let each: Vec<_> = runs.iter().map(|run| format!("{:.0}", run.blocks_per_second())).collect();
    println!("    runs, blocks/s: {}", each.join(", "));
    let Some(run) = runs.iter().find(|run| run.blocks_per_second() == blocks) else { return };
    println!("    CPU s by thread: {}", by_size(&run.threads));
    let figure =
        |stage: &serde_json::Value| Some(format!("{} {:.2}", stage["name"].as_str()?, stage["seconds"].as_f64()?));
    println!("    busy s by stage: {}", run.stages.iter().filter_map(figure).collect::<Vec<_>>().join(", "));
    let stalled = run.stalled.iter().map(|(name, seconds)| format!("{name} {seconds:.2}"));
    println!("    stalled s by stage: {}", stalled.collect::<Vec<_>>().join(", "));
}

/// A workload of fewer blocks has nothing to show at 1,000.
fn mib(figure: f64) -> String {
    if figure.is_nan() { "-".to_owned() } else { format!("{figure:.0}") }
}

fn by_size(seconds: &BTreeMap<String, f64>) -> String {
    let mut named: Vec<_> = seconds.iter().filter(|(_, seconds)| **seconds >= LITTLE).collect();
    named.sort_by(|one, other| other.1.total_cmp(one.1));
    named.into_iter().map(|(name, seconds)| format!("{name} {seconds:.2}")).collect::<Vec<_>>().join(", ")
}
