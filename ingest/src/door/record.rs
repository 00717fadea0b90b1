//! What is told of a webhook: one event in the log, at the end of its request.
//!
//! Never its text, a number, a token, a media address or its body.

use std::net::IpAddr;

use actix_web::{
    HttpRequest,
    http::{StatusCode, header},
};
use contract::{
    envelope::WebhookId,
    kind::Kind,
    shown,
    signature::{Refused, VerifiedBy},
};

use super::{peek::Peek, refusal::Refusal, rewritten::Form};
use crate::keep::Kept;

/// How a webhook's signature was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signature {
    Valid,
    Invalid,
    Missing,
    Duplicate,
    NotConfigured,
}

impl From<VerifiedBy> for Signature {
    fn from(by: VerifiedBy) -> Self {
        match by {
            VerifiedBy::Secret(_) | VerifiedBy::MetaAppSecret => Self::Valid,
            VerifiedBy::Nothing => Self::NotConfigured,
        }
    }
}

impl From<Refused> for Signature {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Missing => Self::Missing,
            Refused::Invalid => Self::Invalid,
            Refused::Repeated(_) => Self::Duplicate,
        }
    }
}

impl Signature {
    /// As the log has it.
    const fn name(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Invalid => "invalid",
            Self::Missing => "missing",
            Self::Duplicate => "duplicate",
            Self::NotConfigured => "not configured",
        }
    }
}

/// What has become known of a webhook so far.
#[derive(Default)]
pub(super) struct Record {
    client: Option<IpAddr>,
    forwarded_for: Option<IpAddr>,
    signature: Option<Signature>,
    signed_as: Option<Form>,
    kind: Option<String>,
    conversation: Option<String>,
    message: Option<String>,
    id: Option<WebhookId>,
}

impl Record {
    pub(super) fn of(request: &HttpRequest) -> Self {
        let client = request.peer_addr().map(|address| address.ip());
        Self { client, forwarded_for: forwarded_for(request), ..Self::default() }
    }

    pub(super) fn checked(&mut self, signature: Signature) {
        self.signature = Some(signature);
    }

    /// Its signature fits its content, written in this form: something has rewritten it.
    pub(super) fn was_rewritten(&mut self, form: Form) {
        self.signed_as = Some(form);
    }

    pub(super) fn rewritten(&self) -> bool {
        self.signed_as.is_some()
    }

    pub(super) fn saw(&mut self, seen: &Peek<'_>, kind: &Kind) {
        self.kind = Some(shown::word(kind.as_str()).into_owned());
        self.conversation = seen.conversation.as_deref().map(shown::id);
        self.message = seen.message.as_deref().map(shown::id);
    }

    pub(super) fn sealed(&mut self, id: WebhookId) {
        self.id = Some(id);
    }

    /// Writes it down: accepted and where it is kept, or refused with the reason.
    pub(super) fn write(&self, outcome: Result<Kept, &Refusal>, status: StatusCode) {
        macro_rules! tell {
            ($level:ident, $($message:tt)+) => {
                tracing::$level!(
                    client.ip = self.client.map(tracing::field::display),
                    client.forwarded_for = self.forwarded_for.map(tracing::field::display),
                    signature = self.signature.map(Signature::name),
                    event.kind = self.kind.as_deref(),
                    conversation.id = self.conversation.as_deref(),
                    message.id = self.message.as_deref(),
                    webhook.id = self.id.map(tracing::field::display),
                    http.status = status.as_u16(),
                    $($message)+
                )
            };
        }
        match outcome {
            Ok(kept) if self.signature == Some(Signature::NotConfigured) => {
                tell!(warn, kept.in = kept.name(), "KAPSO_WEBHOOK_SECRET not configured: webhook accepted without a signature");
            }
            Ok(kept) => tell!(info, kept.in = kept.name(), "webhook accepted"),
            Err(refusal) if self.signed_as.is_some() => tell!(
                warn,
                reason = %refusal.reason(),
                signed.as = self.signed_as.map(tracing::field::display),
                "webhook refused: something between Kapso and here rewrites the body, so that no signature fits it"
            ),
            Err(refusal) => tell!(warn, reason = %refusal.reason(), "webhook refused"),
        }
    }
}

/// The client as the nearest proxy saw it. Anybody can write the header: a hint for a
/// person, and nothing is decided by it.
fn forwarded_for(request: &HttpRequest) -> Option<IpAddr> {
    let header = request.headers().get_all(header::X_FORWARDED_FOR).last()?;
    header.to_str().ok()?.rsplit(',').next()?.trim().parse().ok()
}
