use super::*;
use crate::testing::{self, authority, one_of_each_type};
use alloy_consensus::Header;
use alloy_eips::eip2718::Encodable2718;
use proptest::prelude::*;

fn block(count: u64) -> Block {
    let header = Header { number: 7, base_fee_per_gas: Some(0), ..Header::default() };
    Block::sealed(header, (0..count).flat_map(one_of_each_type).collect(), &authority())
}

fn list(items: &[&[u8]]) -> Vec<u8> {
    let payload = items.concat();
    let mut out = Vec::new();
    alloy_rlp::Header { list: true, payload_length: payload.len() }.encode(&mut out);
    out.extend(payload);
    out
}

/// A block's bytes with this list of transactions, written without the encoder.
fn with_items(items: &[&[u8]]) -> Vec<u8> {
    let block = block(0);
    list(&[&alloy_rlp::encode(block.header()), &list(items), &alloy_rlp::encode(block.seal().0)])
}

fn refused(bytes: Vec<u8>) -> DecodeBlockError {
    Block::decode(bytes.into()).unwrap_err()
}

#[test]
fn typed_transactions_are_byte_strings_and_legacy_ones_are_lists() {
    let block = block(1);
    let items: Vec<Vec<u8>> = block.transactions().iter().map(Encodable2718::encoded_2718).collect();
    let strings: Vec<Vec<u8>> = items[1..].iter().map(|item| alloy_rlp::encode(item.as_slice())).collect();
    let items = [&items[0], &strings[0], &strings[1], &strings[2]].map(Vec::as_slice);
    assert_eq!(with_items(&items), block.bytes().to_vec());
}

#[test]
fn hash_is_that_of_the_header_and_not_of_the_seal() {
    let ours = block(1);
    let other_key = SecretKey::from_bytes([9; 32]).unwrap();
    let theirs = Block::sealed(ours.header().clone(), ours.transactions().to_vec(), &other_key);
    assert_eq!(ours.hash(), theirs.hash());
    assert_eq!(ours.hash(), ours.header().hash_slow());
    assert_ne!(ours.bytes(), theirs.bytes());
}

#[test]
fn bytes_after_the_block_are_named() {
    let mut bytes = block(1).bytes().to_vec();
    bytes.extend([1, 2, 3]);
    assert_eq!(refused(bytes).to_string(), "3 bytes after the block");
}

#[test]
fn items_after_the_seal_are_named() {
    let block = block(0);
    let (header, seal) = (alloy_rlp::encode(block.header()), alloy_rlp::encode(block.seal().0));
    let error = refused(list(&[&header, &[0xc0], &seal, &[0x80]]));
    assert_eq!(error, DecodeBlockError::TrailingBytes { count: 1, after: "the seal" });
}

#[test]
fn typed_transaction_that_is_no_byte_string_is_refused() {
    let typed = one_of_each_type(0)[1].encoded_2718();
    assert!(Block::decode(with_items(&[&alloy_rlp::encode(typed.as_slice())]).into()).is_ok());
    refused(with_items(&[&typed]));
}

#[test]
fn legacy_transaction_that_is_a_byte_string_is_not_canonical() {
    let legacy = one_of_each_type(0)[0].encoded_2718();
    let wrapped = alloy_rlp::encode(legacy.as_slice());
    assert!(matches!(refused(with_items(&[&wrapped])), DecodeBlockError::NotCanonical { .. }));
    let with_type = alloy_rlp::encode([&[0][..], &legacy].concat().as_slice());
    refused(with_items(&[&with_type]));
}

#[test]
fn broken_transaction_is_named_by_its_index() {
    let first = one_of_each_type(0)[0].encoded_2718();
    let error = refused(with_items(&[&first, &alloy_rlp::encode(&[0x7f, 0xc0][..])]));
    let source = crate::transaction::DecodeTransactionError::UnknownType { transaction_type: 0x7f };
    assert_eq!(error, DecodeBlockError::Transaction { index: 1, source });
}

#[test]
fn transaction_above_128_kib_is_refused_inside_a_block() {
    let large = testing::with_data(0, 128 * 1024);
    let block = Block::sealed(Header::default(), vec![large], &authority());
    let error = refused(block.bytes().to_vec());
    assert!(matches!(error, DecodeBlockError::Transaction { index: 0, .. }), "{error}");
}

#[test]
fn block_above_the_limit_of_all_chains_is_refused_unread() {
    let error = refused(vec![0xff; 8_388_609]);
    assert_eq!(error, DecodeBlockError::TooLong { actual: 8_388_609, limit: 8_388_608 });
}

#[test]
fn one_transaction_is_decoded_as_it_is_among_the_others() {
    let block = block(3);
    for (index, transaction) in block.transactions().iter().enumerate() {
        let one = Block::decode_one(block.bytes(), index).unwrap();
        assert_eq!(one, Some((block.header().clone(), transaction.clone())));
    }
    for index in [block.transactions().len(), usize::MAX] {
        assert_eq!(Block::decode_one(block.bytes(), index).unwrap(), None);
    }
    for length in 0..block.bytes().len() {
        Block::decode_one(&block.bytes()[..length], 0).unwrap_err();
    }
}

#[test]
fn lengths_that_lie_are_refused() {
    let huge_list = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
    for bytes in [vec![], vec![0x80], vec![0xc0], huge_list.to_vec(), with_items(&[&huge_list])] {
        refused(bytes);
    }
}

#[test]
fn every_truncation_is_refused() {
    let bytes = block(1).bytes().clone();
    for length in 0..bytes.len() {
        refused(bytes[..length].to_vec());
    }
}

proptest! {
    #[test]
    fn decoding_gives_the_block_that_was_encoded(count in 0u64..4, number: u64, extra in prop::collection::vec(any::<u8>(), 0..40), seal: [u8; 32]) {
        let header = Header { number, extra_data: extra.into(), base_fee_per_gas: Some(number), ..Header::default() };
        let mut seal_bytes = [7; 65];
        seal_bytes[..32].copy_from_slice(&seal);
        let transactions = (0..count).flat_map(one_of_each_type).collect();
        let block = Block::from_parts(header, transactions, Seal(seal_bytes));
        let decoded = Block::decode(block.bytes().clone()).unwrap();
        prop_assert_eq!(decoded, block);
    }

    #[test]
    fn changed_byte_is_refused_or_is_another_block(position: prop::sample::Index, change in 1u8..) {
        let block = block(1);
        let mut bytes = block.bytes().to_vec();
        let position = position.index(bytes.len());
        bytes[position] ^= change;
        if let Ok(other) = Block::decode(bytes.clone().into()) {
            prop_assert_eq!(other.bytes().to_vec(), bytes);
            let same = (other.header(), other.transactions(), other.seal())
                == (block.header(), block.transactions(), block.seal());
            prop_assert!(!same, "two byte forms of one block");
            let sealed = other.seal().verify(other.hash(), authority().address()).is_ok();
            let body = alloy_consensus::proofs::calculate_transaction_root(other.transactions());
            let ours = alloy_consensus::proofs::calculate_transaction_root(block.transactions());
            prop_assert!(!sealed || body != ours, "a changed block passes for the sealed one");
        }
    }

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = Block::decode(bytes.into());
    }
}
