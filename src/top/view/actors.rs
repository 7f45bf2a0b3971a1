//! The table of actors, and that of one actor's messages.

use super::look::{Field, Look, Tone, headings, left, right, row, widen};
use crate::cli::plain;
use crate::top::answers::{Actor, Figures, Message};
use crate::top::state::State;
use crate::top::table::Column;
use crate::units::{count, micros, percent, rate};
use ratatui::style::Modifier;
use ratatui::text::{Line, Span};

/// A mailbox that is fuller than this is worth a look.
const FULL: f64 = 0.5;
/// From this width on there is room for all figures.
pub(super) const WIDE: usize = 120;
/// Places of the columns that stand under a common heading, from the right: p50 and p99 of waiting and of handling, and
/// what follows them.
const NARROW: [Field; 11] = [
    left("", 1),
    left("actor", 15),
    left("state", 8),
    left("mailbox", 5),
    right("", 4),
    right("busy", 4),
    right("msg/s", 5),
    right("p50", 5),
    right("p99", 5),
    right("p50", 5),
    right("p99", 5),
];
const REFUSED: Field = right("refused", 7);
const ROOMY: [Field; 13] = [
    left("", 1),
    left("actor", 18),
    left("state", 9),
    left("mailbox", 20),
    right("", 11),
    right("busy", 6),
    right("msg/s", 8),
    right("p50", 9),
    right("p99", 9),
    right("p50", 9),
    right("p99", 9),
    right("refused", 9),
    right("handled", 9),
];

/// Title, headings, and as many rows as there is room for, the chosen one among them.
pub(super) fn table(look: Look, state: &State, width: usize, height: usize) -> Vec<Line<'static>> {
    let actors = state.actors();
    let fields = fields(width);
    let arrow = if state.order.descending { look.sign("▼", "down") } else { look.sign("▲", "up") };
    let title = format!("actors ({}) by {} {arrow}", actors.len(), state.order.column.name());
    let mut lines =
        vec![titled(look, &title, &fields, 7, width), headings(look, &fields, Some(place(state.order.column)))];
    if let Some(Err(reason)) = state.answers.as_ref().map(|answers| &answers.actors) {
        lines.push(Line::from(look.fit(&format!(" not known: {}", plain(reason)), width)));
    }
    if actors.is_empty() && lines.len() == 2 {
        lines.push(look.span("  none yet", Tone::Faint).into());
    }
    let rows = height.saturating_sub(lines.len());
    let chosen = state.chosen_row();
    let first = (chosen + 1).saturating_sub(rows);
    let shown = actors.iter().enumerate().skip(first).take(rows);
    lines
        .extend(shown.map(|(place, actor)| actor_row(look, &fields, actor, state.chosen.is_some() && place == chosen)));
    lines
}

fn fields(width: usize) -> Vec<Field> {
    let mut fields = if width >= WIDE { ROOMY.to_vec() } else { [&NARROW[..], &[REFUSED]].concat() };
    // The bar takes what is left.
    widen(&mut fields, 3, width.min(150));
    fields
}

/// A rule with a title, and over the two pairs of quantiles what they are of. `place` is that of the first.
fn titled(look: Look, title: &str, fields: &[Field], place: usize, width: usize) -> Line<'static> {
    let end = |place: usize| fields.iter().take(place).map(|field| field.width + 1).sum::<usize>().saturating_sub(1);
    let dash = look.sign("─", "-");
    let mut line =
        Line::from(vec![look.span(format!("{dash} "), Tone::Faint), look.span(look.fit(title, 40), Tone::Strong)]);
    for (place, word) in [(place + 2, "wait"), (place + 4, "handle")] {
        let dashes = end(place).saturating_sub(line.width() + word.len() + 2);
        line.push_span(look.span(format!(" {} ", dash.repeat(dashes)), Tone::Faint));
        line.push_span(look.span(word, Tone::Strong));
    }
    let left = width.saturating_sub(line.width() + 1);
    line.push_span(look.span(format!(" {}", dash.repeat(left)), Tone::Faint));
    line
}

