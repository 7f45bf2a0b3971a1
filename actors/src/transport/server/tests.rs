//! Real servers and clients on this machine's loopback.

use super::stream::CHUNK_BYTES;
use super::*;
use crate::broadcaster::{BroadcastBlock, BroadcastCountsRequest, ForwardOutcome, RelayBlock};
use crate::callboard::{Delivery, Kind, Origin};
use crate::peer_discovery::{PeerConnected, chain_identity};
use crate::sync_coordinator::GuestStatus;
use crate::transport::PeerUrl;
use crate::transport::client::{BlockStream, CallError, Problem, Reach};
use crate::transport::genesis_fetch::{check_genesis, fetch_genesis};
use crate::transport::hello::HelloError;
use crate::transport::sessions::STREAMS_PER_NODE;
use crate::transport::testing::{TestChain, TestNode, accepted, client, genesis, identity, session_at};
use crate::transport::wire::{
    AccountQuestion, MAX_TRANSACTIONS_BYTES, PeerAddress, ProofQuestion, SESSION_HEADER, TIME_HEADER, TransactionResult,
};
use alloy_consensus::Transaction as _;
use alloy_primitives::Address;
use bytes::Bytes;
use callboard_chain::transaction::decode_transaction;
use callboard_chain::{Block, SecretKey};
use futures_util::future::join_all;
use std::{cell::RefCell, time::Instant};

const SILENCE: Duration = Duration::from_secs(20);

async fn take(stream: &mut BlockStream, count: usize) -> Vec<Bytes> {
    let mut blocks = Vec::new();
    while blocks.len() < count {
        blocks.push(stream.next_block().await.unwrap().unwrap());
    }
    blocks
}

fn code(error: &CallError) -> &str {
    error.refusal_code().unwrap_or_else(|| panic!("{error}"))
}

#[actix_rt::test]
async fn hello_works_by_host_name_and_both_sides_know_each_other() {
    let chain = TestChain::new();
    let mut node = TestNode::start(1, &chain.genesis, chain.store.clone()).await;
    let url: PeerUrl = format!("http://localhost:{}", node.server.address().port()).parse().unwrap();
    let (us, id) = (identity(2, &chain.genesis), chain_identity(&chain.genesis));
    let session = client().hello(&url, Reach::Anywhere, &us, id, None).await.unwrap();
    assert_eq!((session.node_id(), session.role()), (identity(1, &chain.genesis).node_id(), Role::Authority));
    assert_eq!(node.greeted.next().await.guest.party.node_id, us.node_id());
    let state = session.status().await.unwrap();
    assert_eq!((state.head.height(), state.head.hash()), (0, chain.genesis.hash()));
}

#[actix_rt::test]
async fn address_that_a_stranger_told_does_not_lead_to_this_machine_by_number_or_by_name() {
    let chain = TestChain::new();
    let node = TestNode::start(1, &chain.genesis, chain.store.clone()).await;
    let port = node.server.address().port();
    for host in ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]"] {
        let url: PeerUrl = format!("http://{host}:{port}").parse().unwrap();
        let error = client().raw_status(&url, Reach::NotLocal).await.unwrap_err();
        assert!(matches!(error.problem, Problem::Unreachable { .. }), "{error}");
        let status = client().raw_status(&url, Reach::Anywhere).await;
        assert!(status.is_ok() || host.starts_with('['), "{status:?}");
    }
}

#[actix_rt::test]
async fn node_that_dials_itself_or_another_chain_is_told_so() {
    let chain = TestChain::new();
    let node = TestNode::start(1, &chain.genesis, chain.store.clone()).await;
    let id = chain_identity(&chain.genesis);
    let ourselves = identity(1, &chain.genesis);
    let error = client().hello(&node.url, Reach::Anywhere, &ourselves, id, None).await.unwrap_err();
    assert_eq!(code(&error), "this_node");
    assert!(error.to_string().contains("that is this node itself"), "{error}");

    let copy = Identity { boot_id: crate::transport::BootId([99; 16]), ..ourselves };
    let error = client().hello(&node.url, Reach::Anywhere, &copy, id, None).await.unwrap_err();
    assert!(error.to_string().contains("delete node.key"), "{error}");

    let other = genesis(1337, 8_000_000);
    let stranger = identity(2, &other);
    let error = client().hello(&node.url, Reach::Anywhere, &stranger, chain_identity(&other), None).await.unwrap_err();
    assert_eq!(code(&error), "wrong_chain");
    let Problem::Refused { refusal, .. } = error.problem else { panic!() };
    assert_eq!(refusal.genesis_hash, Some(chain.genesis.hash()));
    // Both sides can say in what the chains differ.
    let there = refusal.chain.unwrap();
    assert_eq!(stranger.chain.differences(&there), ["gasLimit differs: 8000000 here, 30000000 there"]);
    let away = node.sessions.turned_away();
    assert_eq!(away.last().unwrap().reason, "wrong chain: gasLimit differs: 30000000 here, 8000000 there");
    let away: Vec<_> = away.iter().map(|away| away.party.node_id).collect();
    assert_eq!(away, [copy.node_id(), stranger.node_id()]);
    for reason in ["this_node", "copied_directory", "wrong_chain"] {
        assert_eq!(node.metrics.refusals(reason), 1, "{reason}");
    }

    let expected = identity(5, &chain.genesis).node_id();
    let us = identity(2, &chain.genesis);
    let error = client().hello(&node.url, Reach::Anywhere, &us, id, Some(expected)).await.unwrap_err();
    assert!(matches!(error.problem, Problem::Hello(HelloError::OtherNode { .. })), "{error}");
}

