//! What there is to catch up with, and how its chain is built.

use crate::support::chain::{Builder, Candidate, Failure, Wallet};
use alloy_primitives::{Address, Bytes, TxKind, U256, hex};
use callboard_chain::{SecretKey, keccak256};
use std::path::Path;
use std::sync::mpsc::{Receiver, sync_channel};

/// Accounts that send. With fewer accounts in all, these are all there are.
const SENDERS: u64 = 1_000;
/// What each of them has, wei: more than any sends.
const PURSE: u64 = 1_000_000;
/// Accounts that one transaction makes: 36,700 gas each, below the 16,777,216 of a transaction.
const SPREAD: u64 = 400;
/// Such transactions in a block of 30,000,000 gas.
const SPREADS: usize = 2;
/// What making that many costs at most.
const SPREAD_GAS: u64 = 14_900_000;
/// Mints in a block.
const MINTS: usize = 180;
/// Enough for a transfer to an account that has none of the token yet.
const TOKEN_GAS: u64 = 80_000;
/// Enough for any contract here.
const CREATE_GAS: u64 = 2_000_000;
/// Blocks that are signed ahead of the one that is built.
const SIGNED_AHEAD: usize = 64;

/// Creation code of a contract that sends one wei to each of the accounts `calldata[0] .. calldata[1]`; see
/// [`numbered`]. `for (i = start; i < end; i++) call(i, value 1)`.
const SPREADER: [u8; 43] = hex!(
    "60228060095f395ff3"
    "6020356000355b818110156020576000808080600185" // end, i; while i < end: push 0 0 0 0 1 i
    "6000f1506001016006565b00"                     // call, drop the answer, i + 1, again; stop
);

/// What is in the blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Nothing.
    Empty,
    /// Transfers of one wei between accounts drawn from this many.
    Transfers {
        /// How many accounts there are.
        accounts: u64,
    },
    /// Transfers of an ERC-20 (`Token.sol`) between accounts drawn from the senders.
    Token,
}

/// A chain to catch up with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Workload {
    /// How it is called.
    pub(crate) name: &'static str,
    /// Blocks that are measured.
    pub(crate) blocks: u64,
    /// Transactions in each.
    pub(crate) transactions: u64,
    /// What they do.
    pub(crate) kind: Kind,
}

const fn workload(name: &'static str, blocks: u64, transactions: u64, kind: Kind) -> Workload {
    Workload { name, blocks, transactions, kind }
}

const fn transfers(accounts: u64) -> Kind {
    Kind::Transfers { accounts }
}

/// Those of docs/performance.md.
pub(crate) const ALL: [Workload; 8] = [
    workload("4000x1", 4_000, 1, transfers(1_000)),
    workload("4000x10", 4_000, 10, transfers(1_000)),
    workload("2000x100-1k", 2_000, 100, transfers(1_000)),
    workload("2000x100-100k", 2_000, 100, transfers(100_000)),
    workload("2000x100-1M", 2_000, 100, transfers(1_000_000)),
    workload("500x1000", 500, 1_000, transfers(1_000)),
    workload("100000-empty", 100_000, 0, Kind::Empty),
    workload("1000x20-token", 1_000, 20, Kind::Token),
];

/// Those that run with the tests.
pub(crate) const QUICK: [Workload; 4] = [
    workload("quick-2000x1", 2_000, 1, transfers(1_000)),
    workload("quick-300x100-20k", 300, 100, transfers(20_000)),
    workload("quick-4000-empty", 4_000, 0, Kind::Empty),
    workload("quick-300x20-token", 300, 20, Kind::Token),
];

/// Those of `all` whose names contain one of `wanted`, or all.
pub(crate) fn chosen(all: &[Workload], wanted: &[String]) -> Result<Vec<Workload>, Failure> {
    let is_wanted = |workload: &&Workload| wanted.is_empty() || wanted.iter().any(|part| workload.name.contains(part));
    let found: Vec<_> = all.iter().filter(is_wanted).copied().collect();
    let names: Vec<_> = all.iter().map(|workload| workload.name).collect();
    if found.is_empty() {
        return Err(format!("no workload is called {}; there are {}", wanted.join(", "), names.join(", ")).into());
    }
    Ok(found)
}

impl Workload {
    /// Builds the chain in the data folder of `home`: the height of the last block of the preparation.
    pub(crate) fn build(&self, home: &Path) -> Result<u64, Failure> {
        let mut builder = Builder::new(home)?;
        let token = self.prepare(&mut builder)?;
        let prepared = builder.height();
        if self.kind == Kind::Empty {
            (0..self.blocks).try_for_each(|_| builder.block(Vec::new()))?;
        } else {
            for block in self.sign(token) {
                builder.block(block?)?;
            }
        }
        builder.finish()?;
        Ok(prepared)
    }

