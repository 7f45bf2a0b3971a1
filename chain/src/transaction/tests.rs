use super::*;
use crate::{
    BaseFeePolicy, ChainConfig, Hardfork,
    config::INITIAL_BASE_FEE,
    testing::{self, config, eip1559, eip4844, eip7702, legacy, one_of_each_type, sender, sign},
};
use alloy_consensus::{Transaction as _, TxEip1559, TxEip7702, TxLegacy};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{TxKind, U256};
use proptest::prelude::*;
use revm::{interpreter::gas::calculate_initial_tx_gas, primitives::hardfork::SpecId};

fn refused(transaction: Transaction) -> TransactionError {
    validate_transaction(&transaction, &config(), 1, 0).unwrap_err()
}

#[test]
fn every_type_decodes_to_its_sender_and_keeps_the_rules() {
    for transaction in one_of_each_type(3) {
        let decoded = decode_transaction(&transaction.encoded_2718()).unwrap();
        assert_eq!(decoded, transaction);
        assert_eq!(recover_sender(&decoded), Ok(sender().address()));
        assert_eq!(validate_transaction(&decoded, &config(), 1, 0), Ok(()));
    }
}

#[test]
fn bytes_after_the_transaction_are_named() {
    for transaction in one_of_each_type(0) {
        let mut bytes = transaction.encoded_2718();
        bytes.extend([0; 5]);
        let error = decode_transaction(&bytes).unwrap_err();
        assert_eq!(error, DecodeTransactionError::TrailingBytes { count: 5 });
        assert_eq!(error.to_string(), "5 bytes after the transaction");
    }
}

#[test]
fn every_truncation_is_refused() {
    for transaction in one_of_each_type(0) {
        let bytes = transaction.encoded_2718();
        for length in 0..bytes.len() {
            assert!(decode_transaction(&bytes[..length]).is_err(), "{length} bytes of {}", bytes.len());
        }
    }
}

#[test]
fn transaction_in_its_block_form_or_with_a_legacy_type_byte_is_refused() {
    let [legacy, typed] = [0, 1].map(|index| one_of_each_type(0)[index].encoded_2718());
    assert!(decode_transaction(&alloy_rlp::encode(typed.as_slice())).is_err());
    assert!(decode_transaction(&[&[0][..], &legacy].concat()).is_err());
}

#[test]
fn unknown_type_is_named() {
    let error = decode_transaction(&[0x05, 0xc0]).unwrap_err();
    assert_eq!(error.to_string(), "transaction type not supported: 0x05");
}

#[test]
fn size_is_bounded_at_128_kib() {
    let overhead = testing::with_data(0, 100_000).encoded_2718().len() - 100_000;
    let largest = testing::with_data(0, MAX_TRANSACTION_BYTES - overhead).encoded_2718();
    assert_eq!(largest.len(), MAX_TRANSACTION_BYTES);
    assert!(decode_transaction(&largest).is_ok());
    let error = decode_transaction(&testing::with_data(0, MAX_TRANSACTION_BYTES - overhead + 1).encoded_2718());
    assert_eq!(error, Err(DecodeTransactionError::TooLong { actual: 131_073, limit: 131_072 }));
}

#[test]
fn high_s_has_no_sender() {
    let error = recover_sender(&testing::with_high_s(&one_of_each_type(0)[0])).unwrap_err();
    assert!(matches!(error, RecoverError::HighS { .. }));
    assert!(error.to_string().starts_with("invalid sender"));
}

/// Each rule on its own, with the text that Ethereum clients look for.
#[test]
fn every_rule_refuses_with_the_text_that_clients_know() {
    let gas_limit = config().gas_limit;
    let price = TxLegacy { gas_price: u128::MAX, value: U256::MAX, ..legacy(0) };
    let tip = TxEip1559 { max_priority_fee_per_gas: 10, ..eip1559(0) };
    let initcode = TxEip1559 { input: vec![0; 49_153].into(), gas_limit: 5_000_000, ..eip1559(0) };
    let no_authorizations = TxEip7702 { authorization_list: Vec::new(), ..eip7702(0) };
    for (transaction, text) in [
        (sign(eip4844(0)), "transaction type not supported"),
        (
            sign(TxLegacy { chain_id: None, ..legacy(0) }),
            "only replay-protected (EIP-155) transactions allowed over RPC",
        ),
        (testing::for_chain(1), "invalid chain id for signer"),
        (sign(TxEip1559 { chain_id: 1, ..eip1559(0) }), "invalid chain id for signer"),
        (sign(legacy(u64::MAX)), "nonce has max value"),
        (sign(initcode), "max initcode size exceeded"),
        (sign(TxLegacy { gas_limit: MAX_TRANSACTION_GAS + 1, ..legacy(0) }), "transaction gas limit too high"),
        (sign(TxLegacy { gas_limit: 20_999, ..legacy(0) }), "intrinsic gas too low"),
        (sign(tip), "max priority fee per gas higher than max fee per gas"),
        (sign(price), "insufficient funds for gas * price + value"),
        (sign(no_authorizations), "EIP-7702 transaction with empty auth list"),
    ] {
        let error = refused(transaction);
        assert!(error.to_string().starts_with(text), "{error}");
    }
    let prague = ChainConfig { forks: vec![(Hardfork::Prague, 0)], ..config() };
    let large = sign(TxLegacy { gas_limit: gas_limit + 1, ..legacy(0) });
    let error = validate_transaction(&large, &prague, 1, 0).unwrap_err();
    assert_eq!(error, TransactionError::ExceedsBlockGasLimit { limit: gas_limit, actual: gas_limit + 1 });
    assert!(error.to_string().starts_with("exceeds block gas limit"));
}

