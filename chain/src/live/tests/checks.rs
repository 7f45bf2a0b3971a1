//! The list of checks is the one that the code makes: each can fail, and of two faults the one that stands first in the
//! list is the one that is reported.

use super::*;
use crate::testing;
use crate::verify::VerifyError;
use crate::{Blame, Check, SecretKey};
use alloy_eips::{eip2935::HISTORY_STORAGE_ADDRESS, eip4788::BEACON_ROOTS_ADDRESS};
use alloy_primitives::B64;

/// A block in the making, and the configuration of whoever judges it.
struct Recipe {
    header: Header,
    transactions: Vec<Transaction>,
    config: ChainConfig,
    authority: SecretKey,
    foreign_body: bool,
    tail: Vec<u8>,
}

const OTHER: B256 = B256::repeat_byte(0xee);

/// Block 1 on disk, and an honest block 2 with one transfer that pays for its gas.
struct Bench {
    disk: MemoryState,
    parent: Header,
    honest: Block,
}

fn paid(nonce: u64) -> Transaction {
    sign(TxLegacy { to: TxKind::Call(Address::repeat_byte(0xaa)), gas_limit: 21_000, ..legacy(nonce) })
}

impl Bench {
    fn new() -> Self {
        let (mut live, disk) = live();
        propose(&mut live, vec![transfer(0, 1)]);
        disk.store(live.take_batch().unwrap());
        let parent = live.head().clone();
        let honest = propose(&mut live, vec![(paid(1), owner().address())]);
        Self { disk, parent, honest }
    }

    fn recipe(&self) -> Recipe {
        Recipe {
            header: self.honest.header().clone(),
            transactions: self.honest.transactions().to_vec(),
            config: (*config()).clone(),
            authority: authority(),
            foreign_body: false,
            tail: Vec::new(),
        }
    }

    /// The check that refuses the block; `None` where it is confirmed.
    fn judge(&self, recipe: Recipe) -> Option<Check> {
        let Recipe { mut header, transactions, config, authority, foreign_body, tail } = recipe;
        header.transactions_root = if foreign_body { OTHER } else { crate::proof::transactions_root(&transactions) };
        let block = Block::sealed(header, transactions, &authority);
        let bytes = [&block.bytes()[..], &tail].concat();
        let verified = match verify_block(bytes.into(), &config) {
            Ok(verified) => verified,
            Err(error) => return Some(told(error.failed(), &error, error.expected_and_actual())),
        };
        let mut live = LiveState::new(Arc::new(config), self.disk.clone(), self.parent.clone());
        let error = live.confirm(verified).err()?;
        Some(told(error.failed().unwrap(), &error, error.expected_and_actual()))
    }
}

/// Both sides are said, and they differ.
fn told(check: Check, error: &dyn std::error::Error, (expected, actual): (String, String)) -> Check {
    assert!(!expected.is_empty() && !actual.is_empty() && expected != actual, "{check}: {error}: {expected}, {actual}");
    check
}

/// Makes the block fail this check. Where two faults touch the same part, the one that is made last holds.
fn spoil(recipe: &mut Recipe, check: Check) {
    let header = &mut recipe.header;
    match check {
        Check::Decode => recipe.tail.push(0),
        Check::Seal => recipe.authority = owner(),
        Check::TransactionsRoot => recipe.foreign_body = true,
        Check::ExtraData => header.extra_data = OTHER.into(),
        Check::OmmersHash => header.ommers_hash = OTHER,
        Check::Beneficiary => header.beneficiary = Address::repeat_byte(0xee),
        Check::Difficulty => header.difficulty = U256::ONE,
        Check::GasLimit => header.gas_limit += 1,
        Check::MixHash => header.mix_hash = OTHER,
        Check::Nonce => header.nonce = B64::repeat_byte(1),
        Check::ZeroBaseFee => header.base_fee_per_gas = Some(1),
        Check::WithdrawalsRoot => header.withdrawals_root = Some(OTHER),
        Check::BlobGasUsed => header.blob_gas_used = Some(131_072),
        Check::ExcessBlobGas => header.excess_blob_gas = Some(1),
        Check::ParentBeaconBlockRoot => header.parent_beacon_block_root = Some(OTHER),
        Check::RequestsHash => header.requests_hash = Some(OTHER),
        Check::BlockAccessListHash => header.block_access_list_hash = Some(OTHER),
        // The fields behind it in a header's RLP are only there with the one before.
        Check::SlotNumber => {
            header.block_access_list_hash = None;
            header.slot_number = Some(1);
        }
        Check::GasWithinLimit => header.gas_used = header.gas_limit + 1,
        Check::MaxBlockBytes => configure(recipe, |config| config.max_block_bytes = 100),
        Check::Transaction => recipe.transactions.push(testing::for_chain(1)),
        Check::Sender => recipe.transactions.push(testing::with_high_s(&paid(2))),
        Check::Parent => header.number = 9,
        Check::Hash => header.number = 1,
        Check::ParentHash => {
            header.parent_hash = OTHER;
            header.mix_hash = mix_hash(OTHER);
        }
        Check::Timestamp => header.timestamp = 1,
        Check::BaseFee => {
            header.base_fee_per_gas = Some(1);
            configure(recipe, |config| config.base_fee_policy = BaseFeePolicy::Eip1559);
        }
        Check::Execution => recipe.transactions.push(paid(99)),
        Check::GasUsed => header.gas_used += 1,
        Check::ReceiptsRoot => header.receipts_root = OTHER,
        Check::LogsBloom => header.logs_bloom = Bloom::repeat_byte(1),
        Check::StateRoot => header.state_root = OTHER,
        Check::Number => unreachable!("see `unreached`"),
    }
}

