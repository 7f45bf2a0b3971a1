//! Tests of the whole crate, against blocks whose changes are made up.

mod crash;
mod differential;
mod files;
pub(crate) mod fixture;
mod node;
mod writer;
