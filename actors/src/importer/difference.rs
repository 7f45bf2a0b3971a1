//! Where a sealed block was executed here to another result than its header's: the first key, or the first transaction,
//! that differs, by what a peer can prove against that header.

use super::patience::Patience;
use super::questions::{MOST_QUESTIONS, Questions};
use super::{Connected, ImportFailure};
use crate::transport::NodeId;
use crate::transport::client::Session;
use crate::transport::wire::ProofQuestion;
use alloy_consensus::{Header, TxReceipt};
use alloy_primitives::{Address, B256, Bytes, U256};
use callboard_chain::live::{ConfirmError, Touched};
use callboard_chain::proof::receipts_root;
use callboard_chain::{Account, AccountProof, Block, Receipt, SlotProof};
use std::sync::Arc;

/// Peers asked about one block.
const PEERS_ASKED: usize = 4;
/// Receipts of ours that are told where no peer can say which one differs.
const RECEIPTS_TOLD: usize = 8;

/// A block that was executed here, with what came out.
pub(super) struct Question {
    header: Header,
    hash: B256,
    ours: Ours,
}

enum Ours {
    State(Arc<Touched>),
    Receipts(Arc<[Receipt]>),
}

/// What a search came to.
pub(super) struct Finding {
    /// In words.
    pub(super) text: String,
    /// Whether a peer could say; otherwise another search may find more.
    pub(super) certain: bool,
}

impl Finding {
    fn certain(text: String) -> Self {
        Self { text, certain: true }
    }
}

/// What comparing with one peer came to.
enum Comparison {
    /// The first difference, in words.
    Differs(String),
    /// Nothing differs in what was compared.
    Agrees(String),
    /// The peer cannot say.
    Failed(String),
}

impl Question {
    /// The question that a refusal raises; `None` where the block was not executed to the end.
    pub(super) fn of(failure: &ImportFailure, bytes: &Bytes) -> Option<Self> {
        let ImportFailure::Confirm(error) = failure else { return None };
        let ours = match error {
            ConfirmError::StateRoot { touched, .. } => Ours::State(touched.clone()),
            ConfirmError::GasUsed { receipts, .. } | ConfirmError::ReceiptsRoot { receipts, .. } => {
                Ours::Receipts(receipts.clone())
            }
            _ => return None,
        };
        let block = Block::decode(bytes.clone()).ok()?;
        Some(Self { header: block.header().clone(), hash: block.hash(), ours })
    }

    /// The height of the block.
    pub(super) fn height(&self) -> u64 {
        self.header.number
    }

    /// Asks the sender first, then others, until one of them shows the difference.
    pub(super) async fn answer(&self, connected: &Connected, sender: Option<NodeId>) -> Finding {
        let mut tried = Vec::new();
        for session in connected.sessions(sender, PEERS_ASKED) {
            let comparison = match &self.ours {
                Ours::State(touched) => self.compare_state(&session, touched).await,
                Ours::Receipts(receipts) => self.compare_receipts(&session, receipts).await,
            };
            match comparison {
                Comparison::Differs(difference) => {
                    return Finding::certain(format!("{difference} (proven by {})", session.node_id()));
                }
                Comparison::Agrees(what) => return Finding::certain(what),
                Comparison::Failed(reason) => tried.push(reason),
            }
        }
        let why = if tried.is_empty() { "no peer is connected".to_owned() } else { tried.join("; ") };
        let text = match &self.ours {
            Ours::State(touched) => {
                format!("which of the {} keys it touched differs is not known: {why}", touched.count())
            }
            Ours::Receipts(receipts) => {
                format!("which transaction differs is not known: {why}; here {}", told(receipts))
            }
        };
        Finding { text, certain: false }
    }

    async fn compare_state(&self, session: &Session, touched: &Touched) -> Comparison {
        let (mut questions, mut patience) = (Questions::of(touched), Patience::default());
        for _ in 0..MOST_QUESTIONS {
            let accounts = questions.next();
            if accounts.is_empty() {
                break;
            }
            let question = ProofQuestion { height: self.height(), hash: self.hash, accounts };
            let proofs = match patience.insist(|| session.prove(&question)).await {
                Ok(proofs) => proofs,
                Err(error) => return Comparison::Failed(error.to_string()),
            };
            for (index, proof) in proofs.iter().enumerate() {
                if let Err(error) = proof.verify(self.header.state_root) {
                    return Comparison::Failed(format!("{}: {error}", session.url()));
                }
                if let Some(difference) = difference(proof, touched, !questions.go_on_after(index, proof)) {
                    return Comparison::Differs(difference);
                }
            }
            questions.proven(&proofs);
        }
        match questions.left() {
            None => Comparison::Agrees(
                "every key that the block touched here is as sealed: a key that it did not touch here differs"
                    .to_owned(),
            ),
            // It may be among those: another peer, or another search, may find it.
            Some((next, keys)) => Comparison::Failed(format!(
                "{}: no difference in the first keys; from account {next} on, {keys} were not compared",
                session.url()
            )),
        }
    }

