//! How a process is: alive (`/livez`), ready (`/readyz`), and in figures (`/metrics`).

use std::{
    collections::BTreeMap,
    io::{self, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use actix_web::{App, HttpResponse, HttpServer, dev::Server, web};

use crate::telemetry::Figures;

/// How long [`check`] waits for each step of the answer.
const CHECK_DEADLINE: Duration = Duration::from_secs(2);

/// What has to hold for a process to be ready: each part is fine, or says why not.
#[derive(Clone)]
pub struct Health(Arc<Mutex<BTreeMap<&'static str, Result<(), String>>>>);

impl Health {
    /// A health of these parts, none of them fine yet.
    #[must_use]
    pub fn of(parts: &[&'static str]) -> Self {
        let starting = || Err("starting".to_owned());
        Self(Arc::new(Mutex::new(parts.iter().map(|part| (*part, starting())).collect())))
    }

    /// Says that a part is fine.
    pub fn fine(&self, part: &'static str) {
        self.set(part, Ok(()));
    }

    /// Says that a part is not fine, and why.
    pub fn ailing(&self, part: &'static str, why: impl Into<String>) {
        self.set(part, Err(why.into()));
    }

    /// Whether every part is fine.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.parts().values().all(Result::is_ok)
    }

    fn set(&self, part: &'static str, state: Result<(), String>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(part, state);
    }

    fn parts(&self) -> BTreeMap<&'static str, Result<(), String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// `GET /livez` and `GET /readyz`, for an actix application.
pub fn routes(health: Health) -> impl Fn(&mut web::ServiceConfig) + Clone {
    move |app| {
        app.app_data(web::Data::new(health.clone()))
            .route("/livez", web::get().to(livez))
            .route("/readyz", web::get().to(readyz));
    }
}

/// Serves health and figures on an address of their own.
///
/// # Errors
/// When the server can't be set up on `listener`.
pub fn serve(listener: TcpListener, health: Health, figures: Figures) -> io::Result<Server> {
    let app = move || {
        App::new()
            .configure(routes(health.clone()))
            .app_data(web::Data::new(figures.clone()))
            .route("/metrics", web::get().to(metrics))
    };
    Ok(HttpServer::new(app).workers(1).disable_signals().listen(listener)?.run())
}

async fn livez() -> HttpResponse {
    HttpResponse::Ok().json(serde_json::json!({"alive": true}))
}

async fn readyz(health: web::Data<Health>) -> HttpResponse {
    let parts = health.parts();
    let mut answer = if parts.values().all(Result::is_ok) {
        HttpResponse::Ok()
    } else {
        HttpResponse::ServiceUnavailable()
    };
    let parts: BTreeMap<_, _> = parts
        .into_iter()
        .map(|(part, state)| (part, state.err().unwrap_or_else(|| "ok".to_owned())))
        .collect();
    answer.json(parts)
}

async fn metrics(figures: web::Data<Figures>) -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain; version=0.0.4").body(figures.render())
}

/// Asks the process that serves `address` whether it is ready. For `healthcheck`
/// subcommands: an image has neither shell nor curl.
///
/// # Errors
/// When it does not answer, or with its answer when it is not ready.
pub fn check(address: SocketAddr) -> io::Result<()> {
    let mut stream = TcpStream::connect_timeout(&reachable(address), CHECK_DEADLINE)?;
    stream.set_read_timeout(Some(CHECK_DEADLINE))?;
    stream.set_write_timeout(Some(CHECK_DEADLINE))?;
    stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    if answer.starts_with("HTTP/1.1 200 ") {
        return Ok(());
    }
    let body = answer.split("\r\n\r\n").nth(1).unwrap_or_default();
    Err(io::Error::other(format!("not ready: {body}")))
}

/// An address to connect to: one that listens everywhere is reached on loopback.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}
