//! The frontend over real sockets: a real server on port 0, fakes where the rest of the node would be.

mod envelope;
mod guards;
mod harness;
