//! The core by its keys and answers; the view by pictures that are kept as files.

mod core;
mod sample;
mod snapshots;
