//! What a start prints: role, chain, state, addresses.

use super::RpcAddresses;
use crate::amount::Wei;
use crate::start::Created;
use callboard_actors::callboard::Role;
use callboard_chain::genesis::SealedGenesis;
use callboard_store::{StorageError, Store};
use std::cmp::Reverse;
use std::fmt::Write;
use std::net::SocketAddr;

/// Accounts shown: the richest of those looked at.
const ACCOUNTS: usize = 5;
/// Accounts looked at; a start must not read a million of them.
const LOOKED_AT: usize = 1_000;

/// What the print-out is about.
pub(super) struct Subject<'a> {
    pub(super) name: &'a str,
    pub(super) role: Role,
    pub(super) genesis: &'a SealedGenesis,
    pub(super) store: &'a Store,
    pub(super) created: Option<Created>,
    pub(super) rpc: RpcAddresses,
    pub(super) peers: SocketAddr,
    pub(super) node_id: String,
    pub(super) dev_exposed: bool,
}

/// The print-out, ready for standard output.
pub(super) fn text(subject: &Subject<'_>) -> Result<String, StorageError> {
    let mut out = String::new();
    write_all(&mut out, subject)?;
    Ok(out)
}

fn write_all(out: &mut String, subject: &Subject<'_>) -> Result<(), StorageError> {
    let config = subject.genesis.config();
    // Writing to a string cannot fail.
    let mut line = |text: String| writeln!(out, "{text}").unwrap_or_default();
    line(format!("=== {}", meaning(subject.role)));
    if !subject.name.is_empty() {
        line(format!("node           {}", subject.name));
    }
    line(format!("chain          {} (chain id {}, {})", config.name, config.chain_id, config.hardfork_at(0)));
    line(format!("genesis        {:#x}", subject.genesis.hash()));
    line(format!("authority      {}", config.authority));
    if let Some(created) = subject.created {
        line("created        a new chain".to_owned());
        if let Some(owner) = created.owner {
            line(format!("owner          {owner}"));
        }
    }
    let snapshot = subject.store.snapshot()?;
    line("=== Sync state".to_owned());
    line("* Balances and nonces".to_owned());
    let mut accounts = snapshot.accounts(LOOKED_AT)?;
    accounts.sort_by_key(|(_, account)| Reverse(account.balance));
    for (address, account) in accounts.into_iter().take(ACCOUNTS) {
        line(format!("acc {address} {:>28} {:>8}", Wei(account.balance).to_string(), account.nonce));
    }
    let head = snapshot.head();
    let parent = snapshot.header(head.height)?.map(|header| header.parent_hash).unwrap_or_default();
    line("* Last block".to_owned());
    line(format!("blk {:>7}: {:#x} -> {:#x}", head.height, head.hash, parent));
    line(format!("<=> RPC        http://{}", subject.rpc.public));
    if let Some(admin) = subject.rpc.admin {
        line(format!("<=> admin      http://{admin}"));
    }
    line(format!("<=> peers      http://{}", subject.peers));
    line(format!("<=> dashboard  http://{}/", subject.rpc.public));
    line(format!("<=> node id    {}", subject.node_id));
    if subject.dev_exposed {
        line(
            "!!! development keys, which everybody knows, are reachable from other machines (node.dev_exposed)"
                .to_owned(),
        );
    }
    Ok(())
}

/// What the role means for blocks.
fn meaning(role: Role) -> &'static str {
    match role {
        Role::Authority => {
            "authority: seals blocks and broadcasts them to its peers; imports only what it sealed itself and lacks"
        }
        Role::Follower => "follower: imports blocks from its peers, relays them to its other peers, never seals",
    }
}