fn configure(recipe: &mut Recipe, change: impl FnOnce(&mut ChainConfig)) {
    change(&mut recipe.config);
    recipe.header.extra_data = recipe.config.commitment().into();
}

/// What no block can show: a wrong number is a gap or another block of a height that is confirmed, and a header with a
/// slot number and no block access list cannot be written down.
fn unreached(check: &Check) -> bool {
    matches!(check, Check::Number | Check::SlotNumber)
}

#[test]
fn every_check_can_fail_and_of_two_faults_the_first_in_the_list_is_reported() {
    let bench = Bench::new();
    assert_eq!(bench.judge(bench.recipe()), None, "the honest block");
    let checks: Vec<Check> = Check::ALL.iter().copied().filter(|check| !unreached(check)).collect();
    for (place, first) in checks.iter().enumerate() {
        let mut recipe = bench.recipe();
        spoil(&mut recipe, *first);
        assert_eq!(bench.judge(recipe), Some(*first));
        for second in &checks[place + 1..] {
            // Gas is free or it is not, and a number is too high or too low.
            if (*first, *second) == (Check::ZeroBaseFee, Check::BaseFee) {
                continue;
            }
            let mut recipe = bench.recipe();
            spoil(&mut recipe, *second);
            spoil(&mut recipe, *first);
            assert_eq!(bench.judge(recipe), Some(*first), "{first:?} before {second:?}");
        }
    }
}

#[test]
fn passed_checks_are_those_that_stand_before_the_failed_one() {
    assert_eq!(Check::Decode.passed_before(), []);
    assert_eq!(Check::TransactionsRoot.passed_before(), [Check::Decode, Check::Seal]);
    assert_eq!(Check::StateRoot.passed_before().len() + 1, Check::ALL.len());
    assert!(Check::ALL.is_sorted_by_key(|check| check.stage() as u8));
    assert!(Check::ALL.iter().all(|check| !check.demands().is_empty() && !check.remedy().is_empty()));
}

#[test]
fn a_signature_that_is_none_and_a_block_that_is_none_are_refused_with_both_sides() {
    let bench = Bench::new();
    let block =
        Block::from_parts(bench.honest.header().clone(), bench.honest.transactions().to_vec(), Seal([0xff; 65]));
    let error = verify_block(block.bytes().clone(), &config()).unwrap_err();
    assert_eq!((error.check(), error.blame()), ("seal", Blame::Peer));
    assert_eq!(error.expected_and_actual(), ("yParity 0 or 1".to_owned(), "yParity 255".to_owned()));
    let error = verify_block(Bytes::from_static(b"no block"), &config()).unwrap_err();
    assert!(matches!(error, VerifyError::Decode(_)));
    assert_eq!(error.expected_and_actual().0, "a well-formed outer list");
}

