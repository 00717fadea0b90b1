//! Kapso's API: requests out, answers in, no opinion on them (that is `effects/outcome.rs`).
//! The dispatcher has it do things; [`crate::gaps`] only asks what there is ([`listing`]). How
//! webhooks come to us is a matter of the [`platform`] API.

mod addressing;
mod answer;
pub(crate) mod body;
mod client;
mod conversation_api;
pub mod listing;
mod meta_proxy;
pub mod platform;
mod settings;

pub use addressing::{ApiStyle, Reach, Target};
pub use answer::{Answer, Response};
pub use client::Client;
pub(crate) use client::{REQUEST_TIMEOUT, cause};
pub(crate) use meta_proxy::effect_of_callback;
pub use settings::Api;
pub(crate) use settings::is_at_kapso;
