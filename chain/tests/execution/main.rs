//! Executing transactions.
#![allow(missing_docs)]

mod memory;
