//! Alerts, and blocks that were refused.

use super::look::{Look, Tone, wrap};
use crate::cli::plain;
use crate::top::answers::{Answers, Refusal};
use crate::units::{count, grouped};
use ratatui::text::Line;

/// Columns of a sender: enough to tell one from another.
const SENDER: usize = 22;

/// One line of alerts, and one of refusals.
pub(super) fn lines(look: Look, answers: &Answers, width: usize) -> Vec<Line<'static>> {
    let alerts: Vec<_> = answers.status.alerts().collect();
    let alert = match alerts.as_slice() {
        [] => (String::new(), "none".to_owned(), Tone::Good),
        [first, ..] => (format!(" {}", alerts.len()), plain(first), Tone::Bad),
    };
    let refusal = match &answers.refusals {
        Err(reason) => (String::new(), format!("not known: {}", plain(reason)), Tone::Faint),
        Ok(refusals) => match refusals.first() {
            None => (String::new(), "nothing".to_owned(), Tone::Good),
            Some(newest) => (format!(" {}", refusals.len()), short(newest), Tone::Warn),
        },
    };
    [("alerts", alert), ("refused", refusal)]
        .map(|(name, (many, text, tone))| one_line(look, name, &many, &text, tone, width))
        .into()
}

fn one_line(look: Look, name: &str, many: &str, text: &str, tone: Tone, width: usize) -> Line<'static> {
    let label = format!("{name}{many}");
    let label = format!(" {label:<11}");
    let text = look.fit(text, width.saturating_sub(label.len() + 1));
    Line::from(vec![look.span(label, Tone::Strong), look.span(text, tone)])
}

/// A list of alerts, a line each; on a page of their own in full, as the page wraps them.
pub(super) fn alerts(look: Look, answers: &Answers, width: usize, skip: usize, full: bool) -> Vec<Line<'static>> {
    let alerts: Vec<_> = answers.status.alerts().collect();
    let mut lines = vec![look.rule(&titled("alerts", alerts.len()), width)];
    if alerts.is_empty() {
        lines.push(look.span(" none: all is as it should be", Tone::Good).into());
    }
    for text in alerts.into_iter().skip(skip) {
        let text = plain(text);
        let mut text =
            if full { wrap(&text, "   ", width - 1) } else { vec![format!("   {}", look.fit(&text, width - 4))] };
        text[0].replace_range(..3, " ! ");
        lines.extend(text.into_iter().map(|line| Line::from(look.span(line, Tone::Bad))));
    }
    lines
}

/// A list of refusals, likewise.
pub(super) fn refusals(look: Look, answers: &Answers, width: usize, skip: usize, full: bool) -> Vec<Line<'static>> {
    let refusals = match &answers.refusals {
        Ok(refusals) => refusals,
        Err(reason) => {
            let reason = look.fit(&format!(" not known: {}", plain(reason)), width);
            return vec![look.rule("refused blocks", width), look.span(reason, Tone::Faint).into()];
        }
    };
    let mut lines = vec![look.rule(&titled("refused blocks", refusals.len()), width)];
    if refusals.is_empty() {
        lines.push(look.span(" nothing was refused", Tone::Good).into());
    }
    for refusal in refusals.iter().skip(skip) {
        match full {
            false => lines.push(Line::from(format!(" {}", look.fit(&short(refusal), width.saturating_sub(2))))),
            true => lines.extend(in_full(look, refusal, width)),
        }
    }
    lines
}

fn titled(name: &str, many: usize) -> String {
    if many == 0 { name.to_owned() } else { format!("{name} ({many})") }
}

fn named(refusal: &Refusal) -> String {
    refusal.height.map_or_else(|| "a block".to_owned(), |height| format!("block {}", grouped(height)))
}

fn short(refusal: &Refusal) -> String {
    format!("{}, {}: {}", named(refusal), plain(&refusal.check), plain(&refusal.message))
}

fn in_full(look: Look, refusal: &Refusal, width: usize) -> Vec<Line<'static>> {
    let times = if refusal.count > 1 { format!(", {} times", count(refusal.count)) } else { String::new() };
    let sender = plain(refusal.sender.as_deref().unwrap_or("nobody known"));
    let (name, check, blame) = (named(refusal), plain(&refusal.check), plain(&refusal.blame));
    let head = format!("{name}, check {check}, blame {blame}, from {}{times}", look.fit(&sender, SENDER));
    let wrapped = |text: &str, indent, tone| {
        wrap(text, indent, width - 1).into_iter().map(move |line| look.span(line, tone).into())
    };
    let mut lines: Vec<Line<'static>> = wrapped(&head, " ", Tone::Strong).collect();
    lines.extend(wrapped(&plain(&refusal.message), "   ", Tone::Plain));
    if let Some(remedy) = &refusal.remedy {
        lines.extend(wrapped(&plain(remedy), "   ", Tone::Warn));
    }
    lines
}
