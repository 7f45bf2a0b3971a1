//! The keys of a development chain: those of the mnemonic that anvil and Hardhat use. Everybody knows them.

use alloy_primitives::{Address, U256};
use callboard_chain::keys::SecretKey;

/// The development mnemonic (BIP-39, no passphrase).
pub const MNEMONIC: &str = "test test test test test test test test test test test junk";
/// Accounts 0 to 9 hold a balance.
pub const FUNDED_ACCOUNTS: u32 = 10;
/// The account whose key seals.
pub const AUTHORITY_ACCOUNT: u32 = 10;

/// What each funded account starts with: 10,000 ether, in wei.
pub fn balance() -> U256 {
    U256::from(10_000u64) * U256::from(10u64).pow(U256::from(18u64))
}

/// The key of account `index`: BIP-32 path m/44'/60'/0'/0/index.
pub fn key(index: u32) -> SecretKey {
    let mut seed = [0u8; 64];
    pbkdf2::pbkdf2_hmac::<sha2::Sha512>(MNEMONIC.as_bytes(), b"mnemonic", 2_048, &mut seed);
    let path = format!("m/44'/60'/0'/0/{index}").parse().expect("a derivation path");
    let key = bip32::XPrv::derive_from_path(seed, &path).expect("the few indexes in use all have keys");
    SecretKey::from_bytes(key.to_bytes()).expect("a derived key is in range")
}

/// The key of an address, where it is one of accounts 0 to 10.
pub fn key_of(address: Address) -> Option<SecretKey> {
    (0..=AUTHORITY_ACCOUNT).map(key).find(|key| key.address() == address)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::address;

    #[test]
    fn accounts_are_those_that_wallets_know() {
        assert_eq!(key(0).address(), address!("f39Fd6e51aad88F6F4ce6aB8827279cffFb92266"));
        assert_eq!(key(1).address(), address!("70997970C51812dc3A010C7d01b50e0d17dc79C8"));
        assert_eq!(key(9).address(), address!("a0Ee7A142d267C1f36714E4a8F75612F20a79720"));
        assert_eq!(key(10).address(), address!("Bcd4042DE499D14e55001CcbB24a551F3b954096"));
    }

    #[test]
    fn only_development_addresses_have_development_keys() {
        assert_eq!(key_of(key(10).address()).expect("account 10").to_bytes(), key(10).to_bytes());
        assert!(key_of(Address::ZERO).is_none());
    }
}