#[test]
fn bounds_themselves_are_allowed() {
    let initcode = TxEip1559 { input: vec![0; 49_152].into(), gas_limit: 5_000_000, ..eip1559(0) };
    let input = vec![1; 10].into();
    for transaction in [
        sign(legacy(u64::MAX - 1)),
        sign(initcode),
        sign(TxLegacy { gas_limit: MAX_TRANSACTION_GAS, ..legacy(0) }),
        sign(TxLegacy { gas_limit: 21_000, ..legacy(0) }),
        sign(TxLegacy { gas_limit: 21_400, input, ..legacy(0) }),
        sign(TxEip1559 { max_priority_fee_per_gas: 9, ..eip1559(0) }),
        sign(TxLegacy { value: U256::MAX - U256::from(700_000), ..legacy(0) }),
    ] {
        assert_eq!(validate_transaction(&transaction, &config(), 1, 0), Ok(()));
    }
}

#[test]
fn price_below_the_base_fee_is_refused() {
    let config =
        ChainConfig { base_fee_policy: BaseFeePolicy::Eip1559, initial_base_fee: INITIAL_BASE_FEE, ..config() };
    assert_eq!(validate_transaction(&sign(eip1559(0)), &config, 1, 9), Ok(()));
    let error = validate_transaction(&sign(eip1559(0)), &config, 1, 10).unwrap_err();
    assert_eq!(error, TransactionError::CapBelowBaseFee { cap: 9, base_fee: 10 });
    assert!(error.to_string().starts_with("max fee per gas less than block base fee"));
}

#[test]
fn rules_come_with_their_hardfork() {
    let forks = vec![(Hardfork::Cancun, 0), (Hardfork::Prague, 10), (Hardfork::Osaka, 20)];
    let config = ChainConfig { forks, ..config() };
    let allowed = |transaction: &Transaction, height| validate_transaction(transaction, &config, height, 0).is_ok();
    let set_code = sign(eip7702(0));
    assert!(!allowed(&set_code, 9) && allowed(&set_code, 10));
    let much_gas = sign(TxLegacy { gas_limit: MAX_TRANSACTION_GAS + 1, ..legacy(0) });
    assert!(allowed(&much_gas, 19) && !allowed(&much_gas, 20));
    let floor = sign(TxLegacy { gas_limit: 21_399, input: vec![1; 10].into(), ..legacy(0) });
    assert!(allowed(&floor, 9) && !allowed(&floor, 10));
}

fn by_revm(transaction: &Transaction, spec: SpecId) -> u64 {
    let (addresses, slots) = transaction
        .access_list()
        .map_or((0, 0), |list| (list.len() as u64, list.iter().map(|item| item.storage_keys.len() as u64).sum()));
    let authorizations = transaction.authorization_list().map_or(0, <[_]>::len) as u64;
    let (input, create) = (transaction.input(), transaction.is_create());
    let gas = calculate_initial_tx_gas(spec, input, create, addresses, slots, authorizations, None);
    gas.initial_total_gas().max(gas.floor_gas())
}

proptest! {
    #[test]
    fn intrinsic_gas_is_that_of_revm(input in prop::collection::vec(prop_oneof![Just(0u8), any::<u8>()], 0..200), create: bool) {
        let to = if create { TxKind::Create } else { TxKind::Call(sender().address()) };
        let plain = sign(TxEip1559 { to, input: input.clone().into(), ..eip1559(0) });
        let set_code = sign(TxEip7702 { input: input.into(), ..eip7702(0) });
        prop_assert_eq!(intrinsic_gas(&plain, Hardfork::Cancun), by_revm(&plain, SpecId::CANCUN));
        for transaction in [plain, set_code] {
            prop_assert_eq!(intrinsic_gas(&transaction, Hardfork::Prague), by_revm(&transaction, SpecId::PRAGUE));
            prop_assert_eq!(intrinsic_gas(&transaction, Hardfork::Osaka), by_revm(&transaction, SpecId::OSAKA));
        }
    }

    #[test]
    fn changed_byte_never_keeps_hash_and_sender(kind in 0usize..4, position: prop::sample::Index, change in 1u8..) {
        let transaction = &one_of_each_type(1)[kind];
        let mut bytes = transaction.encoded_2718();
        let position = position.index(bytes.len());
        bytes[position] ^= change;
        if let Ok(other) = decode_transaction(&bytes) {
            prop_assert_ne!(other.tx_hash(), transaction.tx_hash());
            prop_assert_eq!(other.encoded_2718(), bytes);
        }
    }

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(transaction) = decode_transaction(&bytes) {
            let _ = (recover_sender(&transaction), validate_transaction(&transaction, &config(), 1, 0));
        }
    }
}
