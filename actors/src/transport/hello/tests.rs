use super::*;
use crate::transport::hello::messages::{Answer, Request, challenge_hash};
use std::time::{Duration, Instant};

fn identity(key: u8) -> Identity {
    Identity {
        key: SecretKey::from_bytes([key; 32]).unwrap(),
        boot_id: BootId([key; 16]),
        genesis_hash: B256::repeat_byte(9),
        chain: ChainFacts::default(),
        role: Role::Follower,
        advertise: Some(format!("http://127.0.0.1:{}", 9000 + u16::from(key)).parse().unwrap()),
    }
}

fn challenge(answerer: &mut HelloAnswerer, now: Instant, nonce: u8, open: &[u8]) -> Vec<u8> {
    match answerer.on_message(now, [nonce; 32], open).unwrap() {
        HelloReply::Challenge(bytes) => bytes,
        other => panic!("{other:?}"),
    }
}

/// A whole exchange up to the proof: (answerer, time, the dialler's state, the proof).
fn exchange() -> (HelloAnswerer, Instant, ProvedHello, Vec<u8>) {
    let (dialler, mut answerer, now) = (identity(1), HelloAnswerer::new(identity(2)), Instant::now());
    let (opened, open) = OpenedHello::open(&dialler, Some(identity(2).node_id()), [5; 32]);
    let bytes = challenge(&mut answerer, now, 6, &open);
    let (proved, proof) = opened.on_challenge(&dialler, &bytes).unwrap();
    (answerer, now, proved, proof)
}

#[test]
fn both_sides_learn_who_the_other_is() {
    let (mut answerer, now, proved, proof) = exchange();
    let HelloReply::Proven(party) = answerer.on_message(now, [7; 32], &proof).unwrap() else { panic!() };
    assert_eq!((party.node_id, party.role), (identity(1).node_id(), Role::Follower));
    assert_eq!(party.advertise, identity(1).advertise);

    let greeted = proved.on_session(&HelloAnswerer::session_message(Token([8; 32]))).unwrap();
    assert_eq!((greeted.party.node_id, greeted.token), (identity(2).node_id(), Token([8; 32])));
}

#[test]
fn proof_is_good_once_and_only_for_its_lifetime() {
    let (mut answerer, now, _, proof) = exchange();
    answerer.on_message(now, [7; 32], &proof).unwrap();
    assert_eq!(answerer.on_message(now, [7; 32], &proof).unwrap_err().error, HelloError::NoSuchChallenge);

    let (mut answerer, now, _, proof) = exchange();
    let late = now + CHALLENGE_LIFETIME + Duration::from_millis(1);
    assert_eq!(answerer.on_message(late, [7; 32], &proof).unwrap_err().error, HelloError::NoSuchChallenge);

    let (mut answerer, now, _, proof) = exchange();
    assert!(answerer.on_message(now + CHALLENGE_LIFETIME, [7; 32], &proof).is_ok());
}

#[test]
fn proof_recorded_from_one_exchange_is_worthless_in_another() {
    let (mut answerer, now, _, proof) = exchange();
    let (_, open) = OpenedHello::open(&identity(1), None, [5; 32]);
    challenge(&mut answerer, now, 66, &open);
    let mut replayed: Request = serde_json::from_slice(&proof).unwrap();
    if let Request::Proof { nonce, .. } = &mut replayed {
        *nonce = [66; 32];
    }
    let error = answerer.on_message(now, [7; 32], &write(&replayed)).unwrap_err().error;
    assert_eq!(error, HelloError::Signature { node_id: identity(1).node_id() });
}

#[test]
fn forged_proof_is_refused_and_uses_the_challenge_up() {
    let (mut answerer, now, _, proof) = exchange();
    let mut forged: Request = serde_json::from_slice(&proof).unwrap();
    if let Request::Proof { signature, .. } = &mut forged {
        signature[10] ^= 1;
    }
    let error = answerer.on_message(now, [7; 32], &write(&forged)).unwrap_err().error;
    assert_eq!(error, HelloError::Signature { node_id: identity(1).node_id() });
    assert_eq!(error.blame(), callboard_chain::Blame::Peer);
    assert_eq!(answerer.on_message(now, [7; 32], &proof).unwrap_err().error, HelloError::NoSuchChallenge);
}

#[test]
fn proof_signed_with_another_key_is_refused() {
    let (victim, thief) = (identity(1), identity(3));
    let (mut answerer, now) = (HelloAnswerer::new(identity(2)), Instant::now());
    let (opened, open) = OpenedHello::open(&victim, None, [5; 32]);
    let bytes = challenge(&mut answerer, now, 6, &open);
    let (_, proof) = opened.on_challenge(&thief, &bytes).unwrap();
    let error = answerer.on_message(now, [7; 32], &proof).unwrap_err().error;
    assert_eq!(error, HelloError::Signature { node_id: victim.node_id() });
}

