//! The `callboard` command.

use callboard::cli::{self, Cli};
use clap::Parser;
use std::io::Write;
use std::process::ExitCode;

fn main() -> ExitCode {
    callboard_store::print_only_uncaught_panics();
    // clap ends the process by itself, with code 2, where the command line is wrong.
    match cli::run(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Who started it sees the exit code also where nobody reads this.
            writeln!(std::io::stderr(), "callboard: {error}").ok();
            ExitCode::from(error.exit_code())
        }
    }
}
