//! Small files a running node keeps in its data folder.

use super::RpcAddresses;
use crate::configuration::Configuration;
use std::net::SocketAddr;

/// Where this node listens, for scripts that start it on free ports: `addresses.json` in the data folder.
pub(super) fn write_addresses(
    configuration: &Configuration,
    rpc: RpcAddresses,
    peers: SocketAddr,
) -> Result<(), String> {
    let path = configuration.node.data_dir.join("addresses.json");
    let mut addresses = serde_json::json!({ "rpc": rpc.public.to_string(), "peers": peers.to_string() });
    if let Some(admin) = rpc.admin {
        addresses["admin"] = admin.to_string().into();
    }
    let text = addresses.to_string();
    let unfinished = path.with_extension("json.tmp");
    std::fs::write(&unfinished, text)
        .and_then(|()| std::fs::rename(&unfinished, &path))
        .map_err(|error| format!("{} cannot be written: {error}", path.display()))
}