#[actix_rt::test]
async fn without_a_sessions_token_nothing_but_hello_genesis_and_status_is_answered() {
    let chain = TestChain::new();
    let node = TestNode::start(1, &chain.genesis, chain.store.clone()).await;
    client();
    let http = reqwest::Client::new();
    for (method, route) in [
        ("GET", "blocks?from=0&count=1"),
        ("GET", "blocks?from=0&follow=true"),
        ("POST", "blocks"),
        ("GET", "peers"),
        ("POST", "peers"),
        ("POST", "transactions"),
    ] {
        for token in [None, Some("00".repeat(32)), Some("x".to_owned())] {
            let url = format!("{}/peer/v1/{route}", node.url);
            let mut request = http.request(method.parse().unwrap(), &url).body("");
            if let Some(token) = token {
                request = request.header(SESSION_HEADER, token);
            }
            let answer = request.send().await.unwrap();
            assert_eq!(answer.status(), 401, "{method} {route}");
            assert!(answer.text().await.unwrap().contains("no_session"));
        }
    }
}

#[actix_rt::test]
async fn bodies_are_bounded_and_rubbish_is_refused_with_a_sentence() {
    let chain = TestChain::new();
    let node = TestNode::start(1, &chain.genesis, chain.store.clone()).await;
    client();
    let http = reqwest::Client::new();
    let hello = format!("{}/peer/v1/hello", node.url);
    let answer = http.post(&hello).body(vec![b' '; 5_000]).send().await.unwrap();
    assert_eq!(answer.status(), 413);
    let answer = http.post(&hello).body("{").send().await.unwrap();
    assert_eq!(answer.status(), 400);
    assert!(answer.text().await.unwrap().contains("malformed"));

    let session = node.greet(2, &chain.genesis).await;
    let too_much = vec![Bytes::from(vec![0; 1 << 17]); MAX_TRANSACTIONS_BYTES as usize >> 17];
    assert_eq!(code(&session.submit(&too_much).await.unwrap_err()), "too_long");
    let too_long = [Bytes::from(vec![0; (1 << 17) + 1])];
    assert_eq!(code(&session.submit(&too_long).await.unwrap_err()), "malformed");
    let block = Bytes::from(vec![0; 2 << 20]);
    assert_eq!(code(&session.push_block(block).await.unwrap_err()), "too_long");
    let answer = http.get(format!("{}/nothing", node.url)).send().await.unwrap();
    assert_eq!(answer.status(), 404);
}

#[actix_rt::test]
async fn blocks_come_byte_equal_across_chunks_and_end_at_the_head() {
    let mut chain = TestChain::new();
    chain.grow(2 * stream::CHUNK_BLOCKS + 5);
    let head = 2 * stream::CHUNK_BLOCKS + 5;
    let node = TestNode::start(1, &chain.genesis, chain.store.clone()).await;
    let session = node.greet(2, &chain.genesis).await;
    for (from, count, expected) in [(0, 1, 1), (0, 10_000, head + 1), (60, 10, 10), (head, 5, 1), (head + 1, 5, 0)] {
        let mut stream = session.blocks(from, count).await.unwrap();
        let mut height = from;
        while let Some(block) = stream.next_block().await.unwrap() {
            assert_eq!(block, chain.bytes(height).0);
            height += 1;
        }
        assert_eq!(height - from, expected, "from {from} count {count}");
    }
    let mut stream = session.blocks(u64::MAX, u64::MAX).await.unwrap();
    assert_eq!(stream.next_block().await.unwrap(), None);
}

