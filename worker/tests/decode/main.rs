//! Decoding, from outside: what each example says, what odd bodies say, and that nothing
//! that may come brings it down.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod backfill;
mod batches;
mod fuzz;
mod oddities;
mod received;
mod shown;
mod snapshots;
mod sound;
mod statements;
