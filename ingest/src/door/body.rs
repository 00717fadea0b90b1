//! Reading a body: raw, under a deadline, a limit, and a budget over all requests.

use actix_web::{
    http::header::{self, HeaderMap},
    web,
};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use tokio::time::timeout;

use super::{
    budget::{Budget, Permit},
    refusal::Refusal,
};
use crate::settings::Limits;

/// Reads a request's body. The permit stands for its bytes; keep it as long as them.
pub(super) async fn read(
    headers: &HeaderMap,
    payload: &mut web::Payload,
    limits: &Limits,
    budget: &Budget,
) -> Result<(Bytes, Permit), Refusal> {
    if is_encoded(headers) {
        return Err(Refusal::Compressed);
    }
    let declared = declared_length(headers);
    if declared.is_some_and(|length| length > limits.body_bytes) {
        return Err(Refusal::TooLarge(limits.body_bytes));
    }
    let mut permit = budget.permit();
    let body = timeout(limits.body_deadline, collect(payload, limits.body_bytes, &mut permit))
        .await
        .unwrap_or(Err(Refusal::TooSlow))?;
    Ok((body, permit))
}

async fn collect(payload: &mut web::Payload, limit: usize, permit: &mut Permit) -> Result<Bytes, Refusal> {
    let mut whole = Bytes::new();
    let mut parts = BytesMut::new();
    while let Some(part) = payload.next().await {
        let part = part.map_err(|_| Refusal::Incomplete)?;
        let length = whole.len() + parts.len() + part.len();
        if length > limit {
            return Err(Refusal::TooLarge(limit));
        }
        // What has come, and not what was declared: that costs a sender nothing, and would shut out everybody else.
        if !permit.grow(part.len()) {
            return Err(Refusal::NoRoom);
        }
        // Most bodies come in one part: they are not copied.
        if length == part.len() {
            whole = part;
            continue;
        }
        if parts.is_empty() {
            parts.reserve(length);
            parts.extend_from_slice(&std::mem::take(&mut whole));
        }
        parts.extend_from_slice(&part);
    }
    Ok(if parts.is_empty() { whole } else { parts.freeze() })
}

/// Whether the bytes are not those that were signed.
fn is_encoded(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::CONTENT_ENCODING)
        .any(|value| !value.as_bytes().trim_ascii().eq_ignore_ascii_case(b"identity"))
}

/// The length that the sender says; none for a chunked body. actix has refused malformed ones.
fn declared_length(headers: &HeaderMap) -> Option<usize> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.trim().parse().ok()
}
