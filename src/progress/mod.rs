//! How far long work is: a bar on a terminal, a line every 5 s elsewhere.
//!
//! [`Standing::text`] is the text of both. Bars and log share a terminal through a [`Console`], so that neither tears the
//! other.

mod console;
mod indicator;
mod standing;

pub use console::{Console, LogWriter};
pub use indicator::{Indicator, Reporter};
pub use standing::Standing;
