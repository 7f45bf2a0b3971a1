//! The callboard: where every block and transaction is directed.
//!
//! [`route`] is a pure function over its whole domain, so importing and broadcasting cannot be confused by accident,
//! and [`Callboard`] counts each delivery that is carried out. There is no configuration key for direction.

mod board;
mod provenance;
mod table;
#[cfg(test)]
mod tests;

pub use board::{Callboard, RouteCount, Routes, TableEntry};
pub use provenance::{Path, Provenance};
pub use table::{Delivery, Kind, Origin, Phase, Role, route};
