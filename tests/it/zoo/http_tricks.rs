//! What HTTP allows, and a peer must not be able to use.

use super::guest::Guest;
use super::http::{answer, ok};
use super::peer::{Lie, json, on};
use super::trial::Trial;
use super::victim::Victim;
use crate::support::node::SOON;
use crate::support::until;
use serde_json::Value;
use std::io::Write;

#[test]
fn redirects_are_followed_nowhere_and_named() {
    let victim = Victim::new();
    let port = victim.port;
    let redirect = |routes: &'static [&'static str]| {
        on(routes, move |_, request| {
            let headers = format!("location: http://127.0.0.1:{port}/peer/v1/{}\r\n", request.route);
            answer("307 Temporary Redirect", &headers, b"")
        })
    };
    let mut trial = Trial::against([redirect(&["hello"]), redirect(&["status"]), redirect(&["blocks"])]);
    trial.cannot_reach(&trial.peers[0].url(), "refused with HTTP status 307");
    trial.logs("reason=\"refused with HTTP status 307");
    trial.logs(&format!("blocks?from=1&count={}: refused with HTTP status 307", trial.chain.head().height()));
    trial.ends_well();
    assert_eq!(victim.connections(), 0);
}

/// The honest status, compressed: taken where somebody unpacks it, and then so is a bomb.
#[test]
fn a_compressed_answer_is_not_unpacked_and_costs_its_sender_a_ban() {
    let packed =
        on(&["status"], |honest, _| answer("200 OK", "content-encoding: gzip\r\n", &gzip(&json(&honest.status()))));
    let mut trial = Trial::against([packed]);
    trial.all_are("banned", "a status was expected");
    trial.ends_well();
}

/// RFC 1952, with the bytes stored as they are.
fn gzip(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).expect("a short text");
    let head = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff, 1];
    let [lengths, check] =
        [[length.to_le_bytes(), (!length).to_le_bytes()].concat(), crc(bytes).to_le_bytes().to_vec()];
    [&head[..], &lengths, bytes, &check, &u32::from(length).to_le_bytes()].concat()
}

fn crc(bytes: &[u8]) -> u32 {
    let of_bit = |crc: u32, _| if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
    !bytes.iter().fold(u32::MAX, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), of_bit))
}

#[test]
fn a_proxy_in_the_environment_is_not_used() {
    let victim = Victim::new();
    let proxy = format!("http://127.0.0.1:{}", victim.port);
    let mut trial = Trial::new();
    for name in ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", "https_proxy"] {
        trial.follower.variable(name, &proxy);
    }
    trial.gate.opens();
    trial.follower_starts();
    trial.ends_well();
    assert_eq!(victim.connections(), 0);
}

fn endless_head(routes: &'static [&'static str], start: &'static [u8], piece: &'static [u8]) -> Lie {
    Lie::new(routes, move |_, _, stream| {
        stream.write_all(start).ok();
        while stream.write_all(piece).is_ok() {}
    })
}

#[test]
fn a_head_without_end_is_given_up_whatever_it_is_made_of() {
    let header = b"x-filler: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n";
    let headers = |routes| endless_head(routes, b"HTTP/1.1 200 OK\r\n", header);
    let one_header = endless_head(&["hello"], b"HTTP/1.1 200 OK\r\nx-filler: ", &[b'a'; 1 << 16]);
    let interim = endless_head(&["hello"], b"", b"HTTP/1.1 103 Early Hints\r\nlink: <a>\r\n\r\n");
    let mut trial = Trial::against([headers(&["hello"]), one_header, headers(&["blocks"]), interim]);
    trial.cannot_reach(&trial.peers[0].url(), "no connection: ");
    trial.cannot_reach(&trial.peers[1].url(), "no connection: ");
    trial.logs("no connection: ");
    trial.cannot_reach(&trial.peers[3].url(), "stalled");
    trial.ends_well();
}

#[test]
fn a_request_with_a_huge_head_is_refused_before_it_is_read_to_its_end() {
    let mut trial = Trial::with_honest_peers_only();
    let guest = Guest::of(&trial.follower, &trial.chain);
    let header = format!("x-filler: {}\r\n", "a".repeat(60_000));
    let (status, _) = guest.ask("GET", "status", &header.repeat(20), b"");
    assert!((400..500).contains(&status), "{status}");
    trial.ends_well();
}

/// A second answer that nobody asked for is not taken for that to the next question.
#[test]
fn an_answer_that_nobody_asked_for_is_not_taken_for_the_next_one() {
    let twice = Lie::new(&["status"], |honest, _, stream| {
        let status = |head| String::from_utf8(ok(&json(&honest.status_at(head)))).expect("text");
        let keeps = status(honest.chain.head()).replace("connection: close\r\n", "");
        stream.write_all((keeps + &status(&honest.chain.blocks[0])).as_bytes()).ok();
        // The connection stays, so that the next question may go over it; whatever comes there is not answered.
        std::io::copy(stream, &mut std::io::sink()).ok();
    });
    let mut trial = Trial::against([twice]);
    trial.follower.reaches(trial.chain.head().height());
    trial.ends_well();
    let height = trial.chain.head().height();
    let is_honest = |peer: &Value| peer["state"] == "connected" && peer["height"] == height;
    let (peer, url) = (&trial.peers[0], trial.peers[0].url());
    trial.says_of(&url, "connected", is_honest);
    // It stays so, however often it is asked.
    let asked = peer.told();
    until("it is asked again and again", SOON, || {
        let said = trial.said_of(&url);
        assert!(said.as_ref().is_some_and(is_honest), "{said:?}");
        (peer.told() >= asked + 3).then_some(())
    });
}