#[actix_rt::test]
async fn follower_gets_what_is_stored_and_then_what_is_broadcast() {
    let mut chain = TestChain::new();
    chain.grow(70);
    let node = TestNode::start(1, &chain.genesis, chain.store.clone()).await;
    let session = node.greet(2, &chain.genesis).await;
    let mut stream = session.follow(0, SILENCE).await.unwrap();
    assert_eq!(take(&mut stream, 71).await.last(), Some(&chain.bytes(70).0));
    for _ in 0..3 {
        for block in chain.grow(1) {
            let expected = block.value().bytes().0.clone();
            node.broadcast.signal(BroadcastBlock { block });
            assert_eq!(take(&mut stream, 1).await, [expected]);
        }
    }
}

#[actix_rt::test]
async fn relayed_block_does_not_go_back_to_its_sender() {
    // The blocks are not in the server's store, so that they can only come as announcements.
    let (chain, mut ahead) = (TestChain::new(), TestChain::new());
    let node = TestNode::start(1, &chain.genesis, chain.store.clone()).await;
    let (sender, other) = (node.greet(2, &chain.genesis).await, node.greet(3, &chain.genesis).await);
    let mut to_sender = sender.follow(0, SILENCE).await.unwrap();
    let mut to_other = other.follow(0, SILENCE).await.unwrap();
    take(&mut to_sender, 1).await;
    take(&mut to_other, 1).await;
    wait_for_subscribers(&node, 2).await;
    let blocks = ahead.grow(2);
    let from = identity(2, &chain.genesis).node_id();
    for (block, from) in blocks.iter().zip([Some(from), None]) {
        node.relay.signal(RelayBlock { block: block.clone(), from });
    }
    assert_eq!(take(&mut to_other, 2).await, [ahead.bytes(1).0, ahead.bytes(2).0]);
    assert_eq!(take(&mut to_sender, 1).await, [ahead.bytes(2).0]);
}

#[actix_rt::test]
async fn follower_gets_on_while_its_peer_is_catching_up_and_announces_nothing() {
    let mut chain = TestChain::new();
    let node = TestNode::start(1, &chain.genesis, chain.store.clone()).await;
    let session = node.greet(2, &chain.genesis).await;
    let mut stream = session.follow(1, SILENCE).await.unwrap();
    chain.grow(3);
    assert_eq!(take(&mut stream, 3).await.last(), Some(&chain.bytes(3).0));
}

#[actix_rt::test]
async fn reader_that_stopped_costs_nobody_else_and_loses_nothing() {
    let mut chain = TestChain::new();
    let node = TestNode::start(1, &chain.genesis, chain.store.clone()).await;
    let (slow, quick) = (node.greet(2, &chain.genesis).await, node.greet(3, &chain.genesis).await);
    let mut to_slow = slow.follow(0, SILENCE).await.unwrap();
    let mut to_quick = quick.follow(0, SILENCE).await.unwrap();
    take(&mut to_quick, 1).await;
    wait_for_subscribers(&node, 2).await;
    // Far more than fits between the two, in socket buffers and queues.
    const BLOCKS: u64 = 20_000;
    let mut height = 0;
    while height < BLOCKS {
        for block in chain.grow(500) {
            height += 1;
            node.broadcast.signal(BroadcastBlock { block });
        }
        take(&mut to_quick, 500).await;
    }
    let counts = node.counts.ask(BroadcastCountsRequest, SILENCE).await.unwrap();
    assert!(counts.subscribers_skipped > 0, "the slow stream was never behind: {counts:?}");
    let snapshot = chain.store.snapshot().unwrap();
    for height in 0..=BLOCKS {
        let expected = snapshot.block_bytes(height).unwrap();
        assert_eq!(to_slow.next_block().await.unwrap(), expected.map(|bytes| bytes.0));
    }
}

