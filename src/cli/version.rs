//! `version` and `completions`.

use super::args::{Cli, JsonArgs};
use super::{CliError, Output};
use callboard_chain::{Hardfork, config::COMMITMENT_VERSION};
use clap::CommandFactory;
use serde_json::json;

pub(super) fn run(args: &JsonArgs) -> Result<(), CliError> {
    let forks = Hardfork::ALL.map(Hardfork::name);
    let value = json!({ "version": env!("CARGO_PKG_VERSION"), "chainFormat": COMMITMENT_VERSION, "hardforks": forks });
    Output::from(args).print(&value, |_| format!("callboard {}", env!("CARGO_PKG_VERSION")))
}

pub(super) fn completions(shell: clap_complete::Shell) -> Result<(), CliError> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "callboard", &mut script);
    super::output::line(String::from_utf8_lossy(&script).trim_end())
}
