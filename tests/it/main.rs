//! Tests of the whole program: its command line, real nodes, real sockets.

mod bad_blocks;
mod bad_transactions;
mod by_address;
mod chain_file;
mod client;
mod command_line;
mod configuration;
mod crash;
mod documents;
mod equivocation;
mod fake_node;
mod first_start;
mod forge;
mod gaps;
mod import_limit;
mod large;
mod manual_sync;
mod message_graph;
mod readme;
mod refused_start;
mod sealed_once;
mod seeds;
mod storage_error;
mod support;
mod sync;
mod zoo;
