//! From the configuration to what each part is told.

use crate::configuration::{Configuration, LimitSection, Unfunded};
use callboard_actors::confirmed_state::CommitPolicy;
use callboard_actors::proposer::{HasRoom, Schedule};
use callboard_actors::rpc_frontend::{AdminSurface, RateConfig, RpcConfig, TraceConfig};
use callboard_actors::tx_pool::{self, PoolConfig};
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::time::Duration;

/// Operators at once.
pub(super) const ADMIN_CONNECTIONS: usize = 16;

/// Verifier threads: as configured, or one a core.
pub(super) fn workers(configuration: &Configuration) -> usize {
    match configuration.sync.workers {
        0 => std::thread::available_parallelism().map_or(1, NonZeroUsize::get),
        workers => workers,
    }
}

/// The admin listener: the public one's bounds at an address of its own, with connections enough for operators. No web
/// page and no further host name reaches it, whatever the public one allows: a page that may read the chain is not
/// thereby an operator.
pub(super) fn admin(configuration: &Configuration, listen: SocketAddr) -> RpcConfig {
    RpcConfig {
        listen: listen.to_string(),
        hosts: Vec::new(),
        cors: Vec::new(),
        admin: AdminSurface::Here,
        workers: 1,
        max_connections: ADMIN_CONNECTIONS,
        ..rpc(configuration)
    }
}

pub(super) fn rpc(configuration: &Configuration) -> RpcConfig {
    let rpc = &configuration.rpc;
    RpcConfig {
        listen: rpc.listen.to_string(),
        hosts: rpc.hosts.clone(),
        cors: rpc.cors.clone(),
        max_body_bytes: rpc.max_body_bytes,
        body_within: Duration::from_millis(rpc.body_ms),
        max_batch: rpc.max_batch,
        max_batch_answer_bytes: rpc.max_batch_answer_bytes,
        max_log_blocks: rpc.max_log_blocks,
        max_logs: rpc.max_logs,
        max_log_bytes: rpc.max_log_bytes,
        call_gas: rpc.call_gas,
        call_time: Duration::from_millis(rpc.call_ms),
        trace: trace(&rpc.limit),
        unread_bytes: rpc.limit.unread_bytes,
        max_connections: rpc.max_connections,
        max_subscriptions: rpc.max_subscriptions,
        max_filters: rpc.max_filters,
        rate: rpc.limit.enabled.then(|| rate(&rpc.limit)),
        import_blocks_per_second: u32::try_from(rpc.limit.import_blocks_per_second).unwrap_or(u32::MAX),
        admin: rpc.admin.map_or(AdminSurface::Off, AdminSurface::At),
        ..RpcConfig::default()
    }
}

fn trace(limit: &LimitSection) -> TraceConfig {
    let LimitSection { trace_steps: steps, trace_bytes: bytes, traces: at_once, .. } = *limit;
    TraceConfig { steps, bytes, time: Duration::from_millis(limit.trace_ms), at_once }
}

fn rate(limit: &LimitSection) -> RateConfig {
    let LimitSection { requests_per_second, burst, .. } = *limit;
    RateConfig { requests_per_second, burst, exempt: limit.exempt.clone() }
}

pub(super) fn pool(configuration: &Configuration) -> PoolConfig {
    let pool = &configuration.pool;
    PoolConfig {
        max_transactions: pool.max_transactions,
        max_bytes: pool.max_bytes,
        max_per_sender: pool.max_per_sender,
        ttl: Duration::from_secs(pool.ttl_s),
        senders: pool.senders.iter().copied().collect(),
        unfunded: match pool.unfunded {
            Unfunded::Limit => tx_pool::Unfunded::Limit,
            Unfunded::Refuse => tx_pool::Unfunded::Refuse,
            Unfunded::Accept => tx_pool::Unfunded::Accept,
        },
    }
}

pub(super) fn commit(configuration: &Configuration) -> CommitPolicy {
    let sync = &configuration.sync;
    CommitPolicy {
        transactions: usize::try_from(sync.commit_transactions).unwrap_or(usize::MAX),
        bytes: usize::try_from(sync.commit_bytes).unwrap_or(usize::MAX),
        age: Duration::from_millis(sync.commit_ms),
    }
}

pub(super) fn schedule(configuration: &Configuration, heartbeat_seconds: u64) -> Schedule {
    Schedule {
        interval: Duration::from_millis(configuration.authority.block_interval_ms),
        empty_blocks: configuration.authority.empty_blocks,
        heartbeat: Duration::from_secs(heartbeat_seconds),
    }
}

/// Whether the data folder's disk has `store.min_free_bytes` left.
pub(super) fn has_room(configuration: &Configuration) -> HasRoom {
    let (folder, wanted) = (configuration.node.data_dir.clone(), configuration.store.min_free_bytes);
    Box::new(move || match fs4::available_space(&folder) {
        Ok(free) if free < wanted => {
            Err(format!("{} has {free} bytes free, store.min_free_bytes asks for {wanted}", folder.display()))
        }
        // A disk that cannot be asked is not known to be full; writing will tell.
        Ok(_) | Err(_) => Ok(()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn the_admin_listener_lets_no_page_and_no_further_name_in_whatever_the_public_one_does() {
        let text = "[rpc]\ncors = [\"*\"]\nhosts = [\"*\"]\nadmin = true\nmax_batch = 7";
        let configuration = Configuration::from_toml(text, Path::new("/base")).expect("a configuration");
        let listen = configuration.rpc.admin.expect("an address");
        let (public, admin) = (rpc(&configuration), admin(&configuration, listen));
        assert_eq!((public.cors.len(), public.hosts.len()), (1, 1));
        assert!(admin.cors.is_empty() && admin.hosts.is_empty());
        assert_eq!(admin.max_batch, 7);
    }

    #[test]
    fn requests_are_limited_only_where_that_is_switched_on() {
        let load = |text: &str| Configuration::from_toml(text, Path::new("/base")).expect("a configuration");
        assert!(rpc(&load("[rpc.limit]\nburst = 7")).rate.is_none());
        let rate = rpc(&load("[rpc.limit]\nenabled = true\nburst = 7\nexempt = [\"10.0.0.1\"]")).rate.expect("a limit");
        assert_eq!((rate.requests_per_second.get(), rate.burst.get(), rate.exempt.len()), (100, 7, 1));
    }
}