/// The place of the column which gives the order.
fn place(column: Column) -> usize {
    match column {
        Column::Name => 1,
        Column::State => 2,
        Column::Depth => 3,
        Column::Busy => 5,
        Column::Rate => 6,
        Column::WaitP50 => 7,
        Column::WaitP99 => 8,
        Column::HandleP50 => 9,
        Column::HandleP99 => 10,
        Column::Refused => 11,
    }
}

fn actor_row(look: Look, fields: &[Field], actor: &Actor, chosen: bool) -> Line<'static> {
    let full = actor.mailbox_depth as f64 / actor.mailbox_capacity.max(1) as f64;
    let tone = if full >= FULL { Tone::Warn } else { Tone::Good };
    let state_tone = if actor.state == "running" { Tone::Plain } else { Tone::Warn };
    let roomy = fields.len() == ROOMY.len();
    let depth = match roomy {
        true => format!("{}/{}", count(actor.mailbox_depth), count(actor.mailbox_capacity)),
        false => count(actor.mailbox_depth),
    };
    let mut cells = vec![
        Span::raw(if chosen { look.sign("▸", ">") } else { " " }),
        look.span(plain(&actor.actor), Tone::Strong),
        look.span(plain(&actor.state), state_tone),
        look.span(look.bar(full, fields[3].width), tone),
        Span::raw(depth),
        Span::raw(percent(actor.busy)),
        Span::raw(rate(actor.figures.per_second)),
    ];
    cells.extend(quantiles(look, &actor.figures));
    cells.push(refused(look, actor.figures.refused));
    cells.extend(roomy.then(|| Span::raw(count(actor.figures.handled))));
    let line = row(look, fields, cells);
    if chosen { line.patch_style(ratatui::style::Style::new().add_modifier(Modifier::REVERSED)) } else { line }
}

/// Waiting and handling, half and 99 of 100; a dash where nothing was measured lately.
fn quantiles(look: Look, figures: &Figures) -> [Span<'static>; 4] {
    let idle = figures.per_second < 0.05;
    let time = |time: u64| if idle && time == 0 { "-".to_owned() } else { micros(time, look.micro()) };
    [figures.wait_p50, figures.wait_p99, figures.handle_p50, figures.handle_p99].map(|figure| Span::raw(time(figure)))
}

fn refused(look: Look, refused: u64) -> Span<'static> {
    look.span(count(refused), if refused > 0 { Tone::Warn } else { Tone::Faint })
}

/// An actor's messages.
pub(super) fn messages(look: Look, state: &State, name: &str, width: usize, height: usize) -> Vec<Line<'static>> {
    let messages = state.messages(name);
    let mut fields = vec![
        left("message", 22),
        right("depth", 5),
        right("handled", 7),
        right("msg/s", 5),
        right("p50", 5),
        right("p99", 5),
        right("p50", 5),
        right("p99", 5),
        right("refused", 7),
        right("late", 4),
    ];
    widen(&mut fields, 0, width.min(110));
    let title = format!("messages of {} ({})", plain(name), messages.len());
    let mut lines = vec![titled(look, &title, &fields, 4, width), headings(look, &fields, None)];
    if messages.is_empty() {
        let gone = if state.actor(name).is_some() { " it takes none" } else { " this node has no such actor now" };
        lines.push(Line::from(gone));
    }
    let rows = height.saturating_sub(lines.len());
    lines.extend(messages.iter().skip(state.scrolled).take(rows).map(|message| message_row(look, &fields, message)));
    lines
}

fn message_row(look: Look, fields: &[Field], message: &Message) -> Line<'static> {
    let mut cells = vec![
        look.span(plain(&message.message), Tone::Strong),
        Span::raw(count(message.depth)),
        Span::raw(count(message.figures.handled)),
        Span::raw(rate(message.figures.per_second)),
    ];
    cells.extend(quantiles(look, &message.figures));
    cells.push(refused(look, message.figures.refused));
    cells.push(refused(look, message.timed_out));
    row(look, fields, cells)
}
