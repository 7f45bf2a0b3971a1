//! `callboard top`: the live view of a node in a terminal.
//!
//! | module | what it holds |
//! |---|---|
//! | [`answers`] | what the node says, as far as it is shown |
//! | [`state`] | the core: keys and answers in, what to do next out |
//! | [`sentence`] | the one sentence that names the bottleneck |
//! | [`table`] | the table of actors: columns and their order |
//! | [`view`] | the core's state as a picture |
//! | [`shell`] | terminal, timer, HTTP |

pub mod answers;
pub mod sentence;
pub mod shell;
pub mod state;
pub mod table;
#[cfg(test)]
mod tests;
pub mod view;

pub use shell::{Setup, TopError, run};
