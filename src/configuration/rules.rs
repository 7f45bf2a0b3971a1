//! Rules between keys.

use super::error::ConfigurationError;
use super::{Configuration, Role};
use callboard_actors::transport::PeerUrl;
use std::net::SocketAddr;

/// Checks what no single key can say about itself.
pub(super) fn check(configuration: &Configuration) -> Result<(), ConfigurationError> {
    development_stays_on_loopback(configuration)?;
    development_is_an_authority(configuration)?;
    seeds_are_other_nodes(configuration)?;
    listeners_are_distinct(configuration)?;
    tls_is_whole(configuration)?;
    one_source_of_accounts(configuration)
}

fn listeners(configuration: &Configuration) -> Vec<(&'static str, SocketAddr)> {
    let mut all = vec![("rpc.listen", configuration.rpc.listen), ("peers.listen", configuration.peers.listen)];
    all.extend(configuration.rpc.admin.map(|admin| ("rpc.admin", admin)));
    all
}

fn development_stays_on_loopback(configuration: &Configuration) -> Result<(), ConfigurationError> {
    if !configuration.node.dev || configuration.node.dev_exposed {
        return Ok(());
    }
    match listeners(configuration).into_iter().find(|(_, listen)| !listen.ip().to_canonical().is_loopback()) {
        None => Ok(()),
        Some((key, _)) => Err(not_allowed(
            configuration,
            key,
            "a loopback address while node.dev = true, because everybody knows a development chain's keys; \
             set node.dev_exposed = true to listen there all the same",
        )),
    }
}

fn development_is_an_authority(configuration: &Configuration) -> Result<(), ConfigurationError> {
    let follower = configuration.node.role == Some(Role::Follower);
    if configuration.node.dev && follower {
        let allowed =
            "\"authority\" while node.dev = true; a node that follows a development chain has node.dev = false";
        return Err(not_allowed(configuration, "node.role", allowed));
    }
    Ok(())
}

fn seeds_are_other_nodes(configuration: &Configuration) -> Result<(), ConfigurationError> {
    let peers = &configuration.peers;
    let own = |seed: &&PeerUrl| seed.reaches(peers.listen) || peers.advertise.as_ref() == Some(*seed);
    match peers.seeds.iter().find(own) {
        None => Ok(()),
        Some(seed) => {
            let allowed = format!(
                "the addresses of other nodes, and {seed} is this node's own (peers.listen or peers.advertise)"
            );
            Err(not_allowed(configuration, "peers.seeds", &allowed))
        }
    }
}

fn tls_is_whole(configuration: &Configuration) -> Result<(), ConfigurationError> {
    let peers = &configuration.peers;
    let files =
        [("peers.tls_cert", &peers.tls_cert), ("peers.tls_key", &peers.tls_key), ("peers.tls_ca", &peers.tls_ca)];
    if files.iter().all(|(_, file)| file.is_none()) {
        return Ok(());
    }
    if let Some((key, _)) = files.iter().find(|(_, file)| file.is_none()) {
        let allowed = "a file, because TLS between peers needs all of peers.tls_cert, peers.tls_key and peers.tls_ca";
        return Err(not_allowed(configuration, key, allowed));
    }
    let urls = peers.seeds.iter().map(|seed| ("peers.seeds", seed));
    let mut urls = urls.chain(peers.advertise.iter().map(|url| ("peers.advertise", url)));
    match urls.find(|(_, url)| url.scheme() != "https") {
        None => Ok(()),
        Some((key, url)) => {
            let allowed = format!("https:// addresses while peers.tls_cert is given, and {url} is none");
            Err(not_allowed(configuration, key, &allowed))
        }
    }
}

fn listeners_are_distinct(configuration: &Configuration) -> Result<(), ConfigurationError> {
    let all = listeners(configuration);
    for (position, (key, listen)) in all.iter().enumerate() {
        let taken = all[..position].iter().find(|(_, other)| listen.port() != 0 && other == listen);
        if let Some((other, _)) = taken {
            return Err(not_allowed(configuration, key, &format!("another address than {other}")));
        }
    }
    Ok(())
}

fn one_source_of_accounts(configuration: &Configuration) -> Result<(), ConfigurationError> {
    if configuration.genesis.file.is_some() && configuration.genesis.alloc.is_some() {
        let allowed = "left out while genesis.file is given, because that file holds the accounts";
        return Err(not_allowed(configuration, "genesis.alloc", allowed));
    }
    Ok(())
}

fn not_allowed(configuration: &Configuration, key: &'static str, allowed: &str) -> ConfigurationError {
    let (value, origin) = match configuration.entry(key) {
        Some(entry) => (entry.value.to_string(), entry.origin.clone()),
        None => ("unset".to_owned(), super::Origin::Default),
    };
    ConfigurationError::NotAllowed { origin, key, value, allowed: allowed.to_owned() }
}
