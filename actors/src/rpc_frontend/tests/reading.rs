//! Clients that do not read what they asked for, and clients that do not ask.

use super::chain::*;
use super::harness::Harness;
use super::socket::Client;
use crate::rpc_frontend::RpcConfig;
use crate::rpc_frontend::connections::Connections;
use crate::rpc_frontend::text::{PIECE, Text};
use crate::rpc_frontend::unread::WatchedBody;
use actix_web::body::{BodyStream, BoxBody, MessageBody};
use alloy_consensus::TxLegacy;
use alloy_primitives::Bytes;
use serde_json::{Value, json};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

const SOON: Duration = Duration::from_secs(20);
/// About what [`block`] is answered by.
const LONG: usize = 1_900_000;

/// A chain whose block 1 is some two megabytes as JSON.
pub(super) fn long_chain() -> TestChain {
    let mut chain = TestChain::new();
    let large = |nonce| {
        let input = Bytes::from(vec![0; 120_000]);
        sign(TxLegacy { input, gas_limit: 2_000_000, ..legacy(nonce) }, &user(2))
    };
    chain.extend(&(0..8).map(large).collect::<Vec<_>>());
    chain
}

/// The address of everybody else in these tests.
pub(super) const HERE: [u8; 4] = [127, 0, 0, 1];

fn block(id: u64) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "method": "eth_getBlockByNumber", "params": ["0x1", true] })
}

fn serve(change: impl FnOnce(&mut RpcConfig)) -> Harness {
    Harness::serve(long_chain().access.clone(), change)
}

/// A client whose system takes little of an answer for it.
pub(super) async fn reluctant(harness: &Harness, from: [u8; 4]) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4_096).unwrap();
    harness.connect(socket, from).await
}

