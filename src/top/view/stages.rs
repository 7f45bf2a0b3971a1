//! The sync pipeline.

use super::look::{Look, Tone, headings, left, right, row, widen};
use crate::cli::plain;
use crate::top::answers::{Stage, Status};
use crate::units::{count, percent, seconds};
use ratatui::text::{Line, Span};

/// Lines of the table of five stages.
pub(super) const TABLE_LINES: usize = 7;

/// All stages in one line, in the order in which a block passes them; that which holds the others up is marked.
pub(super) fn line(look: Look, status: &Status, width: usize) -> Vec<Line<'static>> {
    let mut spans = vec![Span::raw(" ")];
    for (place, stage) in status.stages.iter().enumerate() {
        if place > 0 {
            spans.push(look.span(look.sign(" → ", " > "), Tone::Faint));
        }
        let slow = is_slow(status, stage);
        let mark = if slow { "!" } else { "" };
        let tone = if slow { Tone::Warn } else { Tone::Plain };
        spans.push(look.span(format!("{}{mark} {}", plain(&stage.name), percent(stage.busy)), tone));
    }
    if status.stages.is_empty() {
        spans.push(Span::raw("not running yet"));
    }
    vec![look.rule("pipeline, busy", width), Line::from(spans)]
}

/// A line for each stage.
pub(super) fn table(look: Look, status: &Status, width: usize) -> Vec<Line<'static>> {
    let mut fields = vec![
        left("", 1),
        left("stage", 8),
        left("busy", 8),
        right("", 4),
        right("stalled", 7),
        right("items", 6),
        right("time", 7),
        left(" ", 10),
    ];
    widen(&mut fields, 2, width.min(80));
    let mut lines = vec![look.rule("pipeline", width), headings(look, &fields, None)];
    lines.extend(status.stages.iter().map(|stage| {
        let slow = is_slow(status, stage);
        let tone = if slow { Tone::Warn } else { Tone::Good };
        let cells = vec![
            Span::raw(" "),
            look.span(plain(&stage.name), Tone::Strong),
            look.span(look.bar(stage.busy, fields[2].width), tone),
            Span::raw(percent(stage.busy)),
            Span::raw(stage.stalled.map_or_else(|| "-".to_owned(), percent)),
            Span::raw(count(stage.items)),
            Span::raw(seconds(stage.seconds as u64)),
            look.span(if slow { "bottleneck" } else { "" }, tone),
        ];
        row(look, &fields, cells)
    }));
    if status.stages.is_empty() {
        lines.push(Line::from(" not running yet"));
    }
    lines
}

fn is_slow(status: &Status, stage: &Stage) -> bool {
    status.bottleneck.as_ref() == Some(&stage.name)
}
