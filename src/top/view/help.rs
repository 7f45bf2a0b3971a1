//! What the keys do, and what the figures mean.

use super::look::{Look, Tone};
use crate::top::state::KEYS;
use ratatui::text::{Line, Span};

const FIGURES: [(&str, &str); 5] = [
    ("mailbox", "messages that wait; what does not fit is refused"),
    ("busy", "share of the last seconds that it worked"),
    ("wait", "time in the mailbox: half at most p50, 99 in 100 p99"),
    ("handle", "time it worked on a message, likewise"),
    ("late", "messages whose sender waited no longer for the answer"),
];

pub(super) fn page(look: Look, width: usize) -> Vec<Line<'static>> {
    let entry = |(name, meaning): &(&'static str, &'static str)| {
        Line::from(vec![look.span(format!(" {name:<20} "), Tone::Strong), Span::raw(*meaning)])
    };
    let mut lines = vec![look.rule("keys", width)];
    lines.extend(KEYS.iter().map(entry));
    lines.push(look.rule("figures", width));
    lines.extend(FIGURES.iter().map(entry));
    lines
}

/// The last line of every page.
pub(super) fn footer(look: Look, width: usize) -> Line<'static> {
    let keys = [
        ("q", "quit"),
        ("?", "help"),
        ("Enter", "open"),
        ("s", "order"),
        ("Space", "pause"),
        ("p", "peers"),
        ("a", "alerts"),
        ("x", "refused"),
        ("Esc", "back"),
    ];
    let mut spans = vec![Span::raw(" ")];
    let mut used = 1;
    for (key, what) in keys {
        used += key.len() + what.len() + 3;
        if used > width + 2 {
            break;
        }
        spans.extend([look.span(key, Tone::Strong), look.span(format!(" {what}  "), Tone::Faint)]);
    }
    Line::from(spans)
}
