//! Servers that lie, stall and drip.

use super::*;
use crate::transport::frames::FrameError;
use crate::transport::testing::{client, session_at as session, session_of};
use std::time::Instant;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/octet-stream\r\n";

/// A server that answers every request with `pieces`, `pause` apart, and then closes or keeps silent.
async fn answering(pieces: Vec<Vec<u8>>, pause: Duration, closes: bool) -> PeerUrl {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    actix_rt::spawn(async move {
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            let pieces = pieces.clone();
            actix_rt::spawn(async move {
                let mut request = [0; 4_096];
                if matches!(socket.read(&mut request).await, Ok(0) | Err(_)) {
                    return;
                }
                for piece in pieces {
                    if socket.write_all(&piece).await.is_err() {
                        return;
                    }
                    tokio::time::sleep(pause).await;
                }
                if !closes {
                    std::future::pending::<()>().await;
                }
            });
        }
    });
    url
}

fn close_delimited(body: &[u8]) -> Vec<u8> {
    [format!("{HEAD}connection: close\r\n\r\n").as_bytes(), body].concat()
}

#[actix_rt::test]
async fn frames_that_are_giant_empty_or_cut_are_refused_by_name() {
    for (body, expected) in [
        (&[0xff, 0xff, 0xff, 0xff, 1][..], "at most 1049600"),
        (&[0, 0, 0, 0][..], "zero bytes"),
        (&[0, 0, 0, 9, 1, 2][..], "after 6 of a frame's 13"),
    ] {
        let url = answering(vec![close_delimited(body)], Duration::ZERO, true).await;
        let mut stream = session(url.clone()).blocks(0, 1).await.unwrap();
        let error = stream.next_block().await.unwrap_err();
        assert!(matches!(error.problem, Problem::Frame(_)), "{error}");
        let text = error.to_string();
        assert!(text.contains(expected) && text.contains(&url.to_string()), "{text}");
    }
    let truncated = FrameError::Truncated { expected: 13, actual: 6 };
    let error = CallError { url: String::new(), problem: truncated.into() };
    assert_eq!(error.blame(), callboard_chain::Blame::Nobody);
}

#[actix_rt::test]
async fn peer_that_drips_or_stalls_is_given_up_within_the_window() {
    let drip: Vec<Vec<u8>> = std::iter::once(close_delimited(&[0, 0, 1, 0])).chain(vec![vec![7]; 1_000]).collect();
    let stall = vec![close_delimited(&[0, 0, 1, 0, 1])];
    let mute = Vec::new();
    for pieces in [drip, stall, mute] {
        let url = answering(pieces, Duration::from_millis(100), false).await;
        let started = Instant::now();
        let error = match session(url).blocks(0, 1).await {
            Ok(mut stream) => stream.next_block().await.unwrap_err(),
            Err(error) => error,
        };
        assert!(matches!(error.problem, Problem::Stalled { .. }), "{error}");
        assert!(started.elapsed() < Duration::from_secs(8), "{:?}", started.elapsed());
    }
}

#[actix_rt::test]
async fn peer_that_sends_whole_blocks_too_slowly_is_given_up_within_the_window() {
    let block = vec![0, 0, 0, 1, 7];
    let pieces = std::iter::once(close_delimited(&[])).chain(vec![block; 1_000]).collect();
    let mut stream =
        session(answering(pieces, Duration::from_millis(200), false).await).blocks(0, 1_000).await.unwrap();
    let started = Instant::now();
    let error = loop {
        match stream.next_block().await {
            Ok(block) => assert!(block.is_some() && started.elapsed() < Duration::from_secs(8)),
            Err(error) => break error,
        }
    };
    assert!(matches!(error.problem, Problem::Stalled { .. }), "{error}");
}

#[actix_rt::test]
async fn reader_that_is_busy_for_longer_than_the_window_does_not_find_its_peer_slow() {
    let block = [0, 0, 0, 1, 7];
    let pieces = vec![close_delimited(&block), block.to_vec()];
    let mut stream = session(answering(pieces, Duration::from_millis(3_000), true).await).blocks(0, 2).await.unwrap();
    assert!(stream.next_block().await.unwrap().is_some());
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    assert!(stream.next_block().await.unwrap().is_some());
}

#[actix_rt::test]
async fn silent_follow_stream_is_given_up_after_its_own_time_and_not_before() {
    let url = answering(vec![close_delimited(&[])], Duration::ZERO, false).await;
    let silence = Duration::from_secs(4);
    let mut stream = session(url).follow(0, silence).await.unwrap();
    let started = Instant::now();
    let error = stream.next_block().await.unwrap_err();
    assert_eq!(error.problem, Problem::Silent { waited: silence });
    assert!(started.elapsed() >= silence);
}