/// A value on disk that is not the chain's: the first block that touches it is refused, and the trie stands as before.
#[test]
fn a_wrong_value_in_the_state_is_refused_with_what_the_block_touched_and_does_not_reach_the_trie() {
    let bench = Bench::new();
    let wrong = Account { balance: U256::from(5), ..Account::default() };
    let paid = Address::repeat_byte(0xaa);
    let right = bench.disk.0.borrow_mut().accounts.insert(paid, wrong).unwrap();
    let mut live = LiveState::new(config(), bench.disk.clone(), bench.parent.clone());
    let ConfirmError::StateRoot { touched, .. } = live.confirm(verified(&bench.honest)).unwrap_err() else { panic!() };
    assert_eq!(touched.accounts[&paid].account.unwrap().balance, U256::from(6));
    bench.disk.0.borrow_mut().accounts.insert(paid, right);
    live.confirm(verified(&bench.honest)).unwrap();
}

/// Reads what it has in slot 2 and the balance of an account, and writes into slot 1 what stands there, and 1 into slot 3.
const READER: &[u8] = &[
    0x60, 2, 0x54, 0x50, // slot 2
    0x60, 0xbb, 0x31, 0x50, // the balance of 0x…bb
    0x60, 1, 0x54, 0x60, 1, 0x55, // slot 1
    0x60, 1, 0x60, 3, 0x55, // slot 3
];

#[test]
fn what_a_refused_block_touched_is_what_it_read_and_what_it_wrote_with_the_values_after_it() {
    let bench = Bench::new();
    let contract = Address::repeat_byte(0xcc);
    let code_hash = crate::keccak256(READER);
    {
        let mut disk = bench.disk.0.borrow_mut();
        disk.accounts.insert(contract, Account { code_hash, ..Account::default() });
        disk.code.insert(code_hash, Bytes::from_static(READER));
        let slots = [(1, 5), (2, 7)].map(|(slot, value)| ((contract, U256::from(slot)), U256::from(value)));
        disk.storage.extend(slots);
    }
    let call = sign(TxLegacy { to: TxKind::Call(contract), gas_price: 0, ..legacy(1) });
    let mut source = LiveState::new(config(), bench.disk.clone(), bench.parent.clone());
    let block = propose(&mut source, vec![(call, owner().address())]);
    assert_eq!(block.transactions().len(), 1);
    let wrong = resealed(&block, |header| header.state_root = OTHER);
    let mut live = LiveState::new(config(), bench.disk.clone(), bench.parent.clone());
    let ConfirmError::StateRoot { touched, .. } = live.confirm(wrong).unwrap_err() else { panic!() };

    let accounts: Vec<_> = touched.accounts.keys().copied().collect();
    let read_only = Address::with_last_byte(0xbb);
    let coinbase = bench.parent.beneficiary;
    let mut expected =
        vec![read_only, owner().address(), contract, coinbase, BEACON_ROOTS_ADDRESS, HISTORY_STORAGE_ADDRESS];
    expected.sort_unstable();
    assert_eq!(accounts, expected);
    let slots = [(1, 5), (2, 7), (3, 1)].map(|(slot, value)| (U256::from(slot), U256::from(value)));
    assert_eq!(touched.accounts[&contract].slots, BTreeMap::from(slots));
    assert_eq!(touched.accounts[&read_only].account, None);
    assert_eq!(touched.accounts[&owner().address()].account.unwrap().nonce, 2);
    assert_eq!(touched.count(), expected.len() + 3);
}

/// The same while blocks before it are not yet on disk: they are not stored with a trie that is not theirs.
#[test]
fn a_trie_that_cannot_be_taken_back_is_never_stored() {
    let bench = Bench::new();
    let mut source = LiveState::new(config(), bench.disk.clone(), bench.parent.clone());
    source.confirm(verified(&bench.honest)).unwrap();
    let next = propose(&mut source, vec![transfer_to(Address::repeat_byte(0xbb), 2, 1)]);
    let mut live = LiveState::new(config(), bench.disk.clone(), bench.parent.clone());
    live.confirm(verified(&bench.honest)).unwrap();
    let wrong = Account { balance: U256::from(5), ..Account::default() };
    bench.disk.0.borrow_mut().accounts.insert(Address::repeat_byte(0xbb), wrong);
    assert_eq!(live.confirm(verified(&next)).unwrap_err().check(), "stateRoot");
    assert!(live.take_batch().is_none());
    let error = live.confirm(verified(&next)).unwrap_err();
    assert!(error.is_fatal(), "{error}");
}
