//! Any order, any number of times, any batching: the same state.

mod database;
mod facts;
mod seeds;
mod state;
mod story;
mod ways;