#[actix_rt::test]
async fn many_readers_that_stand_still_hold_no_more_than_the_memory_for_streams_and_an_honest_one_gets_on() {
    const BLOCKS: u64 = 24;
    let mut chain = TestChain::new();
    chain.grow_long(BLOCKS);
    // Two whole chunks for all that are served.
    let budget = StreamBudget::of(4 * CHUNK_BYTES, 2 * CHUNK_BYTES, SILENCE);
    let store = chain.store.clone();
    let node = TestNode::start_with("127.0.0.1:0", 1, &chain.genesis, store, None, budget.clone()).await;
    let mut slow = Vec::new();
    for reader in 2..8 {
        let mut stream = node.greet(reader, &chain.genesis).await.follow(0, SILENCE).await.unwrap();
        take(&mut stream, 1).await;
        slow.push(stream);
    }
    let served = |budget: &StreamBudget| budget.waits()[0];
    tokio::time::timeout(SILENCE, async {
        // What the system keeps between the two is full, and memory is used up.
        while served(&budget) == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .expect("they hold what they may");
    let mut honest = node.greet(9, &chain.genesis).await.blocks(0, BLOCKS + 1).await.unwrap();
    for height in 0..=BLOCKS {
        assert_eq!(honest.next_block().await.unwrap(), Some(chain.bytes(height).0), "block {height}");
    }
    assert!(budget.highest() <= 2 * CHUNK_BYTES, "{} bytes were held", budget.highest());
    // Whoever stood still goes on where it stood, in whatever parts the block comes.
    for height in 1..=BLOCKS {
        assert_eq!(slow[0].next_block().await.unwrap(), Some(chain.bytes(height).0), "block {height}");
    }
    drop((slow, honest));
    let given_back = async {
        while budget.held() > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await; // the server hears of it on its own threads
        }
    };
    tokio::time::timeout(SILENCE, given_back).await.expect("all is given back");
}

#[actix_rt::test]
async fn streams_of_a_node_are_bounded_and_the_oldest_ends() {
    let chain = TestChain::new();
    let node = TestNode::start(1, &chain.genesis, chain.store.clone()).await;
    let session = node.greet(2, &chain.genesis).await;
    let other = node.greet(3, &chain.genesis).await;
    let mut others = other.follow(0, SILENCE).await.unwrap();
    take(&mut others, 1).await;
    let mut first = session.follow(0, SILENCE).await.unwrap();
    take(&mut first, 1).await;
    let mut streams = Vec::new();
    for _ in 0..STREAMS_PER_NODE {
        let mut stream = session.follow(0, SILENCE).await.unwrap();
        take(&mut stream, 1).await;
        streams.push(stream);
    }
    assert_eq!(first.next_block().await.unwrap(), None);
    let waiting = tokio::time::timeout(Duration::from_millis(10), others.next_block()).await;
    assert!(waiting.is_err(), "another node's stream goes on");
}

#[actix_rt::test]
async fn the_clock_of_a_node_that_dialled_this_one_is_measured_while_it_asks() {
    let chain = TestChain::new();
    let node = TestNode::start(1, &chain.genesis, chain.store.clone()).await;
    let session = node.greet(2, &chain.genesis).await;
    let us = identity(2, &chain.genesis).node_id();
    let ask = |time: Option<String>| {
        let request = reqwest::Client::new().get(node.url.route("status"));
        let request = request.header(SESSION_HEADER, session.token().to_hex());
        let request = time.into_iter().fold(request, |request, time| request.header(TIME_HEADER, time));
        async move { assert_eq!(request.send().await.unwrap().status(), 200) }
    };
    for _ in 0..5 {
        ask(None).await;
        ask(Some("half past nine".to_owned())).await;
    }
    assert_eq!(node.sessions.clock_of(us), None, "who does not say it is not measured");
    for _ in 0..5 {
        session.status().await.unwrap();
    }
    let skew = node.sessions.clock_of(us).expect("measured");
    assert!(skew.abs() < 5.0, "{skew}");
    for _ in 0..5 {
        ask(Some((wall_millis() + 60_000).to_string())).await;
    }
    let skew = node.sessions.clock_of(us).expect("measured");
    assert!((55.0..61.0).contains(&skew), "{skew}");
}

#[actix_rt::test]
async fn ban_ends_a_session_at_once() {
    let chain = TestChain::new();
    let node = TestNode::start(1, &chain.genesis, chain.store.clone()).await;
    let session = node.greet(2, &chain.genesis).await;
    node.sessions.ban(session.node_id(), Instant::now());
    let ours = identity(2, &chain.genesis);
    node.sessions.ban(ours.node_id(), Instant::now() + SILENCE);
    assert_eq!(code(&session.blocks(0, 1).await.unwrap_err()), "no_session");
    assert_eq!(code(&session.status().await.unwrap_err()), "no_session", "a poll finds it out");
    let id = chain_identity(&chain.genesis);
    let error = client().hello(&node.url, Reach::Anywhere, &ours, id, None).await.unwrap_err();
    assert_eq!(code(&error), "banned");
}

#[actix_rt::test]
async fn transactions_blocks_and_addresses_reach_the_actors_with_their_sender() {
    let chain = TestChain::new();
    let mut node = TestNode::start(1, &chain.genesis, chain.store.clone()).await;
    let session = node.greet(2, &chain.genesis).await;
    let us = identity(2, &chain.genesis).node_id();
    let sent = [Bytes::from_static(b"one"), Bytes::from_static(b"two")];
    let answers = session.submit(&sent).await.unwrap();
    assert_eq!(answers.len(), 2);
    assert!(answers.iter().all(|answer| answer.result == TransactionResult::Taken));
    let arrived = node.transactions.next().await;
    assert_eq!((arrived.from, arrived.transactions.as_slice()), (us, sent.as_slice()));

    session.push_block(chain.bytes(0).0).await.unwrap();
    let pushed = node.blocks.next().await;
    assert_eq!((pushed.from, pushed.canonical), (us, chain.bytes(0).0));

    let head = SealedHead::of(chain.genesis.block());
    session.show_head(&head).await.unwrap();
    assert_eq!(node.shown.next().await, GuestStatus { node_id: us, head });
    let stranger = SecretKey::from_bytes([9; 32]).unwrap();
    let forged = Block::sealed(chain.genesis.block().header().clone(), Vec::new(), &stranger);
    let refused = session.show_head(&SealedHead::of(&forged)).await.unwrap_err();
    assert_eq!(code(&refused), "malformed");
    assert!(node.shown.try_next().is_none(), "only a seal is believed");

    let told = session.addresses().await.unwrap();
    assert_eq!(told.len(), 1);
    let url = "http://203.0.113.7:9545".parse().unwrap();
    let address = PeerAddress { node_id: us, url };
    session.tell_addresses(vec![address.clone()]).await.unwrap();
    let told = node.told.next().await;
    assert_eq!((told.node_id, told.addresses), (us, vec![address.clone()]));
    assert_eq!(code(&session.tell_addresses(vec![address; 65]).await.unwrap_err()), "malformed");
}

#[actix_rt::test]
async fn work_that_a_peer_asks_for_is_metered_before_it_is_done() {
    let chain = TestChain::new();
    let mut node = TestNode::start(1, &chain.genesis, chain.store.clone()).await;
    let session = node.greet(2, &chain.genesis).await;
    let batch = vec![Bytes::from_static(b"junk"); 1_024];
    let mut taken = 0;
    let error = loop {
        match session.submit(&batch).await {
            Ok(_) => taken += 1,
            Err(error) => break error,
        }
        assert!(taken < 100, "nothing meters it");
    };
    assert_eq!(code(&error), "too_much_work");
    assert_eq!(error.blame(), callboard_chain::Blame::Nobody, "it may come again later");
    for _ in 0..taken {
        node.transactions.next().await;
    }
    let arrived = tokio::time::timeout(Duration::from_millis(10), node.transactions.next()).await;
    assert!(arrived.is_err(), "what was refused reached nobody");
    assert_eq!(node.metrics.refusals("too_much_work"), 1);
    assert!(session.status().await.is_ok(), "the session lives on");
}

/// Several followers refuse one block at the same moment, and ask the same node what differs.
#[actix_rt::test]
async fn questions_for_proofs_and_receipts_that_come_at_once_are_answered_one_after_the_other() {
    let mut chain = TestChain::new();
    chain.grow(200);
    let node = TestNode::start(1, &chain.genesis, chain.store.clone()).await;
    // The state of a block far below the head takes a while.
    let (height, hash) = (1, Block::decode(chain.bytes(1)).unwrap().hash());
    let account = |byte| AccountQuestion { address: Address::repeat_byte(byte), slots: Vec::new() };
    let question = ProofQuestion { height, hash, accounts: (1..=200).map(account).collect() };
    let mut askers = Vec::new();
    for byte in 2..8 {
        askers.push(node.greet(byte, &chain.genesis).await);
    }
    let proven = join_all(askers.iter().map(|session| session.prove(&question)));
    let received = join_all(askers.iter().map(|session| session.receipts(height, hash)));
    let (proven, received) = tokio::join!(proven, received);
    for proofs in proven {
        assert_eq!(proofs.map(|proofs| proofs.len()), Ok(200));
    }
    for receipts in received {
        assert_eq!(receipts.map(|receipts| receipts.len()), Ok(0));
    }
    assert_eq!(node.metrics.refusals("busy"), 0);
}

#[actix_rt::test]
async fn questions_for_proofs_that_come_slowly_are_bounded_in_number_and_keep_nobody_else_waiting() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let chain = TestChain::new();
    let node = TestNode::start(1, &chain.genesis, chain.store.clone()).await;
    let session = node.greet(2, &chain.genesis).await;
    let hash = chain.genesis.hash();
    let account = AccountQuestion { address: Address::ZERO, slots: Vec::new() };
    let question = ProofQuestion { height: 0, hash, accounts: vec![account] };
    let mut slow = Vec::new();
    for byte in 3..7 {
        let token = node.greet(byte, &chain.genesis).await.token().to_hex();
        let head = format!(
            "POST /peer/v1/proof HTTP/1.1\r\nhost: node\r\n{SESSION_HEADER}: {token}\r\ncontent-length: 9\r\nexpect: 100-continue\r\n\r\n"
        );
        for _ in 0..turns::PLACES / 4 {
            let mut socket = tokio::net::TcpStream::connect(node.server.address()).await.unwrap();
            socket.write_all(head.as_bytes()).await.unwrap();
            // Comes once the question is waited for, and has its place.
            socket.read_exact(&mut [0; 12]).await.unwrap();
            slow.push(socket);
        }
    }
    let answered = async {
        while session.prove(&question).await.is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await; // the server's threads hear of it
        }
    };
    assert_eq!(code(&session.prove(&question).await.unwrap_err()), "busy");
    assert_eq!(code(&session.receipts(0, hash).await.unwrap_err()), "busy");
    drop(slow.pop());
    // Before the time of the others is up.
    tokio::time::timeout(body::BODY_DEADLINE / 2, answered).await.expect("one place is enough");
    assert!(session.receipts(0, hash).await.is_ok());
}

