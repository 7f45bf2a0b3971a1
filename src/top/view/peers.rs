//! Peers: where they are, and whether they have the chain that this node has.

use super::actors::WIDE;
use super::look::{Look, Tone, headings, left, right, row, widen};
use crate::cli::plain;
use crate::top::answers::{Answers, Peer};
use crate::top::state::State;
use crate::units::grouped;
use ratatui::text::{Line, Span};

/// Digits of an id or a hash that tell it from others.
const SHORT: usize = 10;

/// Columns of an address where there is room.
const ADDRESS: usize = 44;

/// Title, headings and rows.
pub(super) fn table(look: Look, state: &State, width: usize, height: usize, skip: usize) -> Vec<Line<'static>> {
    let Some(answers) = &state.answers else { return Vec::new() };
    let peers = match &answers.peers {
        Ok(peers) => peers,
        Err(reason) => {
            let reason = look.fit(&format!(" not known: {}", plain(reason)), width);
            return vec![look.rule("peers", width), Line::from(reason)];
        }
    };
    let connected = peers.iter().filter(|peer| peer.is_connected()).count();
    let title = match peers.len() {
        0 => "peers".to_owned(),
        known => format!("peers ({connected} connected, {known} known)"),
    };
    let mut lines = vec![look.rule(&title, width)];
    if peers.is_empty() {
        lines.push(look.span(" no peers", Tone::Faint).into());
        return lines;
    }
    let wide = width >= WIDE;
    let mut fields = vec![
        left("", 1),
        left("address", 22),
        left("role", 9),
        left("state", 9),
        right("height", 10),
        left("hash", 8),
        right("score", 5),
    ];
    if wide {
        fields.extend([left("hash of head", 12), left("id", SHORT), left("dialled", 8), left("why not connected", 20)]);
    }
    if wide {
        fields[1].width = ADDRESS;
    }
    widen(&mut fields, if wide { 10 } else { 1 }, width);
    // Where there is room for one row only, the row counts more than its headings.
    if height > 2 {
        lines.push(headings(look, &fields, None));
    }
    let rows = height.saturating_sub(lines.len());
    lines.extend(
        ordered(peers)
            .into_iter()
            .skip(skip)
            .take(rows)
            .map(|peer| row(look, &fields, cells(look, answers, peer, wide))),
    );
    lines
}

/// Connected ones first, as the node gives them.
fn ordered(peers: &[Peer]) -> Vec<&Peer> {
    let mut ordered: Vec<_> = peers.iter().collect();
    ordered.sort_by_key(|peer| !peer.is_connected());
    ordered
}

fn cells(look: Look, answers: &Answers, peer: &Peer, wide: bool) -> Vec<Span<'static>> {
    let short = |text: &Option<String>| text.as_deref().unwrap_or("-").chars().take(SHORT).collect::<String>();
    let text = |text: &Option<String>| plain(text.as_deref().unwrap_or("-"));
    let (agreement, tone) = match answers.agreement(peer) {
        Some("agrees") => ("agrees", Tone::Good),
        Some("ahead") => ("ahead", Tone::Good),
        Some("differs") => ("DIFFERS", Tone::Bad),
        Some("accepted") => ("accepted", Tone::Warn),
        Some(_) => ("unknown", Tone::Faint),
        None => ("-", Tone::Faint),
    };
    let sign = if peer.is_connected() { look.sign("●", "*") } else { look.sign("○", "-") };
    let address =
        peer.url.as_deref().map_or_else(|| short(&peer.id), |url| plain(url).trim_end_matches('/').to_owned());
    let mut cells = vec![
        look.span(sign, if peer.is_connected() { Tone::Good } else { Tone::Faint }),
        look.span(address, Tone::Strong),
        Span::raw(text(&peer.role)),
        look.span(plain(&peer.state), if peer.state == "banned" { Tone::Bad } else { Tone::Plain }),
        Span::raw(peer.height.map_or_else(|| "-".to_owned(), grouped)),
        look.span(agreement, tone),
        look.span(peer.score.to_string(), if peer.score < 0 { Tone::Warn } else { Tone::Plain }),
    ];
    if wide {
        let reason = peer.ban.as_ref().map(|ban| ban.reason.clone()).or_else(|| peer.reason.clone());
        let reason = if peer.is_connected() { None } else { reason };
        cells.extend([Span::raw(plain(&short(&peer.hash))), Span::raw(plain(&short(&peer.id)))]);
        cells.extend([Span::raw(text(&peer.direction)), Span::raw(plain(reason.as_deref().unwrap_or("")))]);
    }
    cells
}
