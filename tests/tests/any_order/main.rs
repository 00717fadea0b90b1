//! Any order, any number of times, any batching, any number of workers: the same state.
//!
//! [`told`] has one story arrive in thousands of ways; [`facts`] tries made-up facts, each against each;
//! [`processes`] sends the story through the programs themselves; [`untimed`] is about events without a time.

mod database;
mod facts;
mod permutation;
mod processes;
mod seeds;
mod state;
mod story;
mod told;
mod untimed;
mod ways;
