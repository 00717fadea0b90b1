//! The API on a socket: requests in, answers out, and connections cut for real where a fault says so.

use std::{
    any::Any,
    net::{Shutdown, TcpStream},
    os::fd::AsFd as _,
    time::Duration,
};

use actix_web::{
    HttpRequest, HttpResponse, HttpResponseBuilder,
    dev::Extensions,
    http::StatusCode,
    web::{self, Bytes, Data, PayloadConfig, ServiceConfig},
};

use crate::{
    api::{self, Request},
    control,
    reply::{Reply, ReplyBody},
    world::World,
};

/// More than any webhook or message that Kapso or Meta allow.
const LARGEST_BODY: usize = 16 << 20;

/// All that the simulator serves.
pub(crate) fn configure(services: &mut ServiceConfig) {
    services
        .app_data(PayloadConfig::new(LARGEST_BODY))
        .service(web::scope("/sim").configure(control::configure))
        .default_service(web::to(call));
}

/// A second handle on a connection, with which it can be cut.
struct Cutter(TcpStream);

/// Keeps a handle on each connection.
pub(crate) fn remember_connection(connection: &dyn Any, data: &mut Extensions) {
    let stream = connection.downcast_ref::<actix_web::rt::net::TcpStream>();
    if let Some(handle) = stream.and_then(|stream| stream.as_fd().try_clone_to_owned().ok()) {
        data.insert(Cutter(TcpStream::from(handle)));
    }
}

async fn call(request: HttpRequest, body: Bytes, world: Data<World>) -> HttpResponse {
    let world = world.into_inner();
    let ending = api::serve(&world, &read(&request, &body));
    wait(&world, ending.wait).await;
    match ending.reply {
        Some(reply) => answer(reply),
        None => cut(&request),
    }
}

fn read(request: &HttpRequest, body: &Bytes) -> Request {
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    // The Meta proxy also takes the key as a bearer token, as third parties report.
    let bearer = || header("Authorization").and_then(|value| value.strip_prefix("Bearer "));
    Request {
        method: request.method().as_str().to_owned(),
        path: request.match_info().as_str().to_owned(),
        query_string: request.query_string().to_owned(),
        query: web::Query::from_query(request.query_string()).map(web::Query::into_inner).unwrap_or_default(),
        api_key: header("X-API-Key").or_else(bearer).map(str::to_owned),
        body: body.to_vec(),
    }
}

async fn wait(world: &World, duration: Duration) {
    tokio::select! {
        () = tokio::time::sleep(duration) => {}
        () = world.stopping.cancelled() => {}
    }
}

fn answer(reply: Reply) -> HttpResponse {
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = HttpResponseBuilder::new(status);
    for (name, value) in reply.headers {
        response.insert_header((name, value));
    }
    match reply.body {
        ReplyBody::Json(value) => response.json(value),
        ReplyBody::Html(page) => response.content_type("text/html; charset=UTF-8").body(page),
    }
}

/// Ends the connection without a byte of answer.
fn cut(request: &HttpRequest) -> HttpResponse {
    let cut = request.conn_data::<Cutter>().map(|Cutter(stream)| stream.shutdown(Shutdown::Both));
    if !matches!(cut, Some(Ok(()))) {
        tracing::warn!("the connection could not be cut: it may be gone already");
    }
    // Nobody reads this any more; it only tells the server to drop its side.
    HttpResponse::InternalServerError().force_close().finish()
}
