//! Shows how far work is, in the way that was asked for.

use super::{Console, Standing};
use crate::configuration::Progress;
use callboard_actors::sync_coordinator::Pace;
use indicatif::ProgressBar;
use std::time::{Duration, Instant};

/// How often a line is told.
const LINE_EVERY: Duration = Duration::from_secs(5);
/// How often a [`Reporter`] looks: often enough for an eye, seldom enough to cost nothing.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Shows [`Standing`]s. What it shows is away when it is dropped.
#[derive(Debug)]
pub struct Indicator {
    console: Console,
    say: fn(&Console, &str),
    way: Way,
}

/// How.
#[derive(Debug)]
enum Way {
    /// A bar, while there is something to show.
    Bar(Option<ProgressBar>),
    /// Lines.
    Lines(Lines),
    Nothing,
}

impl Way {
    /// A bar where it can be drawn and lines were not asked for. Who asks for lines gets the first one at once.
    fn new(progress: Progress, draws: bool, now: Instant) -> Self {
        match progress {
            Progress::None => Self::Nothing,
            Progress::Auto if draws => Self::Bar(None),
            Progress::Auto => Self::Lines(Lines { told: Some(now) }),
            Progress::Plain => Self::Lines(Lines { told: None }),
        }
    }
}

/// When a line is due.
#[derive(Debug)]
struct Lines {
    told: Option<Instant>,
}

impl Lines {
    fn is_due(&mut self, now: Instant) -> bool {
        let due = self.told.is_none_or(|told| now.saturating_duration_since(told) >= LINE_EVERY);
        if due {
            self.told = Some(now);
        }
        due
    }
}

impl Indicator {
    /// Lines are given to `say`.
    pub fn new(console: Console, progress: Progress, say: fn(&Console, &str)) -> Self {
        let way = Way::new(progress, console.draws(), Instant::now());
        Self { console, say, way }
    }

    /// Whether it never shows anything.
    pub fn is_silent(&self) -> bool {
        matches!(self.way, Way::Nothing)
    }

    /// Shows this, in place of what it showed before.
    pub fn show(&mut self, standing: &Standing) {
        match &mut self.way {
            Way::Nothing => {}
            Way::Lines(lines) => {
                if lines.is_due(Instant::now()) {
                    (self.say)(&self.console, &standing.text());
                }
            }
            Way::Bar(bar) => {
                let bar = bar.get_or_insert_with(|| self.console.bar());
                bar.set_length(standing.target);
                bar.set_position(standing.height);
                bar.set_message(standing.text());
            }
        }
    }

    /// There is nothing to show any more.
    pub fn clear(&mut self) {
        if let Way::Bar(bar) = &mut self.way
            && let Some(bar) = bar.take()
        {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Indicator {
    fn drop(&mut self) {
        self.clear();
    }
}

/// Measures and shows the pace of a command that goes from block to block.
#[derive(Debug)]
pub struct Reporter {
    what: &'static str,
    indicator: Indicator,
    counts_transactions: bool,
    begun: Instant,
    looked: Option<Instant>,
    done: (u64, u64),
    pace: Pace,
}

impl Reporter {
    /// `what` is being done: `exporting`.
    pub fn new(what: &'static str, progress: Progress) -> Self {
        let indicator = Indicator::new(Console::default(), progress, Console::line);
        let now = Instant::now();
        let pace = Pace::default();
        Self { what, indicator, counts_transactions: false, begun: now, looked: None, done: (0, 0), pace }
    }

    /// `blocks` more are done, up to this height, with so many transactions.
    pub fn at(&mut self, height: u64, target: u64, blocks: u64, transactions: Option<u64>) {
        self.counts_transactions |= transactions.is_some();
        let (all_blocks, all_transactions) = self.done;
        self.done = (all_blocks.saturating_add(blocks), all_transactions.saturating_add(transactions.unwrap_or(0)));
        let now = Instant::now();
        let is_early = self.looked.is_some_and(|looked| now.saturating_duration_since(looked) < LOOK_EVERY);
        if self.indicator.is_silent() || is_early {
            return;
        }
        self.looked = Some(now);
        let (blocks, transactions) = std::mem::take(&mut self.done);
        let since = now.saturating_duration_since(self.begun);
        self.pace.record(since, blocks, transactions);
        let (blocks, transactions) = self.pace.rates(since);
        let left = target.saturating_sub(height) as f64 / blocks;
        self.indicator.show(&Standing {
            what: self.what,
            height,
            target,
            blocks_per_second: blocks,
            transactions_per_second: self.counts_transactions.then_some(transactions),
            eta_seconds: left.is_finite().then_some(left.ceil() as u64),
            bottleneck: None,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_for_terminals_and_nothing_is_nothing_anywhere() {
        let now = Instant::now();
        assert!(matches!(Way::new(Progress::Auto, true, now), Way::Bar(None)));
        assert!(matches!(Way::new(Progress::Auto, false, now), Way::Lines(_)));
        for draws in [true, false] {
            assert!(matches!(Way::new(Progress::Plain, draws, now), Way::Lines(_)));
            assert!(matches!(Way::new(Progress::None, draws, now), Way::Nothing));
        }
    }

    #[test]
    fn a_line_is_told_every_five_seconds_and_at_once_where_lines_were_asked_for() {
        let begun = Instant::now();
        let due = |progress| {
            let Way::Lines(mut lines) = Way::new(progress, false, begun) else { panic!("lines") };
            let at = |tenths: u64| begun + Duration::from_millis(tenths * 100);
            (0..120).filter(|tenths| lines.is_due(at(*tenths))).collect::<Vec<_>>()
        };
        assert_eq!(due(Progress::Auto), [50, 100]);
        assert_eq!(due(Progress::Plain), [0, 50, 100]);
    }
}
