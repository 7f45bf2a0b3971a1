//! The frontend over real sockets: a real server on port 0, a real chain in a real store, fakes for the actors.

mod admin;
mod calls;
mod chain;
mod dashboard;
mod debug;
mod envelope;
mod eth;
mod events;
mod filters;
mod guards;
mod harness;
mod history;
mod hostile;
mod limits;
mod logs;
mod members;
mod own;
mod pool;
mod reading;
mod rest;
mod scan;
mod schemas;
mod send;
mod txpool;
mod websocket;
mod websocket_calls;
