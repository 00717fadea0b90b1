//! One request at the door: read, verify, peek, seal, keep; in this order, and each step
//! only after the one before.

mod answer;
mod body;
mod budget;
mod handshake;
mod loose;
mod peek;
mod record;
mod refusal;
mod rewritten;
mod unread;

use actix_web::{HttpRequest, HttpResponse, http::header, web};
use contract::{
    WEBHOOK_PATH,
    envelope::{Envelope, Hints},
    kind::Kind,
    settings::Secret,
    signature::{Keys, Presented, Refused, SignatureHeader, Verified},
};
use time::OffsetDateTime;
use tokio::time::Instant;

use self::{
    budget::Budget,
    peek::Peek,
    record::{Record, Signature},
    refusal::Refusal,
    rewritten::Suspicion,
};
use crate::{
    alarms::Signatures,
    figures::Figures,
    keep::{Keeper, Kept},
    settings::Limits,
};

/// The header that names the event of a webhook whose body does not.
const EVENT_HEADER: &str = "x-webhook-event";

/// The header that all of Kapso's webhooks have. Anybody can write it: a hint.
const KAPSO_HEADER: &str = "x-idempotency-key";

/// All that a request needs.
pub struct Door {
    keys: Keys,
    verify_token: Option<Secret>,
    limits: Limits,
    budget: Budget,
    keeper: Keeper,
    figures: Figures,
    signatures: Signatures,
    suspicion: Suspicion,
}

impl Door {
    /// A door that these secrets open and that hands to this keeper.
    #[must_use]
    pub(crate) fn new(
        keys: Keys,
        verify_token: Option<Secret>,
        limits: Limits,
        keeper: Keeper,
        figures: Figures,
        signatures: Signatures,
    ) -> Self {
        let budget = Budget::new(limits.inflight_bytes, figures.body_bytes());
        let suspicion = Suspicion::default();
        Self { keys, verify_token, limits, budget, keeper, figures, signatures, suspicion }
    }
}

/// The door's routes, for an actix application that has a [`Door`] among its data.
pub fn routes(app: &mut web::ServiceConfig) {
    // A 404 counts as a failed delivery, and Kapso pauses a webhook for those: a slash too many is no reason for one.
    let webhook = web::resource([WEBHOOK_PATH.to_owned(), format!("{WEBHOOK_PATH}/")])
        .route(web::post().to(receive))
        .route(web::get().to(handshake::answer))
        .default_service(web::to(refusal::method_not_allowed));
    app.service(webhook).default_service(web::to(refusal::not_found));
}

async fn receive(request: HttpRequest, mut payload: web::Payload, door: web::Data<Door>) -> HttpResponse {
    let mut record = Record::of(&request);
    let outcome = admit(&request, &mut payload, &door, &mut record).await;
    let response = match &outcome {
        Ok((kind, _)) => answer::processed(kind),
        Err(refusal) => refusal.response(),
    };
    door.figures.received(response.status());
    if let Err(Refusal::Signature(refused)) = &outcome {
        door.figures.unauthenticated(*refused, record.rewritten());
    }
    record.write(outcome.as_ref().map(|(_, kept)| *kept), response.status());
    if outcome.is_ok() { response } else { unread::holding(payload, response) }
}

/// The way of a webhook through the door, to its kind and where it has become durable.
async fn admit(
    request: &HttpRequest,
    payload: &mut web::Payload,
    door: &Door,
    record: &mut Record,
) -> Result<(Kind, Kept), Refusal> {
    // The permit is held to the end: so long, the body is in memory.
    let (body, _permit) = body::read(request.headers(), payload, &door.limits, &door.budget).await?;
    let received = Instant::now();
    let received_at = OffsetDateTime::now_utc();

    let verified = verify(request, body, door, record)?;
    if verified.body().is_empty() {
        return Err(Refusal::Empty);
    }
    let seen = Peek::at(verified.body());
    if door.keys.is_empty() && !seen.is_json {
        return Err(Refusal::NotJson);
    }
    let kind = seen.kind(request.headers().get(EVENT_HEADER).map(header::HeaderValue::as_bytes));
    record.saw(&seen, &kind);

    let mut hints = Hints::default();
    for (name, value) in request.headers() {
        hints.offer(name.as_str(), value.as_bytes());
    }
    let envelope = Envelope::seal(verified, kind, hints, received_at);
    record.sealed(envelope.id);
    let kept = door.keeper.keep(&envelope, received).await?;
    Ok((envelope.kind, kept))
}

/// Authenticates a body and notes how that went.
fn verify(
    request: &HttpRequest,
    body: bytes::Bytes,
    door: &Door,
    record: &mut Record,
) -> Result<Verified, Refused> {
    let verified = check(request, body, door, record);
    match &verified {
        Ok(_) => door.signatures.valid(),
        Err(why) => door.signatures.refused(*why, request.headers().contains_key(KAPSO_HEADER)),
    }
    verified
}

fn check(
    request: &HttpRequest,
    body: bytes::Bytes,
    door: &Door,
    record: &mut Record,
) -> Result<Verified, Refused> {
    let mut presented = Presented::default();
    // Without a secret, signatures mean nothing: not even two of them.
    if !door.keys.is_empty() {
        for header in SignatureHeader::ALL {
            for value in request.headers().get_all(header.name()) {
                presented
                    .add(header, value.as_bytes())
                    .inspect_err(|refused| record.checked((*refused).into()))?;
            }
        }
    }
    let verified = door.keys.verify(&presented, body.clone());
    record.checked(match &verified {
        Ok(verified) => verified.by().into(),
        Err(refused) => Signature::from(*refused),
    });
    if verified.as_ref().err() == Some(&Refused::Invalid)
        && let Some(form) = door.suspicion.signed_as(&door.keys, &presented, &body)
    {
        record.was_rewritten(form);
    }
    verified
}

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests;
