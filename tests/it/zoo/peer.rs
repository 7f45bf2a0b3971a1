//! A peer in the test's own process: honest in everything, but for the one lie it is told to tell.

use super::http::{OPEN_HEAD, Request, answer, frame, ok};
use crate::forge::Forge;
use crate::support::node::Node;
use alloy_primitives::Bytes;
use callboard_actors::callboard::Role;
use callboard_actors::transport::hello::{HelloAnswerer, HelloRefusal, HelloReply, Identity, Token};
use callboard_actors::transport::wire::{AddressesBody, Refusal, RefusalBody, StatusBody};
use callboard_actors::transport::{BootId, ChainFacts, NodeId, SealedHead};
use callboard_chain::{Block, SealedGenesis, SecretKey};
use std::io::{BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

/// How a bad peer answers one route.
pub(super) struct Lie {
    routes: &'static [&'static str],
    role: Role,
    tell: Box<Tell>,
}

type Tell = dyn Fn(&Honest, &Request, &mut TcpStream) + Send + Sync;

impl Lie {
    /// Tells what it likes, for as long as it likes, to whoever asks for one of these routes.
    pub(super) fn new(
        routes: &'static [&'static str],
        tell: impl Fn(&Honest, &Request, &mut TcpStream) + Send + Sync + 'static,
    ) -> Self {
        Self { routes, role: Role::Follower, tell: Box::new(tell) }
    }

    /// Besides, it says that it is the authority.
    pub(super) fn of_an_authority(self) -> Self {
        Self { role: Role::Authority, ..self }
    }

    fn is_about(&self, request: &Request) -> bool {
        let method = if matches!(&*request.route, "hello" | "transactions") { "POST" } else { "GET" };
        self.routes.contains(&&*request.route) && request.method == method
    }
}

/// A lie that is one answer.
pub(super) fn on(
    routes: &'static [&'static str],
    lie: impl Fn(&Honest, &Request) -> Vec<u8> + Send + Sync + 'static,
) -> Lie {
    // Who asked may have hung up: that is a refusal, too.
    Lie::new(routes, move |honest, request, stream| _ = stream.write_all(&lie(honest, request)))
}

/// A lie about blocks: instead of those that were asked for, it sends the frames that `lie` makes of them.
pub(super) fn blocks(lie: impl Fn(&Honest, Vec<Block>) -> Vec<u8> + Send + Sync + 'static) -> Lie {
    on(&["blocks"], move |honest, request| [OPEN_HEAD, &lie(honest, honest.asked(request))].concat())
}

/// A lie about each block that is asked for.
pub(super) fn each_block(falsify: impl Fn(&Block) -> Block + Send + Sync + 'static) -> Lie {
    blocks(move |_, blocks| frames(blocks.iter().map(&falsify)))
}

/// A lie about its head.
pub(super) fn status(lie: impl Fn(&Honest, &mut StatusBody) + Send + Sync + 'static) -> Lie {
    on(&["status"], move |honest, _| {
        let mut status = honest.status();
        lie(honest, &mut status);
        ok(&json(&status))
    })
}

/// Blocks as they travel.
pub(super) fn frames(blocks: impl IntoIterator<Item = Block>) -> Vec<u8> {
    blocks.into_iter().flat_map(|block| frame(block.bytes())).collect()
}

pub(super) fn json(body: &impl serde::Serialize) -> Vec<u8> {
    serde_json::to_vec(body).expect("plain data")
}

/// A chain that a bad peer shows.
#[derive(Clone)]
pub(super) struct Chain {
    pub(super) genesis: SealedGenesis,
    /// From block 0 on.
    pub(super) blocks: Vec<Block>,
}

impl Chain {
    /// Everything that an authority has sealed so far.
    pub(super) fn of(authority: &Node) -> Self {
        let genesis = SealedGenesis::from_json(&authority.peer_get("genesis")).expect("a genesis");
        let block = |height| Block::decode(authority.block(height)).expect("a block");
        Self { genesis, blocks: (0..=authority.height()).map(block).collect() }
    }

    /// Everything that a test has sealed so far.
    pub(super) fn forged(forge: &Forge) -> Self {
        let genesis = forge.genesis.clone();
        let blocks = std::iter::once(genesis.block().clone()).chain(forge.blocks()).collect();
        Self { genesis, blocks }
    }

    pub(super) fn head(&self) -> &Block {
        self.blocks.last().expect("block 0")
    }
}

/// What an honest peer would say.
pub(super) struct Honest {
    pub(super) chain: Chain,
    pub(super) identity: Identity,
    answerer: Mutex<HelloAnswerer>,
}

impl Honest {
    fn new(chain: Chain, role: Role) -> Self {
        let identity = Identity { role, ..identity(&chain) };
        Self { chain, answerer: Mutex::new(HelloAnswerer::new(identity.clone())), identity }
    }

    pub(super) fn node_id(&self) -> NodeId {
        self.identity.node_id()
    }

    /// Its status with this block as its head.
    pub(super) fn status_at(&self, head: &Block) -> StatusBody {
        let genesis = &self.chain.genesis;
        let head = SealedHead::of(head);
        StatusBody::new(self.node_id(), self.identity.role, genesis.config().chain_id, genesis.hash(), &head)
    }

    pub(super) fn status(&self) -> StatusBody {
        self.status_at(self.chain.head())
    }

    /// The blocks that a request asks for.
    pub(super) fn asked(&self, request: &Request) -> Vec<Block> {
        let from = request.value("from").unwrap_or_default();
        let count = request.value("count").unwrap_or(u64::MAX);
        let asked = |block: &&Block| block.height() >= from && block.height() - from < count;
        self.chain.blocks.iter().filter(asked).cloned().collect()
    }

