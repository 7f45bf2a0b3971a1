//! The keys that a block touched, as questions that a peer answers.

use crate::transport::wire::{AccountQuestion, MAX_PROVEN_KEYS};
use alloy_primitives::{Address, U256};
use callboard_chain::AccountProof;
use callboard_chain::live::{Touched, TouchedAccount};
use std::collections::VecDeque;

/// Questions put to one peer.
pub(super) const MOST_QUESTIONS: usize = 64;
/// The most keys that a block of 30 million gas touches, at 1,900 for a slot of an access list, the cheapest key.
const MOST_TOUCHED: usize = 30_000_000 / 1_900;
/// A question ends with an account that goes on in the next one, or leaves the place of one key empty, where an account
/// would begin whose first slot does not fit: two keys are lost at most.
const _: () = assert!(MOST_QUESTIONS * (MAX_PROVEN_KEYS - 2) >= MOST_TOUCHED);

/// What is still to be asked for: the touched accounts by address, each with its touched slots in order.
pub(super) struct Questions(VecDeque<AccountQuestion>);

impl Questions {
    pub(super) fn of(touched: &Touched) -> Self {
        let question = |(address, account): (&Address, &TouchedAccount)| {
            let slots: Vec<U256> = account.slots.keys().copied().collect();
            AccountQuestion { address: *address, slots }
        };
        Self(touched.accounts.iter().map(question).collect())
    }

    /// As many keys as one question holds, from the first on; empty where none is left. The last account's slots may go on
    /// in the next question.
    pub(super) fn next(&self) -> Vec<AccountQuestion> {
        let mut room = MAX_PROVEN_KEYS;
        let mut question = Vec::new();
        for AccountQuestion { address, slots } in &self.0 {
            let fit = slots.len().min(room.saturating_sub(1));
            let is_of_use = room > 0 && (fit > 0 || slots.is_empty());
            if !is_of_use {
                break;
            }
            room = room.saturating_sub(fit.saturating_add(1));
            question.push(AccountQuestion { address: *address, slots: slots.iter().take(fit).copied().collect() });
        }
        question
    }

    /// Whether more slots of the account at `index` are asked for after this proof of it.
    pub(super) fn go_on_after(&self, index: usize, proof: &AccountProof) -> bool {
        self.0.get(index).is_some_and(|account| account.slots.len() > proof.slots.len())
    }

    /// The first accounts of the last question have been proven.
    pub(super) fn proven(&mut self, proofs: &[AccountProof]) {
        for proof in proofs {
            let Some(account) = self.0.front_mut() else { return };
            account.slots.drain(..proof.slots.len().min(account.slots.len()));
            if account.slots.is_empty() {
                self.0.pop_front();
            }
        }
    }

    /// From which account on how many keys are left; `None` where none is.
    pub(super) fn left(&self) -> Option<(Address, usize)> {
        Some((self.0.front()?.address, self.0.iter().map(keys).sum()))
    }
}

/// How many keys of a question this is.
fn keys(account: &AccountQuestion) -> usize {
    account.slots.len().saturating_add(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use callboard_chain::SlotProof;
    use std::collections::BTreeSet;

    /// Accounts with so many slots each, or more.
    fn touched(slots: impl IntoIterator<Item = u64>) -> Touched {
        let account = |(number, slots): (u64, u64)| {
            let slots = (0..slots).map(|slot| (U256::from(slot), U256::from(1))).collect();
            (Address::left_padding_from(&number.to_be_bytes()), TouchedAccount { account: None, slots })
        };
        Touched { accounts: (0..).zip(slots).map(account).collect() }
    }

    /// What a peer that answers at most so many accounts at once proves.
    fn proofs(question: &[AccountQuestion], at_once: usize) -> Vec<AccountProof> {
        let slot = |slot: &U256| SlotProof { slot: *slot, value: U256::ZERO, nodes: Vec::new() };
        let proof = |AccountQuestion { address, slots }: &AccountQuestion| {
            let slots = slots.iter().map(slot).collect();
            AccountProof { address: *address, account: None, nodes: Vec::new(), slots }
        };
        question.iter().take(at_once).map(proof).collect()
    }

    /// Asks for everything: how many questions that took. Every slot was asked for once, every account was, and its last
    /// proof, and only that one, is known for the last.
    fn asked(touched: &Touched, at_once: usize) -> usize {
        let mut questions = Questions::of(touched);
        let (mut slots, mut accounts, mut count) = (Vec::new(), Vec::new(), 0);
        while questions.left().is_some() {
            let question = questions.next();
            assert!(question.iter().map(keys).sum::<usize>() <= MAX_PROVEN_KEYS);
            let proofs = proofs(&question, at_once);
            for (index, proof) in proofs.iter().enumerate() {
                slots.extend(proof.slots.iter().map(|proven| (proof.address, proven.slot)));
                if !questions.go_on_after(index, proof) {
                    accounts.push(proof.address);
                }
            }
            questions.proven(&proofs);
            count += 1;
        }
        assert!(questions.next().is_empty());
        assert!(accounts.iter().eq(touched.accounts.keys()));
        let of_account = |(address, account): (&Address, &TouchedAccount)| {
            account.slots.keys().map(|slot| (*address, *slot)).collect::<Vec<_>>()
        };
        assert_eq!(slots.len(), slots.iter().collect::<BTreeSet<_>>().len(), "once");
        assert!(touched.accounts.iter().flat_map(of_account).eq(slots));
        count
    }

    #[test]
    fn questions_hold_every_touched_key_once_and_no_more_of_them_than_a_peer_answers() {
        let one_large = touched([1_000].into_iter().chain(std::iter::repeat_n(0, 599)));
        assert_eq!(asked(&one_large, usize::MAX), 7);
        assert_eq!(asked(&one_large, 1), 4 + 599, "a peer that answers one account at a time");
        assert_eq!(asked(&touched([]), 1), 0);
        assert_eq!(asked(&touched([254, 1, 0]), usize::MAX), 2);
    }

    /// However the slots that a block pays for lie over accounts, among them those that fill a question by a little more
    /// than half.
    #[test]
    fn one_peer_is_asked_for_all_that_a_block_can_touch() {
        for slots in [1, 2, 127, 128, 129, 200, 254, 255, 256, 15_000] {
            let count = MOST_TOUCHED / (slots + 1);
            let questions = asked(&touched(std::iter::repeat_n(slots as u64, count)), usize::MAX);
            assert!(questions <= MOST_QUESTIONS, "{questions} for {count} accounts of {slots} slots");
        }
        assert!(asked(&touched(std::iter::repeat_n(0, MOST_TOUCHED)), usize::MAX) <= MOST_QUESTIONS);
    }
}
