//! `callboard top` in a terminal, against real nodes.

use crate::crash::Gate;
use crate::support::Place;
use crate::support::node::Node;
use crate::support::pty::Pty;
use callboard::top::shell::Screen;
use callboard::top::state::KEYS;
use callboard::units::grouped;
use std::fs;

/// Blocks of the authority.
const BLOCKS: u64 = 1_200;
/// Bytes of a peer's answers with which a follower begins to catch up, and does not end.
const SOME: i64 = 100_000;
/// Says that a test is to break what it has in hand.
const PANIC: &str = "CALLBOARD_TEST_PANIC_ON_SCREEN";

/// An authority with a chain, and the way to it.
pub(crate) fn authority() -> (Node, Gate) {
    let mut authority = Node::authority_over(BLOCKS, 1);
    authority.start();
    let gate = Gate::to(&authority.peer_url());
    gate.let_through(SOME);
    (authority, gate)
}

pub(crate) fn follower(gate: &Gate) -> Node {
    let mut follower = Node::new("follower");
    follower.set("node.role", "follower").set("peers.seeds", vec![gate.url.clone()]);
    follower
}

/// Lets everything through.
pub(crate) fn open(gate: &Gate) {
    gate.let_through(i64::MAX / 2);
}

fn watch(node: &Node, size: (u16, u16)) -> Pty {
    Pty::callboard(&["top", "--rpc", &node.rpc_url(), "--interval", "0.2"], size)
}

/// Where `CALLBOARD_CAPTURES` names a folder, what is on the screen is put there for people to look at.
fn capture(name: &str, text: &str) {
    if let Some(folder) = std::env::var_os("CALLBOARD_CAPTURES") {
        fs::write(std::path::Path::new(&folder).join(name), text).expect("written");
    }
}

#[test]
fn a_follower_is_watched_while_it_catches_up_follows_goes_away_and_comes_back() {
    let (authority, gate) = authority();
    let mut follower = follower(&gate);
    follower.start();
    let mut top = watch(&follower, (80, 24));
    let screen =
        top.shows_all(&["FOLLOWER  catching up", "The bottleneck is ", &format!("target {}", grouped(BLOCKS))]);
    for wanted in ["actors (", "SyncCoordinator", "pipeline, busy", "peers (", "alerts", "refused", "q quit"] {
        assert!(screen.contains(wanted), "{wanted}:\n{screen}");
    }
    capture("catching-up-80x24", &screen);
    top.resize(200, 50);
    let screen = top.shows_all(&["catching up", "handled", "stalled", "hash of head"]);
    capture("catching-up-200x50", &screen);
    open(&gate);
    follower.reaches(BLOCKS);
    follower.is_phase("following");
    let head = format!("head {}", grouped(authority.height()));
    let screen = top.shows_all(&["FOLLOWER  following", &head, "agrees", "Nothing holds it up"]);
    capture("following-200x50", &screen);
    top.resize(80, 24);
    capture("following-80x24", &top.shows_all(&["FOLLOWER  following", &head, "agrees", "pipeline, busy"]));

    top.press("s");
    top.shows("by state");
    top.press("jjj\r");
    capture("messages-80x24", &top.shows("messages of "));
    top.press("\u{1b}");
    top.shows("actors (");
    top.press("?");
    capture("help-80x24", &top.shows("turn the order round"));
    top.press("?p");
    capture("peers-80x24", &top.shows_all(&["peers (1 connected", "agrees"]));
    top.press("\u{7f}");
    top.shows("pipeline, busy");
    top.press(" ");
    top.shows("PAUSED");
    top.press(" ");
    top.shows("every 0.2s");

    follower.stop();
    let screen = top.shows_all(&["NO ANSWER", "last values below", &head]);
    capture("gone-80x24", &screen);
    follower.start();
    let screen = top.hides("No answer for");
    assert!(screen.contains("FOLLOWER"), "{screen}");
    top.shows_all(&[&head, "every 0.2s"]);
    assert!(top.is_taken());
    top.press("q");
    assert_eq!(top.ends(), 0);
    assert!(!top.is_taken(), "the terminal is as it was");
}

#[test]
fn a_node_that_is_not_there_is_waited_for() {
    let mut authority = Node::authority();
    authority.start();
    authority.stop();
    let mut top = watch(&authority, (80, 24));
    top.shows_all(&["No node has answered yet", "Connection refused"]);
    authority.start();
    top.shows_all(&["AUTHORITY  following", "Proposer"]);
    top.press("\u{3}");
    assert_eq!(top.ends(), 0);
}

#[test]
fn without_a_terminal_there_is_nothing_to_show_and_what_is_wrong_is_said_before_the_screen_is_taken() {
    let sentence = Place::new().run(&["top"]).refused(2);
    assert!(sentence.contains("needs a terminal") && sentence.contains("actors --watch"), "{sentence}");
    assert!(Place::new().run(&["top", "--rpc", "nonsense"]).refused(2).contains("is not the URL of a node"));
    assert!(Place::new().run(&["top", "--interval", "0"]).refused(2).contains("--interval 0 is not allowed"));
}

#[test]
fn the_keys_in_the_documents_are_those_of_the_help() {
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/src/command-line.md")).expect("a page");
    let rows: String = KEYS.iter().map(|(keys, what)| format!("| {keys} | {what} |\n")).collect();
    assert!(page.contains(&format!("| key | what |\n|---|---|\n{rows}\n")), "not in docs/src/command-line.md:\n{rows}");
}

#[test]
fn terminal_is_restored_by_quitting_a_signal_and_a_panic() {
    let program = crate::support::callboard();
    let line = "\"$0\" top --rpc http://127.0.0.1:1; echo \"code $?\"; stty -a";
    let is_restored = |pty: &Pty| {
        let screen = pty.shows("icanon");
        assert!(!screen.contains("-icanon") && !screen.contains("-echo ") && !pty.is_taken(), "{screen}");
        screen
    };
    let mut quit = Pty::shell(line, program.get_program(), (80, 24));
    quit.shows("No node has answered yet");
    assert!(quit.is_taken());
    quit.press("q");
    assert!(is_restored(&quit).contains("code 0"));

    let mut ended = Pty::callboard(&["top", "--rpc", "http://127.0.0.1:1"], (80, 24));
    ended.shows("No node has answered yet");
    ended.signal("-TERM");
    assert_eq!(ended.ends(), 0);
    assert!(!ended.is_taken());

    let line = format!(
        "RUST_BACKTRACE=0 {PANIC}=1 \"$0\" --exact top::panics_on_its_screen --include-ignored --nocapture; stty -a"
    );
    let panicked = Pty::shell(&line, std::env::current_exe().expect("this test"), (80, 60));
    assert!(is_restored(&panicked).contains("in the middle of it"));
}

/// Only started by the test above, in a terminal.
#[test]
#[ignore = "breaks on purpose"]
fn panics_on_its_screen() {
    if std::env::var_os(PANIC).is_some() {
        let _screen = Screen::enter().expect("a terminal");
        panic!("in the middle of it");
    }
}