    /// Gives the senders what they send, and makes the other accounts. The token, where there is one.
    fn prepare(&self, builder: &mut Builder) -> Result<Option<Address>, Failure> {
        if self.kind == Kind::Empty {
            return Ok(None);
        }
        let (mut rich, senders) = (Wallet::funded(), senders()?);
        let count = rich.len();
        let purses = senders.iter().enumerate().map(|(index, to)| rich[index % count].transfer(to.address(), PURSE));
        builder.block(purses.collect::<Result<_, _>>()?)?;
        match self.kind {
            Kind::Empty => Ok(None),
            Kind::Transfers { accounts } => {
                spread(builder, &mut rich[0], accounts.saturating_sub(SENDERS)).map(|()| None)
            }
            Kind::Token => mint(builder, &mut rich[0], &senders).map(Some),
        }
    }

    /// The measured blocks' transactions, signed on a thread of its own while blocks are built.
    fn sign(self, token: Option<Address>) -> Receiver<Result<Vec<Candidate>, Failure>> {
        let (signed, blocks) = sync_channel(SIGNED_AHEAD);
        std::thread::spawn(move || {
            // Whoever built has met an error of its own where nobody listens any more.
            let sent = self.blocks_of(token, |block| signed.send(Ok(block)).map_err(Into::into));
            if let Err(error) = sent {
                signed.send(Err(error)).ok();
            }
        });
        blocks
    }

    fn blocks_of(
        self,
        token: Option<Address>,
        mut send: impl FnMut(Vec<Candidate>) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let mut wallets = senders()?;
        let addresses: Vec<_> = wallets.iter().map(Wallet::address).collect();
        let accounts = if let Kind::Transfers { accounts } = self.kind { accounts } else { SENDERS };
        let (mut draw, mut next) = (Draw(1), 0);
        for _ in 0..self.blocks {
            let mut block = Vec::new();
            for _ in 0..self.transactions {
                let drawn = draw.below(accounts);
                let to = addresses.get(usize::try_from(drawn)?).copied().unwrap_or_else(|| numbered(drawn));
                let from = &mut wallets[next];
                block.push(match token {
                    Some(token) => from.sign(TxKind::Call(token), 0, call(hex!("a9059cbb"), to, 1), TOKEN_GAS)?,
                    None => from.transfer(to, 1)?,
                });
                next = (next + 1) % addresses.len();
            }
            send(block)?;
        }
        Ok(())
    }
}

/// Makes the accounts [`SENDERS`] to `SENDERS + count`.
fn spread(builder: &mut Builder, owner: &mut Wallet, count: u64) -> Result<(), Failure> {
    if count == 0 {
        return Ok(());
    }
    let spreader = owner.next_contract();
    builder.block(vec![owner.sign(TxKind::Create, count, Bytes::from(SPREADER), CREATE_GAS)?])?;
    let end = SENDERS + count;
    let starts: Vec<u64> = (SENDERS..end).step_by(usize::try_from(SPREAD)?).collect();
    for block in starts.chunks(SPREADS) {
        let spreads = block.iter().map(|start| {
            let words = [numbered(*start), numbered(end.min(start + SPREAD))].map(|account| account.into_word());
            owner.sign(TxKind::Call(spreader), 0, words.concat().into(), SPREAD_GAS)
        });
        builder.block(spreads.collect::<Result<_, _>>()?)?;
    }
    Ok(())
}

/// Makes the token and gives each sender some of it.
fn mint(builder: &mut Builder, owner: &mut Wallet, senders: &[Wallet]) -> Result<Address, Failure> {
    let token = owner.next_contract();
    let code = hex::decode(include_str!("token.hex").split_whitespace().collect::<String>())?;
    builder.block(vec![owner.sign(TxKind::Create, 0, code.into(), CREATE_GAS)?])?;
    for block in senders.chunks(MINTS) {
        let mints = block.iter().map(|to| {
            let input = call(hex!("40c10f19"), to.address(), PURSE);
            owner.sign(TxKind::Call(token), 0, input, 2 * TOKEN_GAS)
        });
        builder.block(mints.collect::<Result<_, _>>()?)?;
    }
    Ok(token)
}

/// Call data of `f(address, uint256)`.
fn call(selector: [u8; 4], account: Address, value: u64) -> Bytes {
    [&selector, account.into_word().as_slice(), &U256::from(value).to_be_bytes::<32>()].concat().into()
}

fn senders() -> Result<Vec<Wallet>, Failure> {
    let wallet = |index| Ok(Wallet::new(SecretKey::from_bytes(keccak256(format!("sender {index}")).0)?));
    (0..SENDERS).map(wallet).collect()
}

/// An account that sends nothing. Far above the precompiles.
fn numbered(number: u64) -> Address {
    Address::from_word(U256::from((1u128 << 100) + u128::from(number)).into())
}

/// Numbers that look random and are the same each time (SplitMix64).
struct Draw(u64);

impl Draw {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }
}
