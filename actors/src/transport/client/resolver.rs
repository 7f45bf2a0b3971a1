//! Name resolution.

use super::Reach;
use crate::transport::is_local_only;
use futures_util::{FutureExt, future::BoxFuture};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::{fmt, io, net::SocketAddr, sync::Arc};

/// Looks a host name up.
pub(super) type LookUp = Arc<dyn Fn(String) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> + Send + Sync>;

/// Resolves names, and leaves out addresses of this machine or link where a stranger told the name, so that nobody can
/// point one at them.
#[derive(Clone)]
pub(super) struct Resolver {
    pub(super) look_up: LookUp,
    pub(super) reach: Reach,
}

/// As the operating system does.
pub(super) fn system() -> LookUp {
    Arc::new(|name| async move { Ok(tokio::net::lookup_host((name, 0)).await?.collect()) }.boxed())
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (found, reach) = ((self.look_up)(name.as_str().to_owned()), self.reach);
        Box::pin(async move {
            let mut addresses = found.await?;
            if reach == Reach::NotLocal {
                addresses.retain(|address| !is_local_only(address.ip()));
            }
            if addresses.is_empty() {
                return Err("the name has no address beyond this machine and link".into());
            }
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolver").field("reach", &self.reach).finish_non_exhaustive()
    }
}