#[actix_rt::test]
async fn answers_that_are_too_long_are_cut_off_whether_they_say_so_or_not() {
    let said = format!("{HEAD}content-length: 99999999\r\n\r\n").into_bytes();
    let unsaid = close_delimited(&vec![b' '; 100_000]);
    for answer in [said, unsaid] {
        let url = answering(vec![answer], Duration::ZERO, false).await;
        let error = client().raw_status(&url, Reach::Anywhere).await.unwrap_err();
        assert_eq!(error.problem, Problem::TooLong { expected: MAX_STATUS_BYTES });
        assert_eq!(error.blame(), callboard_chain::Blame::Peer);
    }
}

#[actix_rt::test]
async fn redirect_is_not_followed_and_a_page_is_no_status() {
    let redirect = b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n".to_vec();
    let url = answering(vec![redirect], Duration::ZERO, false).await;
    let error = client().raw_status(&url, Reach::Anywhere).await.unwrap_err();
    assert!(matches!(error.problem, Problem::Refused { status: 302, .. }), "{error}");

    let url = answering(vec![close_delimited(b"<html>\x1b[31m")], Duration::ZERO, true).await;
    let error = client().raw_status(&url, Reach::Anywhere).await.unwrap_err();
    assert!(matches!(error.problem, Problem::Malformed { expected: "a status", .. }), "{error}");
    assert!(!error.to_string().chars().any(char::is_control));
}

#[actix_rt::test]
async fn nobody_at_the_other_end_is_said_with_the_url_and_the_cause() {
    let error = client().raw_status(&"http://127.0.0.1:1".parse().unwrap(), Reach::Anywhere).await.unwrap_err();
    assert!(error.to_string().starts_with("http://127.0.0.1:1/peer/v1/status: no connection: "), "{error}");
    assert_eq!(error.blame(), callboard_chain::Blame::Nobody);
}

/// A block of so many bytes.
fn long_frame(length: u32) -> Vec<u8> {
    [&length.to_be_bytes()[..], &vec![7; length as usize]].concat()
}

#[actix_rt::test]
async fn peers_that_drip_long_blocks_hold_no_more_than_the_memory_for_streams_and_an_honest_one_gets_on() {
    const BLOCK: u32 = 1_000_000;
    let most = 2_000_000;
    let budget = StreamBudget::of(most, most / 2, Duration::from_secs(1));
    let session = |url| session_of(client().with_budget(budget.clone()), url);
    // Nearly all of a block, and then just so much that it is not found slow.
    let begun = close_delimited(&long_frame(BLOCK)[..900_000]);
    let drip: Vec<Vec<u8>> = std::iter::once(begun).chain(vec![vec![7; 64]; 1_000]).collect();
    let mut slow = Vec::new();
    for _ in 0..4 {
        let url = answering(drip.clone(), Duration::from_millis(50), false).await;
        let mut stream = session(url).blocks(0, 1).await.unwrap();
        slow.push(actix_rt::spawn(async move { stream.next_block().await }));
    }
    tokio::time::timeout(Duration::from_secs(20), async {
        while budget.waits()[1] == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .expect("memory is used up");
    let blocks = close_delimited(&[long_frame(BLOCK), long_frame(BLOCK)].concat());
    let url = answering(vec![blocks], Duration::ZERO, true).await;
    let mut got = 0;
    while got < 2 {
        // Where it had to give way itself, it asks again.
        let mut honest = session(url.clone()).blocks(0, 2).await.unwrap();
        got = 0;
        while let Ok(Some(block)) = honest.next_block().await {
            assert_eq!(block.len(), BLOCK as usize);
            got += 1;
        }
    }
    // Two held all of it, and one at least had to give way. Who got room when nobody waited any more goes on.
    let (gone, left): (Vec<_>, Vec<_>) = slow.into_iter().partition(|stream| stream.is_finished());
    left.iter().for_each(|stream| stream.abort());
    assert!(!gone.is_empty());
    for stream in gone {
        let error = stream.await.unwrap().unwrap_err();
        assert!(matches!(error.problem, Problem::NoRoom(_)), "{error}");
        assert_eq!(error.blame(), callboard_chain::Blame::Nobody);
    }
    assert!(budget.highest() <= most, "{} bytes were held", budget.highest());
}