    async fn compare_receipts(&self, session: &Session, ours: &[Receipt]) -> Comparison {
        let ask = || session.receipts(self.height(), self.hash);
        let sealed = match Patience::default().insist(ask).await {
            Ok(sealed) => sealed,
            Err(error) => return Comparison::Failed(error.to_string()),
        };
        let (expected, actual) = (self.header.receipts_root, receipts_root(&sealed));
        if expected != actual {
            let url = session.url();
            return Comparison::Failed(format!("{url}: its receipts have root {actual}, expected {expected}"));
        }
        let differs = ours.iter().zip(&sealed).position(|(ours, sealed)| ours != sealed);
        match differs {
            Some(index) => Comparison::Differs(format!(
                "transaction {index}: here {}, sealed {}",
                receipt(ours, index),
                receipt(&sealed, index)
            )),
            None => Comparison::Agrees(
                "every receipt is as sealed: the header's gas is not that of its receipts".to_owned(),
            ),
        }
    }
}

/// The first thing in which an account differs from what is proven of it: balance, nonce or code, then a slot. `is_last`:
/// no more slots of it are going to be proven, so what differs then is a slot that the block did not touch here.
fn difference(sealed: &AccountProof, touched: &Touched, is_last: bool) -> Option<String> {
    let address = sealed.address;
    let here = touched.accounts.get(&address)?;
    let slot = |proof: &SlotProof| {
        let (slot, here) = (word(proof.slot), *here.slots.get(&proof.slot)?);
        (here != proof.value)
            .then(|| format!("slot {slot} of {address}: here {}, sealed {}", word(here), word(proof.value)))
    };
    account_difference(address, here.account, sealed.account)
        .or_else(|| sealed.slots.iter().find_map(slot))
        .or_else(|| is_last.then(|| storage_difference(address, here.account, sealed.account)).flatten())
}

fn account_difference(address: Address, here: Option<Account>, sealed: Option<Account>) -> Option<String> {
    let (ours, theirs) = match (here, sealed) {
        (Some(ours), Some(theirs)) => (ours, theirs),
        (None, None) => return None,
        (Some(_), None) => return Some(format!("account {address}: here it exists, sealed it does not")),
        (None, Some(_)) => return Some(format!("account {address}: here it does not exist, sealed it does")),
    };
    let differs = |what: &str, here: String, sealed: String| {
        (here != sealed).then(|| format!("account {address}: {what} here {here}, sealed {sealed}"))
    };
    differs("balance", ours.balance.to_string(), theirs.balance.to_string())
        .or_else(|| differs("nonce", ours.nonce.to_string(), theirs.nonce.to_string()))
        .or_else(|| differs("code hash", ours.code_hash.to_string(), theirs.code_hash.to_string()))
}

fn storage_difference(address: Address, here: Option<Account>, sealed: Option<Account>) -> Option<String> {
    let (here, sealed) = (here?.storage_root, sealed?.storage_root);
    let sentence = || format!("account {address}: storage root here {here}, sealed {sealed}");
    (here != sealed).then(sentence)
}

fn word(value: U256) -> B256 {
    value.into()
}

/// The first receipts in words.
fn told(receipts: &[Receipt]) -> String {
    let first =
        (0..receipts.len().min(RECEIPTS_TOLD)).map(|index| format!("transaction {index} {}", receipt(receipts, index)));
    let more = receipts.len().saturating_sub(RECEIPTS_TOLD);
    let mut told = first.collect::<Vec<_>>().join(", ");
    if more > 0 {
        told.push_str(&format!(", and {more} more"));
    }
    if told.is_empty() { "there are no transactions".to_owned() } else { told }
}

