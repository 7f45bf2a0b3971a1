//! Bodies that are too large, too slow or cut short.

use super::harness::Harness;
use serde_json::json;
use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const CALL: &str = r#"{"jsonrpc":"2.0","id":1,"method":"net_listening"}"#;
const HUGE: usize = 60_000_000;
const SOON: Duration = Duration::from_secs(20);

fn head(headers: &str) -> String {
    format!("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{headers}\r\n")
}

async fn connect(harness: &Harness) -> TcpStream {
    TcpStream::connect(harness.server.address()).await.unwrap()
}

/// What comes until the server has no more to say.
async fn answer(stream: &mut (impl tokio::io::AsyncRead + Unpin)) -> String {
    let mut text = Vec::new();
    let mut piece = [0; 4096];
    loop {
        match tokio::time::timeout(SOON, stream.read(&mut piece)).await.expect("an answer") {
            Ok(0) | Err(_) => break,
            Ok(count) => text.extend_from_slice(&piece[..count]),
        }
        // A connection that is kept says nothing after the answer.
        if text.ends_with(b"}") {
            break;
        }
    }
    String::from_utf8(text).unwrap()
}

#[actix_web::test]
async fn ten_thousand_calls_are_more_than_a_batch_may_hold() {
    let harness = Harness::start();
    let batch = |calls: usize| format!("[{}]", vec![CALL; calls].join(","));
    let refused = harness.post("/", batch(10_000)).await;
    let error = refused.json()["error"].clone();
    assert_eq!((refused.status, &error["code"]), (200, &json!(-32600)));
    assert_eq!(error["message"], "batch too large: at most 1000 calls (rpc.max_batch)");
    assert_eq!(harness.refusals("batch").await, 1);
    let answers = harness.post("/", batch(1_000)).await.json();
    assert_eq!(answers.as_array().unwrap().len(), 1_000);
}

#[actix_web::test]
async fn a_huge_body_that_is_announced_is_refused_before_a_byte_of_it_is_read() {
    let harness = Harness::start();
    let mut stream = connect(&harness).await;
    stream.write_all(head(&format!("Content-Length: {HUGE}\r\n")).as_bytes()).await.unwrap();
    let answer = answer(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 413") && answer.contains("(rpc.max_body_bytes)"), "{answer}");
    assert_eq!(harness.refusals("body").await, 1);
}

#[actix_web::test]
async fn a_huge_body_in_chunks_is_refused_at_the_bound() {
    let harness = Harness::start();
    let (mut reader, mut writer) = connect(&harness).await.into_split();
    let sent = Rc::new(Cell::new(0));
    let counter = Rc::clone(&sent);
    let sending = actix_web::rt::spawn(async move {
        writer.write_all(head("Transfer-Encoding: chunked\r\n").as_bytes()).await?;
        let chunk = [format!("{:x}\r\n", 1_000_000).into_bytes(), vec![b' '; 1_000_000], b"\r\n".to_vec()].concat();
        while counter.get() < HUGE {
            writer.write_all(&chunk).await?;
            counter.set(counter.get() + 1_000_000);
        }
        std::io::Result::Ok(())
    });
    let answer = answer(&mut reader).await;
    sending.abort();
    assert!(answer.starts_with("HTTP/1.1 413") && answer.contains("(rpc.max_body_bytes)"), "{answer}");
    assert!(sent.get() < HUGE, "the rest of the body was not waited for");
    assert_eq!(harness.refusals("body").await, 1);
    assert_eq!(harness.result("net_listening", json!([])).await, json!(true));
}

#[actix_web::test]
async fn a_client_that_has_closed_its_side_still_gets_its_answer() {
    let harness = Harness::start();
    let (mut reader, mut writer) = connect(&harness).await.into_split();
    let request = format!("{}{CALL}", head(&format!("Content-Length: {}\r\n", CALL.len())));
    writer.write_all(request.as_bytes()).await.unwrap();
    writer.shutdown().await.unwrap();
    let answer = answer(&mut reader).await;
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.ends_with(r#"{"jsonrpc":"2.0","id":1,"result":true}"#),
        "{answer}"
    );
}

#[actix_web::test]
async fn a_body_that_does_not_come_is_given_up() {
    let harness = Harness::with(|config| config.body_within = Duration::from_millis(50));
    let mut stream = connect(&harness).await;
    stream.write_all(format!("{}{{", head("Content-Length: 100\r\n")).as_bytes()).await.unwrap();
    let answer = answer(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 408") && answer.contains("within 50 ms (rpc.body_ms)"), "{answer}");
    assert_eq!(harness.refusals("body_time").await, 1);
}

#[actix_web::test]
async fn a_body_that_ends_early_is_no_request() {
    let harness = Harness::start();
    let (mut reader, mut writer) = connect(&harness).await.into_split();
    writer.write_all(format!("{}{CALL}", head("Content-Length: 1000\r\n")).as_bytes()).await.unwrap();
    writer.shutdown().await.unwrap();
    let answer = answer(&mut reader).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400"), "{answer}");
    assert_eq!(harness.result("net_listening", json!([])).await, json!(true));
}
