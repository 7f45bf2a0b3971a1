//! A follower under test between bad peers and an honest network: an authority's process behind a gate.

use super::peer::{BadPeer, Chain, Lie};
use crate::support::node::{Node, SOON, hex_number};
use crate::support::until;
use crate::support::wallet::{address, make_blocks, transfers};
use serde_json::{Value, json};
use std::io::copy;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What a follower that meets honest peers only uses at most while it takes a chain this short, KiB. Held by
/// `a_follower_of_honest_peers_stays_within_the_memory_that_the_others_are_compared_with`.
pub(super) const HONEST_MEMORY: u64 = 64 << 10;
/// What a bad peer may cost it beyond that, KiB: some blocks of the largest size on their way.
pub(super) const ALLOWANCE: u64 = 64 << 10;
/// The transactions of the fullest block.
const CROWD: u64 = 4;

/// The honest network and the bad peers, all running.
pub(super) struct Trial {
    pub(super) authority: Node,
    pub(super) chain: Chain,
    pub(super) gate: Gate,
    pub(super) peers: Vec<BadPeer>,
    pub(super) follower: Node,
}

impl Trial {
    /// The honest network: an authority with a few blocks, nobody else yet. The gate to it is closed.
    pub(super) fn new() -> Self {
        let mut authority = Node::authority();
        authority.start();
        let crowd = authority.send(&transfers(1, 0, CROWD));
        crowd.into_iter().for_each(|hash| _ = authority.receipt(hash));
        make_blocks(&authority, 0, 2);
        let chain = Chain::of(&authority);
        let gate = Gate::to(&authority);
        let follower = Node::follower("follower", &[]);
        Self { authority, chain, gate, peers: Vec::new(), follower }
    }

    /// A follower whose first and only peers lie, each in its own way. The honest one comes at the end.
    pub(super) fn against(lies: impl IntoIterator<Item = Lie>) -> Self {
        let mut trial = Self::new();
        lies.into_iter().for_each(|lie| trial.bad_peer(lie));
        trial.follower_starts();
        trial
    }

    /// A follower that has the chain already. Who lies to it comes to its door.
    pub(super) fn with_honest_peers_only() -> Self {
        let mut trial = Self::new();
        trial.gate.opens();
        trial.follower_starts();
        trial.follows();
        trial
    }

    /// Another peer that lies.
    pub(super) fn bad_peer(&mut self, lie: Lie) {
        self.peers.push(BadPeer::start(self.chain.clone(), lie));
    }

    /// Starts the follower, which knows the bad peers and the gate.
    pub(super) fn follower_starts(&mut self) {
        self.follower_spawns();
        self.follower.listens();
    }

    /// The same, without waiting for it: it listens once it has the genesis.
    pub(super) fn follower_spawns(&mut self) {
        self.follower_spawns_with_patience(1);
    }

    /// The same, with `sync.stall_after_s`.
    pub(super) fn follower_spawns_with_patience(&mut self, seconds: u32) {
        let mut seeds: Vec<_> = self.peers.iter().map(BadPeer::url).collect();
        seeds.push(self.gate.url.clone());
        self.follower.set("peers.seeds", seeds).set("sync.stall_after_s", seconds).spawn();
    }

    /// Waits until the follower says something of one of its peers: what it says then.
    #[track_caller]
    pub(super) fn says_of(&self, url: &str, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        until(&format!("the follower says of {url}: {what}"), SOON, || self.said_of(url).filter(&is_so))
    }

    /// What the follower says of one of its peers now.
    pub(super) fn said_of(&self, url: &str) -> Option<Value> {
        let peers = self.follower.call("callboard_peers", json!([]));
        let of_peer = |peer: &&Value| peer["url"].as_str().is_some_and(|told| told.trim_end_matches('/') == url);
        peers.as_array()?.iter().find(of_peer).cloned()
    }

    /// Waits until the follower is connected to a peer: the peer's node id.
    #[track_caller]
    pub(super) fn id_of(&self, url: &str) -> String {
        let peer = self.says_of(url, "connected", |peer| peer["state"] == "connected");
        peer["id"].as_str().expect("an id").to_owned()
    }

    /// Waits until the follower says of each bad peer that it is in this state, and why.
    #[track_caller]
    pub(super) fn all_are(&self, state: &str, reason: &str) {
        for peer in &self.peers {
            self.is(&peer.url(), state, reason);
        }
    }

    #[track_caller]
    pub(super) fn is(&self, url: &str, state: &str, reason: &str) {
        let is_so = |peer: &Value| peer["state"] == state && peer["reason"].as_str().unwrap_or("").contains(reason);
        self.says_of(url, &format!("{state}: {reason}"), is_so);
    }

