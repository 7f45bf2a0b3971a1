//! revm's view of a block and of a transaction.

use super::BlockContext;
use super::database::BlockDatabase;
use crate::recovery::recover;
use crate::{Hardfork, StateReader, Transaction};
use alloy_consensus::Transaction as _;
use alloy_consensus::Typed2718;
use alloy_eips::eip7702::constants::PER_EMPTY_ACCOUNT_COST;
use alloy_eips::eip7702::{RecoveredAuthority, RecoveredAuthorization, SignedAuthorization};
use alloy_primitives::{Address, U256};
use revm::context::either::Either;
use revm::context::{BlockEnv, CfgEnv, TxEnv};
use revm::context_interface::FrameStack;
use revm::context_interface::block::BlobExcessGasAndPrice;
use revm::handler::instructions::EthInstructions;
use revm::handler::{EthPrecompiles, MainnetContext};
use revm::primitives::hardfork::SpecId;
use revm::{Context, MainContext, MainnetEvm};

/// What an EVM over a block's database works on.
pub(super) type EvmContext<'a, S> = MainnetContext<BlockDatabase<'a, S>>;

/// An EVM over a block's database.
pub(super) type Evm<'a, S, I = ()> = MainnetEvm<EvmContext<'a, S>, I>;

/// An EIP-7702 authorization as revm takes it.
type Authorization = Either<SignedAuthorization, RecoveredAuthorization>;

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

/// An EVM for the transactions of one block. revm's own builder makes the frames of eight nested calls in advance, a
/// quarter of a mebibyte, which is most of what executing an empty block costs; here each is made once a call needs it.
pub(super) fn evm<'a, S: StateReader, I>(
    state: &'a S,
    context: &BlockContext,
    rules: CfgEnv,
    inspector: I,
) -> Evm<'a, S, I> {
    let spec = rules.spec;
    Evm {
        ctx: Context::mainnet().with_db(BlockDatabase::new(state)).with_cfg(rules).with_block(block(context)),
        inspector,
        instruction: EthInstructions::new_mainnet_with_spec(spec),
        precompiles: EthPrecompiles::new(spec),
        frame_stack: FrameStack::new(),
    }
}

/// A signed transaction as revm takes it.
pub(super) fn transaction(transaction: &Transaction, sender: Address) -> TxEnv {
    let list = transaction.authorization_list().unwrap_or_default();
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
        authorization_list: authorizations(list, transaction.gas_limit()),
    }
}

/// EIP-7702 authorizations with their authorities, found by this crate's own (faster) recovery. A list that the gas
/// cannot pay for is refused by its number alone, so it is not worth recovering.
pub(super) fn authorizations(list: &[SignedAuthorization], gas_limit: u64) -> Vec<Authorization> {
    let most = gas_limit / PER_EMPTY_ACCOUNT_COST;
    if usize::try_from(most).is_ok_and(|most| list.len() > most) {
        return list.iter().cloned().map(Either::Left).collect();
    }
    list.iter().map(|authorization| Either::Right(recovered(authorization))).collect()
}

fn recovered(authorization: &SignedAuthorization) -> RecoveredAuthorization {
    let mut signature = [authorization.y_parity(); 65];
    signature[..32].copy_from_slice(&authorization.r().to_be_bytes::<32>());
    signature[32..64].copy_from_slice(&authorization.s().to_be_bytes::<32>());
    let authority = recover(authorization.signature_hash(), &signature);
    let authority = authority.map_or(RecoveredAuthority::Invalid, RecoveredAuthority::Valid);
    RecoveredAuthorization::new_unchecked(authorization.inner().clone(), authority)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SecretKey;
    use alloy_eips::eip7702::Authorization as Unsigned;
    use alloy_primitives::{B256, b256};
    use revm::context_interface::transaction::AuthorizationTr;

    const ORDER: B256 = b256!("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141");

    fn signed(seed: u8) -> SignedAuthorization {
        let key = SecretKey::from_bytes([seed; 32]).expect("a key");
        let unsigned =
            Unsigned { chain_id: U256::from(seed), address: Address::repeat_byte(seed), nonce: u64::from(seed) };
        let signature = key.sign(unsigned.signature_hash());
        let word = |from: usize| U256::from_be_slice(&signature[from..from + 32]);
        SignedAuthorization::new_unchecked(unsigned, signature[64], word(0), word(32))
    }

    /// The authorization with other signature numbers.
    fn forged(from: &SignedAuthorization, y_parity: u8, r: U256, s: U256) -> SignedAuthorization {
        SignedAuthorization::new_unchecked(from.inner().clone(), y_parity, r, s)
    }

    #[test]
    fn recovered_authority_is_the_one_alloy_recovers() {
        let order = U256::from_be_bytes(ORDER.0);
        for seed in 1..=50 {
            let good = signed(seed);
            let (y, r, s) = (good.y_parity(), good.r(), good.s());
            let cases = [
                good.clone(),
                forged(&good, 1 - y, r, s),
                forged(&good, 1 - y, r, order - s),
                forged(&good, 27 + y, r, s),
                forged(&good, y, U256::ZERO, s),
                forged(&good, y, r, U256::ZERO),
                forged(&good, y, order, s),
                forged(&good, y, r + U256::from(1), s),
                forged(&good, y, r, U256::MAX),
            ];
            for case in cases {
                assert_eq!(recovered(&case).authority(), AuthorizationTr::authority(&case), "{case:?}");
            }
        }
    }

    #[test]
    fn list_that_gas_cannot_pay_for_is_not_recovered() {
        let list = [signed(1), signed(2)];
        assert!(authorizations(&list, 49_999).iter().all(Either::is_left));
        assert!(authorizations(&list, 50_000).iter().all(Either::is_right));
    }
}
