use super::*;
use crate::{
    BaseFeePolicy, Blame, Hardfork, Seal, SecretKey, Transaction,
    block::{DecodeBlockError, header_hash},
    config::INITIAL_BASE_FEE,
    keccak256,
    recovery::RecoverError,
    seal::SealError,
    testing::{self, authority, config},
    transaction::TransactionError,
};
use alloy_consensus::Header;
use alloy_eips::eip1559::{BaseFeeParams, calc_next_block_base_fee};
use alloy_primitives::{B64, B256, U256};
use proptest::prelude::*;

const TIMESTAMP: u64 = 1_800_000_000;

fn genesis_header() -> Header {
    Header { timestamp: TIMESTAMP, ..constants_at(0, &config()) }
}

fn child() -> Header {
    child_header(&genesis_header(), TIMESTAMP + 1, &config())
}

fn with_transactions(mut header: Header, transactions: Vec<Transaction>) -> Block {
    header.transactions_root = calculate_transaction_root(&transactions);
    Block::sealed(header, transactions, &authority())
}

fn verify(block: &Block) -> Result<Verified<Block>, VerifyError> {
    verify_block(block.bytes().clone(), &config())
}

/// What both stages say of a header that the authority has sealed.
fn refusal(header: Header) -> HeaderError {
    let block = Block::sealed(header, Vec::new(), &authority());
    match verify(&block) {
        Err(VerifyError::Header(error)) => error,
        Err(other) => panic!("refused for another reason: {other}"),
        Ok(verified) => {
            verify_child(verified.value().header(), &genesis_header(), &config()).expect_err("a falsified header")
        }
    }
}

#[test]
fn sealed_child_of_the_genesis_is_verified_with_its_senders() {
    let transactions: Vec<_> = (0..4).flat_map(testing::one_of_each_type).collect();
    let block = with_transactions(child(), transactions);
    let verified = verify(&block).unwrap();
    assert_eq!(verified.value(), &block);
    assert_eq!(verified.senders().len(), block.transactions().len());
    assert!(verified.senders().iter().all(|sender| *sender == testing::sender().address()));
    assert_eq!(verify_child(block.header(), &genesis_header(), &config()), Ok(()));
}

#[test]
fn block_zero_is_verified() {
    let block = Block::sealed(genesis_header(), Vec::new(), &authority());
    assert!(verify(&block).is_ok());
}

/// Changes one field at a time, seals the header anew, and expects exactly that field's error.
#[test]
fn every_falsified_field_has_its_own_error() {
    let other = B256::repeat_byte(0xee);
    let falsify: [(&str, Blame, fn(&mut Header)); 17] = [
        ("number", Blame::Nobody, |header| header.number += 1),
        ("parentHash", Blame::Nobody, |header| {
            header.parent_hash = B256::repeat_byte(0xee);
            header.mix_hash = mix_hash(header.parent_hash);
        }),
        ("timestamp", Blame::Local, |header| header.timestamp = TIMESTAMP - 1),
        ("baseFeePerGas", Blame::Local, |header| header.base_fee_per_gas = Some(1)),
        ("mixHash", Blame::Local, |header| header.mix_hash = B256::repeat_byte(0xee)),
        ("extraData", Blame::Peer, |header| header.extra_data = B256::repeat_byte(0xee).into()),
        ("sha3Uncles", Blame::Local, |header| header.ommers_hash = B256::repeat_byte(0xee)),
        ("miner", Blame::Local, |header| header.beneficiary = Address::repeat_byte(0xee)),
        ("difficulty", Blame::Local, |header| header.difficulty = U256::ONE),
        ("gasLimit", Blame::Local, |header| header.gas_limit += 1),
        ("gasUsed", Blame::Local, |header| header.gas_used = header.gas_limit + 1),
        ("nonce", Blame::Local, |header| header.nonce = B64::repeat_byte(1)),
        ("withdrawalsRoot", Blame::Local, |header| header.withdrawals_root = Some(B256::ZERO)),
        ("blobGasUsed", Blame::Local, |header| header.blob_gas_used = Some(131_072)),
        ("excessBlobGas", Blame::Local, |header| header.excess_blob_gas = Some(1)),
        ("parentBeaconBlockRoot", Blame::Local, |header| {
            header.parent_beacon_block_root = Some(B256::repeat_byte(0xee));
        }),
        ("requestsHash", Blame::Local, |header| header.requests_hash = Some(B256::ZERO)),
    ];
    for (field, blame, change) in falsify {
        let mut header = child();
        change(&mut header);
        let error = refusal(header);
        assert_eq!((error.check(), error.blame()), (field, blame), "{error}");
        assert_ne!(error.expected(), error.actual(), "{error}");
    }
    let mut header = child();
    header.block_access_list_hash = Some(other);
    assert_eq!(refusal(header.clone()).check(), "blockAccessListHash");
    header.block_access_list_hash = None;
    header.slot_number = Some(1);
    assert_eq!(verify_header(&header, &config()).unwrap_err().check(), "slotNumber");
}

