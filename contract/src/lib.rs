//! What `ingest` and `worker` promise each other, and nothing else.
//!
//! A thing is in here only if both sides must agree on it: the [`envelope`] that
//! crosses the broker and the [`kind`] it is routed by, the [`signature`] that lets a
//! webhook in and the [`secrets`] it is made with, the [`topology`] of exchanges and queues, and how a process of ours
//! reads its [`settings`], reaches the [`broker`], reports ([`telemetry`], and of what lasts
//! with a [`nag`]), raises an [`alarm`], says how it is ([`health`]) and stops ([`lifecycle`]).
//!
//! Architecture invariant: this crate knows no payload. What a webhook *means* is the
//! worker's business alone.

pub mod alarm;
pub mod broker;
pub mod envelope;
pub mod health;
pub mod kind;
pub mod lifecycle;
pub mod nag;
pub mod secrets;
pub mod settings;
pub mod shown;
pub mod signature;
pub mod telemetry;
pub mod topology;
mod transport;

/// The path at which ingest takes webhooks. Source: the customer's guide.
pub const WEBHOOK_PATH: &str = "/api/whatsapp/webhook";

/// A body as JSON parsers take it: without the UTF-8 byte order mark that some senders begin with. Signatures and the
/// archive are of the body as it came. Source: RFC 8259, 8.1.
#[must_use]
pub fn without_bom(body: &[u8]) -> &[u8] {
    body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body)
}
