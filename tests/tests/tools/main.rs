//! The worker's tools for the day after: dead letters, replay, rebuild. Each is the program itself, run as a person
//! runs it, with nothing but `DATABASE_URL`; beside it, where that matters, a worker at work.

mod dead_letters;
mod effects;
mod interrupted;
mod preview;
mod rebuild;
mod replay;
mod scene;
mod webhook;

#[path = "../any_order/state.rs"]
#[expect(dead_code, reason = "the permutations look at more of it")]
mod state;

#[path = "../any_order/story/mod.rs"]
#[expect(dead_code, reason = "the permutations look at more of it")]
mod story;
