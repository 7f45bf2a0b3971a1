mod actor;
mod state;
