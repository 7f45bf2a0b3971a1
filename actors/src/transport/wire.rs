//! The JSON bodies of the peer protocol, and its limits.

use super::{ChainFacts, NodeId, PeerUrl, SealedHead};
use crate::callboard::Role;
use alloy_primitives::{Address, B256, Bytes, U256};
use callboard_chain::{AccountProof, genesis};
use serde::{Deserialize, Serialize};

/// Header in which a node that asks for a status says its own clock, unix milliseconds: the one that is asked may have no
/// way to ask back. A node that leaves it out is not measured.
pub const TIME_HEADER: &str = "callboard-time";
/// Request header that carries the session token.
pub const SESSION_HEADER: &str = "callboard-session";
/// Longest `genesis.json` a node serves or fetches: about a million accounts.
pub const MAX_GENESIS_BYTES: u64 = genesis::MAX_JSON_BYTES as u64;
/// Longest status, bytes; a header has about 600.
pub const MAX_STATUS_BYTES: u64 = 8 << 10;
/// Most addresses in one exchange.
pub const MAX_ADDRESSES: usize = 64;
/// Longest list of addresses, bytes.
pub const MAX_ADDRESSES_BYTES: u64 = 64 << 10;
/// Most transactions in one request.
pub const MAX_TRANSACTIONS: usize = 1_024;
/// Longest request with transactions, bytes: eight of the largest, or a thousand of the usual size.
pub const MAX_TRANSACTIONS_BYTES: u64 = 1 << 20;
/// Longest transaction, bytes (as in the pool and in blocks).
pub const MAX_TRANSACTION_BYTES: u64 = 128 << 10;
/// Longest answer to transactions, bytes.
pub const MAX_ANSWERS_BYTES: u64 = 1 << 20;
/// Most accounts and slots in one question for proofs.
pub const MAX_PROVEN_KEYS: usize = 256;
/// Longest question for proofs, bytes.
pub const MAX_PROOF_QUESTION_BYTES: u64 = 64 << 10;
/// Trie nodes in an answer, bytes; a usual key takes 4 KiB of them. As JSON they are twice as long.
pub const MAX_PROOF_NODES: usize = 3 << 20;
/// Longest answer with proofs, bytes.
pub const MAX_PROOF_BYTES: u64 = 8 << 20;
/// Longest list of a block's receipts, bytes: a gas limit of 30 million pays for half of it.
pub const MAX_RECEIPTS_BYTES: u64 = 8 << 20;
/// Longest refusal that is read, bytes.
pub const MAX_REFUSAL_BYTES: u64 = 8 << 10;
/// Longest reason that is passed on, characters: a sentence.
pub const MAX_REASON: usize = 500;

/// Answer to `GET status`: what a node says of its chain. Needs no session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StatusBody {
    /// Version of the peer protocol.
    pub version: u32,
    /// Who answers.
    pub node_id: NodeId,
    /// What it says it is.
    pub role: Role,
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// Hash of block 0.
    pub genesis_hash: B256,
    /// Height of its head.
    pub height: u64,
    /// Hash of its head.
    pub hash: B256,
    /// Timestamp of its head, unix seconds.
    pub timestamp: u64,
    /// RLP of its head's header, from which the three before can be checked.
    pub header: Bytes,
    /// Seal over its head.
    pub seal: Bytes,
    /// Its clock as it answers, unix milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_ms: Option<u64>,
}

/// Body of `POST status`: the head of the node that sends it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShownHead {
    /// RLP of its header.
    pub header: Bytes,
    /// Seal over it.
    pub seal: Bytes,
}

/// Body of `POST proof`: prove these accounts and slots under the state root of a block.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProofQuestion {
    /// The block's height.
    pub height: u64,
    /// Its hash.
    pub hash: B256,
    /// Together at most [`MAX_PROVEN_KEYS`] accounts and slots.
    pub accounts: Vec<AccountQuestion>,
}

/// See [`ProofQuestion`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccountQuestion {
    /// Which account.
    pub address: Address,
    /// Which of its slots.
    pub slots: Vec<U256>,
}

/// Answer to `POST proof`: in the order of the question, as many from the first on as fit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProofBody {
    /// One for each account.
    pub accounts: Vec<AccountProof>,
}

impl ProofBody {
    /// Whether these are the first accounts of the question, at least one, each with all slots that were asked for: a
    /// slot that is left out would pass as one that does not differ.
    pub fn answers(&self, question: &ProofQuestion) -> bool {
        let is_of = |(asked, proven): (&AccountQuestion, &AccountProof)| {
            asked.address == proven.address && proven.slots.iter().map(|proof| &proof.slot).eq(&asked.slots)
        };
        (1..=question.accounts.len()).contains(&self.accounts.len())
            && question.accounts.iter().zip(&self.accounts).all(is_of)
    }
}

