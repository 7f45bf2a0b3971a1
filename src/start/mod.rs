//! What a node starts from: its chain, its role and its key.
//!
//! [`open`] is the start of `callboard node`: it opens the chain that is there, or makes it from a genesis file, or,
//! for an authority's first start, from the configuration. [`create`] is `callboard init`. [`adopt`] makes the chain
//! of a follower that has fetched its genesis. All of them check pin, given values and role before they write.

pub(crate) mod chain_files;
mod checks;
mod error;
mod genesis;
#[cfg(test)]
mod tests;

pub(crate) use chain_files::repair_path;
pub use error::StartError;

use crate::configuration::{Configuration, Owner, Role};
use crate::dev;
use crate::keystore::{Keystore, Password, PasswordSource, ScryptCost};
use alloy_primitives::{Address, B256};
use callboard_chain::genesis::SealedGenesis;
use callboard_chain::keys::SecretKey;
use callboard_store::{Store, StoreWriter};

/// What a node starts from.
#[derive(Debug)]
pub struct Start {
    /// What this node is.
    pub role: Role,
    /// The key that seals, for an authority.
    pub key: Option<SecretKey>,
    /// The chain; `None` where a follower has to fetch the genesis from its seeds first.
    pub chain: Option<Chain>,
    /// What was made, where this is the chain's very first start.
    pub created: Option<Created>,
}

/// An open chain.
#[derive(Debug)]
pub struct Chain {
    /// Its genesis.
    pub genesis: SealedGenesis,
    /// Its database.
    pub store: Store,
    /// The database's one writer.
    pub writer: StoreWriter,
}

/// What the first start of an authority made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Created {
    /// The hash of the new genesis.
    pub genesis_hash: B256,
    /// The authority.
    pub authority: Address,
    /// The owner of the initial balance, if there is one.
    pub owner: Option<Address>,
}

/// Opens what the configuration describes, making what a first start makes.
pub fn open(configuration: &Configuration) -> Result<Start, StartError> {
    if configuration.chain_path().exists() {
        return open_existing(configuration);
    }
    // A first start that was killed, or a database that was deleted, has left the genesis.
    let kept = configuration.genesis_path();
    if kept.exists() {
        return adopt(configuration, genesis::read_sealed(&kept, "node.data_dir")?);
    }
    if let Some(genesis) = genesis::read_configured(configuration)? {
        return adopt(configuration, genesis);
    }
    if !may_create(configuration) {
        checks::can_fetch(configuration)?;
        return Ok(Start { role: Role::Follower, key: None, chain: None, created: None });
    }
    checks::never_sealed_before(configuration)?;
    create(configuration)
}

/// Opens the chain that is there without its authority's key, for commands that work on a stopped node.
pub fn open_stopped(configuration: &Configuration) -> Result<(Role, Chain), StartError> {
    if !configuration.chain_path().exists() {
        return Err(StartError::NothingToStartFrom { data_dir: configuration.node.data_dir.clone() });
    }
    let chain = chain_files::open(configuration)?;
    checks::matches(configuration, &chain.genesis)?;
    Ok((checks::role(configuration, &chain.genesis)?, chain))
}

/// Opens the chain that is there for a repair: nothing of it has been checked but its genesis.
pub fn open_damaged(configuration: &Configuration) -> Result<Chain, StartError> {
    if !configuration.chain_path().exists() {
        return Err(StartError::NothingToStartFrom { data_dir: configuration.node.data_dir.clone() });
    }
    let chain = chain_files::open_damaged(configuration)?;
    checks::matches(configuration, &chain.genesis)?;
    Ok(chain)
}

/// As [`open_stopped`]; where there is no chain yet, it is made from the genesis.json in the data folder or the one
/// that `genesis.file` names.
pub fn open_or_adopt_stopped(configuration: &Configuration) -> Result<(Role, Chain), StartError> {
    if configuration.chain_path().exists() {
        return open_stopped(configuration);
    }
    let kept = configuration.genesis_path();
    let genesis = match kept.exists() {
        true => Some(genesis::read_sealed(&kept, "node.data_dir")?),
        false => genesis::read_configured(configuration)?,
    };
    let nothing = || StartError::NothingToStartFrom { data_dir: configuration.node.data_dir.clone() };
    let genesis = genesis.ok_or_else(nothing)?;
    checks::matches(configuration, &genesis)?;
    let role = checks::role(configuration, &genesis)?;
    Ok((role, chain_files::create(configuration, genesis)?))
}

