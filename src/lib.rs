//! Callboard, a proof-of-authority blockchain node for private, consortium and development networks.
//!
//! | module | what it holds |
//! |---|---|
//! | [`configuration`] | node.toml, the environment and flags, checked |
//! | [`amount`] | amounts of ether as people write them |

pub mod amount;
pub mod configuration;