/// One peer's address.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PeerAddress {
    /// Who is said to answer there.
    pub node_id: NodeId,
    /// Where.
    pub url: PeerUrl,
}

/// Answer to `GET peers`, body of `POST peers`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddressesBody {
    /// At most [`MAX_ADDRESSES`].
    pub peers: Vec<PeerAddress>,
}

/// What a node did with one transaction that a peer sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TransactionAnswer {
    /// Hash of the transaction's bytes.
    pub hash: B256,
    /// What was done.
    #[serde(flatten)]
    pub result: TransactionResult,
}

/// See [`TransactionAnswer`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "result", rename_all = "lowercase")]
pub enum TransactionResult {
    /// Into the pool.
    Taken,
    /// In the pool already.
    Known,
    /// Not taken.
    Refused {
        /// Why, for people.
        reason: String,
        /// Whether it may be taken when it is sent again later: the pool is full, or the node is catching up.
        #[serde(default)]
        later: bool,
        /// The height of the block that has it already, if that is why: who sent it again will get that block.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        confirmed: Option<u64>,
    },
}

/// Answer to `POST transactions`, in the order of the request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnswersBody {
    /// One for each transaction.
    pub answers: Vec<TransactionAnswer>,
}

/// Body of every answer that is no success.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusalBody {
    /// Why.
    pub error: Refusal,
}

/// Why a request was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Refusal {
    /// A short name, for programs.
    pub code: String,
    /// A sentence, for people.
    pub message: String,
    /// With code `wrong_chain`: hash of the refusing node's genesis block.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub genesis_hash: Option<B256>,
    /// With code `wrong_chain`: what the refusing node's chain is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chain: Option<ChainFacts>,
}

impl From<&SealedHead> for ShownHead {
    fn from(head: &SealedHead) -> Self {
        let seal = Bytes::copy_from_slice(&head.seal().0);
        Self { header: alloy_rlp::encode(head.header()).into(), seal }
    }
}

impl StatusBody {
    /// The status of a node whose head is `head`, without the time.
    pub fn new(node_id: NodeId, role: Role, chain_id: u64, genesis_hash: B256, head: &SealedHead) -> Self {
        Self {
            version: super::hello::PROTOCOL_VERSION,
            node_id,
            role,
            chain_id,
            genesis_hash,
            height: head.height(),
            hash: head.hash(),
            timestamp: head.timestamp(),
            header: alloy_rlp::encode(head.header()).into(),
            seal: Bytes::copy_from_slice(&head.seal().0),
            time_ms: None,
        }
    }
}

/// Text from outside for a log line or an error: without control characters, and at most [`MAX_REASON`] characters.
pub fn printable(text: &str) -> String {
    text.chars().take(MAX_REASON).map(|char| if char.is_control() { ' ' } else { char }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use callboard_chain::SlotProof;

    fn question(accounts: &[(u8, &[u64])]) -> ProofQuestion {
        let account = |(address, slots): &(u8, &[u64])| AccountQuestion {
            address: Address::repeat_byte(*address),
            slots: slots.iter().copied().map(U256::from).collect(),
        };
        ProofQuestion { height: 1, hash: B256::ZERO, accounts: accounts.iter().map(account).collect() }
    }

    fn body(accounts: &[(u8, &[u64])]) -> ProofBody {
        let slot = |slot: &u64| SlotProof { slot: U256::from(*slot), value: U256::ZERO, nodes: Vec::new() };
        let account = |(address, slots): &(u8, &[u64])| AccountProof {
            address: Address::repeat_byte(*address),
            account: None,
            nodes: Vec::new(),
            slots: slots.iter().map(slot).collect(),
        };
        ProofBody { accounts: accounts.iter().map(account).collect() }
    }

    #[test]
    fn proofs_that_leave_a_slot_out_or_are_of_others_answer_no_question() {
        let asked = question(&[(1, &[5, 6]), (2, &[])]);
        let whole: &[(u8, &[u64])] = &[(1, &[5, 6]), (2, &[])];
        assert!(body(whole).answers(&asked) && body(&whole[..1]).answers(&asked));
        let wrong: [&[(u8, &[u64])]; 7] = [
            &[],
            &[(1, &[5])],
            &[(1, &[6, 5])],
            &[(1, &[5, 6, 7])],
            &[(2, &[])],
            &[(1, &[5, 6]), (3, &[])],
            &[(1, &[5, 6]), (2, &[]), (2, &[])],
        ];
        for proven in wrong {
            assert!(!body(proven).answers(&asked), "{proven:?}");
        }
    }
}
