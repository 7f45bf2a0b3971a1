//! `eth_getProof` (EIP-1186).

use super::block_or_latest;
use super::param::{Quantity, Slot};
use crate::rpc_frontend::jsonrpc::{Params, RpcError, RpcResult};
use crate::rpc_frontend::server::Frontend;
use crate::rpc_frontend::view::View;
use alloy_eips::BlockId;
use alloy_primitives::{Address, B256, Bytes, U256};
use callboard_chain::{AccountProof, SlotProof};
use callboard_store::ProvableError;
use serde::{Deserialize, Deserializer, Serialize};

/// Most slots of one call, as in geth.
const MAX_SLOTS: usize = 1_024;

/// A slot, and whether it was written as a whole word: the answer repeats the form of the question.
struct Key {
    slot: U256,
    is_word: bool,
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let is_word = text.len() == 66;
        let Slot(slot) = Slot::deserialize(serde::de::value::StringDeserializer::new(text))?;
        Ok(Self { slot, is_word })
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    address: Address,
    account_proof: Vec<Bytes>,
    balance: U256,
    code_hash: B256,
    nonce: Quantity,
    storage_hash: B256,
    storage_proof: Vec<StorageAnswer>,
}

#[derive(Serialize)]
struct StorageAnswer {
    key: Form,
    value: U256,
    proof: Vec<Bytes>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Form {
    Word(B256),
    Number(U256),
}

/// Account and slots with the trie nodes that prove them under a block's state root.
pub(super) async fn proof(frontend: &Frontend, params: &Params<'_>) -> RpcResult {
    let address: Address = params.required(0, "address")?;
    let keys: Vec<Key> = params.required(1, "storage keys")?;
    let block = block_or_latest(params, 2)?;
    if keys.len() > MAX_SLOTS {
        let message = format!("too many keys: {} are asked for, at most {MAX_SLOTS} are allowed", keys.len());
        return Err(RpcError::invalid_params(message));
    }
    frontend.computed(move |view| prove(&view, address, &keys, block)).await
}

fn prove(view: &View, address: Address, keys: &[Key], block: BlockId) -> Result<Answer, RpcError> {
    let height = view.height(block)?;
    let slots: Vec<U256> = keys.iter().map(|key| key.slot).collect();
    let proven = view.snapshot.provable_state(height).and_then(|mut state| state.prove(address, &slots));
    Ok(answer(proven.map_err(refused)?, keys))
}

fn answer(proof: AccountProof, keys: &[Key]) -> Answer {
    let AccountProof { address, account, nodes, slots } = proof;
    // One that does not exist reads as empty, as Ethereum's standard has it; the nodes prove that it is not there.
    let account = account.unwrap_or_default();
    let storage = |(key, SlotProof { slot, value, nodes }): (&Key, SlotProof)| StorageAnswer {
        key: if key.is_word { Form::Word(slot.into()) } else { Form::Number(slot) },
        value,
        proof: nodes,
    };
    Answer {
        address,
        account_proof: nodes,
        balance: account.balance,
        code_hash: account.code_hash,
        nonce: Quantity::from(account.nonce),
        storage_hash: account.storage_root,
        storage_proof: keys.iter().zip(slots).map(storage).collect(),
    }
}

fn refused(error: ProvableError) -> RpcError {
    if error.is_refusal() {
        return RpcError::refused(error.to_string());
    }
    tracing::error!(%error, "a proof could not be made");
    RpcError::internal("this node could not prove its own state")
}
