//! Colours, signs and columns. Colours only underline what words or signs say already.

use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};

/// What the terminal can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// Colours; not where `NO_COLOR` is set.
    pub colour: bool,
    /// Signs beyond ASCII; only where the locale is UTF-8.
    pub unicode: bool,
}

/// What a text means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    /// As it should be.
    Good,
    /// Worth a look.
    Warn,
    /// The operator must look.
    Bad,
    /// A heading.
    Strong,
    /// Of less weight.
    Faint,
    /// Nothing.
    Plain,
}

impl Look {
    /// By the environment: `NO_COLOR` set to anything (no-color.org), and the locale in the order of POSIX.
    pub fn of(variable: impl Fn(&str) -> Option<String>) -> Self {
        let given = |name: &str| variable(name).filter(|value| !value.is_empty());
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(given).unwrap_or_default().to_lowercase();
        Self { colour: given("NO_COLOR").is_none(), unicode: locale.contains("utf-8") || locale.contains("utf8") }
    }

    pub(super) fn style(self, tone: Tone) -> Style {
        let coloured = |colour: Color| if self.colour { Style::new().fg(colour) } else { Style::new() };
        match tone {
            Tone::Good => coloured(Color::Green),
            Tone::Warn => coloured(Color::Yellow).add_modifier(Modifier::BOLD),
            Tone::Bad => coloured(Color::Red).add_modifier(Modifier::BOLD),
            Tone::Strong => Style::new().add_modifier(Modifier::BOLD),
            Tone::Faint => Style::new().add_modifier(Modifier::DIM),
            Tone::Plain => Style::new(),
        }
    }

    pub(super) fn span(self, text: impl Into<String>, tone: Tone) -> Span<'static> {
        Span::styled(text.into(), self.style(tone))
    }

    /// The sign, or what stands for it in ASCII.
    pub(super) fn sign(self, sign: &'static str, ascii: &'static str) -> &'static str {
        if self.unicode { sign } else { ascii }
    }

    /// How the unit of 10⁻⁶ s is written.
    pub(super) fn micro(self) -> &'static str {
        self.sign("µs", "us")
    }

    /// A share of 1 as a bar. What is not nothing shows.
    pub(super) fn bar(self, share: f64, width: usize) -> String {
        let share = if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.0 };
        let filled = ((share * width as f64).round() as usize).max(usize::from(share > 0.0)).min(width);
        self.sign("█", "#").repeat(filled) + &self.sign("·", ".").repeat(width - filled)
    }

    /// Text in at most `width` columns, with a sign where something was cut off.
    pub(super) fn fit(self, text: &str, width: usize) -> String {
        if Span::raw(text).width() <= width {
            return text.to_owned();
        }
        let sign = self.sign("…", "~");
        let mut fitted = String::new();
        let mut left = width.saturating_sub(1);
        for char in text.chars() {
            let columns = Span::raw(char.to_string()).width();
            if columns > left {
                break;
            }
            left -= columns;
            fitted.push(char);
        }
        if width == 0 { String::new() } else { fitted.trim_end().to_owned() + sign }
    }

    /// A rule over the whole width that begins with a title.
    pub(super) fn rule(self, title: &str, width: usize) -> Line<'static> {
        let dash = self.sign("─", "-");
        let title = self.fit(title, width.saturating_sub(6));
        let used = Span::raw(title.as_str()).width() + 4;
        Line::from(vec![
            self.span(format!("{dash} "), Tone::Faint),
            self.span(title, Tone::Strong),
            self.span(format!(" {}", dash.repeat(width.saturating_sub(used - 1))), Tone::Faint),
        ])
    }
}

/// A column of a table.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field {
    pub(super) title: &'static str,
    pub(super) width: usize,
    pub(super) right: bool,
}

/// A column of text.
pub(super) const fn left(title: &'static str, width: usize) -> Field {
    Field { title, width, right: false }
}

/// A column of figures.
pub(super) const fn right(title: &'static str, width: usize) -> Field {
    Field { title, width, right: true }
}

/// A row: each cell in the width of its column, a space between two.
pub(super) fn row(look: Look, fields: &[Field], cells: Vec<Span<'static>>) -> Line<'static> {
    let mut spans = Vec::new();
    for (field, cell) in fields.iter().zip(cells) {
        let text = look.fit(&cell.content, field.width);
        let space = " ".repeat(field.width.saturating_sub(Span::raw(text.as_str()).width()));
        let text = if field.right { space + &text } else { text + &space };
        spans.push(Span::styled(text, cell.style));
        spans.push(Span::raw(" "));
    }
    spans.pop();
    Line::from(spans)
}

/// The headings of a table; that in `marked` is underlined. A heading takes the place of the column after it, too, where
/// that has none.
pub(super) fn headings(look: Look, fields: &[Field], marked: Option<usize>) -> Line<'static> {
    let (mut spanned, mut cells) = (Vec::new(), Vec::new());
    let mut fields = fields.iter().enumerate().peekable();
    while let Some((place, field)) = fields.next() {
        let mut field = *field;
        while let Some((_, follower)) = fields.next_if(|(_, next)| next.title.is_empty() && !field.title.is_empty()) {
            field.width += 1 + follower.width;
        }
        let mut cell = look.span(field.title, Tone::Faint);
        if marked == Some(place) {
            cell.style = look.style(Tone::Strong).add_modifier(Modifier::UNDERLINED);
        }
        spanned.push(field);
        cells.push(cell);
    }
    row(look, &spanned, cells)
}

