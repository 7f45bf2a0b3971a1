//! Callboard, a proof-of-authority blockchain node for private, consortium and development networks.
//!
//! | module | what it holds |
//! |---|---|
//! | [`configuration`] | node.toml, the environment and flags, checked |
//! | [`keystore`] | keys at rest, in V3 key files |
//! | [`node_key`] | the key by which peers know this node |
//! | [`dev`] | the keys of a development chain |
//! | [`logging`] | the log |
//! | [`amount`] | amounts of ether as people write them |
//! | [`start`] | what a node starts from: chain, role and key |
//! | [`node`] | the node: assembly and supervision |
//! | [`progress`] | how far long work is: bars and lines |
//! | [`units`] | figures as people read them |
//! | [`top`] | the live view of a node in a terminal |
//! | [`chain_file`] | blocks in a file |
//! | [`apply`] | blocks given to the chain of a stopped node |
//! | [`repair`] | a damaged chain made whole from its own blocks |
//! | [`cli`] | the command line |
//! | [`event_client`] | events of a node, for the commands that listen |
//! | [`rpc_client`] | JSON-RPC for the commands that talk to a node |

pub mod amount;
pub mod apply;
pub mod chain_file;
pub mod cli;
pub mod configuration;
pub mod dev;
pub mod event_client;
pub mod keystore;
pub mod logging;
pub mod node;
pub mod node_key;
pub mod progress;
pub mod repair;
pub mod rpc_client;
pub mod start;
pub mod top;
pub mod units;

/// Chooses the TLS library of this process's HTTP clients. Does nothing the second time.
fn install_tls() {
    // Fails only where a provider is installed already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
}
