//! What is drawn, compared with files that people can look at.

use super::sample::{answers, empty, lost, state};
use crate::top::state::{Key, State};
use crate::top::view::{Look, draw};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::style::{Color, Modifier};
use std::path::Path;
use std::time::Duration;

/// Set, it writes the files instead of comparing them.
const WRITE: &str = "CALLBOARD_WRITE_DOCS";
const LOOK: Look = Look { colour: true, unicode: true };
const SIZES: [(u16, u16); 2] = [(80, 24), (200, 50)];

fn drawn(state: &State, look: Look, (width, height): (u16, u16)) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a terminal");
    terminal.draw(|frame| draw(frame, state, look)).expect("a picture");
    terminal.backend().buffer().clone()
}

fn text(buffer: &Buffer) -> String {
    let rows = buffer.content.chunks(usize::from(buffer.area.width));
    let row = |cells: &[ratatui::buffer::Cell]| cells.iter().map(|cell| cell.symbol()).collect::<String>();
    rows.map(|cells| row(cells).trim_end().to_owned() + "\n").collect()
}

#[track_caller]
fn is_as_kept(name: &str, state: &State, look: Look) {
    for (width, height) in SIZES {
        let drawn = text(&drawn(state, look, (width, height)));
        let file = format!("src/top/tests/snapshots/{name}-{width}x{height}.txt");
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(&file);
        if std::env::var_os(WRITE).is_some() {
            std::fs::write(&path, &drawn).expect("written");
        }
        let kept = std::fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(kept, drawn, "{file} is another picture; if the new one is right: {WRITE}=1 cargo test --lib top::");
    }
}

fn after(mut state: State, keys: &[Key]) -> State {
    for key in keys {
        state.on_key(*key);
    }
    state
}

/// In the order of busy shares.
fn catching_up() -> State {
    after(state(answers("catching-up")), &[Key::Char('s'); 3])
}

#[test]
fn overview_of_a_follower_that_catches_up() {
    is_as_kept("catching-up", &catching_up(), LOOK);
}

/// The README shows what is drawn.
#[test]
fn picture_in_the_readme_is_the_one_of_a_follower_that_catches_up() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = std::fs::read_to_string(&path).expect("README.md");
    let (before, rest) = readme.split_once("```text\n").expect("a picture");
    let (kept, after) = rest.split_once("```\n").expect("its end");
    let drawn = text(&drawn(&catching_up(), LOOK, SIZES[0]));
    if std::env::var_os(WRITE).is_some() {
        std::fs::write(&path, format!("{before}```text\n{drawn}```\n{after}")).expect("written");
    } else {
        assert_eq!(kept, drawn, "the picture in the README is another one: {WRITE}=1 cargo test --lib top::");
    }
}

#[test]
fn overview_of_a_follower_that_follows() {
    is_as_kept("following", &after(state(answers("following")), &[Key::Down]), LOOK);
}

#[test]
fn overview_of_a_diverged_node_paused() {
    is_as_kept("diverged", &after(state(answers("diverged")), &[Key::Char(' ')]), LOOK);
}

#[test]
fn overview_of_a_node_that_is_gone() {
    is_as_kept("lost", &lost(answers("following")), LOOK);
}

#[test]
fn overview_of_a_node_that_has_nothing_yet() {
    is_as_kept("empty", &state(empty()), LOOK);
}

#[test]
fn nobody_has_answered_yet() {
    let mut state = State::new("http://127.0.0.1:8545/".to_owned(), Duration::from_secs(1));
    is_as_kept("asking", &state, LOOK);
    state.on_answers(Duration::from_secs(1), Err("Connection refused (os error 111)".to_owned()));
    is_as_kept("nobody", &state, LOOK);
}

#[test]
fn overview_in_ascii() {
    is_as_kept("ascii", &after(state(answers("catching-up")), &[Key::Down]), Look { colour: false, unicode: false });
    let drawn = text(&drawn(&state(answers("catching-up")), Look { colour: false, unicode: false }, (200, 50)));
    assert!(drawn.is_ascii());
}

#[test]
fn pages_of_messages_peers_alerts_refusals_and_help() {
    let open = |keys: &[Key]| after(state(answers("following")), keys);
    is_as_kept("messages", &open(&[Key::Char('s'), Key::Char('s'), Key::Enter]), LOOK);
    is_as_kept("peers", &open(&[Key::Char('p')]), LOOK);
    is_as_kept("alerts", &open(&[Key::Char('a')]), LOOK);
    is_as_kept("refusals", &open(&[Key::Char('x')]), LOOK);
    is_as_kept("help", &open(&[Key::Char('?')]), LOOK);
}

#[test]
fn a_screen_of_any_size_is_drawn_and_one_that_is_too_small_says_so() {
    let states = [state(answers("catching-up")), lost(answers("diverged")), state(empty())];
    for state in &states {
        for width in (1..220).step_by(7) {
            for height in (1..60).step_by(3) {
                let drawn = text(&drawn(state, LOOK, (width, height)));
                assert_eq!(
                    drawn.contains("callboard top  "),
                    width >= 60 && height >= 12,
                    "{width}x{height}:\n{drawn}"
                );
            }
        }
    }
}

#[test]
fn the_last_line_of_the_overview_is_shown_whatever_the_number_of_actors_and_the_chosen_one_is_in_sight() {
    let last = text(&drawn(&after(state(answers("following")), &[Key::End]), LOOK, (80, 14)));
    assert!(last.contains("▸ TxPool") && !last.contains("BlockStore"), "{last}");
    assert!(last.contains("alerts 2") && last.contains("refused 2") && last.contains("q quit"), "{last}");
}

#[test]
fn values_of_a_node_that_is_gone_are_dim_and_what_is_said_of_that_is_not() {
    let dim = |state: &State| {
        let buffer = drawn(state, LOOK, (80, 24));
        let rows: Vec<_> =
            buffer.content.chunks(80).map(|row| row.iter().all(|cell| cell.modifier.contains(Modifier::DIM))).collect();
        rows
    };
    let gone = dim(&lost(answers("following")));
    assert!(!gone[3] && gone[4..23].iter().all(|dim| *dim) && gone[1] && gone[2], "{gone:?}");
    assert!(dim(&state(answers("following")))[1..].iter().all(|dim| !dim));
}

#[test]
fn without_colours_there_are_none() {
    for name in ["catching-up", "following", "diverged"] {
        let state = lost(answers(name));
        let plain = drawn(&state, Look { colour: false, ..LOOK }, (200, 50));
        assert!(plain.content.iter().all(|cell| cell.fg == Color::Reset && cell.bg == Color::Reset));
        assert_eq!(text(&plain), text(&drawn(&state, LOOK, (200, 50))), "the words are the same");
    }
}

#[test]
fn what_others_wrote_cannot_steer_the_terminal() {
    let drawn = drawn(&after(state(answers("following")), &[Key::Char('a')]), LOOK, (200, 50));
    assert!(drawn.content.iter().all(|cell| !cell.symbol().chars().any(char::is_control)));
    assert!(text(&drawn).contains("nearly full [2J"));
}
