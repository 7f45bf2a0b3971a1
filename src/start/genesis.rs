//! The genesis of a new chain, from the configuration and the files it names.

use super::{NewKeys, StartError, authority_key, authority_password, owner_password};
use crate::configuration::{Configuration, Owner, Predeploy};
use crate::dev;
use alloy_primitives::Address;
use callboard_chain::config::INITIAL_BASE_FEE;
use callboard_chain::genesis::{CREATE2_DEPLOYER_ADDRESS, Genesis, GenesisAccount, GenesisFile, SealedGenesis};
use callboard_chain::keys::SecretKey;
use callboard_chain::{BaseFeePolicy, ChainConfig};
use serde::de::IgnoredAny;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// The sealed genesis that `genesis.file` names. `None` where it names none, or one that this authority has yet to
/// complete and seal; a follower is refused that.
pub(super) fn read_configured(configuration: &Configuration) -> Result<Option<SealedGenesis>, StartError> {
    let Some(path) = &configuration.genesis.file else { return Ok(None) };
    if super::may_create(configuration) && read_file(path)?.seal().is_none() {
        return Ok(None);
    }
    read_sealed(path, "genesis.file").map(Some)
}

/// A sealed genesis.json.
pub(super) fn read_sealed(path: &Path, key: &'static str) -> Result<SealedGenesis, StartError> {
    SealedGenesis::from_json(&read(path, key)?).map_err(|source| StartError::refused(key, path, source))
}

/// Everything the chain begins with. Keys that do not exist yet are made, in memory.
pub(super) fn build(configuration: &Configuration, keys: &mut NewKeys) -> Result<Genesis, StartError> {
    let authority = first_authority_key(configuration, keys)?;
    let mut genesis = complete(configuration, authority.address())?;
    let named = genesis.config.authority;
    if named != authority.address() {
        // The file says who seals.
        keys.to_keep.clear();
        keys.authority = Some(authority_key(configuration, named)?);
    }
    if configuration.node.dev {
        for index in 0..dev::FUNDED_ACCOUNTS {
            let funded = GenesisAccount { balance: dev::balance(), ..GenesisAccount::default() };
            genesis.alloc.entry(dev::key(index).address()).or_insert(funded);
        }
    }
    check_accounts(configuration, &genesis.alloc)?;
    add_owner(configuration, keys, &mut genesis.alloc)?;
    Ok(add_predeploys(configuration, genesis))
}

/// Checks everything, and seals.
pub(super) fn seal(
    configuration: &Configuration,
    genesis: Genesis,
    key: &SecretKey,
) -> Result<SealedGenesis, StartError> {
    SealedGenesis::seal(genesis, key).map_err(|source| match &configuration.genesis.file {
        Some(path) => StartError::refused("genesis.file", path, source),
        None => StartError::Genesis { source },
    })
}

fn first_authority_key(configuration: &Configuration, keys: &mut NewKeys) -> Result<SecretKey, StartError> {
    let key = match configuration.authority.address {
        _ if configuration.node.dev => dev::key(dev::AUTHORITY_ACCOUNT),
        Some(address) => authority_key(configuration, address)?,
        None => keys.make(&authority_password(configuration))?,
    };
    keys.authority = Some(key.clone());
    Ok(key)
}

fn complete(configuration: &Configuration, authority: Address) -> Result<Genesis, StartError> {
    let config = chain_config(configuration, authority);
    let timestamp = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    if let Some(path) = &configuration.genesis.file {
        let completed = read_file(path)?.complete(config, timestamp);
        return completed.map_err(|source| StartError::refused("genesis.file", path, source));
    }
    let alloc = match &configuration.genesis.alloc {
        Some(path) => read_alloc(path)?,
        None => BTreeMap::new(),
    };
    Ok(Genesis { config, timestamp, alloc })
}

fn chain_config(configuration: &Configuration, authority: Address) -> ChainConfig {
    let genesis = &configuration.genesis;
    ChainConfig {
        chain_id: genesis.chain_id,
        name: genesis.chain_name.clone(),
        authority,
        forks: vec![(genesis.hardfork, 0)],
        base_fee_policy: genesis.base_fee,
        initial_base_fee: match genesis.base_fee {
            BaseFeePolicy::Zero => 0,
            BaseFeePolicy::Eip1559 => INITIAL_BASE_FEE,
        },
        gas_limit: genesis.gas_limit,
        max_block_bytes: genesis.max_block_bytes,
        heartbeat_seconds: genesis.heartbeat_s,
    }
}

/// An account that holds nothing is a slip: most likely its balance was forgotten.
fn check_accounts(configuration: &Configuration, alloc: &BTreeMap<Address, GenesisAccount>) -> Result<(), StartError> {
    match alloc.iter().find(|(_, account)| account.account().is_empty()) {
        None => Ok(()),
        Some((&address, _)) => {
            let genesis = &configuration.genesis;
            let path = genesis.file.as_ref().or(genesis.alloc.as_ref()).cloned().unwrap_or_default();
            Err(StartError::ZeroBalance { path, address })
        }
    }
}

fn add_owner(
    configuration: &Configuration,
    keys: &mut NewKeys,
    alloc: &mut BTreeMap<Address, GenesisAccount>,
) -> Result<(), StartError> {
    let owner = match configuration.genesis.owner {
        None => return Ok(()),
        Some(Owner::Account(address)) => address,
        Some(Owner::Create) => keys.make(&owner_password(configuration))?.address(),
    };
    keys.owner = Some(owner);
    let account = alloc.entry(owner).or_default();
    if !account.balance.is_zero() {
        return Err(StartError::OwnerTwice { owner, balance: account.balance });
    }
    account.balance = configuration.genesis.owner_balance.0;
    Ok(())
}

fn add_predeploys(configuration: &Configuration, genesis: Genesis) -> Genesis {
    let own_deployer = genesis.alloc.get(&CREATE2_DEPLOYER_ADDRESS).cloned();
    let mut genesis = genesis.with_predeploys();
    if !configuration.genesis.predeploys.contains(&Predeploy::Create2) {
        match own_deployer {
            Some(account) => genesis.alloc.insert(CREATE2_DEPLOYER_ADDRESS, account),
            None => genesis.alloc.remove(&CREATE2_DEPLOYER_ADDRESS),
        };
    }
    genesis
}

fn read_file(path: &Path) -> Result<GenesisFile, StartError> {
    let bytes = read(path, "genesis.file")?;
    GenesisFile::from_json(&bytes).map_err(|source| StartError::refused("genesis.file", path, source))
}

/// The accounts of a bare alloc, or of a whole genesis.
fn read_alloc(path: &Path) -> Result<BTreeMap<Address, GenesisAccount>, StartError> {
    let bytes = read(path, "genesis.alloc")?;
    let refused = |source| StartError::refused("genesis.alloc", path, source);
    let keys: BTreeMap<String, IgnoredAny> = serde_json::from_slice(&bytes).map_err(|error| refused(error.into()))?;
    match keys.contains_key("alloc") {
        true => Ok(GenesisFile::from_json(&bytes).map_err(refused)?.alloc().clone()),
        false => GenesisFile::alloc_from_json(&bytes).map_err(refused),
    }
}

fn read(path: &Path, key: &'static str) -> Result<Vec<u8>, StartError> {
    std::fs::read(path).map_err(|source| StartError::Unreadable { key, path: path.to_owned(), source })
}
