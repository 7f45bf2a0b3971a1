//! A real actor dials real servers.

use super::super::*;
use crate::send::probe::{Probe, probe};
use crate::send::{ActorRegistry, Inbox, Mailbox};
use crate::transport::sessions::{Admission, Sessions};
use crate::transport::testing::{TestChain, TestNode, client, genesis, identity};
use crate::transport::{NodeId, PeerMetrics, PeerUrl};
use callboard_store::NodeStore;
use std::collections::HashSet;
use std::path::Path;
use std::time::Duration;

const DEADLINE: Duration = Duration::from_secs(20);

struct Discovery {
    peers: Inbox<PeersRequest>,
    misbehaved: Inbox<PeerMisbehaved>,
    stop: Inbox<crate::guard::Stop>,
    connected: Probe<PeerConnected>,
    lost: Probe<PeerLost>,
    status: Probe<PeerStatus>,
    foreign: Probe<ForeignChain>,
    first_dials: Probe<FirstDialsEnded>,
    _deaths: crate::guard::DeathWatch,
}

/// Peer discovery of node 2 on the chain of `ours`.
async fn start(seeds: Vec<PeerUrl>, ours: &TestChain, folder: &Path) -> Discovery {
    let (connected_to, connected) = probe(|_: &PeerConnected| ()).await;
    let (lost_to, lost) = probe(|_: &PeerLost| ()).await;
    let (status_to, status) = probe(|_: &PeerStatus| ()).await;
    let (foreign_to, foreign) = probe(|_: &ForeignChain| ()).await;
    let (first_dials_to, first_dials) = probe(|_: &FirstDialsEnded| ()).await;
    let (registry, deaths) = ActorRegistry::new();
    let mailbox = Mailbox::open(&actix::Arbiter::current(), registry.actor("PeerDiscovery", 256)).await.unwrap();
    let (peers, misbehaved, stop) = (mailbox.inbox(), mailbox.inbox(), mailbox.inbox());
    let config = Config {
        seeds,
        max_peers: 8,
        allow: HashSet::new(),
        discovery: true,
        identity: identity(2, &ours.genesis),
        genesis: ours.genesis.clone(),
        client: client(),
        sessions: Sessions::new(Admission { max_peers: 8, allow: HashSet::new() }),
        store: NodeStore::open(folder.join("node.redb")).unwrap(),
        metrics: PeerMetrics::default(),
    };
    let ports = Ports {
        connected: vec![connected_to],
        lost: vec![lost_to],
        status: status_to,
        foreign: foreign_to,
        first_dials: first_dials_to,
    };
    mailbox.start(|_| PeerDiscovery::new(config, ports));
    Discovery { peers, misbehaved, stop, connected, lost, status, foreign, first_dials, _deaths: deaths }
}

fn node(byte: u8) -> NodeId {
    NodeId::of(&crate::transport::testing::key(byte))
}

#[actix_rt::test]
async fn seed_is_connected_and_its_head_is_reported_as_it_grows() {
    let mut chain = TestChain::new();
    let server = TestNode::start(1, &chain.genesis, chain.store.clone()).await;
    let folder = tempfile::tempdir().unwrap();
    let dead: PeerUrl = "http://127.0.0.1:1".parse().unwrap();
    let mut discovery = start(vec![server.url.clone(), dead.clone()], &chain, folder.path()).await;
    let connected = discovery.connected.next().await;
    assert!(connected.is_seed && connected.session.node_id() == node(1));
    assert_eq!(discovery.first_dials.next().await.connected, 1);
    assert_eq!(discovery.status.next().await.head.height(), 0);
    chain.grow(3);
    while discovery.status.next().await.head.height() < 3 {}

    let report = discovery.peers.ask(PeersRequest, DEADLINE).await.unwrap();
    let of = |url: &PeerUrl| report.iter().find(|peer| peer.url.as_ref() == Some(url)).unwrap();
    assert_eq!((of(&server.url).state, of(&server.url).height), (PeerState::Connected, Some(3)));
    assert!(of(&dead).reason.as_ref().unwrap().contains("no connection"), "{report:?}");

    server.server.stop().await;
    assert_eq!(discovery.lost.next().await.node_id, node(1));
}

#[actix_rt::test]
async fn seed_on_another_chain_is_refused_with_what_differs() {
    let (ours, theirs) = (TestChain::new(), TestChain::with(genesis(1337, 8_000_000)));
    let server = TestNode::start(1, &theirs.genesis, theirs.store.clone()).await;
    let folder = tempfile::tempdir().unwrap();
    let mut discovery = start(vec![server.url.clone()], &ours, folder.path()).await;
    let foreign = discovery.foreign.next().await;
    assert!(foreign.is_seed && foreign.same_chain_and_authority);
    assert_eq!(foreign.genesis_hash, theirs.genesis.hash());
    assert_eq!(foreign.differences, ["gasLimit differs: 30000000 here, 8000000 there"]);
    assert_eq!(discovery.first_dials.next().await.connected, 0);
    let report = discovery.peers.ask(PeersRequest, DEADLINE).await.unwrap();
    assert_eq!(report[0].state, PeerState::Refused);
    assert!(report[0].reason.as_ref().unwrap().contains("8000000 there"), "{report:?}");
}

#[actix_rt::test]
async fn seed_that_is_this_node_itself_is_refused() {
    let chain = TestChain::new();
    let server = TestNode::start(2, &chain.genesis, chain.store.clone()).await;
    let folder = tempfile::tempdir().unwrap();
    let mut discovery = start(vec![server.url.clone()], &chain, folder.path()).await;
    discovery.first_dials.next().await;
    let report = discovery.peers.ask(PeersRequest, DEADLINE).await.unwrap();
    assert_eq!(report[0].state, PeerState::Refused);
    assert!(report[0].reason.as_ref().unwrap().contains("that is this node itself"), "{report:?}");
}

#[actix_rt::test]
async fn banned_peer_is_lost_and_reported_as_banned() {
    let chain = TestChain::new();
    let server = TestNode::start(1, &chain.genesis, chain.store.clone()).await;
    let folder = tempfile::tempdir().unwrap();
    let mut discovery = start(vec![server.url.clone()], &chain, folder.path()).await;
    discovery.connected.next().await;
    let detail = "a seal that is none".to_owned();
    discovery.misbehaved.signal(PeerMisbehaved { node_id: node(1), offence: Offence::Forged, detail });
    assert!(discovery.lost.next().await.reason.contains("a seal that is none"));
    let report = discovery.peers.ask(PeersRequest, DEADLINE).await.unwrap();
    assert_eq!(report[0].state, PeerState::Banned);
}

#[actix_rt::test]
async fn peer_found_by_hearsay_is_remembered_across_a_restart() {
    let chain = TestChain::new();
    let folder = tempfile::tempdir().unwrap();
    let found = TestNode::start(3, &chain.genesis, chain.store.clone()).await;
    let store = NodeStore::open(folder.path().join("node.redb")).unwrap();
    let record = serde_json::json!({ "url": found.url.to_string() });
    store.put_peers([(node(3).to_string().as_str(), &record)]).unwrap();
    drop(store);

    let mut discovery = start(Vec::new(), &chain, folder.path()).await;
    let connected = discovery.connected.next().await;
    assert!(!connected.is_seed && connected.session.node_id() == node(3));
    discovery.stop.ask(crate::guard::Stop, DEADLINE).await.unwrap();
}
