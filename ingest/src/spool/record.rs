//! A webhook as bytes: everything that its envelope is made of again.
//!
//! Integers are big-endian. A text is its length (2 bytes) and its bytes.
//!
//! ```text
//! version (1) │ received, Unix ms (8) │ kind │ verified by │ how many hints (2) │ name │ value │ … │ body
//! ```

use bytes::{Buf, BufMut, Bytes};
use contract::{
    envelope::{Envelope, Hints, WebhookId},
    kind::Kind,
};
use time::OffsetDateTime;

/// The version that this code writes, and the only one there is.
const VERSION: u8 = 1;

/// Why a record's bytes are no webhook to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unreadable {
    #[error("its version is {0}, and this ingest reads {VERSION}: a newer one wrote it")]
    Version(u8),
    #[error("it ends too early")]
    Short,
    #[error("a text in it is not UTF-8")]
    Text,
    #[error("its time is out of range")]
    Time,
}

/// Appends a webhook.
pub(super) fn write(envelope: &Envelope, to: &mut Vec<u8>) {
    to.put_u8(VERSION);
    let received = envelope.received_at.unix_timestamp_nanos() / 1_000_000;
    to.put_i64(i64::try_from(received).unwrap_or(i64::MAX));
    put_text(to, envelope.kind.as_str());
    put_text(to, &envelope.verified_by);
    // The allow-list is shorter by far.
    to.put_u16(u16::try_from(envelope.hints.iter().count()).unwrap_or(u16::MAX));
    for (name, value) in envelope.hints.iter() {
        put_text(to, name);
        put_text(to, value);
    }
    to.put_slice(&envelope.body);
}

/// Reads a webhook; its body is not copied.
pub(super) fn read(mut record: Bytes) -> Result<Envelope, Unreadable> {
    match record.try_get_u8().map_err(|_| Unreadable::Short)? {
        VERSION => {}
        other => return Err(Unreadable::Version(other)),
    }
    let received = record.try_get_i64().map_err(|_| Unreadable::Short)?;
    let received_at = OffsetDateTime::from_unix_timestamp_nanos(i128::from(received) * 1_000_000)
        .map_err(|_| Unreadable::Time)?;
    let kind = Kind::new(&text(&mut record)?);
    let verified_by = text(&mut record)?;
    let mut hints = Hints::default();
    for _ in 0..record.try_get_u16().map_err(|_| Unreadable::Short)? {
        let (name, value) = (text(&mut record)?, text(&mut record)?);
        hints.offer(&name, value.as_bytes());
    }
    // The id is a function of kind and body: kept beside them it could only contradict them.
    let id = WebhookId::of(&kind, &record);
    Ok(Envelope::recall(id, kind, received_at, verified_by, hints, record))
}

fn put_text(to: &mut Vec<u8>, text: &str) {
    // No text of an envelope comes near this.
    let text = &text[..text.floor_char_boundary(usize::from(u16::MAX))];
    to.put_u16(u16::try_from(text.len()).unwrap_or(u16::MAX));
    to.put_slice(text.as_bytes());
}

fn text(record: &mut Bytes) -> Result<String, Unreadable> {
    let length = usize::from(record.try_get_u16().map_err(|_| Unreadable::Short)?);
    if record.len() < length {
        return Err(Unreadable::Short);
    }
    String::from_utf8(record.split_to(length).into()).map_err(|_| Unreadable::Text)
}

#[cfg(test)]
pub(crate) mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use contract::signature::{Keys, Presented};

    use super::*;

    /// A webhook whose body is this.
    pub(crate) fn webhook(body: &[u8]) -> Envelope {
        let verified =
            Keys::new(&[], None).verify(&Presented::default(), Bytes::copy_from_slice(body)).unwrap();
        let mut hints = Hints::default();
        hints.offer("X-Webhook-Event", "ñandú".as_bytes());
        hints.offer("X-Idempotency-Key", b"");
        let received_at = OffsetDateTime::from_unix_timestamp_nanos(1_771_421_467_123_456_789).unwrap();
        Envelope::seal(verified, Kind::new("message.received"), hints, received_at)
    }

    fn is_same(one: &Envelope, other: &Envelope) -> bool {
        (one.id, &one.kind, one.received_at, &one.verified_by, &one.hints, &one.body)
            == (other.id, &other.kind, other.received_at, &other.verified_by, &other.hints, &other.body)
    }

    #[test]
    fn what_is_written_is_read_as_it_was() {
        for body in [&b""[..], b"{}", b"\0\xff not JSON", &[b'x'; 70_000]] {
            let (webhook, mut bytes) = (webhook(body), Vec::new());
            write(&webhook, &mut bytes);
            let read = read(bytes.into()).unwrap();
            assert!(is_same(&webhook, &read));
            assert_eq!(webhook.properties(), read.properties());
        }
    }

    #[test]
    fn any_bytes_are_a_webhook_or_an_error() {
        let mut bytes = Vec::new();
        write(&webhook(b""), &mut bytes);
        for end in 0..bytes.len() {
            read(Bytes::copy_from_slice(&bytes[..end])).unwrap_err();
        }
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut bytes = bytes.clone();
                bytes[at] ^= 1 << bit;
                // It may be another webhook: that it is none is what the frame's checksum is for.
                let _ = read(bytes.into());
            }
        }
        bytes[0] = VERSION + 1;
        assert_eq!(read(bytes.into()).unwrap_err(), Unreadable::Version(VERSION + 1));
    }
}
