//! The log: a filter and a format.

use crate::configuration::{LogFormat, LogSection};
use crate::progress::Console;
use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;

/// Sends the log of this process to standard error, which it shares with the bars of `console`. Only the first call in a
/// process has an effect.
pub fn start(log: &LogSection, console: &Console) {
    let filter = EnvFilter::try_new(&log.filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        // Where nobody reads standard error any more, saying so there would end the node.
        .log_internal_errors(false)
        .with_writer(console.log_writer());
    // A second call, in a test, meets the subscriber that is there already.
    let _ = match log.format {
        LogFormat::Text => builder.with_target(false).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
}
