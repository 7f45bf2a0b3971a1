//! Tests of the whole program: its command line, real nodes, real sockets.

mod client;
mod command_line;
mod configuration;
mod documents;
mod fake_node;
mod first_start;
mod support;
