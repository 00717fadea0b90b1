//! An answer to a request that was not read to its end.
//!
//! actix reads a chunked request whose payload was dropped to its end, however long that takes
//! and however much comes. While the payload is held, it instead closes the connection a while
//! after the answer (`serve::LINGER`), which leaves an honest client time to read it.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use actix_web::{
    HttpResponse,
    body::{BodySize, BoxBody, MessageBody},
    web::{self, Bytes},
};

/// A body that holds the rest of its request.
struct Holding {
    body: Option<Bytes>,
    _rest: web::Payload,
}

impl MessageBody for Holding {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        self.body.as_ref().map_or(BodySize::None, |body| BodySize::Sized(body.len() as u64))
    }

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, Infallible>>> {
        Poll::Ready(self.get_mut().body.take().map(Ok))
    }
}

/// The answer, holding what is left of the request until it is sent.
pub(super) fn holding(rest: web::Payload, response: HttpResponse) -> HttpResponse {
    response.map_body(|_, body| match body.try_into_bytes() {
        Ok(bytes) => BoxBody::new(Holding { body: Some(bytes), _rest: rest }),
        // None of our answers is a stream.
        Err(body) => body,
    })
}
