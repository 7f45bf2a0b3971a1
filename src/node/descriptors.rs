//! File descriptors: enough of them for all connections that the configuration allows. A process that has none left cannot
//! write its files either, and an authority that cannot write its high-water mark stops.

use super::{NodeError, settings};
use crate::configuration::Configuration;
use callboard_actors::rpc_frontend::SPARE_CONNECTIONS;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// A connection of a client has its socket twice: once to serve it, and once to cut it while it is not read.
const A_CLIENT: u64 = 2;
/// A peer may hold a session, a stream of blocks and requests in both directions.
const A_PEER: u64 = 8;
/// Databases, key files, listeners, the log, the runtimes, sorted runs of a state root, and some to spare.
const OWN: u64 = 256;

/// Raises this process's limit as far as the configuration may need, or says which key has to be lower.
pub(super) fn provide(configuration: &Configuration) -> Result<(), NodeError> {
    let wanted = wanted(configuration);
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_none_or(|current| current >= wanted) {
        return Ok(());
    }
    check(configuration.rpc.max_connections, wanted, maximum)?;
    let raised = Rlimit { current: Some(maximum.map_or(wanted, |most| most.min(wanted))), maximum };
    setrlimit(Resource::Nofile, raised)
        .map_err(|error| too_many(configuration.rpc.max_connections, wanted, current.unwrap_or(0), &error.to_string()))
}

fn wanted(configuration: &Configuration) -> u64 {
    let clients = |connections: usize| count(connections.saturating_add(SPARE_CONNECTIONS)).saturating_mul(A_CLIENT);
    let admins = configuration.rpc.admin.map_or(0, |_| clients(settings::ADMIN_CONNECTIONS));
    let peers = count(configuration.peers.max).saturating_mul(A_PEER);
    clients(configuration.rpc.max_connections).saturating_add(admins).saturating_add(peers).saturating_add(OWN)
}

fn check(connections: usize, wanted: u64, maximum: Option<u64>) -> Result<(), NodeError> {
    match maximum {
        Some(most) if most < wanted => Err(too_many(connections, wanted, most, "that is the hard limit")),
        _ => Ok(()),
    }
}

fn too_many(connections: usize, wanted: u64, most: u64, why: &str) -> NodeError {
    let fits = count(connections).saturating_sub((wanted - most.min(wanted)).div_ceil(A_CLIENT));
    let remedy = if fits == 0 { "raise it".to_owned() } else { format!("raise it, or set the key to {fits} or less") };
    NodeError::Setting {
        key: "rpc.max_connections",
        value: connections.to_string(),
        reason: format!(
            "with peers.max it needs {wanted} open files, and this process may have {most} ({why}, see ulimit -n): {remedy}"
        ),
    }
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn connections_that_cannot_be_served_are_refused_with_what_can() {
        let load = |text: &str| Configuration::from_toml(text, Path::new("/base")).expect("a configuration");
        let wanted = wanted(&load("[rpc]\nmax_connections = 1000\n[peers]\nmax = 10"));
        assert_eq!(wanted, 2 * (1_000 + 64) + 8 * 10 + 256);
        assert!(check(1_000, wanted, None).is_ok() && check(1_000, wanted, Some(wanted)).is_ok());
        let error = check(1_000, wanted, Some(wanted - 201)).expect_err("too few").to_string();
        assert!(error.starts_with("rpc.max_connections = 1000: with peers.max it needs 2464 open files"), "{error}");
        assert!(error.ends_with("set the key to 899 or less"), "{error}");
        let fits = load("[rpc]\nmax_connections = 899\n[peers]\nmax = 10");
        assert!(check(899, super::wanted(&fits), Some(wanted - 201)).is_ok(), "what the sentence says is true");
        assert!(check(1_000, wanted, Some(10)).expect_err("none").to_string().ends_with("raise it"));
    }

    #[test]
    fn the_defaults_need_no_more_than_any_system_gives() {
        let configuration = Configuration::from_toml("", Path::new("/base")).expect("defaults");
        assert!(wanted(&configuration) <= 4_096);
    }
}
