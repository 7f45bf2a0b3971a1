//! `chain reconcile`.

use crate::cli::args::ReconcileArgs;
use crate::cli::output::{fields, note};
use crate::cli::{CliError, Output};
use crate::configuration::{Configuration, Progress};
use crate::node::DAMAGED;
use crate::progress::Reporter;
use crate::repair::{self, Outcome, RepairError, Told};
use callboard_store::NodeStore;
use serde_json::json;

impl From<RepairError> for CliError {
    fn from(error: RepairError) -> Self {
        match error {
            RepairError::Start(error) => error.into(),
            error => Self::failed(error),
        }
    }
}

/// Says the steps of a repair, and shows how far the long ones are.
struct Teller {
    progress: Progress,
    step: Option<(&'static str, Reporter)>,
}

impl Teller {
    fn new(progress: Progress) -> Self {
        Self { progress, step: None }
    }

    fn tell(&mut self, told: Told<'_>) {
        match told {
            Told::Step(text) => {
                self.step = None;
                if self.progress != Progress::None {
                    note(text);
                }
            }
            Told::Reached { what, height, target, blocks } => {
                let (_, reporter) = match self.step.take().filter(|(begun, _)| *begun == what) {
                    Some(step) => self.step.insert(step),
                    None => self.step.insert((what, Reporter::new(what, self.progress))),
                };
                reporter.at(height, target, blocks, None);
            }
        }
    }
}

/// Works on the database of a stopped node; a running one holds it locked.
pub(super) fn run(args: &ReconcileArgs) -> Result<(), CliError> {
    let configuration = Configuration::load(&args.config.sources())?;
    let output = Output::from(&args.json);
    let outcome = {
        let mut teller = Teller::new(args.progress.progress);
        repair::reconcile(&configuration, args.full, &mut |told| teller.tell(told))?
    };
    // A node that was found damaged seals again.
    let store = NodeStore::open(configuration.node_database_path()).map_err(CliError::failed)?;
    store.put_bookmark(DAMAGED, 0).map_err(CliError::failed)?;
    match outcome {
        Outcome::Whole { head } => {
            let value = json!({ "height": head.height, "hash": head.hash, "fault": null });
            output.print(&value, |_| {
                fields([("head", format!("{} {:#x}", head.height, head.hash)), ("verdict", "right".to_owned())])
            })
        }
        Outcome::Repaired(done) => {
            let value = json!({
                "height": done.head.height,
                "hash": done.head.hash,
                "fault": done.fault,
                "lastGoodHeight": done.last_good,
                "executed": done.executed,
                "damagedFile": done.kept,
            });
            output.print(&value, |_| {
                fields([
                    ("found", done.fault.clone()),
                    ("last good", done.last_good.to_string()),
                    ("executed", format!("{} blocks again", done.executed)),
                    ("head", format!("{} {:#x}", done.head.height, done.head.hash)),
                    ("kept", format!("{}; remove it when you no longer need it", done.kept.display())),
                ])
            })
        }
    }
}