#[test]
fn header_without_the_fields_of_its_fork_is_refused() {
    let remove: [(&str, fn(&mut Header)); 5] = [
        ("withdrawalsRoot", |header| header.withdrawals_root = None),
        ("blobGasUsed", |header| header.blob_gas_used = None),
        ("excessBlobGas", |header| header.excess_blob_gas = None),
        ("parentBeaconBlockRoot", |header| header.parent_beacon_block_root = None),
        ("requestsHash", |header| header.requests_hash = None),
    ];
    for (field, change) in remove {
        let mut header = child();
        change(&mut header);
        let error = verify_header(&header, &config()).unwrap_err();
        assert_eq!((error.check(), error.actual()), (field, "absent".to_owned()));
    }
    let mut header = child();
    header.base_fee_per_gas = None;
    assert_eq!(verify_child(&header, &genesis_header(), &config()).unwrap_err().check(), "baseFeePerGas");
}

#[test]
fn requests_hash_comes_with_prague() {
    let config = ChainConfig { forks: vec![(Hardfork::Cancun, 0), (Hardfork::Prague, 2)], ..config() };
    assert_eq!(constants_at(1, &config).requests_hash, None);
    assert_eq!(constants_at(2, &config).requests_hash, Some(EMPTY_REQUESTS_HASH));
    let early =
        Header { requests_hash: Some(EMPTY_REQUESTS_HASH), mix_hash: mix_hash(B256::ZERO), ..constants_at(1, &config) };
    assert_eq!(verify_header(&early, &config).unwrap_err().check(), "requestsHash");
}

#[test]
fn empty_requests_hash_is_sha256_of_nothing() {
    use sha2::Digest;
    assert_eq!(EMPTY_REQUESTS_HASH.0, <[u8; 32]>::from(sha2::Sha256::digest([])));
}

#[test]
fn mix_hash_is_keccak_of_domain_and_parent() {
    let mut input = b"callboard/mix/1".to_vec();
    input.extend([0x42; 32]);
    assert_eq!(mix_hash(B256::repeat_byte(0x42)), keccak256(input));
}

#[test]
fn equal_timestamps_are_allowed() {
    let header = child_header(&genesis_header(), TIMESTAMP, &config());
    assert_eq!(verify_child(&header, &genesis_header(), &config()), Ok(()));
}

#[test]
fn block_sealed_by_somebody_else_is_the_senders_fault() {
    let stranger = SecretKey::from_bytes([0x55; 32]).unwrap();
    let error = verify(&Block::sealed(child(), Vec::new(), &stranger)).unwrap_err();
    assert!(matches!(error, VerifyError::Seal(SealError::WrongSigner { .. })), "{error}");
    assert_eq!((error.check(), error.blame()), ("seal", Blame::Peer));
    let both = (authority().address().to_string(), stranger.address().to_string());
    assert_eq!(error.expected_and_actual(), both);
}

#[test]
fn second_form_of_a_seal_is_refused() {
    let block = Block::sealed(child(), Vec::new(), &authority());
    let high = Seal(crate::recovery::high_s_twin(&block.seal().0));
    let mut parity = block.seal().0;
    parity[64] += 2;
    for seal in [high, Seal(parity)] {
        let error = verify(&Block::from_parts(child(), Vec::new(), seal)).unwrap_err();
        assert!(matches!(error, VerifyError::Seal(SealError::NoSignature { .. })), "{error}");
    }
}

#[test]
fn body_that_is_not_the_headers_is_the_senders_fault() {
    let block = with_transactions(child(), testing::one_of_each_type(0));
    for transactions in [Vec::new(), block.transactions()[1..].to_vec()] {
        let swapped = Block::from_parts(block.header().clone(), transactions, *block.seal());
        let error = verify(&swapped).unwrap_err();
        assert_eq!((error.check(), error.blame()), ("transactionsRoot", Blame::Peer));
    }
}

