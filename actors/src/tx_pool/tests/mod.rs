mod actor;
mod core;
