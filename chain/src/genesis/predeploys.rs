//! Contracts that a new chain has from the beginning.

use super::GenesisAccount;
use alloy_eips::{
    eip2935::{HISTORY_STORAGE_ADDRESS, HISTORY_STORAGE_CODE},
    eip4788::{BEACON_ROOTS_ADDRESS, BEACON_ROOTS_CODE},
};
use alloy_primitives::{Address, Bytes, U256, address, bytes};
use std::collections::BTreeMap;

/// The CREATE2 deployer that most tools expect at the same address on every chain.
pub const CREATE2_DEPLOYER_ADDRESS: Address = address!("4e59b44847b379578588920cA78FbF26c0B4956C");

const CREATE2_DEPLOYER_CODE: Bytes = bytes!(
    "7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffe03601600081602082378035828234"
    "f58015156039578182fd5b8082525050506014600cf3"
);

/// The beacon roots contract (EIP-4788), the block hash history (EIP-2935) and the CREATE2 deployer, each with nonce
/// 1 as if it had been deployed.
pub fn predeploys() -> BTreeMap<Address, GenesisAccount> {
    let contract = |code| GenesisAccount { balance: U256::ZERO, nonce: 1, code, storage: BTreeMap::new() };
    BTreeMap::from([
        (BEACON_ROOTS_ADDRESS, contract(BEACON_ROOTS_CODE.clone())),
        (HISTORY_STORAGE_ADDRESS, contract(HISTORY_STORAGE_CODE.clone())),
        (CREATE2_DEPLOYER_ADDRESS, contract(CREATE2_DEPLOYER_CODE)),
    ])
}
