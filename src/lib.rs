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

pub mod amount;
pub mod configuration;
pub mod dev;
pub mod keystore;
pub mod logging;
pub mod node_key;