/// Makes a new chain. Refuses where there is one.
pub fn create(configuration: &Configuration) -> Result<Start, StartError> {
    for path in [configuration.chain_path(), configuration.genesis_path()] {
        if path.exists() {
            return Err(StartError::Exists { path });
        }
    }
    if let Some(genesis) = genesis::read_configured(configuration)? {
        return adopt(configuration, genesis);
    }
    if !may_create(configuration) {
        return Err(StartError::NotAnAuthority);
    }
    let mut keys = NewKeys::default();
    let unsealed = genesis::build(configuration, &mut keys)?;
    let key = keys.authority.clone().ok_or(StartError::NotAnAuthority)?;
    let genesis = genesis::seal(configuration, unsealed, &key)?;
    checks::matches(configuration, &genesis)?;
    let created =
        Created { genesis_hash: genesis.hash(), authority: key.address(), owner: keys.owner_address(configuration) };
    keys.keep(configuration)?;
    let chain = chain_files::create(configuration, genesis)?;
    Ok(Start { role: Role::Authority, key: Some(key), chain: Some(chain), created: Some(created) })
}

/// Makes the chain of a sealed genesis from elsewhere: a file, or a peer.
pub fn adopt(configuration: &Configuration, genesis: SealedGenesis) -> Result<Start, StartError> {
    checks::matches(configuration, &genesis)?;
    let (role, key) = role_and_key(configuration, &genesis)?;
    let chain = chain_files::create(configuration, genesis)?;
    Ok(Start { role, key, chain: Some(chain), created: None })
}

fn open_existing(configuration: &Configuration) -> Result<Start, StartError> {
    let chain = chain_files::open(configuration)?;
    checks::matches(configuration, &chain.genesis)?;
    let (role, key) = role_and_key(configuration, &chain.genesis)?;
    Ok(Start { role, key, chain: Some(chain), created: None })
}

/// Only a node that is meant to be an authority makes a chain.
fn may_create(configuration: &Configuration) -> bool {
    configuration.node.dev || configuration.node.role == Some(Role::Authority)
}

fn role_and_key(
    configuration: &Configuration,
    genesis: &SealedGenesis,
) -> Result<(Role, Option<SecretKey>), StartError> {
    match checks::role(configuration, genesis)? {
        Role::Follower => Ok((Role::Follower, None)),
        Role::Authority => {
            let authority = genesis.config().authority;
            Ok((Role::Authority, Some(authority_key(configuration, authority)?)))
        }
    }
}

/// The authority's key, from the development mnemonic or the keystore.
fn authority_key(configuration: &Configuration, authority: Address) -> Result<SecretKey, StartError> {
    let development = configuration.node.dev.then(|| dev::key(dev::AUTHORITY_ACCOUNT));
    if let Some(key) = development.filter(|key| key.address() == authority) {
        return Ok(key);
    }
    let keystore = Keystore::new(&configuration.authority.keystore);
    // A keystore without the key is said before a password is asked for.
    keystore.find(authority)?;
    Ok(keystore.unlock(authority, &authority_password(configuration).read()?)?)
}

fn authority_password(configuration: &Configuration) -> PasswordSource<'_> {
    PasswordSource {
        what: "the authority's key",
        variable: "CALLBOARD_AUTHORITY_PASSWORD",
        key: "authority.password_file",
        file: configuration.authority.password_file.as_deref(),
    }
}

fn owner_password(configuration: &Configuration) -> PasswordSource<'_> {
    PasswordSource {
        what: "the owner's key",
        variable: "CALLBOARD_OWNER_PASSWORD",
        key: "genesis.owner_password_file",
        file: configuration.genesis.owner_password_file.as_deref(),
    }
}

/// Keys of a chain that is being made. Those that are new are in memory only, until everything else is known to be
/// right.
#[derive(Default)]
struct NewKeys {
    authority: Option<SecretKey>,
    to_keep: Vec<(SecretKey, Password)>,
    owner: Option<Address>,
}

impl NewKeys {
    fn make(&mut self, password: &PasswordSource<'_>) -> Result<SecretKey, StartError> {
        let password = password.read_new()?;
        let key = SecretKey::random(getrandom::fill).map_err(crate::keystore::KeystoreError::from)?;
        self.to_keep.push((key.clone(), password));
        Ok(key)
    }

    fn owner_address(&self, configuration: &Configuration) -> Option<Address> {
        match configuration.genesis.owner {
            Some(Owner::Account(address)) => Some(address),
            Some(Owner::Create) | None => self.owner,
        }
    }

    fn keep(&self, configuration: &Configuration) -> Result<(), StartError> {
        let keystore = Keystore::new(&configuration.authority.keystore).with_cost(ScryptCost::STANDARD);
        for (key, password) in &self.to_keep {
            keystore.import(key, password)?;
        }
        Ok(())
    }
}