#[test]
fn block_above_the_chains_size_is_refused_though_it_is_sealed() {
    let config = ChainConfig { max_block_bytes: 150_000, ..config() };
    let header = |transactions: &[Transaction]| Header {
        transactions_root: calculate_transaction_root(transactions),
        ..child_header(&Header { timestamp: TIMESTAMP, ..constants_at(0, &config) }, TIMESTAMP, &config)
    };
    let transactions: Vec<_> = (0..2).map(|nonce| testing::with_data(nonce, 100_000)).collect();
    let small = Block::sealed(header(&transactions[..1]), transactions[..1].to_vec(), &authority());
    assert!(verify_block(small.bytes().clone(), &config).is_ok());
    let large = Block::sealed(header(&transactions), transactions, &authority());
    let error = verify_block(large.bytes().clone(), &config).unwrap_err();
    assert_eq!(error, VerifyError::TooLong { limit: 150_000, actual: large.bytes().len() as u64 });
    assert_eq!(error.blame(), Blame::Local);
}

#[test]
fn sealed_transaction_that_breaks_a_rule_is_never_the_senders_fault() {
    let mut transactions = testing::one_of_each_type(0);
    transactions.push(testing::for_chain(2));
    let error = verify(&with_transactions(child(), transactions.clone())).unwrap_err();
    let source = TransactionError::WrongChainId { expected: config().chain_id, actual: 2 };
    assert_eq!(error, VerifyError::Transaction { index: transactions.len() - 1, source });
    assert_eq!(error.blame(), Blame::Local);
}

#[test]
fn high_s_transaction_inside_a_block_is_refused() {
    let transaction = testing::with_high_s(&testing::one_of_each_type(0)[0]);
    let error = verify(&with_transactions(child(), vec![transaction])).unwrap_err();
    assert!(matches!(error, VerifyError::Sender { index: 0, source: RecoverError::HighS { .. } }), "{error}");
}

#[test]
fn bytes_that_are_no_block_are_the_senders_fault() {
    let mut bytes = with_transactions(child(), testing::one_of_each_type(0)).bytes().to_vec();
    bytes.push(0);
    let error = verify_block(bytes.into(), &config()).unwrap_err();
    assert_eq!(error, VerifyError::Decode(DecodeBlockError::TrailingBytes { count: 1, after: "the block" }));
    assert_eq!((error.check(), error.blame()), ("decode", Blame::Peer));
}

#[test]
fn child_header_is_verified_along_a_chain_with_a_base_fee() {
    let config =
        ChainConfig { base_fee_policy: BaseFeePolicy::Eip1559, initial_base_fee: INITIAL_BASE_FEE, ..config() };
    let mut parent = constants_at(0, &config);
    for height in 1..20u64 {
        parent.gas_used = parent.gas_limit / height;
        let header = child_header(&parent, height, &config);
        assert_eq!(verify_header(&header, &config), Ok(()));
        assert_eq!(verify_child(&header, &parent, &config), Ok(()));
        assert_eq!(header.parent_hash, header_hash(&parent));
        parent = header;
    }
}

proptest! {
    #[test]
    fn base_fee_is_that_of_alloy(gas_limit in 21_000u64..1 << 40, used in 0u64..=100, base_fee in 0u64..1 << 60) {
        let config = ChainConfig { base_fee_policy: BaseFeePolicy::Eip1559, ..config() };
        let gas_used = gas_limit / 100 * used;
        let parent = Header { gas_limit, gas_used, base_fee_per_gas: Some(base_fee), ..Header::default() };
        let expected = calc_next_block_base_fee(gas_used, gas_limit, base_fee, BaseFeeParams::ethereum());
        prop_assert_eq!(next_base_fee(&parent, &config), expected);
    }

    #[test]
    fn base_fee_never_overflows(gas_limit: u64, gas_used: u64, base_fee: u64) {
        let config = ChainConfig { base_fee_policy: BaseFeePolicy::Eip1559, ..config() };
        let parent = Header { gas_limit, gas_used, base_fee_per_gas: Some(base_fee), ..Header::default() };
        next_base_fee(&parent, &config);
    }
}
