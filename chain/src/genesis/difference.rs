//! In what two geneses differ, in words.

use super::{Genesis, GenesisAccount};
use crate::keccak256;
use alloy_primitives::Address;

/// Accounts named one by one before the rest is only counted: enough to see what happened.
const MAX_NAMED_ACCOUNTS: usize = 10;

/// A field in which two geneses differ.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Difference {
    /// Which field.
    pub field: String,
    /// Its value here.
    pub ours: String,
    /// Its value there.
    pub theirs: String,
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} differs: {} here, {} there", self.field, self.ours, self.theirs)
    }
}

/// Every field in which `ours` and `theirs` differ; empty where they make the same block 0 but for the seal.
pub fn differences(ours: &Genesis, theirs: &Genesis) -> Vec<Difference> {
    let fields = described(ours).into_iter().zip(described(theirs));
    let mut differences: Vec<_> = fields
        .filter(|(ours, theirs)| ours.1 != theirs.1)
        .map(|((field, ours), (_, theirs))| Difference { field: field.to_owned(), ours, theirs })
        .collect();
    differences.extend(account_differences(ours, theirs));
    differences
}

/// Every field of a genesis but its accounts, in words: what two chains are told apart by before either has seen the
/// other's genesis.
pub fn described(genesis: &Genesis) -> [(&'static str, String); 10] {
    let config = &genesis.config;
    let forks: Vec<_> = config.forks.iter().map(|(fork, from)| format!("{fork} from {from}")).collect();
    [
        ("chainId", config.chain_id.to_string()),
        ("name", config.name.clone()),
        ("authority", config.authority.to_string()),
        ("forks", forks.join(", ")),
        ("baseFeePolicy", config.base_fee_policy.name().to_owned()),
        ("initialBaseFee", config.initial_base_fee.to_string()),
        ("gasLimit", config.gas_limit.to_string()),
        ("maxBlockBytes", config.max_block_bytes.to_string()),
        ("heartbeat", config.heartbeat_seconds.to_string()),
        ("timestamp", genesis.timestamp.to_string()),
    ]
}

fn account_differences(ours: &Genesis, theirs: &Genesis) -> Vec<Difference> {
    let only_theirs = theirs.alloc.keys().filter(|address| !ours.alloc.contains_key(*address));
    let mut differing = ours.alloc.keys().chain(only_theirs).filter(|address| {
        let (ours, theirs) = (ours.alloc.get(*address), theirs.alloc.get(*address));
        !same_account(ours, theirs)
    });
    let named = differing.by_ref().take(MAX_NAMED_ACCOUNTS);
    let mut differences: Vec<_> = named.map(|address| account_difference(*address, ours, theirs)).collect();
    let more = differing.count();
    if more > 0 {
        let count = |genesis: &Genesis| format!("{} accounts", genesis.alloc.len());
        let field = format!("alloc ({more} more accounts)");
        differences.push(Difference { field, ours: count(ours), theirs: count(theirs) });
    }
    differences
}

fn same_account(ours: Option<&GenesisAccount>, theirs: Option<&GenesisAccount>) -> bool {
    match (ours, theirs) {
        (Some(ours), Some(theirs)) => {
            (ours.balance, ours.nonce, &ours.code) == (theirs.balance, theirs.nonce, &theirs.code)
                && ours.slots().eq(theirs.slots())
        }
        (ours, theirs) => ours.is_none() && theirs.is_none(),
    }
}

fn account_difference(address: Address, ours: &Genesis, theirs: &Genesis) -> Difference {
    let shown = |genesis: &Genesis| genesis.alloc.get(&address).map_or_else(|| "absent".to_owned(), describe);
    Difference { field: format!("alloc.{address}"), ours: shown(ours), theirs: shown(theirs) }
}

fn describe(account: &GenesisAccount) -> String {
    let mut text = format!("balance {}, nonce {}", account.balance, account.nonce);
    if !account.code.is_empty() {
        text += &format!(", code hash {}", keccak256(&account.code));
    }
    let account = account.account();
    if account.storage_root != alloy_trie::EMPTY_ROOT_HASH {
        text += &format!(", storage root {}", account.storage_root);
    }
    text
}
