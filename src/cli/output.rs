//! Printing answers.

use super::CliError;
use super::args::JsonArgs;
use crate::amount::Wei;
use serde_json::Value;
use std::io::Write;
use std::time::Duration;

/// Shortest time between two rounds of a watching command: enough for a person, easy on the node.
const SHORTEST_WATCH: f64 = 0.1;

/// How the answer of a command is printed.
#[derive(Debug, Clone, Copy)]
pub(super) enum Output {
    /// For people.
    Text,
    /// One JSON value.
    Json,
}

impl From<&JsonArgs> for Output {
    fn from(args: &JsonArgs) -> Self {
        if args.json { Self::Json } else { Self::Text }
    }
}

impl Output {
    /// Prints `value`, or `text` made of it.
    pub(super) fn print(self, value: &Value, text: impl FnOnce(&Value) -> String) -> Result<(), CliError> {
        match self {
            Self::Json => line(&format!("{value:#}")),
            Self::Text => line(text(value).trim_end()),
        }
    }
}

/// Prints a line. A reader that has gone away (`callboard … | head`) ends the command quietly.
pub(super) fn line(text: &str) -> Result<(), CliError> {
    match writeln!(std::io::stdout(), "{text}") {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => std::process::exit(0),
        written => written.map_err(|error| CliError::failed(format!("standard output: {error}"))),
    }
}

/// Tells the person at the terminal something beside the answer. Where nobody reads it, the command goes on.
pub(super) fn note(text: &str) {
    writeln!(std::io::stderr(), "{text}").ok();
}

/// The time between rounds.
pub(super) fn interval(flag: &str, seconds: f64) -> Result<Duration, CliError> {
    let fits = (SHORTEST_WATCH..=86_400.0).contains(&seconds);
    let wrong =
        || CliError::usage(format!("{flag} {seconds} is not allowed: it must be {SHORTEST_WATCH} to 86400 seconds"));
    fits.then(|| Duration::from_secs_f64(seconds)).ok_or_else(wrong)
}

/// Lines of `name  value`, aligned.
pub(super) fn fields<'a>(fields: impl IntoIterator<Item = (&'a str, String)>) -> String {
    let fields: Vec<_> = fields.into_iter().collect();
    let width = fields.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    fields.iter().map(|(name, value)| format!("{name:<width$}  {value}\n")).collect()
}

/// A table with a heading; columns whose cells are all numbers are aligned to the right.
pub(super) fn table<const N: usize>(heading: [&str; N], rows: &[[String; N]]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([heading[column].chars().count()]).max().unwrap_or(0)
    };
    let number = |cell: &String| cell.parse::<f64>().is_ok() || cell == "-";
    let right = |column: usize| !rows.is_empty() && rows.iter().all(|row| number(&row[column]));
    let layout: Vec<_> = (0..N).map(|column| (width(column), right(column))).collect();
    let line = |cells: [&str; N]| {
        let cell = |(cell, (width, right)): (&str, &(usize, bool))| {
            if *right { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
        };
        let cells: Vec<_> = cells.into_iter().zip(&layout).map(cell).collect();
        format!("{}\n", cells.join("  ").trim_end())
    };
    let rows = rows.iter().map(|row| line(row.each_ref().map(String::as_str)));
    std::iter::once(line(heading)).chain(rows).collect()
}

/// A JSON value in a cell: strings without their quotes, nothing for null.
pub(super) fn cell(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "-".to_owned(),
        Value::Number(number) if number.is_f64() => format!("{:.1}", number.as_f64().unwrap_or_default()),
        other => other.to_string(),
    }
}

/// A decimal number of wei, in ether.
pub(super) fn wei(value: &Value) -> String {
    let amount = value.as_str().and_then(|wei| wei.parse::<Wei>().ok());
    amount.map_or_else(|| cell(value), |amount| amount.to_string())
}

/// Text that others wrote, for a terminal: whatever would move the cursor, change its colours or reorder what is shown
/// becomes a space.
pub(crate) fn plain(text: &str) -> String {
    text.chars().map(|char| if char.is_control() || reorders(char) { ' ' } else { char }).collect()
}

/// Whether a character changes the direction of the text around it (UAX #9).
fn reorders(char: char) -> bool {
    matches!(char, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A JSON value on a line of its own, with what [`plain`] takes out of text written as escapes: JSON itself only
/// escapes some of it.
pub(super) fn json_line(value: &Value) -> Result<(), CliError> {
    let escape = |char: char| match char.is_control() || reorders(char) {
        true => format!("\\u{:04x}", u32::from(char)),
        false => char.to_string(),
    };
    line(&value.to_string().chars().map(escape).collect::<String>())
}

/// A quantity of JSON-RPC (`0x1f`) in decimal; other values as [`cell`] prints them.
pub(super) fn quantity(value: &Value) -> String {
    let number = value.as_str().and_then(|text| text.strip_prefix("0x"));
    let number = number.and_then(|digits| alloy_primitives::U256::from_str_radix(digits, 16).ok());
    number.map_or_else(|| cell(value), |number| number.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn tables_align_text_left_and_numbers_right() {
        let rows = [["store".to_owned(), "5".to_owned()], ["pool".to_owned(), "1000".to_owned()]];
        assert_eq!(table(["actor", "depth"], &rows), "actor  depth\nstore      5\npool    1000\n");
    }

    #[test]
    fn quantities_are_shown_in_decimal() {
        assert_eq!(quantity(&json!("0x1f")), "31");
        assert_eq!(quantity(&json!(7)), "7");
        assert_eq!(quantity(&Value::Null), "-");
    }

    #[test]
    fn a_watch_needs_a_sensible_interval() {
        assert!(interval("--watch", 0.5).is_ok());
        for seconds in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(interval("--watch", seconds).is_err(), "{seconds}");
        }
    }
}
