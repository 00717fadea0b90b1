//! Replies happen once, in order, and only when they should: thousands of people ask, Kapso answers as badly as it can,
//! and workers are killed all the while. What happened is counted by what the simulator *accepted*.
//!
//! `make test` asks [`SHORT`] questions by each of Kapso's two APIs; `make replies QUESTIONS=30000` asks more.

#![allow(clippy::print_stdout, reason = "whoever asks so many questions wants to see what became of them")]

mod storm;
mod trouble;
mod verdict;

use anyhow::{Context, Result};
use kapso_sim::Statuses;
use kapso_sim::dialect::Dialect;

use storm::{Api, Storm};

/// How many questions unless asked for more.
const SHORT: usize = 1_000;

/// How many questions to ask.
const QUESTIONS: &str = "BUZON_TEST_QUESTIONS";

/// Nothing but Kapso's listings tells what became of a reply.
#[tokio::test(flavor = "multi_thread")]
async fn by_the_conversation_api() -> Result<()> {
    storm(Api::Conversation, Dialect::V1, Statuses::NONE).await
}

/// Webhooks tell what becomes of a reply, with the name that we gave it.
#[tokio::test(flavor = "multi_thread")]
async fn by_the_meta_proxy() -> Result<()> {
    storm(Api::MetaProxy, Dialect::V2, Statuses::default()).await
}

async fn storm(api: Api, dialect: Dialect, statuses: Statuses) -> Result<()> {
    let questions = match std::env::var(QUESTIONS) {
        Ok(text) => text.parse().with_context(|| format!("{QUESTIONS} is a number"))?,
        Err(_) => SHORT,
    };
    Storm::brew(api, dialect, statuses).await?.rage(questions).await
}
