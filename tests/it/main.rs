//! Tests of the whole program: its command line, real nodes, real sockets.

mod command_line;
mod configuration;
mod first_start;
mod support;
