//! One terminal for log lines and bars.

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use std::io::{self, IsTerminal, Write};
use tracing_subscriber::fmt::MakeWriter;

/// The bar above its text. ASCII: it looks the same whatever the terminal's locale and font.
const TEMPLATE: &str = "[{wide_bar}] {percent:>3}%\n{wide_msg}";

/// Standard error, shared by the log and by bars: while a line is written the bar is away. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Console(MultiProgress);

impl Console {
    /// Whether standard error is a terminal that can draw a bar.
    pub fn draws(&self) -> bool {
        let is_plain = std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
        io::stderr().is_terminal() && !is_plain
    }

    /// Where the log goes.
    pub fn log_writer(&self) -> LogWriter {
        LogWriter(self.clone())
    }

    /// Writes a line to standard error, between two drawings of the bars. Where nobody reads it any more, nothing happens.
    pub fn line(&self, text: &str) {
        self.0.suspend(|| writeln!(io::stderr(), "{text}").ok());
    }

    /// Does something that writes to the terminal while no bar is on it.
    pub fn without_bars<T>(&self, work: impl FnOnce() -> T) -> T {
        self.0.suspend(work)
    }

    pub(super) fn bar(&self) -> ProgressBar {
        let style = ProgressStyle::with_template(TEMPLATE).unwrap_or_else(|_| ProgressStyle::default_bar());
        self.0.add(ProgressBar::new(0).with_style(style.progress_chars("=> ")))
    }
}

/// Writes each event of the log between two drawings of the bars.
#[derive(Debug, Clone)]
pub struct LogWriter(Console);

impl Write for LogWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.without_bars(|| io::stderr().write(bytes))
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.without_bars(|| io::stderr().write_all(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

impl<'a> MakeWriter<'a> for LogWriter {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}