#[actix_rt::test]
async fn list_of_a_hundred_thousand_addresses_is_refused_unread() {
    let chain = TestChain::new();
    let mut node = TestNode::start(1, &chain.genesis, chain.store.clone()).await;
    let session = node.greet(2, &chain.genesis).await;
    let node_id = identity(3, &chain.genesis).node_id();
    let address = |n: u32| PeerAddress {
        node_id,
        url: format!("http://{}.{}.{}.1:1", 11 + n / 65_536, n / 256 % 256, n % 256).parse().unwrap(),
    };
    assert!(session.tell_addresses((0..100_000).map(address).collect()).await.is_err());
    let told = tokio::time::timeout(Duration::from_millis(10), node.told.next()).await;
    assert!(told.is_err(), "nothing of it reached anybody");
    assert!(session.status().await.is_ok());
}

#[actix_rt::test]
async fn second_process_with_a_copied_key_makes_the_first_one_hear_of_it() {
    let chain = TestChain::new();
    let node = TestNode::start(1, &chain.genesis, chain.store.clone()).await;
    let id = chain_identity(&chain.genesis);
    let first = identity(2, &chain.genesis);
    let second = Identity { boot_id: crate::transport::BootId([98; 16]), ..first.clone() };
    client().hello(&node.url, Reach::Anywhere, &first, id, None).await.unwrap();
    client().hello(&node.url, Reach::Anywhere, &second, id, None).await.unwrap();
    let error = client().hello(&node.url, Reach::Anywhere, &first, id, None).await.unwrap_err();
    assert_eq!(code(&error), "copied_directory");
    assert!(error.to_string().contains("delete node.key"), "{error}");
    assert!(node.sessions.turned_away()[0].reason.contains("delete node.key"), "this side knows as well");
}