    /// Waits until the follower says this of a peer that it dials again and again.
    #[track_caller]
    pub(super) fn cannot_reach(&self, url: &str, reason: &str) {
        let is_so =
            |peer: &Value| peer["state"] != "connected" && peer["reason"].as_str().unwrap_or("").contains(reason);
        self.says_of(url, reason, is_so);
    }

    /// Waits until the follower has refused a block by this check.
    #[track_caller]
    pub(super) fn refuses_a_block_by(&self, check: &str) {
        self.counts("callboard_block_rejections_total", &format!("check=\"{check}\""));
    }

    /// Waits until the follower has refused somebody's request with this code, and counted it.
    #[track_caller]
    pub(super) fn refuses_a_request_with(&self, code: &str) {
        self.counts("callboard_peer_refusals_total", &format!("reason=\"{code}\""));
    }

    /// Waits until one of the follower's counters is above zero.
    #[track_caller]
    pub(super) fn counts(&self, counter: &str, label: &str) {
        let look = || (self.follower.metric_with(counter, label) > 0).then_some(());
        until(&format!("{counter}{{{label}}} is counted"), SOON, look);
    }

    /// Waits until the follower has written this in its log.
    #[track_caller]
    pub(super) fn logs(&self, text: &str) {
        until(&format!("the follower logs \"{text}\""), SOON, || self.follower.has_logged(text).then_some(()));
    }

    /// The honest peer is there, too: the follower gets everything from it, now and later, and has stayed small.
    #[track_caller]
    pub(super) fn ends_well(&mut self) {
        self.ends_well_within(HONEST_MEMORY + ALLOWANCE);
    }

    /// The same, where the lie may cost more.
    #[track_caller]
    pub(super) fn ends_well_within(&mut self, memory: u64) {
        self.is_told();
        self.gate.opens();
        self.follows();
        self.stayed_small(memory);
    }

    /// The follower has never held more memory than this, KiB.
    #[track_caller]
    pub(super) fn stayed_small(&self, memory: u64) {
        stayed_small(&self.follower, memory);
    }

    /// Waits until every bad peer has told its lie.
    #[track_caller]
    pub(super) fn is_told(&self) {
        until("every lie is told", SOON, || self.peers.iter().all(|peer| peer.told() > 0).then_some(()));
    }

    /// A block that is sealed now comes to the follower, and it is in sync.
    #[track_caller]
    pub(super) fn follows(&self) {
        self.gets_the_next_block();
        self.follower.is_phase("following");
    }

    /// A block that is sealed now comes to the follower, and both have the same chain.
    #[track_caller]
    pub(super) fn gets_the_next_block(&self) {
        let nonce = self.authority.call("eth_getTransactionCount", json!([address(0), "latest"]));
        let nonce = hex_number(&nonce);
        make_blocks(&self.authority, nonce, 1);
        let height = self.authority.height();
        self.follower.reaches(height);
        assert_eq!(self.follower.hash(height), self.authority.hash(height));
    }
}

/// A node has never held more memory than this, KiB.
#[track_caller]
pub(super) fn stayed_small(node: &Node, memory: u64) {
    let peak = node.peak_memory();
    assert!(peak <= memory, "the follower used {peak} KiB, at most {memory} are allowed");
}

/// The way to the authority: closed at first, so that the bad peers come first.
pub(super) struct Gate {
    pub(super) url: String,
    open: Arc<AtomicBool>,
}

impl Gate {
    fn to(authority: &Node) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("address"));
        let target = authority.peer_url().replace("http://", "");
        let open = Arc::new(AtomicBool::new(false));
        let is_open = open.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if is_open.load(Ordering::SeqCst) {
                    forward(stream, &target);
                }
            }
        });
        Self { url, open }
    }

    pub(super) fn opens(&self) {
        self.open.store(true, Ordering::SeqCst);
    }

    /// For those who come from now on.
    pub(super) fn closes(&self) {
        self.open.store(false, Ordering::SeqCst);
    }
}

/// Both directions, each until its end. An authority that has gone is a connection that ends.
fn forward(stream: TcpStream, target: &str) {
    let Ok(server) = TcpStream::connect(target) else { return };
    let twin = |stream: &TcpStream| stream.try_clone().expect("a connection");
    for (mut from, mut to) in [(twin(&stream), twin(&server)), (server, stream)] {
        std::thread::spawn(move || {
            copy(&mut from, &mut to).ok();
            to.shutdown(Shutdown::Both).ok();
        });
    }
}
