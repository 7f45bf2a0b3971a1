//! What a node that has a chain refuses to start with: one sentence, exit code 2, and the chain is as it was.

use crate::support::node::Node;
use crate::support::wallet::make_blocks;
use callboard::dev;
use std::net::TcpListener;

/// A node with a chain of three blocks, stopped.
fn stopped() -> Node {
    let mut node = Node::authority();
    node.start();
    make_blocks(&node, 0, 3);
    node.stop();
    node
}

/// The node ran into an error; its chain is still there.
#[track_caller]
fn assert_nothing_lost(mut node: Node) {
    node.start();
    assert_eq!(node.height(), 3);
}

#[test]
fn data_directory_of_another_chain_than_the_pinned_one_is_refused() {
    let mut node = stopped();
    let pin = format!("0x{}", "11".repeat(32));
    node.set("genesis.hash", pin.as_str());
    let sentence = node.refused();
    assert!(sentence.contains("genesis.hash") && sentence.contains(&pin), "{sentence}");
    node.unset("genesis.hash");
    assert_nothing_lost(node);
}

#[test]
fn data_directory_of_another_chain_id_is_refused() {
    let mut node = stopped();
    node.set("genesis.chain_id", 7);
    let sentence = node.refused();
    assert!(sentence.contains("genesis.chain_id = 7") && sentence.contains("1337"), "{sentence}");
    node.unset("genesis.chain_id");
    assert_nothing_lost(node);
}

#[test]
fn rpc_port_in_use_is_refused_and_nothing_is_written() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("address").to_string();
    let mut node = Node::authority();
    node.set("rpc.listen", address.as_str());
    let sentence = node.refused();
    assert!(sentence.contains("rpc.listen") && sentence.contains(&address), "{sentence}");
    assert_eq!(node.files(), ["node.toml"]);
}

#[test]
fn peer_port_in_use_is_refused_and_nothing_is_written() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("address").to_string();
    let mut node = Node::authority();
    node.set("peers.listen", address.as_str());
    let sentence = node.refused();
    assert!(sentence.contains("peers.listen") && sentence.contains(&address), "{sentence}");
    assert_eq!(node.files(), ["node.toml"]);
}

#[test]
fn data_directory_in_use_by_another_process_is_refused_and_that_process_goes_on() {
    let mut first = Node::authority();
    first.start();
    make_blocks(&first, 0, 1);
    let mut second = Node::authority();
    let data = first.data("").to_string_lossy().into_owned();
    second.set("node.data_dir", data.as_str());
    let sentence = second.refused();
    assert!(sentence.contains("chain.redb") && sentence.contains("in use by another process"), "{sentence}");
    assert_eq!(second.files(), ["node.toml"]);
    make_blocks(&first, 1, 1);
    first.kill().start();
    assert_eq!(first.height(), 2);
}

#[test]
fn keystore_without_the_key_of_the_genesis_authority_is_refused() {
    let mut node = Node::authority_with_keystore();
    node.start();
    make_blocks(&node, 0, 3);
    node.stop();
    let key: String = dev::key(5).to_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    std::fs::write(node.path("key"), key).expect("written");
    node.set("authority.keystore", "other");
    node.run(&["account", "import", "key", "--password-file", "password"]).succeeded();
    let sentence = node.refused();
    assert!(sentence.contains("authority.keystore") && sentence.contains("does not hold the key"), "{sentence}");
    node.set("authority.keystore", "keystore");
    assert_nothing_lost(node);
}