#[actix_rt::test]
async fn name_is_looked_up_again_on_every_dial_although_the_old_address_still_answers() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU8, Ordering};
    let chain = TestChain::new();
    let old = TestNode::start(1, &chain.genesis, chain.store.clone()).await;
    let port = old.server.address().port();
    let listen = format!("127.0.0.2:{port}");
    let new = TestNode::start_at(&listen, 3, &chain.genesis, chain.store.clone(), None).await;
    let last_byte = Arc::new(AtomicU8::new(1));
    let looked_up = last_byte.clone();
    let client = client().with_names(move |name| {
        assert_eq!(name, "seed.example");
        Ok(vec![([127, 0, 0, looked_up.load(Ordering::SeqCst)], 0).into()])
    });
    let url: PeerUrl = format!("http://seed.example:{port}").parse().unwrap();
    let (us, id) = (identity(2, &chain.genesis), chain_identity(&chain.genesis));
    let first = client.hello(&url, Reach::Anywhere, &us, id, None).await.unwrap();
    first.status().await.unwrap();
    last_byte.store(2, Ordering::SeqCst);
    let second = client.hello(&url, Reach::Anywhere, &us, id, None).await.unwrap();
    assert_eq!(first.node_id(), identity(1, &chain.genesis).node_id());
    assert_eq!(second.node_id(), identity(3, &chain.genesis).node_id(), "the name has moved");
    assert!(second.status().await.is_ok() && first.status().await.is_ok(), "each session stays with its node");
    let error = client.hello(&url, Reach::NotLocal, &us, id, None).await.unwrap_err();
    assert!(error.to_string().contains("no address beyond this machine"), "{error}");
    drop(new);
}