/// Text over as many lines of `width` columns as it needs, each begun with `indent`; broken between words where it can be.
pub(super) fn wrap(text: &str, indent: &str, width: usize) -> Vec<String> {
    let room = width.saturating_sub(Span::raw(indent).width()).max(1);
    let mut lines = vec![String::new()];
    let columns = |text: &str| Span::raw(text).width();
    for word in text.split_whitespace() {
        let last = lines.last_mut().expect("there is a line from the start");
        if last.is_empty() {
            last.push_str(word);
        } else if columns(last) + 1 + columns(word) <= room {
            last.push(' ');
            last.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
        // A word that is longer than a line goes on in the next.
        while let Some(rest) = lines.last_mut().and_then(|last| cut(last, room)) {
            lines.push(rest);
        }
    }
    lines.into_iter().map(|line| format!("{indent}{line}")).collect()
}

/// Cuts a line to `room` columns: what is over.
fn cut(line: &mut String, room: usize) -> Option<String> {
    let fits = |(at, char): &(usize, char)| Span::raw(&line[..at + char.len_utf8()]).width() <= room;
    let end = line.char_indices().find(|place| !fits(place)).map(|(at, char)| at.max(char.len_utf8()))?;
    (end < line.len()).then(|| line.split_off(end))
}

/// The wider of the fields that are for text takes what is left of the width.
pub(super) fn widen(fields: &mut [Field], place: usize, width: usize) {
    let used: usize = fields.iter().map(|field| field.width + 1).sum::<usize>().saturating_sub(1);
    if let Some(field) = fields.get_mut(place) {
        field.width += width.saturating_sub(used);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOK: Look = Look { colour: true, unicode: true };

    #[test]
    fn text_that_is_too_long_ends_with_a_sign() {
        assert_eq!(LOOK.fit("SyncCoordinator", 15), "SyncCoordinator");
        assert_eq!(LOOK.fit("SyncCoordinators", 15), "SyncCoordinato…");
        assert_eq!(Look { unicode: false, ..LOOK }.fit("ab cdef", 4), "ab~");
        assert_eq!([LOOK.fit("ab", 1), LOOK.fit("ab", 0)], ["…", ""]);
    }

    #[test]
    fn long_text_is_broken_between_words_and_long_words_anywhere() {
        assert_eq!(wrap("one two three", "  ", 9), ["  one two", "  three"]);
        assert_eq!(wrap("abcdefgh ij", "", 3), ["abc", "def", "gh", "ij"]);
        assert_eq!([wrap("", " ", 9), wrap("äöü", "", 0)], [vec![" "], vec!["ä", "ö", "ü"]]);
    }

    #[test]
    fn a_heading_takes_the_place_of_one_that_is_empty() {
        let fields = [left("", 1), left("mailbox", 5), right("", 4), right("busy", 4)];
        assert_eq!(headings(LOOK, &fields, None).to_string(), "  mailbox    busy");
    }

    #[test]
    fn a_bar_shows_what_is_not_nothing_and_is_never_longer_than_its_place() {
        let bars = [0.0, 0.001, 0.5, 1.0, 7.0, f64::NAN].map(|share| LOOK.bar(share, 4));
        assert_eq!(bars, ["····", "█···", "██··", "████", "████", "····"]);
    }

    #[test]
    fn environment_decides_on_colours_and_signs() {
        let look = |variables: &[(&str, &str)]| {
            Look::of(|name| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()))
        };
        assert_eq!(look(&[("LANG", "en_US.UTF-8")]), LOOK);
        assert_eq!(look(&[("LANG", "C.utf8"), ("NO_COLOR", "1")]), Look { colour: false, unicode: true });
        assert_eq!(look(&[("LC_ALL", "C"), ("LANG", "en_US.UTF-8")]), Look { colour: true, unicode: false });
        assert_eq!(look(&[("LC_ALL", ""), ("LANG", "de_DE.UTF-8"), ("NO_COLOR", "")]), LOOK);
        assert_eq!(look(&[]), Look { colour: true, unicode: false });
    }

    #[test]
    fn without_colours_no_style_has_one() {
        let look = Look { colour: false, unicode: true };
        for tone in [Tone::Good, Tone::Warn, Tone::Bad, Tone::Strong, Tone::Faint, Tone::Plain] {
            assert_eq!(look.style(tone).fg, None, "{tone:?}");
        }
    }
}
