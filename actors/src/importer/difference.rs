//! Where a sealed block was executed here to another result than its header's: the first key, or the first transaction,
//! that differs, by what a peer can prove against that header.

use super::{Connected, ImportFailure};
use crate::transport::NodeId;
use crate::transport::client::Session;
use crate::transport::wire::{AccountQuestion, MAX_PROVEN_KEYS, ProofQuestion};
use alloy_consensus::{Header, TxReceipt};
use alloy_primitives::{Address, B256, Bytes, U256};
use callboard_chain::live::ConfirmError;
use callboard_chain::proof::receipts_root;
use callboard_chain::{Account, AccountProof, Block, BlockChanges, Receipt, StorageChange};
use std::sync::Arc;

/// Peers asked about one block.
const PEERS_ASKED: usize = 4;
/// Questions put to one peer: together they cover the keys of a block of ordinary transfers.
const MOST_QUESTIONS: usize = 16;
/// Receipts of ours that are told where no peer can say which one differs.
const RECEIPTS_TOLD: usize = 8;

/// A block that was executed here, with what came out.
pub(super) struct Question {
    header: Header,
    hash: B256,
    ours: Ours,
}

enum Ours {
    Changes(Arc<BlockChanges>),
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
            ConfirmError::StateRoot { changes, .. } => Ours::Changes(changes.clone()),
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
                Ours::Changes(changes) => self.compare_state(&session, changes).await,
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
            Ours::Changes(changes) => {
                let count = changes.accounts.len() + changes.storage.len();
                format!("which of the {count} keys it touched differs is not known: {why}")
            }
            Ours::Receipts(receipts) => {
                format!("which transaction differs is not known: {why}; here {}", told(receipts))
            }
        };
        Finding { text, certain: false }
    }

    async fn compare_state(&self, session: &Session, changes: &BlockChanges) -> Comparison {
        let mut rest = questions(changes);
        for _ in 0..MOST_QUESTIONS {
            if rest.is_empty() {
                break;
            }
            let fit = fitting(&rest);
            let question = ProofQuestion { height: self.height(), hash: self.hash, accounts: rest[..fit].to_vec() };
            let proofs = match session.prove(&question).await {
                Ok(proofs) => proofs,
                Err(error) => return Comparison::Failed(error.to_string()),
            };
            for proof in &proofs {
                if let Err(error) = proof.verify(self.header.state_root) {
                    return Comparison::Failed(format!("{}: {error}", session.url()));
                }
                if let Some(difference) = difference(proof, changes) {
                    return Comparison::Differs(difference);
                }
            }
            rest.drain(..proofs.len().min(fit));
        }
        Comparison::Agrees(match rest.len() {
            0 => "every key that the block changed here is as sealed: a key that it did not change here differs"
                .to_owned(),
            left => {
                format!("no difference in the first keys that the block changed; {left} accounts were not compared")
            }
        })
    }

    async fn compare_receipts(&self, session: &Session, ours: &[Receipt]) -> Comparison {
        let sealed = match session.receipts(self.height(), self.hash).await {
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

/// The changed accounts in order, each with its changed slots.
fn questions(changes: &BlockChanges) -> Vec<AccountQuestion> {
    let of = |address: Address| changes.storage.iter().filter(move |change| change.address == address);
    let question = |address| {
        // What does not fit into one question is not compared.
        let slots = of(address).map(|change| change.slot).take(MAX_PROVEN_KEYS - 1).collect();
        AccountQuestion { address, slots }
    };
    changes.accounts.iter().map(|change| question(change.address)).collect()
}

/// How many of the first accounts fit into one question: at least one.
fn fitting(accounts: &[AccountQuestion]) -> usize {
    let mut keys = 0;
    let fits = |account: &&AccountQuestion| {
        keys += 1 + account.slots.len();
        keys <= MAX_PROVEN_KEYS
    };
    accounts.iter().take_while(fits).count().max(1)
}

/// The first thing in which an account differs from what is proven of it.
fn difference(sealed: &AccountProof, changes: &BlockChanges) -> Option<String> {
    let address = sealed.address;
    let here = changes.accounts.iter().find(|change| change.address == address)?.after;
    let slot = |proof: &callboard_chain::SlotProof| {
        let is_it = |change: &&StorageChange| change.address == address && change.slot == proof.slot;
        let here = changes.storage.iter().find(is_it)?.after;
        let slot: B256 = proof.slot.into();
        (here != proof.value)
            .then(|| format!("slot {slot} of {address}: here {}, sealed {}", word(here), word(proof.value)))
    };
    account_difference(address, here, sealed.account)
        .or_else(|| sealed.slots.iter().find_map(slot))
        .or_else(|| storage_difference(address, here, sealed.account))
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
    use callboard_chain::{AccountChange, SlotProof};

    const ADDRESS: Address = Address::repeat_byte(0xaa);

    fn account(balance: u64, nonce: u64) -> Account {
        Account { balance: U256::from(balance), nonce, ..Account::default() }
    }

    fn change(address: Address, after: Option<Account>) -> AccountChange {
        AccountChange { address, before: None, after }
    }

    fn proof(account: Option<Account>, slots: &[(u64, u64)]) -> AccountProof {
        let slot = |(slot, value): &(u64, u64)| SlotProof {
            slot: U256::from(*slot),
            value: U256::from(*value),
            nodes: Vec::new(),
        };
        AccountProof { address: ADDRESS, account, nodes: Vec::new(), slots: slots.iter().map(slot).collect() }
    }

    #[test]
    fn the_first_difference_of_an_account_is_told_with_both_values() {
        let stored = |value: u64| StorageChange {
            address: ADDRESS,
            slot: U256::from(1),
            before: U256::ZERO,
            after: U256::from(value),
        };
        let rooted = Account { storage_root: B256::repeat_byte(1), ..account(5, 0) };
        let cases = [
            (Some(account(5, 0)), Some(account(7, 1)), "balance here 5, sealed 7"),
            (Some(account(5, 0)), Some(account(5, 1)), "nonce here 0, sealed 1"),
            (Some(account(5, 0)), None, "here it exists, sealed it does not"),
            (None, Some(account(5, 0)), "here it does not exist, sealed it does"),
            (Some(account(5, 0)), Some(rooted), "storage root here"),
        ];
        for (here, sealed, words) in cases {
            let changes = BlockChanges { accounts: vec![change(ADDRESS, here)], ..BlockChanges::default() };
            let told = difference(&proof(sealed, &[]), &changes).unwrap();
            assert!(told.starts_with(&format!("account {ADDRESS}: {words}")), "{told}");
        }
        let changes = BlockChanges {
            accounts: vec![change(ADDRESS, Some(account(5, 0)))],
            storage: vec![stored(8)],
            ..BlockChanges::default()
        };
        let told = difference(&proof(Some(rooted), &[(1, 9)]), &changes).unwrap();
        let (here, sealed) = (word(U256::from(8)), word(U256::from(9)));
        let slot = word(U256::from(1));
        assert_eq!(told, format!("slot {slot} of {ADDRESS}: here {here}, sealed {sealed}"));
        assert_eq!(difference(&proof(Some(account(5, 0)), &[(1, 8)]), &changes), None);
    }

    #[test]
    fn questions_hold_no_more_keys_than_a_peer_answers() {
        let address = |number: u64| Address::left_padding_from(&number.to_be_bytes());
        let mut changes = BlockChanges {
            accounts: (0..600).map(|number| change(address(number), None)).collect(),
            ..BlockChanges::default()
        };
        let slot = |slot| StorageChange {
            address: address(0),
            slot: U256::from(slot),
            before: U256::ZERO,
            after: U256::from(1),
        };
        changes.storage = (0..1_000).map(slot).collect();
        let mut rest = questions(&changes);
        let mut counts = Vec::new();
        while !rest.is_empty() {
            let fit = fitting(&rest);
            let keys: usize = rest[..fit].iter().map(|account| 1 + account.slots.len()).sum();
            assert!(keys <= MAX_PROVEN_KEYS);
            counts.push(fit);
            rest.drain(..fit);
        }
        assert_eq!(counts, [1, 256, 256, 87]);
    }
}
