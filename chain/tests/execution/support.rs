//! Accounts, code and transactions that the tests share.

use crate::memory::{Described, MemoryState};
use alloy_consensus::{SignableTransaction, TxEip1559, TxEip7702, TxLegacy};
use alloy_eips::eip7702::{Authorization, SignedAuthorization};
use alloy_primitives::{Address, B256, Bytes, Signature, TxKind, U256, address, hex};
use callboard_chain::execution::BlockContext;
use callboard_chain::{Hardfork, SecretKey, Transaction};

pub(crate) const ALICE: Address = address!("00000000000000000000000000000000000a11ce");
pub(crate) const BOB: Address = address!("0000000000000000000000000000000000000b0b");
pub(crate) const AUTHORITY: Address = address!("000000000000000000000000000000000000a070");
pub(crate) const CONTRACT: Address = address!("00000000000000000000000000000000000c0de1");
pub(crate) const OTHER_CONTRACT: Address = address!("00000000000000000000000000000000000c0de2");
pub(crate) const ETHER: u128 = 1_000_000_000_000_000_000;
pub(crate) const CHAIN_ID: u64 = 1337;
pub(crate) const BASE_FEE: u64 = 7;

/// Stores the first word of the calldata in slot 0.
pub(crate) const STORE_INPUT: &str = "5f355f5500";
/// Logs 42 under the topic 7.
pub(crate) const LOG: &str = "602a5f52600760205fa100";
/// Sends its balance to the caller and asks to be destroyed.
pub(crate) const SELFDESTRUCT: &str = "33ff";
/// Never ends.
pub(crate) const LOOP: &str = "5b5f56";
/// Writes 1 into slots 1 to 5.
pub(crate) const WRITE_FIVE_SLOTS: &str = "60016001556001600255600160035560016004556001600555";

/// Code that returns the word that `code` leaves on the stack.
pub(crate) fn returning(code: &str) -> String {
    format!("{code}5f5260205ff3")
}

/// Code that reverts with these bytes.
pub(crate) fn reverting(output: &[u8]) -> String {
    format!("60{0:02x}600a5f3960{0:02x}5ffd{1}", output.len(), hex::encode(output))
}

/// The code of [`LOG`], and then a revert with these bytes.
pub(crate) fn logging_and_reverting(output: &[u8]) -> String {
    format!("602a5f52600760205fa160{0:02x}60145f3960{0:02x}5ffd{1}", output.len(), hex::encode(output))
}

/// Init code that deploys this code.
pub(crate) fn deploying(code: &str) -> String {
    format!("60{0:02x}600a5f3960{0:02x}5ff3{code}", code.len() / 2)
}

/// Code that passes all its gas on to a contract and reverts where that fails.
pub(crate) fn calling(contract: Address) -> String {
    format!("5f5f5f5f5f73{}5af115602157005b5f5ffd", hex::encode(contract))
}

/// The output of Solidity's `revert("…")`, for texts of at most 32 bytes.
pub(crate) fn solidity_error(text: &str) -> Vec<u8> {
    let mut output = vec![0x08, 0xc3, 0x79, 0xa0];
    output.extend(U256::from(32).to_be_bytes::<32>());
    output.extend(U256::from(text.len()).to_be_bytes::<32>());
    output.extend(text.as_bytes());
    output.resize(4 + 96, 0);
    output
}

pub(crate) fn code(hexadecimal: &str) -> Bytes {
    hex::decode(hexadecimal).expect("hexadecimal").into()
}

pub(crate) fn with_code(hexadecimal: &str) -> Described {
    Described { nonce: 1, code: code(hexadecimal), ..Described::default() }
}

pub(crate) fn with_balance(wei: u128) -> Described {
    Described { balance: U256::from(wei), ..Described::default() }
}

/// Alice with an ether, and the given accounts.
pub(crate) fn state(accounts: impl IntoIterator<Item = (Address, Described)>) -> MemoryState {
    MemoryState::new([(ALICE, with_balance(ETHER))].into_iter().chain(accounts))
}

pub(crate) fn context(hardfork: Hardfork) -> BlockContext {
    BlockContext {
        height: 300,
        timestamp: 1_800_000_000,
        beneficiary: AUTHORITY,
        gas_limit: 30_000_000,
        base_fee: BASE_FEE,
        mix_hash: B256::with_last_byte(9),
        parent_hash: B256::repeat_byte(0x22),
        hardfork,
        chain_id: CHAIN_ID,
    }
}

/// A legacy transaction of Alice's at the base fee. Nobody checks its signature here.
pub(crate) fn legacy(change: impl FnOnce(&mut TxLegacy)) -> Transaction {
    let mut transaction = TxLegacy {
        chain_id: Some(CHAIN_ID),
        gas_price: u128::from(BASE_FEE),
        gas_limit: 1_000_000,
        to: TxKind::Call(BOB),
        ..TxLegacy::default()
    };
    change(&mut transaction);
    transaction.into_signed(Signature::test_signature()).into()
}

/// A call of a contract by Alice.
pub(crate) fn calling_with(nonce: u64, contract: Address, input: U256) -> Transaction {
    legacy(|transaction| {
        transaction.nonce = nonce;
        transaction.to = TxKind::Call(contract);
        transaction.input = input.to_be_bytes::<32>().into();
    })
}

pub(crate) fn dynamic_fee(change: impl FnOnce(&mut TxEip1559)) -> Transaction {
    let mut transaction = TxEip1559 {
        chain_id: CHAIN_ID,
        max_fee_per_gas: 100,
        gas_limit: 21_000,
        to: TxKind::Call(BOB),
        ..TxEip1559::default()
    };
    change(&mut transaction);
    transaction.into_signed(Signature::test_signature()).into()
}

/// A type 4 transaction from Alice to `to` that carries one authorization.
pub(crate) fn set_code(to: Address, authorization: SignedAuthorization, input: U256) -> Transaction {
    let transaction = TxEip7702 {
        chain_id: CHAIN_ID,
        gas_limit: 200_000,
        max_fee_per_gas: 100,
        to,
        input: input.to_be_bytes::<32>().into(),
        authorization_list: vec![authorization],
        ..TxEip7702::default()
    };
    transaction.into_signed(Signature::test_signature()).into()
}

/// The holder of `key` lets `contract` be its code.
pub(crate) fn authorize(key: &SecretKey, contract: Address, nonce: u64) -> SignedAuthorization {
    let authorization = Authorization { chain_id: U256::from(CHAIN_ID), address: contract, nonce };
    let signature = key.sign(authorization.signature_hash());
    authorization.into_signed(Signature::from_raw_array(&signature).expect("a signature of ours"))
}