/// Asks, and reads no more than the head of the answer.
async fn ask(harness: &Harness, from: [u8; 4], body: &Value) -> (TcpStream, String) {
    let mut stream = reluctant(harness, from).await;
    let body = body.to_string();
    let head = "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nConnection: close";
    stream.write_all(format!("{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(tokio::time::timeout(SOON, stream.read_u8()).await.expect("an answer").unwrap());
    }
    (stream, String::from_utf8(head).unwrap())
}

async fn rest_of(stream: &mut TcpStream) -> Vec<u8> {
    let mut rest = Vec::new();
    // A connection that was cut may end in an error.
    let _ = tokio::time::timeout(SOON, stream.read_to_end(&mut rest)).await.expect("an end");
    rest
}

/// Waits until a bound was met so often.
pub(super) async fn refused(harness: &Harness, limit: &str, times: u64) {
    let met = async { while harness.refusals(limit).await < times {} };
    tokio::time::timeout(SOON, met).await.unwrap_or_else(|_| panic!("{limit}"));
}

#[actix_web::test]
async fn a_client_that_does_not_read_is_cut_and_what_it_asked_for_is_let_go_of() {
    let harness = serve(|config| config.read_within = Duration::from_millis(200));
    let (mut stream, head) = ask(&harness, HERE, &block(1)).await;
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    assert!(harness.limits.answers.held() > LONG);
    refused(&harness, "reading", 1).await;
    assert!(rest_of(&mut stream).await.len() < LONG, "it was cut");
    let released = async { while harness.limits.answers.held() > 0 || harness.refusals("reading").await > 1 {} };
    tokio::time::timeout(SOON, released).await.expect("nothing is held, and it was counted once");
}

#[actix_web::test]
async fn answers_that_nobody_reads_take_no_more_than_their_budget() {
    let harness = serve(|config| config.unread_bytes = 5 * LONG / 2);
    let mut open = [ask(&harness, [127, 0, 0, 2], &block(1)).await, ask(&harness, [127, 0, 0, 3], &block(2)).await];
    assert!(open.iter().all(|(_, head)| head.starts_with("HTTP/1.1 200")));
    for (id, path) in [(3, "/"), (4, "/rpc")] {
        let refused = harness.post(path, block(id).to_string()).await;
        assert_eq!((refused.status, refused.headers["retry-after"].as_str()), (503, "1"), "{}", refused.body);
        let (answer, error) = (refused.json(), refused.json()["error"].clone());
        assert_eq!((&answer["id"], &error["code"]), (&json!(id), &json!(-32000)));
        let message = error["message"].as_str().unwrap();
        assert!(message.starts_with("busy: this answer has") && message.ends_with("(rpc.limit.unread_bytes)"));
    }
    let rest = harness.get("/rpc/blocks-range?start=1&end=1").await;
    assert_eq!((rest.status, rest.headers["retry-after"].as_str()), (503, "1"));
    assert!(rest.error().ends_with("(rpc.limit.unread_bytes)"), "{}", rest.body);
    let small = json!({ "jsonrpc": "2.0", "id": 6, "method": "eth_blockNumber" });
    let batch = harness.post("/", json!([small, block(7), small]).to_string()).await;
    let codes: Vec<_> = batch.json().as_array().unwrap().iter().map(|one| one["error"]["code"].clone()).collect();
    assert_eq!((batch.status, codes), (200, vec![Value::Null, json!(-32000), json!(-32000)]));
    assert_eq!(harness.refusals("unread").await, 5);
    assert_eq!(harness.result("eth_blockNumber", json!([])).await, "0x1", "short answers always fit");

    assert!(rest_of(&mut open[0].0).await.len() > LONG, "who reads gets all of it");
    assert_eq!(harness.post("/", json!([small, block(8)]).to_string()).await.json()[1]["id"], 8);
    drop(open);
    nothing_is_held(&harness).await;
}

async fn nothing_is_held(harness: &Harness) {
    let released = async {
        while harness.limits.answers.held() > 0 {
            harness.get("/health/live").await;
        }
    };
    tokio::time::timeout(SOON, released).await.expect("who hangs up, or has read, holds nothing");
}

#[actix_web::test]
async fn one_address_holds_a_quarter_of_the_budget_over_all_its_connections_and_the_others_the_rest() {
    let most = 12 * LONG;
    let harness = serve(|config| config.unread_bytes = most);
    let greedy = [127, 0, 0, 2];
    let mut open = [ask(&harness, greedy, &block(1)).await, ask(&harness, greedy, &block(2)).await];
    assert!(open.iter().all(|(_, head)| head.starts_with("HTTP/1.1 200")));
    let mut socket = Client::over(harness.connect_from(greedy).await).await;
    let (method, params) = ("eth_getBlockByNumber", json!(["0x1", true]));
    for answer in [harness.call_from(greedy, method, params.clone()).await, socket.call(method, params.clone()).await] {
        let message = answer["error"]["message"].as_str().unwrap_or_else(|| panic!("no refusal"));
        assert!(message.starts_with("busy: this answer has") && message.contains("your address has not read"));
        let share = format!("one address may have {} of the {most} for all", most / 4);
        assert!(message.contains(&share) && message.ends_with("(rpc.limit.unread_bytes)"), "{message}");
        assert_eq!(answer["error"]["code"], -32000);
    }
    let (mut rest, head) =
        ask(&harness, greedy, &json!([{ "jsonrpc": "2.0", "id": 1, "method": "eth_chainId" }])).await;
    assert!(head.starts_with("HTTP/1.1 200") && rest_of(&mut rest).await.ends_with(b"}]"), "short answers always fit");
    let others = [ask(&harness, HERE, &block(3)).await, ask(&harness, HERE, &block(4)).await];
    assert!(others.iter().all(|(_, head)| head.starts_with("HTTP/1.1 200")), "another one is not kept out");
    let rest = harness.get("/rpc/blocks-range?start=1&end=1").await;
    assert!(rest.status == 503 && rest.error().contains("your address has not read"), "{}", rest.status);
    assert!(rest_of(&mut open[0].0).await.len() > LONG);
    assert!(socket.call(method, params).await["result"].is_object(), "who has read may ask again");
    drop((open, others, socket));
    nothing_is_held(&harness).await;
}

#[test]
fn a_client_has_the_whole_time_for_each_part_of_a_long_answer_and_none_runs_while_there_is_nothing_to_read() {
    let connections = Arc::new(Connections::default());
    let line = connections.open(1, None).line();
    let mut context = Context::from_waker(Waker::noop());
    let answer = BoxBody::new(Text::from([bytes::Bytes::from(vec![b'x'; 40 * PIECE])]));
    let mut body = WatchedBody::new(answer, Some(line.clone()), None);
    let begun = line.unread_since().expect("it waits from the first");
    let mut hand = |body: &mut WatchedBody, pieces: usize| {
        for _ in 0..pieces {
            assert!(matches!(Pin::new(&mut *body).poll_next(&mut context), Poll::Ready(Some(Ok(_)))));
        }
    };
    hand(&mut body, 15);
    assert_eq!(line.unread_since(), Some(begun), "some bytes are no progress");
    hand(&mut body, 1);
    assert_ne!(line.unread_since().expect("it still waits"), begun);
    drop(body);
    assert_eq!(line.unread_since(), None);

    let (sender, receiver) = tokio::sync::mpsc::unbounded_channel::<Result<bytes::Bytes, std::convert::Infallible>>();
    let events =
        futures_util::stream::unfold(receiver, |mut receiver| async { Some((receiver.recv().await?, receiver)) });
    let mut body = WatchedBody::new(BoxBody::new(BodyStream::new(Box::pin(events))), Some(line.clone()), None);
    let mut poll = |body: &mut WatchedBody| Pin::new(body).poll_next(&mut context);
    assert!(poll(&mut body).is_pending());
    assert_eq!(line.unread_since(), None, "the client waits for us");
    sender.send(Ok("event".into())).unwrap();
    assert!(poll(&mut body).is_ready());
    assert!(line.unread_since().is_some(), "we wait for the client");
    drop(sender);
    assert!(matches!(poll(&mut body), Poll::Ready(None)));
    assert_eq!(line.unread_since(), None);
}

#[actix_web::test]
async fn a_busy_server_tells_nobody_408_whose_request_lies_in_the_socket() {
    let harness = Harness::with(|config| config.head_within = Duration::from_secs(1));
    let mut late = TcpStream::connect(harness.server.address()).await.unwrap();
    let mut silent = TcpStream::connect(harness.server.address()).await.unwrap();
    let (release, started) = harness.status.hold_peers();
    let test = async {
        started.await.expect("the one server thread is held");
        late.write_all(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await.unwrap();
        let over = String::from_utf8(rest_of(&mut silent).await).unwrap();
        let (head, body) = over.split_once("\r\n\r\n").expect("an answer");
        assert!(head.starts_with("HTTP/1.1 408"), "{head}");
        assert!(
            head.ends_with("connection: close") && head.contains(&format!("content-length: {}", body.len())),
            "{head}"
        );
        assert!(body.contains("did not arrive in time"), "{body}");
        release.send(()).unwrap();
        let answer = String::from_utf8(rest_of(&mut late).await).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer:?}");
    };
    let (peers, ()) = tokio::join!(harness.get("/rpc/peers"), test);
    assert_eq!(peers.status, 200);
}

#[actix_web::test]
async fn a_head_that_is_sent_in_part_is_given_up() {
    let harness = Harness::with(|config| config.head_within = Duration::from_millis(50));
    let mut stream = TcpStream::connect(harness.server.address()).await.unwrap();
    stream.write_all(b"POST / HTTP/1.1\r\nHost: loc").await.unwrap();
    let answer = String::from_utf8(rest_of(&mut stream).await).unwrap();
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer:?}");
}
