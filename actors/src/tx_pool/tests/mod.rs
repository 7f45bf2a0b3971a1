mod actor;
mod core;
mod forwarding;
mod replacement;
mod timeline;
mod turns;
