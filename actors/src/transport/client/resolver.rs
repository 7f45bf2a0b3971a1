//! Name resolution for addresses that strangers told.

use crate::transport::is_local_only;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::net::SocketAddr;

/// Resolves as the system does and leaves out addresses of this machine or link, so that no stranger can point a
/// name at them.
#[derive(Debug)]
pub(super) struct NotLocal;

impl Resolve for NotLocal {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let addresses: Vec<SocketAddr> = found.filter(|address| !is_local_only(address.ip())).collect();
            if addresses.is_empty() {
                return Err("the name has no address beyond this machine and link".into());
            }
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}