    /// The honest answer to a hello.
    pub(super) fn hello(&self, body: &[u8]) -> Vec<u8> {
        match self.answerer.lock().expect("no panic").on_message(Instant::now(), random(), body) {
            Ok(HelloReply::Challenge(challenge)) => ok(&challenge),
            Ok(HelloReply::Proven(_)) => {
                let token = Token::from_hex(&hex::encode(random::<32>())).expect("32 bytes");
                ok(&HelloAnswerer::session_message(token))
            }
            Err(HelloRefusal { error, .. }) => {
                let genesis_hash = Some(self.identity.genesis_hash);
                let (code, message) = (error.code().to_owned(), error.to_string());
                let refusal = Refusal { code, message, genesis_hash, chain: None };
                answer("403 Forbidden", "", &json(&RefusalBody { error: refusal }))
            }
        }
    }

    fn answer(&self, request: &Request, stream: &mut TcpStream) -> std::io::Result<()> {
        let bytes = match (&*request.method, &*request.route) {
            ("POST", "hello") => self.hello(&request.body),
            ("GET", "status") => ok(&json(&self.status())),
            ("GET", "genesis") => ok(self.chain.genesis.json()),
            ("GET", "peers") => ok(&json(&AddressesBody::default())),
            ("GET", "blocks") => [OPEN_HEAD, &frames(self.asked(request))].concat(),
            _ => answer("404 Not Found", "", b""),
        };
        stream.write_all(&bytes)?;
        if request.follows() {
            // No new block comes here: the stream stays open until its reader leaves.
            stream.read_to_end(&mut Vec::new())?;
        }
        Ok(())
    }
}

/// What a node says of itself in hellos that knows this chain.
pub(super) fn identity(chain: &Chain) -> Identity {
    let key = SecretKey::from_bytes(random()).expect("nearly every number is a key");
    let genesis_hash = chain.genesis.hash();
    let facts = ChainFacts::of(&chain.genesis);
    let (boot_id, role) = (BootId(random()), Role::Follower);
    Identity { key, boot_id, genesis_hash, chain: facts, role, advertise: None }
}

pub(super) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("random bytes");
    bytes
}

/// A peer that lies. It leaves with the test.
pub(super) struct BadPeer {
    pub(super) address: SocketAddr,
    inner: Arc<Inner>,
}

struct Inner {
    honest: Honest,
    lie: Lie,
    lies: AtomicBool,
    told: AtomicU64,
    gone: AtomicBool,
    connections: Mutex<Vec<TcpStream>>,
}

impl BadPeer {
    /// Lies from the start.
    pub(super) fn start(chain: Chain, lie: Lie) -> Self {
        let peer = Self::honest_at_first(chain, lie);
        peer.begins_to_lie();
        peer
    }

    /// Tells the truth until it is told to lie.
    pub(super) fn honest_at_first(chain: Chain, lie: Lie) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("address");
        let inner = Arc::new(Inner {
            honest: Honest::new(chain, lie.role),
            lie,
            lies: AtomicBool::new(false),
            told: AtomicU64::new(0),
            gone: AtomicBool::new(false),
            connections: Mutex::default(),
        });
        let serving = inner.clone();
        std::thread::spawn(move || serving.listen(&listener));
        Self { address, inner }
    }

    pub(super) fn begins_to_lie(&self) {
        self.inner.lies.store(true, Ordering::SeqCst);
    }

    /// Ends every connection, and takes no other.
    pub(super) fn leaves(&self) {
        self.inner.gone.store(true, Ordering::SeqCst);
        self.inner
            .connections
            .lock()
            .expect("no panic")
            .drain(..)
            .for_each(|stream| _ = stream.shutdown(Shutdown::Both));
        // Wakes the listener up, so that it sees that it is to end.
        TcpStream::connect(self.address).ok();
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(super) fn node_id(&self) -> NodeId {
        self.inner.honest.node_id()
    }

    /// What it says of itself in hellos.
    pub(super) fn identity(&self) -> Identity {
        self.inner.honest.identity.clone()
    }

    /// How often it has told its lie.
    pub(super) fn told(&self) -> u64 {
        self.inner.told.load(Ordering::SeqCst)
    }
}

impl Inner {
    fn listen(self: Arc<Self>, listener: &TcpListener) {
        for stream in listener.incoming().map_while(Result::ok) {
            if self.gone.load(Ordering::SeqCst) {
                return;
            }
            self.connections.lock().expect("no panic").push(stream.try_clone().expect("a connection"));
            let serving = self.clone();
            std::thread::spawn(move || serving.serve(stream));
        }
    }

    fn serve(&self, mut stream: TcpStream) {
        let mut reader = BufReader::new(stream.try_clone().expect("a connection"));
        let Some(request) = Request::read(&mut reader) else { return };
        if self.lies.load(Ordering::SeqCst) && self.lie.is_about(&request) {
            self.told.fetch_add(1, Ordering::SeqCst);
            (self.lie.tell)(&self.honest, &request, &mut stream);
        } else {
            // Who asked may have hung up.
            self.honest.answer(&request, &mut stream).ok();
        }
        stream.shutdown(Shutdown::Both).ok();
    }
}

impl Drop for BadPeer {
    fn drop(&mut self) {
        self.leaves();
    }
}

/// The canonical bytes of a block with its last byte, the seal's parity, damaged.
pub(super) fn with_damaged_end(block: &Block) -> Bytes {
    let mut bytes = block.bytes().to_vec();
    if let Some(last) = bytes.last_mut() {
        *last ^= 0x40;
    }
    bytes.into()
}
