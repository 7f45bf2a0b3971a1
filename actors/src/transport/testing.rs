//! A real chain in a temporary directory, and nodes that serve it on this machine.

use super::client::{Pace, PeerClient, Reach, Session};
use super::hello::{Greeted, Identity, Party, Token};
use super::server::{PeerBlock, PeerServer, PeerTransactions, ServerConfig, ServerPorts};
use super::sessions::{Admission, Sessions};
use super::wire::{PeerAddress, TransactionAnswer, TransactionResult};
use super::{BootId, ChainFacts, PeerMetrics, PeerUrl, StreamBudget, Tls};
use crate::broadcaster::{
    BroadcastBlock, BroadcastCountsRequest, BroadcastMetrics, Broadcaster, Ports, RelayBlock, TransactionForwarded,
};
use crate::callboard::{Callboard, Delivery, Origin, Role};
use crate::guard::DeathWatch;
use crate::importer::Passports;
use crate::peer_discovery::{AddressesTold, PeerConnected, PeerGreeted, SessionBroken, chain_identity};
use crate::send::probe::{Probe, probe};
use crate::send::{ActorRegistry, Inbox, Mailbox};
use crate::sync_coordinator::GuestStatus;
use crate::testing::StoredChain;
pub(crate) use crate::testing::{genesis, key};
use crate::tx_pool::{PooledTransaction, TransactionAccepted};
use alloy_consensus::{SignableTransaction, TxLegacy};
use alloy_primitives::{Address, Bytes, Signature, TxKind};
use callboard_chain::genesis::SealedGenesis;
use callboard_chain::{Block, StateReader, Transaction, keccak256};
use callboard_store::{Durable, Store};
use std::{collections::HashSet, time::Duration};

/// A chain on disk that can grow.
pub(crate) struct TestChain {
    pub(crate) genesis: SealedGenesis,
    pub(crate) store: Store,
    chain: StoredChain,
}

impl TestChain {
    pub(crate) fn new() -> Self {
        Self::with(genesis(1337, 30_000_000))
    }

    pub(crate) fn with(genesis: SealedGenesis) -> Self {
        let chain = StoredChain::new(genesis.clone());
        Self { genesis, store: chain.store.clone(), chain }
    }

    /// Seals and stores `count` further blocks.
    pub(crate) fn grow(&mut self, count: u64) -> Vec<Durable<Block>> {
        (0..count).for_each(|_| _ = self.chain.seal(&[]));
        self.chain.store()
    }

    /// Seals and stores `count` further blocks of nearly a megabyte each.
    pub(crate) fn grow_long(&mut self, count: u64) {
        const TRANSACTIONS: u64 = 9;
        let nonce = self.chain.store.latest().account(key(9).address()).unwrap().map_or(0, |it| it.nonce);
        for block in 0..count {
            let first = nonce + block * TRANSACTIONS;
            let transactions: Vec<_> = (first..first + TRANSACTIONS).map(long_transaction).collect();
            self.chain.seal(&transactions);
        }
        self.chain.store();
    }

    pub(crate) fn bytes(&self, height: u64) -> Bytes {
        self.store.snapshot().unwrap().block_bytes(height).unwrap().unwrap()
    }
}

/// What node `byte` says in hellos about the chain of `genesis`.
pub(crate) fn identity(byte: u8, genesis: &SealedGenesis) -> Identity {
    Identity {
        key: key(byte),
        boot_id: BootId([byte; 16]),
        genesis_hash: genesis.hash(),
        chain: ChainFacts::of(genesis),
        role: if byte == 1 { Role::Authority } else { Role::Follower },
        advertise: None,
    }
}

/// A client that loses patience within a test's time.
pub(crate) fn client() -> PeerClient {
    rustls::crypto::ring::default_provider().install_default().ok();
    PeerClient::new(Pace { window: Duration::from_secs(2), min_bytes: 64 }, None).unwrap()
}

/// A session with node 5 at `url`, whatever answers there.
pub(crate) fn session_at(url: PeerUrl) -> Session {
    session_of(client(), url)
}

/// The same, of this client.
pub(crate) fn session_of(client: PeerClient, url: PeerUrl) -> Session {
    let genesis = genesis(1337, 30_000_000);
    let identity = identity(5, &genesis);
    let party = Party {
        node_id: identity.node_id(),
        boot_id: identity.boot_id,
        nonce: [0; 32],
        genesis_hash: genesis.hash(),
        role: identity.role,
        advertise: None,
    };
    let greeted = Greeted { party, token: Token::from_hex(&"00".repeat(32)).unwrap() };
    Session::new(client, reqwest::Client::new(), url, chain_identity(&genesis), greeted, None)
}

/// A server with a real broadcaster behind it; the other actors are probes.
pub(crate) struct TestNode {
    pub(crate) server: PeerServer,
    pub(crate) url: PeerUrl,
    pub(crate) sessions: Sessions,
    pub(crate) metrics: PeerMetrics,
    pub(crate) broadcast: Inbox<BroadcastBlock>,
    pub(crate) relay: Inbox<RelayBlock>,
    pub(crate) accepted: Inbox<TransactionAccepted>,
    pub(crate) callboard: Callboard,
    pub(crate) connected: Inbox<PeerConnected>,
    pub(crate) counts: Inbox<BroadcastCountsRequest>,
    pub(crate) forwarded: Probe<TransactionForwarded>,
    pub(crate) greeted: Probe<PeerGreeted>,
    pub(crate) told: Probe<AddressesTold>,
    pub(crate) transactions: Probe<PeerTransactions>,
    pub(crate) blocks: Probe<PeerBlock>,
    pub(crate) shown: Probe<GuestStatus>,
    _deaths: DeathWatch,
    _broken: Probe<SessionBroken>,
}

