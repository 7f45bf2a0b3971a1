//! The small workloads, held against the ratios that are kept beside this file, for each kind of build its own. CI runs the
//! one whose binary the tests have built: a release build takes longer than all else it does.

use crate::catch_up::Stand;
use crate::figures;
use crate::statistics::median;
use crate::support::chain::Failure;
use crate::workload::{QUICK, Workload};
use crate::{RUNS, catch_up};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What a ratio may lose before it counts as slower. These machines are noisy.
const SLACK: f64 = 0.40;

/// With debug assertions or without.
const BUILD: &str = if cfg!(debug_assertions) { "dev" } else { "release" };

/// Whether every workload is as fast as it was when the kept ratios were written.
pub(crate) fn run(write: bool) -> Result<bool, Failure> {
    let stands = QUICK.iter().map(|workload| Stand::new(*workload, None)).collect::<Result<Vec<_>, _>>()?;
    let measured = measure(&stands)?;
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("benches/sync/quick.{BUILD}.json"));
    if write {
        return keep(&kept, &measured).map(|()| true);
    }
    keep(&written(), &measured)?;
    let missing = |error| format!("{}: {error}; --quick --write keeps the ratios of a {BUILD} build", kept.display());
    let expected: BTreeMap<String, f64> = serde_json::from_slice(&std::fs::read(&kept).map_err(missing)?)?;
    let slower = slower(&expected, &measured)?;
    if slower.is_empty() {
        return Ok(true);
    }
    println!("slower than kept: {}; once more", slower.join(", "));
    let again: Vec<_> = stands.into_iter().filter(|stand| slower.contains(&stand.workload().name.to_owned())).collect();
    let measured = measure(&again)?;
    for name in self::slower(&expected, &measured)? {
        let (expected, actual) = (expected[&name], measured[&name]);
        println!("{name}: ratio {actual:.3}, and {expected:.3} is kept: more than {:.0} % less", SLACK * 100.0);
    }
    Ok(self::slower(&expected, &measured)?.is_empty())
}

/// The median ratio of each, its runs between those of the others.
fn measure(stands: &[Stand]) -> Result<BTreeMap<String, f64>, Failure> {
    let mut runs: Vec<Vec<catch_up::Run>> = stands.iter().map(|_| Vec::new()).collect();
    for _ in 0..RUNS {
        for (stand, runs) in stands.iter().zip(&mut runs) {
            runs.push(stand.catch_up()?);
        }
    }
    figures::print_head();
    let ratio = |(stand, runs): (&Stand, &Vec<catch_up::Run>)| {
        let workload: Workload = stand.workload();
        figures::print(workload, runs);
        (workload.name.to_owned(), median(runs.iter().map(|run| run.ratio(&workload))))
    };
    Ok(stands.iter().zip(&runs).map(ratio).collect())
}

/// The names of those that are slower than kept.
fn slower(kept: &BTreeMap<String, f64>, measured: &BTreeMap<String, f64>) -> Result<Vec<String>, Failure> {
    let mut slower = Vec::new();
    for (name, ratio) in measured {
        let kept = kept.get(name).ok_or_else(|| format!("no ratio is kept for {name}; --quick --write keeps them"))?;
        // A ratio that is no number is no success.
        if ratio.is_nan() || *ratio < kept * (1.0 - SLACK) {
            slower.push(name.clone());
        }
    }
    Ok(slower)
}

/// Where the ratios of a run go.
fn written() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("sync-quick.json")
}

fn keep(path: &Path, ratios: &BTreeMap<String, f64>) -> Result<(), Failure> {
    let rounded: BTreeMap<_, _> =
        ratios.iter().map(|(name, ratio)| (name, (ratio * 1_000.0).round() / 1_000.0)).collect();
    std::fs::write(path, serde_json::to_string_pretty(&rounded)? + "\n")?;
    println!("written: {}", path.display());
    Ok(())
}
