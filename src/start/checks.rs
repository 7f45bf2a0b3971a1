//! What must hold between a configuration, a genesis and the keys at hand.

use super::StartError;
use crate::configuration::{Configuration, Owner, Role};
use crate::dev;
use crate::keystore::{Keystore, KeystoreError};
use callboard_chain::genesis::SealedGenesis;
use std::path::PathBuf;

/// The genesis is the pinned one, and has every value that the configuration gives.
pub(super) fn matches(configuration: &Configuration, genesis: &SealedGenesis) -> Result<(), StartError> {
    if let Some(pinned) = configuration.genesis.hash.filter(|pinned| *pinned != genesis.hash()) {
        return Err(differs(configuration, "genesis.hash", format!("\"{pinned}\""), format!("\"{}\"", genesis.hash())));
    }
    let (given, config) = (&configuration.genesis, genesis.config());
    let fork = config.hardfork_at(0).name();
    let text = |text: &dyn std::fmt::Display| format!("\"{text}\"");
    for (key, expected, actual) in [
        ("genesis.chain_name", text(&given.chain_name), text(&config.name)),
        ("genesis.chain_id", given.chain_id.to_string(), config.chain_id.to_string()),
        ("genesis.hardfork", text(&given.hardfork), text(&fork)),
        ("genesis.base_fee", text(&given.base_fee.name()), text(&config.base_fee_policy.name())),
        ("genesis.gas_limit", given.gas_limit.to_string(), config.gas_limit.to_string()),
        ("genesis.max_block_bytes", given.max_block_bytes.to_string(), config.max_block_bytes.to_string()),
        ("genesis.heartbeat_s", given.heartbeat_s.to_string(), config.heartbeat_seconds.to_string()),
    ] {
        if configuration.is_given(key) && expected != actual {
            return Err(differs(configuration, key, expected, actual));
        }
    }
    owner_matches(configuration, genesis)
}

fn owner_matches(configuration: &Configuration, genesis: &SealedGenesis) -> Result<(), StartError> {
    let Some(Owner::Account(owner)) = configuration.genesis.owner else { return Ok(()) };
    let expected = configuration.genesis.owner_balance.0;
    let actual = genesis.genesis().alloc.get(&owner).map(|account| account.balance).unwrap_or_default();
    if actual == expected {
        return Ok(());
    }
    Err(differs(configuration, "genesis.owner_balance", format!("\"{expected}\""), format!("\"{actual}\" for {owner}")))
}

fn differs(configuration: &Configuration, key: &'static str, expected: String, actual: String) -> StartError {
    let origin = configuration.entry(key).map(|entry| entry.origin.to_string()).unwrap_or_default();
    StartError::Differs { origin, key, expected, actual }
}

/// What this node is, by its key and the genesis; refused where the operator expects something else.
pub(super) fn role(configuration: &Configuration, genesis: &SealedGenesis) -> Result<Role, StartError> {
    let authority = genesis.config().authority;
    let keystore = Keystore::new(&configuration.authority.keystore);
    let has_key = configuration.node.dev && dev::key(dev::AUTHORITY_ACCOUNT).address() == authority
        || match keystore.find(authority) {
            Ok(_) => true,
            Err(KeystoreError::NotFound { .. }) => false,
            Err(error) => return Err(error.into()),
        };
    let role = if has_key { Role::Authority } else { Role::Follower };
    let expected = match configuration.node.role {
        None if configuration.node.dev => Some(Role::Authority),
        expected => expected,
    };
    match (expected, role) {
        (Some(Role::Authority), Role::Follower) => {
            Err(StartError::NoAuthorityKey { authority, keystore: keystore.folder().to_owned() })
        }
        (Some(Role::Follower), Role::Authority) => {
            Err(StartError::HasAuthorityKey { authority, keystore: keystore.folder().to_owned() })
        }
        _ => Ok(role),
    }
}

/// A follower without a chain has somewhere to get its genesis from.
pub(super) fn can_fetch(configuration: &Configuration) -> Result<(), StartError> {
    if configuration.peers.seeds.is_empty() {
        return Err(StartError::NothingToStartFrom { data_dir: configuration.node.data_dir.clone() });
    }
    Ok(())
}

/// An authority that has sealed before, and whose chain is gone, must not quietly begin another one.
pub(super) fn never_sealed_before(configuration: &Configuration) -> Result<(), StartError> {
    let files = std::fs::read_dir(&configuration.authority.keystore).into_iter().flatten().flatten();
    let mark =
        files.map(|file| file.path()).find(|path: &PathBuf| path.extension().is_some_and(|end| end == "high-water"));
    match mark {
        Some(mark) if !configuration.node.dev => {
            Err(StartError::ChainLost { mark, data_dir: configuration.node.data_dir.clone() })
        }
        _ => Ok(()),
    }
}
