//! Hellos of somebody else.

use super::guest::{Guest, answered};
use super::http::ok;
use super::peer::on;
use super::trial::Trial;
use callboard_actors::transport::NodeId;
use callboard_chain::SecretKey;
use serde_json::{Value, json};

/// The message with another node id in it.
fn with_id(message: &[u8], id: &str) -> Vec<u8> {
    let mut message: Value = serde_json::from_slice(message).expect("JSON");
    message["node"]["nodeId"] = json!(id);
    message.to_string().into_bytes()
}

fn forged() -> (u16, String) {
    (403, "signature".to_owned())
}

fn used() -> (u16, String) {
    (403, "no_such_challenge".to_owned())
}

#[test]
fn a_peer_that_answers_under_an_id_that_is_not_its_own_is_refused_by_its_signature() {
    let somebody = NodeId::of(&SecretKey::from_bytes([7; 32]).expect("a key")).to_string();
    let expected = format!("the signature is not that of node {somebody}");
    let forges = on(&["hello"], move |honest, request| {
        let answer = honest.hello(&request.body);
        let body = answer.windows(4).position(|four| four == b"\r\n\r\n").expect("a head") + 4;
        ok(&with_id(&answer[body..], &somebody))
    });
    let mut trial = Trial::against([forges]);
    trial.all_are("refused", &expected);
    trial.ends_well();
}

/// What another node said to somebody else is worth nothing, and does that node no harm.
#[test]
fn a_peer_that_replays_the_authoritys_hello_is_refused_and_the_authority_is_not() {
    let mut trial = Trial::new();
    let guest = Guest::of(&trial.authority, &trial.chain);
    let (status, challenge) = guest.hello(&guest.open().1);
    assert_eq!(status, 200);
    let said: Value = serde_json::from_slice(&challenge).expect("JSON");
    trial.bad_peer(on(&["hello"], move |_, _| ok(&challenge)));
    trial.follower_starts();
    let id = said["node"]["nodeId"].as_str().expect("an id");
    trial.all_are("refused", &format!("the signature is not that of node {id}"));
    trial.ends_well();
    assert_eq!(trial.id_of(&trial.gate.url), id);
}

#[test]
fn a_guest_under_an_id_that_is_not_its_own_is_refused_by_its_signature() {
    let mut trial = Trial::with_honest_peers_only();
    let authority = trial.id_of(&trial.gate.url);
    let guest = Guest::of(&trial.follower, &trial.chain);
    let (opened, message) = guest.open();
    let (status, challenge) = guest.hello(&with_id(&message, &authority));
    assert_eq!(status, 200, "nothing is known against it yet");
    // The challenge is signed over the forged id, so an honest dialler would stop here.
    opened.on_challenge(&guest.identity, &challenge).expect_err("another transcript");
    let nonce = serde_json::from_slice::<Value>(&challenge).expect("JSON")["node"]["nonce"].clone();
    let proof = json!({ "step": "proof", "version": 1, "nonce": nonce, "signature": "01".repeat(65) });
    assert_eq!(answered(&guest.hello(proof.to_string().as_bytes())), forged());
    assert_eq!(answered(&guest.hello(proof.to_string().as_bytes())), used(), "one challenge, one try");
    trial.refuses_a_request_with("signature");
    trial.refuses_a_request_with("no_such_challenge");
    trial.ends_well();
}

#[test]
fn a_guest_that_replays_a_hello_is_refused_and_the_session_it_stole_from_lives_on() {
    let mut trial = Trial::with_honest_peers_only();
    let guest = Guest::of(&trial.follower, &trial.chain);
    let (proof, token) = guest.greet().expect("an honest hello");
    assert_eq!(answered(&guest.hello(&proof)), used());
    let (_, message) = guest.open();
    let (_, challenge) = guest.hello(&message);
    let mut replayed: Value = serde_json::from_slice(&proof).expect("JSON");
    replayed["nonce"] = serde_json::from_slice::<Value>(&challenge).expect("JSON")["node"]["nonce"].clone();
    assert_eq!(answered(&guest.hello(replayed.to_string().as_bytes())), forged(), "an old signature, a new challenge");
    assert_eq!(guest.request(&token, "GET", "peers", b"").0, 200);
    trial.refuses_a_request_with("signature");
    trial.refuses_a_request_with("no_such_challenge");
    trial.ends_well();
}