/// `localhost` may be `::1` first, where a node that listens on 127.0.0.1 does not.
#[actix_rt::test]
async fn every_address_of_a_name_is_tried() {
    let chain = TestChain::new();
    let node = TestNode::start(1, &chain.genesis, chain.store.clone()).await;
    let port = node.server.address().port();
    let nobody: [std::net::IpAddr; 2] = ["::1".parse().unwrap(), "127.0.0.3".parse().unwrap()];
    for silent in nobody {
        let addresses = [silent, node.server.address().ip()].map(|address| (address, 0).into());
        let client = client().with_names(move |_| Ok(addresses.to_vec()));
        let url: PeerUrl = format!("http://seed.example:{port}").parse().unwrap();
        let (us, id) = (identity(2, &chain.genesis), chain_identity(&chain.genesis));
        let session = client.hello(&url, Reach::Anywhere, &us, id, None).await.unwrap();
        assert!(session.status().await.is_ok(), "{silent} comes first");
    }
}

#[actix_rt::test]
async fn storm_of_idle_connections_keeps_no_node_out() {
    use tokio::io::AsyncReadExt;
    let chain = TestChain::new();
    let node = TestNode::start(1, &chain.genesis, chain.store.clone()).await;
    let session = node.greet(2, &chain.genesis).await;
    let mut stream = session.follow(0, SILENCE).await.unwrap();
    take(&mut stream, 1).await;
    let mut storm = Vec::new();
    for _ in 0..2 * super::connections::MAX_STRANGERS {
        storm.push(tokio::net::TcpStream::connect(node.server.address()).await.unwrap());
    }
    let first = tokio::time::timeout(Duration::from_secs(4), storm[0].read(&mut [0; 8])).await;
    assert!(matches!(first, Ok(Ok(0))), "the oldest gives way before it times out: {first:?}");
    let started = Instant::now();
    node.greet(3, &chain.genesis).await;
    assert!(started.elapsed() < Duration::from_secs(4), "{:?}", started.elapsed());
    assert!(session.status().await.is_ok());
    let waiting = tokio::time::timeout(Duration::from_millis(10), stream.next_block()).await;
    assert!(waiting.is_err(), "the stream of a node goes on");
    assert!(node.metrics.refusals("too_many_connections") > 0);
}

#[actix_rt::test]
async fn storm_of_connections_with_sessions_keeps_no_other_node_out() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let chain = TestChain::new();
    let node = TestNode::start(1, &chain.genesis, chain.store.clone()).await;
    let follower = node.greet(2, &chain.genesis).await;
    let mut stream = follower.follow(0, SILENCE).await.unwrap();
    take(&mut stream, 1).await;
    let mut storm = Vec::new();
    'storm: for byte in 10..30 {
        // More nodes than the test's table of sessions holds.
        node.sessions.reserve(identity(byte, &chain.genesis).node_id());
        let token = node.greet(byte, &chain.genesis).await.token().to_hex();
        let request = format!("GET /peer/v1/status HTTP/1.1\r\nhost: node\r\n{SESSION_HEADER}: {token}\r\n\r\n");
        for _ in 0..32 {
            let mut socket = tokio::net::TcpStream::connect(node.server.address()).await.unwrap();
            socket.write_all(request.as_bytes()).await.unwrap();
            // The answer, or the end of a connection that gave way.
            let answer = tokio::time::timeout(Duration::from_secs(2), socket.read(&mut [0; 8])).await;
            storm.push(socket);
            if answer.is_err() {
                break 'storm;
            }
        }
    }
    let started = Instant::now();
    assert!(node.greet(3, &chain.genesis).await.status().await.is_ok());
    assert!(started.elapsed() < Duration::from_secs(4), "{:?}", started.elapsed());
    let waiting = tokio::time::timeout(Duration::from_millis(10), stream.next_block()).await;
    assert!(waiting.is_err(), "the stream of a node that holds few goes on");
    assert!(node.metrics.refusals("too_many_connections") > 0);
}

#[actix_rt::test]
async fn genesis_downloads_take_a_place_and_give_it_back() {
    let chain = TestChain::new();
    let node = TestNode::start(1, &chain.genesis, chain.store.clone()).await;
    for _ in 0..3 * super::downloads::MAX_DOWNLOADS {
        let genesis = client().genesis(&node.url, Reach::Anywhere).await.unwrap();
        assert_eq!(genesis, chain.genesis.json().0);
    }
}

