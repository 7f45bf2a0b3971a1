//! Who talks to whom.

use crate::support::node::{Node, SOON};
use crate::support::until;
use crate::support::wallet::make_blocks;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::{Value, json};
use std::net::TcpListener;

fn peers(node: &Node) -> Vec<Value> {
    node.call("callboard_peers", json!([])).as_array().cloned().unwrap_or_default()
}

/// A port that is free now.
fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").to_string()
}

#[test]
fn a_follower_finds_another_one_through_its_seed() {
    let mut authority = Node::authority();
    authority.start();
    let mut first = Node::follower("first", &[&authority]);
    let listen = free_address();
    let url = format!("http://{listen}");
    first.set("peers.listen", listen).set("peers.advertise", url.clone()).start();
    until("the seed has dialled the first follower back", SOON, || {
        let is_known = |peer: &Value| peer["url"] == url && peer["state"] == "connected" && peer["direction"] == "both";
        peers(&authority).iter().any(is_known).then_some(())
    });
    let mut second = Node::follower("second", &[&authority]);
    second.start();
    let found = until("the second follower has dialled the first", SOON, || {
        peers(&second).into_iter().find(|peer| peer["url"] == url && peer["state"] == "connected")
    });
    assert_eq!((&found["seed"], &found["score"], &found["ban"]), (&json!(false), &json!(0), &Value::Null));
    assert!(found["since"].as_u64().is_some_and(|since| since > 1_700_000_000), "{found}");
    make_blocks(&authority, 0, 2);
    second.reaches(2);
}

#[test]
fn a_copied_data_directory_is_named_at_the_node_that_was_copied_and_at_its_seed() {
    let mut authority = Node::authority();
    authority.start();
    let mut original = Node::follower("original", &[&authority]);
    original.start();
    let mut copy = Node::follower("copy", &[&authority]);
    std::fs::create_dir_all(copy.data("")).expect("a folder");
    std::fs::copy(original.data("node.key"), copy.data("node.key")).expect("copied");
    copy.start();
    until("the original hears of it", SOON, || {
        let says = |peer: &Value| peer["reason"].as_str().is_some_and(|reason| reason.contains("delete node.key"));
        peers(&original).iter().any(says).then_some(())
    });
    until("the original's log says so", SOON, || original.has_logged("delete node.key").then_some(()));
    until("the seed's log says so", SOON, || authority.has_logged("delete node.key").then_some(()));
    make_blocks(&authority, 0, 1);
    copy.reaches(1);
}

#[test]
fn both_sides_say_in_what_two_chains_differ() {
    let mut ours = Node::authority();
    ours.start();
    let mut theirs = Node::authority();
    theirs.set("genesis.gas_limit", 8_000_000).follow(&[&ours]).start();
    for (node, text) in [(&ours, "30000000 here, 8000000 there"), (&theirs, "8000000 here, 30000000 there")] {
        let text = format!("gasLimit differs: {text}");
        let refused = until("the difference is shown", SOON, || {
            let says = |peer: &Value| peer["reason"].as_str().is_some_and(|reason| reason.contains(&text));
            peers(node).into_iter().find(says)
        });
        assert_eq!(refused["state"], "refused");
        until("the log says so", SOON, || node.has_logged(&text).then_some(()));
    }
    assert!(ours.metric_with("callboard_peer_refusals_total", "reason=\"wrong_chain\"") > 0);
}

struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        Self(CertifiedIssuer::self_signed(params, key).expect("a certificate"))
    }

    /// Gives a node its files.
    fn issue(&self, node: &mut Node) {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("a name");
        let cert = params.signed_by(&key, &self.0).expect("a certificate");
        for (name, text) in [("cert", cert.pem()), ("key", key.serialize_pem()), ("ca", self.0.pem())] {
            let file = node.path(&format!("{name}.pem"));
            std::fs::write(&file, text).expect("written");
            node.set(&format!("peers.tls_{name}"), format!("{name}.pem"));
        }
    }
}

#[test]
fn nodes_with_certificates_of_one_authority_follow_over_tls_and_others_do_not() {
    let (certificates, others) = (Authority::new(), Authority::new());
    let mut authority = Node::authority();
    certificates.issue(&mut authority);
    authority.start();
    make_blocks(&authority, 0, 2);
    let seed = authority.peer_url().replace("http://", "https://");
    let mut follower = Node::follower("follower", &[]);
    certificates.issue(&mut follower);
    follower.set("peers.seeds", vec![seed.clone()]).start().reaches(2);
    let mut stranger = Node::follower("stranger", &[]);
    others.issue(&mut stranger);
    stranger.set("peers.seeds", vec![seed]).set("rpc.listen", free_address()).spawn().rpc_answers();
    until("it gets no genesis", SOON, || stranger.has_logged("no genesis yet").then_some(()));
    assert_eq!(stranger.status()["phase"], "genesis");
    stranger.stop();

    let mut broken = Node::follower("broken", &[&authority]);
    certificates.issue(&mut broken);
    assert!(broken.refused().contains("https://"), "a seed in the clear is refused");
    broken.set("peers.seeds", Vec::<String>::new()).set("peers.tls_key", "cert.pem");
    assert!(broken.refused().contains("peers.tls_key"), "a key that is none is named");
}
