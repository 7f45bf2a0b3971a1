mod actor;
mod limits;
mod report;
mod state;
