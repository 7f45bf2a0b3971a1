//! What a block did, proven: accounts and slots under its state root, and its receipts.

use super::refused::Refused;
use crate::transport::wire::{AccountQuestion, MAX_PROOF_NODES, MAX_PROVEN_KEYS, ProofBody, ProofQuestion};
use actix_web::http::StatusCode;
use alloy_primitives::B256;
use callboard_store::{ProvableError, Snapshot, StorageError, Store};

/// Proves what is asked for, or as much from its beginning on as one answer holds.
pub(super) fn prove(store: &Store, question: &ProofQuestion) -> Result<ProofBody, Refused> {
    let keys: usize = question.accounts.iter().map(|account| account.slots.len().saturating_add(1)).sum();
    if keys > MAX_PROVEN_KEYS {
        return Err(Refused::malformed(format!("{keys} keys are asked for; at most {MAX_PROVEN_KEYS} are allowed")));
    }
    let snapshot = block(store, question.height, question.hash)?;
    let mut state = snapshot.provable_state(question.height).map_err(refused)?;
    let (mut accounts, mut bytes) = (Vec::new(), 0);
    for AccountQuestion { address, slots } in &question.accounts {
        let proof = state.prove(*address, slots).map_err(refused)?;
        bytes += proof.node_bytes();
        if bytes > MAX_PROOF_NODES && !accounts.is_empty() {
            break;
        }
        accounts.push(proof);
    }
    Ok(ProofBody { accounts })
}

/// RLP of the list of a block's receipts, without their blooms.
pub(super) fn receipts(store: &Store, height: u64, hash: B256) -> Result<Vec<u8>, Refused> {
    let receipts = block(store, height, hash)?.receipts(height).map_err(Refused::internal)?;
    let receipts = receipts.ok_or_else(|| Refused::internal(format!("the receipts of block {height} are missing")))?;
    let mut list = Vec::new();
    alloy_rlp::encode_list(&receipts, &mut list);
    Ok(list)
}

/// The chain as of now, where it has that block.
fn block(store: &Store, height: u64, hash: B256) -> Result<Snapshot, Refused> {
    let snapshot = store.snapshot().map_err(Refused::internal)?;
    match snapshot.hash_of(height).map_err(|error: StorageError| Refused::internal(error))? {
        Some(ours) if ours == hash => Ok(snapshot),
        Some(ours) => Err(no_such_block(format!("block {height} is {ours} here"))),
        None => Err(no_such_block(format!("block {height} is ahead of the head {}", snapshot.head().height))),
    }
}

fn no_such_block(message: String) -> Refused {
    Refused::new(StatusCode::NOT_FOUND, "no_such_block", message)
}

fn refused(error: ProvableError) -> Refused {
    if error.is_refusal() {
        return Refused::new(StatusCode::CONFLICT, "not_provable", error);
    }
    Refused::internal(error)
}
