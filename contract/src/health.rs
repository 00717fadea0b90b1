//! How a process is: alive (`/livez`), ready (`/readyz`), and in figures (`/metrics`).

use std::{
    collections::BTreeMap,
    io::{self, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use actix_web::{App, HttpResponse, HttpServer, dev::Server, web};

use crate::telemetry::Rendered;

/// How long [`check`] waits for each step of the answer.
const CHECK_DEADLINE: Duration = Duration::from_secs(2);

/// A part is fine, with a remark that may be empty; or it is not, with the reason.
type State = Result<String, String>;

/// What has to hold for a process to be ready: each part is fine, or says why not.
#[derive(Clone)]
pub struct Health {
    parts: Arc<Mutex<BTreeMap<&'static str, State>>>,
    /// Whether one part that is fine is enough.
    either: bool,
}

impl Health {
    /// A health of these parts, none of them fine yet; all of them have to be.
    #[must_use]
    pub fn of(parts: &[&'static str]) -> Self {
        Self::new(parts, false)
    }

    /// A health of parts that stand in for each other: one of them has to be fine.
    #[must_use]
    pub fn either(parts: &[&'static str]) -> Self {
        Self::new(parts, true)
    }

    fn new(parts: &[&'static str], either: bool) -> Self {
        let starting = || Err("starting".to_owned());
        let parts = parts.iter().map(|part| (*part, starting())).collect();
        Self { parts: Arc::new(Mutex::new(parts)), either }
    }

    /// Says that a part is fine.
    pub fn fine(&self, part: &'static str) {
        self.set(part, Ok(String::new()));
    }

    /// Says that a part is fine, and something about it.
    pub fn fine_with(&self, part: &'static str, remark: impl Into<String>) {
        self.set(part, Ok(remark.into()));
    }

    /// Says that a part is not fine, and why.
    pub fn ailing(&self, part: &'static str, why: impl Into<String>) {
        self.set(part, Err(why.into()));
    }

    /// Whether every part is fine, or one, where that is enough.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        let parts = self.parts();
        if self.either { parts.values().any(Result::is_ok) } else { parts.values().all(Result::is_ok) }
    }

    fn set(&self, part: &'static str, state: State) {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner).insert(part, state);
    }

    fn parts(&self) -> BTreeMap<&'static str, State> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner).clone()
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
pub fn serve(listener: TcpListener, health: Health, figures: Rendered) -> io::Result<Server> {
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
    let mut answer = if health.is_ready() { HttpResponse::Ok() } else { HttpResponse::ServiceUnavailable() };
    answer.json(
        health.parts().into_iter().map(|(part, state)| (part, shown(state))).collect::<BTreeMap<_, _>>(),
    )
}

/// A part's state, such as `ok`, `ok, and something about it`, or why it is not.
fn shown(state: State) -> String {
    match state {
        Ok(remark) if remark.is_empty() => "ok".to_owned(),
        Ok(remark) => format!("ok, {remark}"),
        Err(why) => why,
    }
}

async fn metrics(figures: web::Data<Rendered>) -> HttpResponse {
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
#[must_use]
pub fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_parts_have_to_be_fine_or_one_where_that_is_enough() {
        for (health, with_one) in [(Health::of(&["a", "b"]), false), (Health::either(&["a", "b"]), true)] {
            assert!(!health.is_ready());
            health.fine("a");
            assert_eq!(health.is_ready(), with_one);
            health.fine_with("b", "in its way");
            assert!(health.is_ready());
            health.ailing("a", "broken");
            assert_eq!(health.is_ready(), with_one);
            assert_eq!(
                health.parts().into_values().map(shown).collect::<Vec<_>>(),
                ["broken", "ok, in its way"]
            );
        }
    }
}
