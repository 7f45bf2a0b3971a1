//! From the configuration to what each part is told.

use crate::configuration::{Configuration, Unfunded};
use callboard_actors::confirmed_state::CommitPolicy;
use callboard_actors::proposer::{HasRoom, Schedule};
use callboard_actors::rpc_frontend::{AdminSurface, RpcConfig};
use callboard_actors::tx_pool::{self, PoolConfig};
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::time::Duration;

/// Operators at once.
const ADMIN_CONNECTIONS: usize = 16;

/// Verifier threads: as configured, or one a core.
pub(super) fn workers(configuration: &Configuration) -> usize {
    match configuration.sync.workers {
        0 => std::thread::available_parallelism().map_or(1, NonZeroUsize::get),
        workers => workers,
    }
}

/// The admin listener: the public one's settings at an address of its own, with connections enough for operators.
pub(super) fn admin(configuration: &Configuration, listen: SocketAddr) -> RpcConfig {
    let listen = listen.to_string();
    let (workers, max_connections) = (1, ADMIN_CONNECTIONS);
    RpcConfig { listen, admin: AdminSurface::Here, workers, max_connections, ..rpc(configuration) }
}

pub(super) fn rpc(configuration: &Configuration) -> RpcConfig {
    let rpc = &configuration.rpc;
    RpcConfig {
        listen: rpc.listen.to_string(),
        hosts: rpc.hosts.clone(),
        cors: rpc.cors.clone(),
        max_body_bytes: rpc.max_body_bytes,
        max_batch: rpc.max_batch,
        max_connections: rpc.max_connections,
        import_blocks_per_second: u32::try_from(rpc.limit.import_blocks_per_second).unwrap_or(u32::MAX),
        admin: rpc.admin.map_or(AdminSurface::Off, AdminSurface::At),
        ..RpcConfig::default()
    }
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
