//! revm's view of a block and of a transaction.

use super::BlockContext;
use super::database::BlockDatabase;
use crate::{Hardfork, StateReader, Transaction};
use alloy_consensus::Transaction as _;
use alloy_consensus::Typed2718;
use alloy_primitives::{Address, U256};
use revm::context::either::Either;
use revm::context::{BlockEnv, CfgEnv, TxEnv};
use revm::context_interface::block::BlobExcessGasAndPrice;
use revm::handler::MainnetContext;
use revm::primitives::hardfork::SpecId;
use revm::{Context, MainBuilder, MainContext, MainnetEvm};

/// An EVM over a block's database.
pub(super) type Evm<'a, S, I = ()> = MainnetEvm<MainnetContext<BlockDatabase<'a, S>>, I>;

/// Blobs that one transaction may carry (EIP-4844, EIP-7691, EIP-7594).
const fn max_blobs(hardfork: Hardfork) -> u64 {
    match hardfork {
        Hardfork::Cancun | Hardfork::Osaka => 6,
        Hardfork::Prague => 9,
    }
}

const fn spec(hardfork: Hardfork) -> SpecId {
    match hardfork {
        Hardfork::Cancun => SpecId::CANCUN,
        Hardfork::Prague => SpecId::PRAGUE,
        Hardfork::Osaka => SpecId::OSAKA,
    }
}

/// The rules in force in a block.
pub(super) fn rules(context: &BlockContext) -> CfgEnv {
    let mut rules = CfgEnv::new_with_spec(spec(context.hardfork)).with_chain_id(context.chain_id);
    rules.set_max_blobs_per_tx(max_blobs(context.hardfork));
    rules
}

fn block(context: &BlockContext) -> BlockEnv {
    BlockEnv {
        number: U256::from(context.height),
        beneficiary: context.beneficiary,
        timestamp: U256::from(context.timestamp),
        gas_limit: context.gas_limit,
        basefee: context.base_fee,
        difficulty: U256::ZERO,
        prevrandao: Some(context.mix_hash),
        // No block carries blobs, so there is never an excess.
        blob_excess_gas_and_price: Some(BlobExcessGasAndPrice::new_with_spec(0, spec(context.hardfork))),
        slot_num: 0,
    }
}

/// An EVM for the transactions of one block.
pub(super) fn evm<'a, S: StateReader, I>(
    state: &'a S,
    context: &BlockContext,
    rules: CfgEnv,
    inspector: I,
) -> Evm<'a, S, I> {
    Context::mainnet()
        .with_db(BlockDatabase::new(state))
        .with_cfg(rules)
        .with_block(block(context))
        .build_mainnet_with_inspector(inspector)
}

/// A signed transaction as revm takes it.
pub(super) fn transaction(transaction: &Transaction, sender: Address) -> TxEnv {
    let authorizations = transaction.authorization_list().unwrap_or_default();
    TxEnv {
        tx_type: transaction.ty(),
        caller: sender,
        gas_limit: transaction.gas_limit(),
        gas_price: transaction.max_fee_per_gas(),
        kind: transaction.kind(),
        value: transaction.value(),
        data: transaction.input().clone(),
        nonce: transaction.nonce(),
        chain_id: transaction.chain_id(),
        access_list: transaction.access_list().cloned().unwrap_or_default(),
        gas_priority_fee: transaction.max_priority_fee_per_gas(),
        blob_hashes: transaction.blob_versioned_hashes().unwrap_or_default().to_vec(),
        max_fee_per_blob_gas: transaction.max_fee_per_blob_gas().unwrap_or_default(),
        authorization_list: authorizations.iter().cloned().map(Either::Left).collect(),
    }
}
