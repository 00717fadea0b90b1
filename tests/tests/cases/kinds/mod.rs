//! The same faults in the other dialects that can carry them.

mod delivery;
mod people;
mod revisions;
mod silence;
mod takeovers;
mod written;

use anyhow::Result;

use crate::case::{Api, Case, On};
use crate::dialects::{Dialect, Guide, Meta, V1, V2, V2Batch};
use crate::play::{Order, play};

/// Kapso's own dialects with Meta's message in them, or most of it.
const KAPSOS: [Dialect; 3] = [V1, V2, V2Batch];

/// The dialects that tell the whole of a message.
const WHOLE: [Dialect; 4] = [V1, V2, V2Batch, Meta];

/// Every dialect.
const ALL: [Dialect; 5] = [Guide, V1, V2, V2Batch, Meta];

/// The APIs that can answer what a dialect tells.
fn on(dialect: Dialect) -> On {
    if dialect == Meta { On::Proxy } else { On::Both }
}

fn cases() -> Vec<Case> {
    let mut cases = delivery::cases();
    cases.extend(people::cases());
    cases.extend(revisions::cases());
    cases.extend(silence::cases());
    cases.extend(takeovers::cases());
    cases.extend(written::cases());
    cases
}

#[tokio::test]
async fn the_conversation_api() -> Result<()> {
    play(Api::Conversation, Order::AsItHappened, cases()).await
}

#[tokio::test]
async fn the_conversation_api_in_reverse() -> Result<()> {
    play(Api::Conversation, Order::Reversed, cases()).await
}

#[tokio::test]
async fn the_meta_proxy() -> Result<()> {
    play(Api::MetaProxy, Order::AsItHappened, cases()).await
}

#[tokio::test]
async fn the_meta_proxy_in_reverse() -> Result<()> {
    play(Api::MetaProxy, Order::Reversed, cases()).await
}

#[tokio::test]
async fn the_second_webhook_first() -> Result<()> {
    play(Api::MetaProxy, Order::SecondFirst, cases()).await
}
