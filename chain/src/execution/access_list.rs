//! The access list that makes a transaction cheapest: the machinery of `eth_createAccessList` (EIP-2930).

use super::call::Simulator;
use super::outcome::{Outcome, outcome};
use super::{BlockContext, CallError, CallLimits, CallRequest};
use crate::StateReader;
use alloy_eips::eip2930::{AccessList, AccessListItem};
use alloy_primitives::{Address, B256, TxKind};
use revm::handler::PrecompileProvider;
use revm::state::EvmState;
use std::collections::{BTreeMap, BTreeSet};

/// A list can change what the code does (it can see its gas), so it is run again with the list; after this many
/// rounds the list is good enough.
const MAX_ROUNDS: usize = 8;

/// What a transaction touches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessListOutcome {
    /// Addresses and slots, ascending, without those that are warm anyway.
    pub access_list: AccessList,
    /// Gas used with that list.
    pub gas_used: u64,
    /// How the code ran with that list.
    pub outcome: Outcome,
}

/// Runs the request and answers which addresses and slots it touches.
pub fn create_access_list<S: StateReader>(
    state: &S,
    context: BlockContext,
    request: &CallRequest,
    limits: CallLimits<'_>,
) -> Result<AccessListOutcome, CallError> {
    let mut request = request.clone();
    let mut touched = Touched::default();
    touched.announce(request.access_list.as_ref());
    for _ in 1..MAX_ROUNDS {
        let (outcome, grown) = round(state, &context, &mut request, limits, &mut touched)?;
        if !grown {
            return Ok(outcome);
        }
    }
    Ok(round(state, &context, &mut request, limits, &mut touched)?.0)
}

fn round<S: StateReader>(
    state: &S,
    context: &BlockContext,
    request: &mut CallRequest,
    limits: CallLimits<'_>,
    touched: &mut Touched,
) -> Result<(AccessListOutcome, bool), CallError> {
    let access_list = touched.list();
    request.access_list = Some(access_list.clone());
    let mut simulator = Simulator::new(state, context.clone(), request, limits)?;
    let gas = request.gas.unwrap_or(limits.gas).min(limits.gas);
    let gas = gas.min(simulator.affordable_gas()?.unwrap_or(u64::MAX));
    let (result, loaded) = simulator.run(gas)?;
    let grown = touched.add(&simulator, loaded);
    let gas_used = result.tx_gas_used();
    let (outcome, _) = outcome(result);
    Ok((AccessListOutcome { access_list, gas_used, outcome }, grown))
}

#[derive(Default)]
struct Touched(BTreeMap<Address, BTreeSet<B256>>);

impl Touched {
    fn announce(&mut self, list: Option<&AccessList>) {
        for item in list.into_iter().flat_map(|list| list.iter()) {
            self.0.entry(item.address).or_default().extend(&item.storage_keys);
        }
    }

    /// Adds what a run loaded; answers whether anything was new. Sender, recipient, beneficiary, precompiles and
    /// contracts created on the way are warm anyway, so they are listed only for their slots.
    fn add<S: StateReader>(&mut self, simulator: &Simulator<'_, S>, loaded: EvmState) -> bool {
        let recipient = match simulator.transaction.kind {
            TxKind::Call(to) => Some(to),
            TxKind::Create => None,
        };
        let precompiles =
            PrecompileProvider::<revm::handler::MainnetContext<super::database::BlockDatabase<'_, S>>>::warm_addresses(
                &simulator.evm.precompiles,
            );
        let mut grown = false;
        for (address, account) in loaded {
            if account.is_created() {
                continue;
            }
            let warm = address == simulator.transaction.caller
                || Some(address) == recipient
                || address == simulator.context.beneficiary
                || precompiles.contains(&address);
            if warm && account.storage.is_empty() {
                continue;
            }
            grown |= !self.0.contains_key(&address);
            let slots = self.0.entry(address).or_default();
            for slot in account.storage.keys() {
                grown |= slots.insert(B256::from(*slot));
            }
        }
        grown
    }

    fn list(&self) -> AccessList {
        let item = |(address, slots): (&Address, &BTreeSet<B256>)| AccessListItem {
            address: *address,
            storage_keys: slots.iter().copied().collect(),
        };
        AccessList(self.0.iter().map(item).collect())
    }
}
