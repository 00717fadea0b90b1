//! Kapso's API, as the dispatcher calls it: requests out, answers in, no opinion on them
//! (that is `effects/outcome.rs`).

mod addressing;
mod answer;
mod client;
mod conversation_api;
mod meta_proxy;

pub use addressing::{ApiStyle, Target};
pub use answer::{Answer, Reply};
pub use client::Client;
pub(crate) use client::REQUEST_TIMEOUT;
