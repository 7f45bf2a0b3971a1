//! Watching two nodes: `chain height` and the script of the documents.

use crate::fake_node::FakeNode;
use crate::support::node::Node;
use crate::support::wallet::{address, make_blocks};
use crate::support::{Place, callboard};
use serde_json::json;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

/// Lines of a watch within which it must have noticed what became of a node: some seconds.
const LINES: usize = 600;

/// An authority with some blocks, and its follower that has them.
fn two_nodes() -> (Node, Node) {
    let mut authority = Node::authority();
    authority.start();
    make_blocks(&authority, 0, 2);
    let mut follower = Node::follower("follower", &[&authority]);
    follower.start().reaches(2);
    (authority, follower)
}

#[test]
fn the_script_of_the_documents_shows_both_nodes_round_by_round() {
    let (authority, follower) = two_nodes();
    let program = callboard();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/examples/watch.sh");
    let watch = |follower: &str| {
        let mut command = Command::new("bash");
        command.arg(script).env("CALLBOARD", program.get_program()).env("GENESIS_URL", authority.rpc_url());
        command.env("FOLLOWER_URL", follower).env("INTERVAL", "0.1").env("ROUNDS", "2");
        // Of the two variables that name a node this one counts more; the script must not be misled by it.
        command.env("CALLBOARD_RPC_URL", "http://127.0.0.1:1");
        let output = command.output().expect("bash");
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).expect("UTF-8")
    };
    let round = |follower_url: &str, height: &str| {
        format!(
            "Watching block sync on both nodes...\n\nGenesis ({}) Block Height:\n2\n\n\
             Follower ({follower_url}) Block Height:\n{height}\n\n",
            authority.rpc_url()
        )
    };
    let url = follower.rpc_url();
    assert_eq!(watch(&url), round(&url, "2").repeat(2));
    let nobody = "http://127.0.0.1:1";
    assert_eq!(watch(nobody), round(nobody, "no answer").repeat(2));
}

#[test]
fn heights_of_two_nodes_are_watched_and_a_dead_one_makes_the_other_neither_equal_nor_different() {
    let (authority, mut follower) = two_nodes();
    let (one, two) = (authority.rpc_url(), follower.rpc_url());
    let mut command = callboard();
    command.args(["chain", "height", "--watch", "0.1", "--rpc", &one, "--rpc", &two]);
    let mut watching = command.stdout(Stdio::piped()).spawn().expect("it starts");
    let mut lines = BufReader::new(watching.stdout.take().expect("piped")).lines();
    let mut line = || lines.next().expect("a line").expect("UTF-8");
    let hash = authority.hash(2);
    for _ in 0..2 {
        assert_eq!([line(), line()], [format!("{one}  2  {hash}  equal"), format!("{two}  2  {hash}  equal")]);
        assert_eq!(line(), "", "rounds are apart");
    }
    follower.kill();
    let alone = format!("{one}  2  {hash}  unknown (no other node answers)");
    let found = (0..LINES).any(|_| line() == alone);
    assert!(found, "the node that is left is said to be alone");
    let dead = line();
    assert!(dead.starts_with(&format!("{two}  -  -  no answer: ")), "{dead}");
    watching.kill().and_then(|()| watching.wait()).expect("killed");
    let once = authority.run(&["chain", "height", "--rpc", &one, "--rpc", &two]);
    assert_eq!(once.code, 1);
    assert!(once.stdout.contains(&alone) && once.stderr.contains("not every node answered"), "{}", once.stderr);
    assert_eq!(authority.run(&["blockchain", "height", "--rpc", &one]).succeeded(), "2\n");
}

#[test]
fn the_height_of_one_node_is_the_bare_number_also_when_it_is_watched() {
    let mut node = Node::authority();
    node.start();
    make_blocks(&node, 0, 1);
    let mut command = callboard();
    command.args(["chain", "height", "--watch", "0.1", "--rpc", &node.rpc_url()]);
    let mut watching = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it starts");
    let mut lines = BufReader::new(watching.stdout.take().expect("piped")).lines();
    let mut line = || lines.next().expect("a line").expect("UTF-8");
    assert_eq!([line(), line()], ["1", "1"]);
    node.stop().start();
    make_blocks(&node, 1, 1);
    assert!((0..LINES).any(|_| line() == "2"), "it goes on after the node was away");
    watching.kill().and_then(|()| watching.wait()).expect("killed");
    let rpc = node.rpc_url();
    let listed = node.run(&["wallet", "transactions", &address(0), "--rpc", &rpc]).succeeded();
    assert_eq!(listed, node.run(&["tx", "list", "--address", &address(0), "--rpc", &rpc]).succeeded());
    assert_eq!(listed.lines().count(), 3, "{listed}");
}

/// A node that tells its head, and of the block at height 1 nothing that can be read.
fn forgetful() -> FakeNode {
    FakeNode::start(|_, params| match params[0] == "latest" {
        true => json!({ "number": "0x2", "hash": format!("0x{}", "22".repeat(32)) }),
        false => json!(null),
    })
}

#[test]
fn a_node_that_fails_at_the_second_look_is_not_said_to_differ() {
    let shorter = FakeNode::start(|_, _| json!({ "number": "0x1", "hash": format!("0x{}", "11".repeat(32)) }));
    let forgetful = forgetful();
    let both = ["chain", "height", "--rpc", &shorter.url, "--rpc", &forgetful.url];
    let found = Place::new().run(&both);
    assert_eq!(found.code, 1);
    assert!(found.stdout.contains("it gives no block 1") && !found.stdout.contains("differ"), "{}", found.stdout);
}

#[test]
fn a_node_is_not_compared_with_itself() {
    let place = Place::new();
    for again in ["http://127.0.0.1:8545/", "http://localhost:8545"] {
        let sentence = place.run(&["chain", "height", "--rpc", "http://127.0.0.1:8545", "--rpc", again]).refused(2);
        assert!(sentence.contains("named twice"), "{sentence}");
    }
}
