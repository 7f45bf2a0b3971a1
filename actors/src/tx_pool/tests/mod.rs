mod actor;
mod core;
mod forwarding;