#[actix_rt::test]
async fn stop_ends_follow_streams_and_takes_seconds_at_most() {
    let chain = TestChain::new();
    let node = TestNode::start(1, &chain.genesis, chain.store.clone()).await;
    let session = node.greet(2, &chain.genesis).await;
    let mut stream = session.follow(0, SILENCE).await.unwrap();
    take(&mut stream, 1).await;
    let started = Instant::now();
    let (ended, ()) = tokio::join!(stream.next_block(), node.server.stop());
    assert!(matches!(ended, Ok(None)), "{ended:?}");
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
}

#[actix_rt::test]
async fn genesis_is_served_byte_equal_and_found_past_seeds_that_stall_or_lie() {
    let chain = TestChain::new();
    let node = TestNode::start(1, &chain.genesis, chain.store.clone()).await;
    let stalled = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let stalled_url: PeerUrl = format!("http://{}", stalled.local_addr().unwrap()).parse().unwrap();
    let other = TestChain::new();
    let liar = TestNode::start(3, &other.genesis, other.store.clone()).await;
    let pin = chain.genesis.hash();
    let seeds = [stalled_url, "http://127.0.0.1:1".parse().unwrap(), node.url.clone()];
    let troubles = RefCell::new(Vec::new());
    let fetched = fetch_genesis(&client(), &seeds, Some(pin), |trouble| troubles.borrow_mut().push(trouble)).await;
    let fetched = fetched.unwrap();
    assert_eq!(fetched.genesis.json(), chain.genesis.json());
    assert_eq!(fetched.from, node.url);
    drop(liar);

    let foreign = genesis(1337, 8_000_000);
    let error = check_genesis(foreign.json(), Some(pin)).unwrap_err();
    assert!(error.to_string().contains(&pin.to_string()), "{error}");
    let mut json: serde_json::Value = serde_json::from_slice(chain.genesis.json()).unwrap();
    json.as_object_mut().unwrap().remove("seal");
    assert!(check_genesis(&serde_json::to_vec(&json).unwrap(), None).is_err(), "an unsealed genesis is refused");
    assert!(fetch_genesis(&client(), &[], None, |_| ()).await.is_err());
}

#[actix_rt::test]
async fn dead_and_mute_peers_cost_nobody_else_a_transaction() {
    let chain = TestChain::new();
    let mut sender = TestNode::start(2, &chain.genesis, chain.store.clone()).await;
    let mut authority = TestNode::start(1, &chain.genesis, chain.store.clone()).await;
    let dead = TestNode::start(3, &chain.genesis, chain.store.clone()).await;
    let to_dead = dead.greet(2, &chain.genesis).await;
    dead.server.stop().await;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let to_mute = session_at(format!("http://{}", listener.local_addr().unwrap()).parse().unwrap());
    let to_authority = authority.greet(2, &chain.genesis).await;
    for session in [to_dead, to_mute, to_authority.clone()] {
        sender.connected.signal(PeerConnected { session, is_seed: true });
    }
    let forwarded = accepted(7, Vec::new()).transaction.hash();
    for nonce in 0..200 {
        let mut deliveries = vec![Delivery::RelayTransaction];
        if nonce == 7 {
            deliveries.push(Delivery::ForwardTransaction);
        }
        sender.accepted.signal(accepted(nonce, deliveries));
        tokio::task::yield_now().await;
    }
    let mut arrived = Vec::new();
    while arrived.len() < 200 {
        let batch = authority.transactions.next().await.transactions;
        arrived.extend(batch.into_iter().map(|bytes| decode_transaction(&bytes).unwrap().nonce()));
    }
    assert!(arrived.iter().copied().eq(0..200), "{arrived:?}");
    let count = |delivery| sender.callboard.delivered(Origin::Rpc, Kind::Transaction, delivery);
    assert_eq!((count(Delivery::RelayTransaction), count(Delivery::ForwardTransaction)), (200, 1));
    let answered = loop {
        let outcome = sender.forwarded.next().await;
        assert_eq!(outcome.hash, forwarded);
        match outcome.outcome {
            ForwardOutcome::Sent { .. } => continue,
            outcome => break outcome,
        }
    };
    assert!(matches!(answered, ForwardOutcome::Answered { by, .. } if by == to_authority.node_id()));
}

async fn wait_for_subscribers(node: &TestNode, count: usize) {
    let deadline = Instant::now() + SILENCE;
    while node.counts.ask(BroadcastCountsRequest, SILENCE).await.unwrap().subscribers < count {
        assert!(Instant::now() < deadline, "the streams did not subscribe");
        tokio::task::yield_now().await;
    }
}