impl TestNode {
    /// Node `byte` serves `store` on a free port.
    pub(crate) async fn start(byte: u8, genesis: &SealedGenesis, store: Store) -> Self {
        Self::start_at("127.0.0.1:0", byte, genesis, store, None).await
    }

    /// The same at this address, over TLS if so told.
    pub(crate) async fn start_at(
        listen: &str,
        byte: u8,
        genesis: &SealedGenesis,
        store: Store,
        tls: Option<Tls>,
    ) -> Self {
        Self::start_with(listen, byte, genesis, store, tls, StreamBudget::default()).await
    }

    /// The same, with this much memory for streams.
    pub(crate) async fn start_with(
        listen: &str,
        byte: u8,
        genesis: &SealedGenesis,
        store: Store,
        tls: Option<Tls>,
        budget: StreamBudget,
    ) -> Self {
        let (forwarded_to, forwarded) = probe(|_: &TransactionForwarded| ()).await;
        let (broken_to, broken) = probe(|_: &SessionBroken| ()).await;
        let (registry, deaths) = ActorRegistry::new();
        let meter = registry.actor("Broadcaster", 1_024);
        let mailbox = Mailbox::open(&actix::Arbiter::current(), meter).await.unwrap();
        let (greeted_to, greeted) = probe(|_: &PeerGreeted| ()).await;
        let (addresses, _) = probe(move |_: &crate::peer_discovery::AddressesRequest| {
            let url = "http://203.0.113.9:9545".parse().unwrap();
            Some(vec![PeerAddress { node_id: super::NodeId::of(&key(77)), url }])
        })
        .await;
        let (told_to, told) = probe(|_: &AddressesTold| ()).await;
        let (transactions_to, transactions) = probe(take_all).await;
        let (blocks_to, blocks) = probe(|_: &PeerBlock| ()).await;
        let (shown_to, shown) = probe(|_: &GuestStatus| ()).await;
        let ports = ServerPorts {
            greeted: greeted_to,
            addresses,
            told: told_to,
            subscribe: mailbox.inbox(),
            transactions: transactions_to,
            blocks: blocks_to,
            shown: shown_to,
        };
        let sessions = Sessions::new(Admission { max_peers: 8, allow: HashSet::new() });
        let metrics = PeerMetrics::default();
        let server = PeerServer::start(ServerConfig {
            listen: listen.parse().unwrap(),
            tls: tls.clone(),
            identity: identity(byte, genesis),
            chain: chain_identity(genesis),
            store,
            sessions: sessions.clone(),
            ports,
            metrics: metrics.clone(),
            passports: Passports::default(),
            budget: budget.clone(),
        })
        .unwrap();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let url = format!("{scheme}://{}", server.address()).parse().unwrap();
        let callboard = Callboard::new(Role::Follower);
        let node = Self {
            server,
            url,
            sessions,
            metrics,
            broadcast: mailbox.inbox(),
            relay: mailbox.inbox(),
            accepted: mailbox.inbox(),
            callboard: callboard.clone(),
            connected: mailbox.inbox(),
            counts: mailbox.inbox(),
            forwarded,
            greeted,
            told,
            transactions,
            blocks,
            shown,
            _deaths: deaths,
            _broken: broken,
        };
        mailbox.start(move |_| {
            let ports = Ports { forwarded: forwarded_to, broken: broken_to };
            Broadcaster::new(ports, callboard, BroadcastMetrics::default(), budget)
        });
        node
    }

    /// A session of node `byte` with this node.
    pub(crate) async fn greet(&self, byte: u8, genesis: &SealedGenesis) -> Session {
        let identity = identity(byte, genesis);
        client().hello(&self.url, Reach::Anywhere, &identity, chain_identity(genesis), None).await.unwrap()
    }
}

/// A transaction with this nonce and 100 kB of data.
fn long_transaction(nonce: u64) -> Transaction {
    let to = TxKind::Call(Address::ZERO);
    let input = vec![0; 100_000].into();
    let unsigned = TxLegacy { chain_id: Some(1337), nonce, gas_limit: 1_100_000, to, input, ..TxLegacy::default() };
    let signature = Signature::from_raw_array(&key(9).sign(unsigned.signature_hash())).unwrap();
    unsigned.into_signed(signature).into()
}

fn take_all(sent: &PeerTransactions) -> Vec<TransactionAnswer> {
    let taken = |bytes: &bytes::Bytes| TransactionAnswer { hash: keccak256(bytes), result: TransactionResult::Taken };
    sent.transactions.iter().map(taken).collect()
}

/// The pool took a transaction with this nonce, which is to go these ways.
pub(crate) fn accepted(nonce: u64, deliveries: Vec<Delivery>) -> TransactionAccepted {
    let unsigned = TxLegacy { chain_id: Some(1337), nonce, gas_limit: 21_000, ..TxLegacy::default() };
    let signature = Signature::from_raw_array(&key(9).sign(unsigned.signature_hash())).unwrap();
    let transaction = unsigned.into_signed(signature).into();
    let transaction = PooledTransaction::new(transaction, key(9).address(), nonce, Duration::ZERO);
    TransactionAccepted { transaction, origin: Origin::Rpc, peer: None, deliveries }
}
