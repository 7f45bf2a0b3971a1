//! Tests of the whole program: its command line, real nodes, real sockets.

mod client;
mod command_line;
mod configuration;
mod crash;
mod documents;
mod fake_node;
mod first_start;
mod large;
mod readme;
mod refused_start;
mod sealed_once;
mod seeds;
mod support;
mod sync;
