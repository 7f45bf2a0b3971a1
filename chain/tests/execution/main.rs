//! Executing transactions, in blocks and as calls.
#![allow(missing_docs)]

mod blocks;
mod calls;
mod memory;
mod support;
mod traces;
