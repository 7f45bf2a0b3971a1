//! How far long work is: a bar in a terminal, lines elsewhere, nothing where nothing is wanted.

use crate::support::node::{Node, SOON};
use crate::support::pty::Pty;
use crate::support::until;
use crate::support::wallet::make_blocks;
use crate::top::{authority, follower, open};

#[test]
fn a_follower_that_catches_up_in_a_terminal_shows_a_bar_which_its_log_does_not_tear() {
    let (authority, gate) = authority();
    let mut follower = follower(&gate);
    let config = follower.configured();
    let mut node = Pty::callboard(&["node", "--config", &config.to_string_lossy()], (100, 60));
    follower.listens();
    let last = authority.height();
    let screen = node.shows_all(&["catching up: ", &format!("/{last}, "), " blocks/s, ", " tx/s"]);
    let bar = |line: &&str| line.starts_with('[') && line.ends_with('%');
    assert_eq!(screen.lines().filter(bar).count(), 1, "{screen}");
    assert_eq!(screen.matches("catching up: ").count(), 1, "{screen}");
    open(&gate);
    follower.reaches(last);
    let screen = node.hides("catching up: ");
    assert_eq!(screen.lines().filter(bar).count(), 0, "nothing of the bar is left: {screen}");
    assert!(screen.contains("=== follower") && screen.contains("<=> RPC"), "{screen}");
    node.signal("-TERM");
    assert_eq!(node.ends(), 0);
    assert!(!node.is_taken());
}

#[test]
fn a_follower_without_a_terminal_writes_lines_and_none_where_none_are_wanted() {
    let (authority, gate) = authority();
    let mut plain = follower(&gate);
    plain.arguments(&["--progress", "plain"]).start();
    until("a line of progress", SOON, || plain.has_logged("catching up: ").then_some(()));
    let line = format!("/{}, ", authority.height());
    let log = std::fs::read_to_string(plain.path("log")).expect("log");
    let told: Vec<_> = log.lines().filter(|told| told.contains("catching up: ")).collect();
    assert!(told[0].contains(&line) && told[0].contains(" INFO "), "{told:?}");
    assert!(!log.contains('\u{1b}'), "no terminal, no escapes");
    open(&gate);
    plain.reaches(authority.height());

    let (authority, gate) = self::authority();
    let mut silent = follower(&gate);
    silent.arguments(&["--progress", "none"]).start();
    silent.is_phase("catching-up");
    open(&gate);
    silent.reaches(authority.height());
    assert!(!silent.has_logged("catching up: "));
}

#[test]
fn commands_on_a_chain_say_how_far_they_are_in_lines_and_nothing_where_nothing_is_wanted() {
    let mut node = Node::authority();
    node.start();
    make_blocks(&node, 0, 3);
    node.stop();
    let file = node.path("chain");
    let file = file.to_string_lossy();
    let mut other = Node::follower("other", &[]);
    std::fs::copy(node.data("genesis.json"), other.path("genesis.json")).expect("copied");
    other.set("genesis.file", "genesis.json");
    let export = ["chain", "export", &file, "--progress", "plain"];
    let exported = node.run(&export);
    assert!(exported.stderr.contains("exporting: "), "{}", exported.stderr);
    exported.succeeded();
    for (command, what) in
        [(&["chain", "verify"][..], "verifying: "), (&["chain", "reconcile", "--full"], "checking: ")]
    {
        let told = node.run(&[command, &["--progress", "plain"]].concat());
        assert!(told.stderr.contains(what), "{command:?}: {}", told.stderr);
        told.succeeded();
        let silent = node.run(&[command, &["--progress", "none"]].concat());
        assert_eq!(silent.stderr, "", "{command:?}");
        silent.succeeded();
    }
    let imported = other.run(&["chain", "import", &file, "--progress", "plain"]);
    assert!(imported.stderr.contains("importing: 3/3, ") && imported.stderr.contains(" tx/s"), "{}", imported.stderr);
    imported.succeeded();
    let again = other.run(&["chain", "import", &file, "--progress", "none"]);
    assert_eq!(again.stderr, "");
    again.succeeded();
}