/// What the receipt at `index` says, in words.
fn receipt(receipts: &[Receipt], index: usize) -> String {
    let Some(receipt) = receipts.get(index) else { return "there is none".to_owned() };
    let before = index.checked_sub(1).and_then(|before| receipts.get(before));
    let gas = receipt.cumulative_gas_used().saturating_sub(before.map_or(0, TxReceipt::cumulative_gas_used));
    let outcome = if receipt.status() { "succeeds" } else { "fails" };
    format!("{outcome} with {gas} gas and {} logs", receipt.logs().len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::testing::{TestChain, TestNode};
    use crate::transport::wire::MAX_PROVEN_KEYS;
    use callboard_chain::live::TouchedAccount;

    const ADDRESS: Address = Address::repeat_byte(0xaa);

    fn account(balance: u64, nonce: u64) -> Account {
        Account { balance: U256::from(balance), nonce, ..Account::default() }
    }

    fn slots(slots: impl IntoIterator<Item = (u64, u64)>) -> Vec<(U256, U256)> {
        slots.into_iter().map(|(slot, value)| (U256::from(slot), U256::from(value))).collect()
    }

    fn here(account: Option<Account>, touched: &[(u64, u64)]) -> Touched {
        let account = TouchedAccount { account, slots: slots(touched.iter().copied()).into_iter().collect() };
        Touched { accounts: [(ADDRESS, account)].into() }
    }

    fn proof(account: Option<Account>, proven: &[(u64, u64)]) -> AccountProof {
        let slot = |(slot, value)| SlotProof { slot, value, nodes: Vec::new() };
        let slots = slots(proven.iter().copied()).into_iter().map(slot).collect();
        AccountProof { address: ADDRESS, account, nodes: Vec::new(), slots }
    }

    #[test]
    fn the_first_difference_of_an_account_is_told_with_both_values() {
        let rooted = Account { storage_root: B256::repeat_byte(1), ..account(5, 0) };
        let cases = [
            (Some(account(5, 0)), Some(account(7, 1)), "balance here 5, sealed 7"),
            (Some(account(5, 0)), Some(account(5, 1)), "nonce here 0, sealed 1"),
            (Some(account(5, 0)), None, "here it exists, sealed it does not"),
            (None, Some(account(5, 0)), "here it does not exist, sealed it does"),
            (Some(account(5, 0)), Some(rooted), "storage root here"),
        ];
        for (ours, sealed, words) in cases {
            let told = difference(&proof(sealed, &[]), &here(ours, &[]), true).unwrap();
            assert!(told.starts_with(&format!("account {ADDRESS}: {words}")), "{told}");
        }
        let ours = here(Some(account(5, 0)), &[(1, 8), (2, 8)]);
        let told = difference(&proof(Some(rooted), &[(1, 8), (2, 9)]), &ours, true).unwrap();
        let (slot, [ours_is, sealed_is]) = (word(U256::from(2)), [8, 9].map(|value| word(U256::from(value))));
        assert_eq!(told, format!("slot {slot} of {ADDRESS}: here {ours_is}, sealed {sealed_is}"));
        assert_eq!(difference(&proof(Some(account(5, 0)), &[(1, 8), (2, 8)]), &ours, true), None);
    }

    /// Otherwise a slot that comes in the next question would be told as one that the block did not touch.
    #[test]
    fn an_accounts_storage_root_is_compared_once_all_its_touched_slots_are() {
        let rooted = Account { storage_root: B256::repeat_byte(1), ..account(5, 0) };
        let (ours, sealed) = (here(Some(account(5, 0)), &[(1, 8), (2, 8)]), proof(Some(rooted), &[(1, 8)]));
        assert_eq!(difference(&sealed, &ours, false), None);
        assert!(difference(&sealed, &ours, true).unwrap().contains("storage root here"));
    }

    /// A search that does not come to its end may have missed the difference.
    #[actix_rt::test]
    async fn keys_that_were_not_compared_leave_the_finding_open() {
        let chain = TestChain::new();
        let node = TestNode::start(1, &chain.genesis, chain.store.clone()).await;
        let connected = Connected::default();
        connected.insert(node.greet(2, &chain.genesis).await);
        let absent = |number: usize| (Address::left_padding_from(&number.to_be_bytes()), TouchedAccount::default());
        let asked = MOST_QUESTIONS * MAX_PROVEN_KEYS;
        let finding_on = async |keys: usize| {
            let ours = Ours::State(Arc::new(Touched { accounts: (1_000..1_000 + keys).map(absent).collect() }));
            let block = chain.genesis.block();
            Question { header: block.header().clone(), hash: block.hash(), ours }.answer(&connected, None).await
        };
        let whole = finding_on(asked).await;
        assert!(whole.certain && whole.text.starts_with("every key"), "{}", whole.text);
        let part = finding_on(asked + 3).await;
        assert!(!part.certain && part.text.contains(", 3 were not compared"), "{}", part.text);
    }
}
