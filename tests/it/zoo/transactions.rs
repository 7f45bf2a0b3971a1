//! Lies about transactions.

use super::guest::{Answered, Guest};
use super::http::{ok, unframe};
use super::peer::{json, on, random};
use super::trial::Trial;
use crate::support::wallet::transfers;
use callboard_actors::transport::wire::{AnswersBody, TransactionAnswer, TransactionResult};
use callboard_chain::keccak256;

#[test]
fn a_peer_that_claims_to_be_the_authority_and_swallows_transactions_loses_none() {
    let swallow = on(&["transactions"], |_, request| {
        let taken = |bytes: &[u8]| TransactionAnswer { hash: keccak256(bytes), result: TransactionResult::Taken };
        ok(&json(&AnswersBody { answers: unframe(&request.body).into_iter().map(taken).collect() }))
    });
    let mut trial = Trial::against([swallow.of_an_authority()]);
    trial.id_of(&trial.peers[0].url());
    let sent = trial.follower.send(&transfers(5, 0, 1))[0];
    trial.is_told();
    trial.gate.opens();
    trial.authority.receipt(sent);
    trial.ends_well();
}

#[test]
fn a_flood_of_transactions_with_bad_signatures_is_refused_one_by_one_and_honest_ones_go_through() {
    let mut trial = Trial::with_honest_peers_only();
    let honest = transfers(5, 0, 1).remove(0);
    floods_until_it_is_too_much_work(&Guest::of(&trial.follower, &trial.chain), &honest);
    trial.refuses_a_request_with("too_much_work");
    let sent = trial.follower.send(&[honest])[0];
    trial.authority.receipt(sent);
    trial.ends_well();
}

/// Sends `honest` with bad signatures, a thousand at a time: each is refused, and in the end all of them at once. Its
/// allowance for signatures ends long before its patience.
#[track_caller]
pub(super) fn floods_until_it_is_too_much_work(guest: &Guest, honest: &[u8]) {
    let (_, token) = guest.greet().expect("an honest hello");
    let forged: Vec<_> = (0..1_000).map(|_| with_random_signature(honest)).collect();
    let submit = || {
        let answers = guest.submit(&token, &forged)?;
        answers.iter().for_each(|answer| assert_eq!(answer["result"], "refused", "{answer}"));
        Ok::<(), Answered>(())
    };
    let refused = (0..100).find_map(|_| submit().err()).expect("it is refused as a whole in the end");
    assert_eq!(refused, (429, "too_much_work".to_owned()));
}

/// Its last 32 bytes are the signature's s.
fn with_random_signature(transaction: &[u8]) -> Vec<u8> {
    let kept = transaction.len() - 64;
    [&transaction[..kept], &random::<64>()].concat()
}
