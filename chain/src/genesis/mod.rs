//! Block 0: what a chain begins with, as geth's `genesis.json` with the committed values and a seal added.

mod account;
mod difference;
mod error;
mod file;
mod json;
mod predeploys;
mod quantity;
mod sealed;

pub use account::GenesisAccount;
pub use difference::{Difference, described, differences};
pub use error::GenesisError;
pub use file::GenesisFile;
pub use predeploys::{CREATE2_DEPLOYER_ADDRESS, predeploys};
pub use sealed::SealedGenesis;

use crate::ChainConfig;
use alloy_eips::{eip7002::WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS, eip7251::CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS};
use alloy_primitives::{Address, U256};
use std::collections::BTreeMap;

/// Most accounts of a genesis: a million, and room for those that are added to them (predeploys, an owner).
pub const MAX_ACCOUNTS: usize = 1 << 20;

/// Longest `genesis.json`, bytes: what a follower fetches in one go. A million accounts with balances only take 130 MB.
pub const MAX_JSON_BYTES: usize = 256 << 20;

/// Everything a chain begins with; complete, but not yet sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Genesis {
    /// The values that every header commits to.
    pub config: ChainConfig,
    /// Block 0's timestamp, seconds since the Unix epoch.
    pub timestamp: u64,
    /// The accounts of the state at block 0.
    pub alloc: BTreeMap<Address, GenesisAccount>,
}

impl Genesis {
    /// Adds the [`predeploys`]: an account that has code already stays as it is, one that has a balance keeps it.
    pub fn with_predeploys(mut self) -> Self {
        for (address, predeploy) in predeploys() {
            let account = self.alloc.entry(address).or_default();
            if account.code.is_empty() {
                account.code = predeploy.code;
                account.nonce = account.nonce.max(predeploy.nonce);
            }
        }
        self
    }

    /// Checks the configuration and the accounts.
    pub fn validate(&self) -> Result<(), GenesisError> {
        self.config.validate()?;
        if self.alloc.len() > MAX_ACCOUNTS {
            return Err(GenesisError::TooManyAccounts { limit: MAX_ACCOUNTS, actual: self.alloc.len() });
        }
        self.check_requests_contracts()?;
        self.check_storage()?;
        self.check_supply()
    }

    /// Requests to a consensus layer have nobody to go to: their contracts must not be there.
    fn check_requests_contracts(&self) -> Result<(), GenesisError> {
        for (address, eip) in
            [(WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS, 7002), (CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS, 7251)]
        {
            if self.alloc.get(&address).is_some_and(|account| !account.code.is_empty()) {
                return Err(GenesisError::RequestsContract { address, eip });
            }
        }
        Ok(())
    }

    /// Only contracts have storage.
    fn check_storage(&self) -> Result<(), GenesisError> {
        let bare = |account: &GenesisAccount| account.code.is_empty() && account.nonce == 0;
        match self.alloc.iter().find(|(_, account)| bare(account) && account.slots().next().is_some()) {
            Some((&address, _)) => Err(GenesisError::StorageWithoutContract { address }),
            None => Ok(()),
        }
    }

    /// All balances together fit 256 bits, so that no transfer can ever overflow one.
    fn check_supply(&self) -> Result<(), GenesisError> {
        let mut supply = U256::ZERO;
        for (address, account) in &self.alloc {
            supply = supply
                .checked_add(account.balance)
                .ok_or(GenesisError::SupplyOverflow { address: *address, balance: account.balance })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
