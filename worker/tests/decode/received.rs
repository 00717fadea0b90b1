//! Webhooks as the door would have passed them on.

use contract::{
    envelope::{Envelope, Hints, WebhookId},
    kind::Kind,
};
use payloads::{Example, Mutant};
use serde_json::Value;
use time::{OffsetDateTime, macros::datetime};
use worker::decode::{Decoded, decode};

/// Later than anything in the examples, so that what has no time of its own is seen.
pub(crate) const RECEIVED_AT: OffsetDateTime = datetime!(2030-01-01 00:00:00 UTC);

/// An example.
pub(crate) fn example(example: &Example) -> Envelope {
    let named = serde_json::from_slice::<Value>(&example.body).ok().and_then(|body| {
        let text = |field| body.get(field)?.as_str().map(str::to_owned);
        text("event_type").or_else(|| text("type")).or_else(|| text("event"))
    });
    let kind = named.as_deref().or_else(|| example.header("x-webhook-event"));
    webhook(kind.unwrap_or_default(), &example.headers, example.body.clone())
}

/// A mutant of one.
pub(crate) fn mutant(mutant: &Mutant) -> Envelope {
    webhook(&mutant.kind, &mutant.headers, mutant.body.clone())
}

/// What a body says that comes as the second dialect's `whatsapp.message.received`.
pub(crate) fn decoded(body: impl Into<Vec<u8>>) -> Decoded {
    let headers = [("x-webhook-payload-version".to_owned(), "v2".to_owned())];
    decode(&webhook("whatsapp.message.received", &headers, body.into()))
}

/// What a body says that comes with nothing beside it.
pub(crate) fn decoded_bare(body: &Value) -> Decoded {
    decode(&webhook("", &[], body.to_string().into()))
}

fn webhook(kind: &str, headers: &[(String, String)], body: Vec<u8>) -> Envelope {
    let kind = Kind::new(kind);
    let mut hints = Hints::default();
    for (name, value) in headers {
        hints.offer(name, value.as_bytes());
    }
    let id = WebhookId::of(&kind, &body);
    Envelope::recall(id, kind, RECEIVED_AT, "test".to_owned(), hints, body.into())
}