#[test]
fn every_field_of_a_challenge_is_covered_by_its_signature() {
    let changes: [fn(&mut Party); 4] = [
        |party| party.boot_id = BootId([9; 16]),
        |party| party.nonce = [9; 32],
        |party| party.role = Role::Authority,
        |party| party.advertise = None,
    ];
    for change in changes {
        let (dialler, mut answerer) = (identity(1), HelloAnswerer::new(identity(2)));
        let (opened, open) = OpenedHello::open(&dialler, None, [5; 32]);
        let bytes = challenge(&mut answerer, Instant::now(), 6, &open);
        let mut forged: Answer = serde_json::from_slice(&bytes).unwrap();
        if let Answer::Challenge { node, .. } = &mut forged {
            change(node);
        }
        let error = opened.on_challenge(&dialler, &write(&forged)).unwrap_err();
        assert_eq!(error, HelloError::Signature { node_id: identity(2).node_id() });
    }
}

#[test]
fn challenge_is_bound_to_the_dialler_and_to_its_direction() {
    let (dialler, answerer) = (identity(1).party([5; 32]), identity(2).party([6; 32]));
    let other = identity(3).party([5; 32]);
    assert_ne!(challenge_hash(&dialler, &answerer), challenge_hash(&other, &answerer));
    assert_ne!(challenge_hash(&dialler, &answerer), challenge_hash(&answerer, &dialler));
    assert_ne!(challenge_hash(&dialler, &answerer), messages::proof_hash(&dialler, &answerer));
}

#[test]
fn node_that_dials_itself_is_told_so_on_both_sides() {
    let mut answerer = HelloAnswerer::new(identity(1));
    let (_, open) = OpenedHello::open(&identity(1), None, [5; 32]);
    let error = answerer.on_message(Instant::now(), [6; 32], &open).unwrap_err().error;
    assert_eq!(error.to_string(), "that is this node itself");
}

#[test]
fn copied_data_directory_is_told_apart_from_a_self_connection() {
    let mut copy = identity(1);
    copy.boot_id = BootId([77; 16]);
    let (_, open) = OpenedHello::open(&copy, None, [5; 32]);
    let error = HelloAnswerer::new(identity(1)).on_message(Instant::now(), [6; 32], &open).unwrap_err();
    assert_eq!(error.error, HelloError::CopiedDirectory { node_id: copy.node_id() });
    assert!(error.error.to_string().contains("delete node.key"));
}

#[test]
fn wrong_chain_and_wrong_node_are_refused_with_both_sides_named() {
    let mut other = identity(1);
    other.genesis_hash = B256::repeat_byte(8);
    let (_, open) = OpenedHello::open(&other, None, [5; 32]);
    let error = HelloAnswerer::new(identity(2)).on_message(Instant::now(), [6; 32], &open).unwrap_err();
    assert_eq!(error.error, HelloError::WrongChain { expected: B256::repeat_byte(9), actual: B256::repeat_byte(8) });

    let mut answerer = HelloAnswerer::new(identity(2));
    let (opened, open) = OpenedHello::open(&identity(1), Some(identity(3).node_id()), [5; 32]);
    let bytes = challenge(&mut answerer, Instant::now(), 6, &open);
    let error = opened.on_challenge(&identity(1), &bytes).unwrap_err();
    assert_eq!(error, HelloError::OtherNode { expected: identity(3).node_id(), actual: identity(2).node_id() });
}

#[test]
fn another_version_is_refused_for_its_version_and_rubbish_for_its_form() {
    let mut answerer = HelloAnswerer::new(identity(2));
    let mut refuse = |bytes: &[u8]| answerer.on_message(Instant::now(), [6; 32], bytes).unwrap_err().error;
    assert_eq!(refuse(br#"{"version":2,"step":"new"}"#), HelloError::Version { expected: 1, actual: 2 });
    let (_, open) = OpenedHello::open(&identity(1), None, [5; 32]);
    let unknown_field = String::from_utf8(open.clone()).unwrap().replacen("\"version\"", "\"x\":1,\"version\"", 1);
    let deep = "[".repeat(MAX_HELLO_BYTES);
    let huge = [b' '; MAX_HELLO_BYTES + 1];
    for bytes in
        [b"".as_slice(), b"null", b"{}", &open[..open.len() - 1], unknown_field.as_bytes(), deep.as_bytes(), &huge]
    {
        assert!(matches!(refuse(bytes), HelloError::Malformed { .. }));
    }
}

#[test]
fn open_challenges_are_bounded_and_the_oldest_gives_way() {
    let (dialler, mut answerer, now) = (identity(1), HelloAnswerer::new(identity(2)), Instant::now());
    let (opened, open) = OpenedHello::open(&dialler, None, [5; 32]);
    let mut first = None;
    for number in 0..=MAX_OPEN_CHALLENGES as u64 {
        let mut nonce = [0; 32];
        nonce[..8].copy_from_slice(&number.to_be_bytes());
        match answerer.on_message(now, nonce, &open).unwrap() {
            HelloReply::Challenge(bytes) => first.get_or_insert(bytes),
            other => panic!("{other:?}"),
        };
    }
    assert_eq!(answerer.open_challenges(), MAX_OPEN_CHALLENGES);
    let (_, proof) = opened.on_challenge(&dialler, &first.unwrap()).unwrap();
    assert_eq!(answerer.on_message(now, [7; 32], &proof).unwrap_err().error, HelloError::NoSuchChallenge);
}

#[test]
fn token_is_not_shown_in_logs() {
    assert!(!format!("{:?}", Token([0xab; 32])).contains("ab"));
    assert_eq!(Token::from_hex(&Token([0xab; 32]).to_hex()), Some(Token([0xab; 32])));
    assert_eq!(Token::from_hex("ab"), None);
}
