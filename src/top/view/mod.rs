//! The core's state as a picture. Nothing here changes anything.

mod actors;
mod header;
mod help;
mod look;
mod notices;
mod peers;
mod stages;

pub use look::Look;

use super::state::{Connection, Page, State};
use look::Tone;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::Line;
use ratatui::widgets::{Paragraph, Wrap};

/// The smallest screen on which anything can be read.
const SMALLEST: (u16, u16) = (60, 12);
/// From this height on there is room for more than a line of each.
const TALL: usize = 32;

/// Draws the state.
pub fn draw(frame: &mut Frame<'_>, state: &State, look: Look) {
    let area = frame.area();
    if area.width < SMALLEST.0 || area.height < SMALLEST.1 {
        let text = format!("callboard top needs {}x{}, this is {}x{}", SMALLEST.0, SMALLEST.1, area.width, area.height);
        frame.render_widget(Paragraph::new(text).wrap(Wrap { trim: true }), area);
        return;
    }
    let (width, height) = (usize::from(area.width), usize::from(area.height));
    let [top, body, bottom] = parts(area);
    frame.render_widget(header::title(look, state, width), top);
    frame.render_widget(help::footer(look, width), bottom);
    if state.help {
        show(frame, body, help::page(look, width));
        return;
    }
    if state.answers.is_none() {
        frame.render_widget(Paragraph::new(waiting(look, state)).wrap(Wrap { trim: false }), body);
        return;
    }
    match &state.page {
        Page::Overview => overview(frame, body, state, look, height),
        page => alone(frame, body, state, look, page),
    }
    if matches!(state.connection, Connection::Lost { .. }) {
        dim(frame, body, state);
    }
}

/// Title, what lies between, and the line of keys.
fn parts(area: Rect) -> [Rect; 3] {
    let last = area.y + area.height - 1;
    [
        Rect { height: 1, ..area },
        Rect { y: area.y + 1, height: area.height - 2, ..area },
        Rect { y: last, height: 1, ..area },
    ]
}

fn show(frame: &mut Frame<'_>, area: Rect, lines: Vec<Line<'static>>) {
    frame.render_widget(Paragraph::new(lines), area);
}

/// The first part of `area`, and what is left.
fn split(area: Rect, height: usize) -> (Rect, Rect) {
    let height = u16::try_from(height).unwrap_or(u16::MAX).min(area.height);
    (Rect { height, ..area }, Rect { y: area.y + height, height: area.height - height, ..area })
}

/// What was said last pales while the node does not answer; what is said of that does not.
fn dim(frame: &mut Frame<'_>, body: Rect, state: &State) {
    let notice = if state.page == Page::Overview { 2 } else { 0 };
    let pale = Style::new().add_modifier(Modifier::DIM);
    for y in 0..body.height {
        if y != notice {
            frame.buffer_mut().set_style(Rect { y: body.y + y, height: 1, ..body }, pale);
        }
    }
}

fn waiting(look: Look, state: &State) -> Vec<Line<'static>> {
    match &state.connection {
        Connection::Lost { reason, .. } => {
            let reason = crate::cli::plain(reason);
            vec![
                Line::default(),
                look.span(" No node has answered yet; it is asked again and again.", Tone::Bad).into(),
                Line::default(),
                Line::from(format!(" {reason}")),
                Line::from(" Start one with `callboard node`, or name another one with --rpc URL."),
            ]
        }
        _ => vec![Line::default(), Line::from(format!(" Asking {} …", state.url).replace('…', look.sign("…", "...")))],
    }
}

fn overview(frame: &mut Frame<'_>, body: Rect, state: &State, look: Look, height: usize) {
    let Some(answers) = &state.answers else { return };
    let width = usize::from(body.width);
    let facts = header::facts(look, state, width);
    let (area, rest) = split(body, facts.len());
    show(frame, area, facts);
    let actors = state.actors().len().max(1) + 2;
    if height < TALL {
        // Pipeline 2, peers 2, alerts 1, refusals 1; what the actors do not need is the peers'.
        let room = usize::from(rest.height).saturating_sub(6);
        let (area, rest) = split(rest, actors.min(room));
        show(frame, area, actors::table(look, state, width, usize::from(area.height)));
        let (area, rest) = split(rest, 2);
        show(frame, area, stages::line(look, &answers.status, width));
        let (area, rest) = split(rest, usize::from(rest.height).saturating_sub(2));
        show(frame, area, peers::table(look, state, width, usize::from(area.height), 0));
        show(frame, rest, notices::lines(look, answers, width));
        return;
    }
    let (area, rest) = split(rest, actors);
    show(frame, area, actors::table(look, state, width, usize::from(area.height)));
    let (area, rest) = split(rest, 1 + stages::TABLE_LINES);
    show(frame, below(area), stages::table(look, &answers.status, width));
    let (area, rest) = split(rest, usize::from(rest.height) / 2);
    show(frame, below(area), peers::table(look, state, width, usize::from(area.height) - 1, 0));
    let (area, rest) = split(rest, usize::from(rest.height) / 2);
    show(frame, below(area), notices::alerts(look, answers, width, 0, false));
    show(frame, below(rest), notices::refusals(look, answers, width, 0, false));
}

/// All but the first line, which stays empty.
fn below(area: Rect) -> Rect {
    split(area, 1).1
}

/// One list on a page of its own.
fn alone(frame: &mut Frame<'_>, body: Rect, state: &State, look: Look, page: &Page) {
    let Some(answers) = &state.answers else { return };
    let width = usize::from(body.width);
    let (top, mut area) = split(body, 1);
    match header::notice(look, state, width) {
        Some(notice) => show(frame, top, vec![notice]),
        None => area = body,
    }
    let (height, skip) = (usize::from(area.height), state.scrolled);
    let lines = match page {
        Page::Messages(actor) => actors::messages(look, state, actor, width, height),
        Page::Peers => peers::table(look, state, width, height, skip),
        Page::Alerts => notices::alerts(look, answers, width, skip, true),
        Page::Refusals => notices::refusals(look, answers, width, skip, true),
        Page::Overview => Vec::new(),
    };
    show(frame, area, lines);
}
