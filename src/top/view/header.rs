//! The first lines: who the node is, how far, how fast, and what holds it up.

use super::look::{Look, Tone};
use crate::cli::plain;
use crate::top::answers::{Answers, Status};
use crate::top::state::{Connection, State};
use crate::units::{grouped, percent, rate, seconds};
use ratatui::style::Modifier;
use ratatui::text::{Line, Span};

/// Longest bar of the way to the target.
const LONGEST_BAR: usize = 40;

/// The title bar.
pub(super) fn title(look: Look, state: &State, width: usize) -> Line<'static> {
    let (role, phase) = match &state.answers {
        Some(answers) => (answers.status.role.to_uppercase(), answers.status.phase.replace('-', " ")),
        None => ("?".to_owned(), "not known yet".to_owned()),
    };
    let right = match (&state.connection, state.paused) {
        (_, true) => "PAUSED".to_owned(),
        (Connection::Lost { .. }, _) => "NO ANSWER".to_owned(),
        (Connection::Opening, _) => "asking".to_owned(),
        (Connection::Live, _) => format!("every {}", every(state)),
    };
    let left = format!(" callboard top  {}  {}  {}", plain(&role), plain(&phase), state.url.trim_end_matches('/'));
    let left = look.fit(&left, width.saturating_sub(right.len() + 3));
    let space = width.saturating_sub(Span::raw(left.as_str()).width() + right.len() + 1);
    let text = format!("{left}{}{right} ", " ".repeat(space));
    Line::from(Span::styled(text, look.style(Tone::Strong).add_modifier(Modifier::REVERSED)))
}

fn every(state: &State) -> String {
    match state.interval.subsec_millis() {
        0 => seconds(state.interval.as_secs()),
        _ => format!("{:.1}s", state.interval.as_secs_f64()),
    }
}

/// Head and target; pace and way; the sentence.
pub(super) fn facts(look: Look, state: &State, width: usize) -> Vec<Line<'static>> {
    let Some(answers) = &state.answers else { return Vec::new() };
    let status = &answers.status;
    let sentence = notice(look, state, width).unwrap_or_else(|| sentence(look, answers, width));
    vec![heights(look, answers), pace(look, status, width), sentence]
}

fn heights(look: Look, answers: &Answers) -> Line<'static> {
    let status = &answers.status;
    let mut spans = vec![Span::raw(" ")];
    let mut fact = |name: &str, value: String| {
        spans.push(look.span(format!("{name} "), Tone::Faint));
        spans.push(look.span(value, Tone::Strong));
        spans.push(Span::raw("   "));
    };
    fact("head", grouped(status.head.height));
    fact("target", status.target.as_ref().map_or_else(|| "-".to_owned(), |target| grouped(target.height)));
    fact("behind", grouped(status.behind_blocks));
    fact("head age", seconds(status.head_age_seconds));
    let peers = answers.peers.as_deref().unwrap_or_default();
    fact("peers", peers.iter().filter(|peer| peer.is_connected()).count().to_string());
    Line::from(spans)
}

fn pace(look: Look, status: &Status, width: usize) -> Line<'static> {
    let eta = status.eta_seconds.map_or_else(|| "-".to_owned(), seconds);
    let figures =
        [("blocks/s ", rate(status.blocks_per_second)), ("tx/s ", rate(status.transactions_per_second)), ("ETA ", eta)];
    let mut spans = vec![Span::raw(" ")];
    for (name, value) in figures {
        spans.extend([look.span(name, Tone::Faint), look.span(value, Tone::Strong), Span::raw("   ")]);
    }
    if let Some(target) = status.target.as_ref().filter(|target| target.height > status.head.height) {
        let share = status.head.height as f64 / target.height as f64;
        let used: usize = spans.iter().map(Span::width).sum();
        let bar = width.saturating_sub(used + 6).min(LONGEST_BAR);
        // Whole percents, cut off: not all before all is there.
        let percent = percent((share * 100.0).floor() / 100.0);
        spans.extend([look.span(look.bar(share, bar), Tone::Good), Span::raw(format!(" {percent}"))]);
    }
    Line::from(spans)
}

fn sentence(look: Look, answers: &Answers, width: usize) -> Line<'static> {
    let tone = match answers.status.phase.as_str() {
        "diverged" | "stalled" => Tone::Bad,
        "catching-up" => Tone::Warn,
        _ => Tone::Good,
    };
    let text = plain(&answers.sentence());
    Line::from(vec![Span::raw(" "), look.span(look.fit(&text, width.saturating_sub(2)), tone)])
}

/// What is to be said of the connection, where there is something.
pub(super) fn notice(look: Look, state: &State, width: usize) -> Option<Line<'static>> {
    let Connection::Lost { since, reason, .. } = &state.connection else { return None };
    let lost_for = seconds(state.now.saturating_sub(*since).as_secs());
    let next = match state.ask_at() {
        Some(at) => format!("asked again in {}", seconds(at.saturating_sub(state.now).as_secs())),
        None if state.paused => "not asked while paused".to_owned(),
        None => "being asked again".to_owned(),
    };
    let text = format!("No answer for {lost_for}, {next}; last values below: {}", plain(reason));
    Some(Line::from(vec![Span::raw(" "), look.span(look.fit(&text, width.saturating_sub(2)), Tone::Bad)]))
}
