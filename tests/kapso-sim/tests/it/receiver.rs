//! A receiver of webhooks that answers as it is told.

use std::{
    collections::VecDeque,
    net::TcpListener,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use actix_web::{
    App, HttpRequest, HttpResponse, HttpServer,
    dev::ServerHandle,
    http::StatusCode,
    web::{self, Bytes, Data},
};
use serde_json::Value;

#[derive(Clone, Debug)]
pub(crate) struct Got {
    pub(crate) at: Instant,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Bytes,
}

impl Got {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(there, _)| there.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

#[derive(Default)]
struct Inner {
    got: Vec<Got>,
    answers: VecDeque<(u16, Duration)>,
    otherwise: Option<u16>,
}

#[derive(Clone)]
pub(crate) struct Receiver {
    inner: Arc<Mutex<Inner>>,
    url: String,
    handle: ServerHandle,
}

impl Receiver {
    pub(crate) fn start() -> Self {
        let inner = Arc::new(Mutex::new(Inner::default()));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/api/whatsapp/webhook", listener.local_addr().unwrap());
        let data = Data::from(Arc::clone(&inner));
        let server =
            HttpServer::new(move || App::new().app_data(data.clone()).default_service(web::to(take)))
                .workers(1)
                .disable_signals()
                .listen(listener)
                .unwrap()
                .run();
        let handle = server.handle();
        tokio::spawn(server);
        Self { inner, url, handle }
    }

    pub(crate) fn url(&self) -> String {
        self.url.clone()
    }

    /// Answers the next requests with these statuses, then 200.
    pub(crate) fn answer(&self, statuses: &[u16]) {
        let mut inner = self.inner.lock().unwrap();
        inner.answers.extend(statuses.iter().map(|status| (*status, Duration::ZERO)));
    }

    /// Answers the next request only after this long.
    pub(crate) fn be_slow(&self, by: Duration) {
        self.inner.lock().unwrap().answers.push_back((200, by));
    }

    /// Answers everything with this status.
    pub(crate) fn always(&self, status: u16) {
        self.inner.lock().unwrap().otherwise = Some(status);
    }

    pub(crate) fn got(&self) -> Vec<Got> {
        self.inner.lock().unwrap().got.clone()
    }

    /// Waits until there are `count` webhooks.
    pub(crate) async fn wait_for(&self, count: usize) -> Vec<Got> {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let got = self.got();
            if got.len() >= count {
                return got;
            }
            assert!(Instant::now() < deadline, "only {} of {count} webhooks came", got.len());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        drop(self.handle.stop(false));
    }
}

async fn take(request: HttpRequest, body: Bytes, inner: Data<Mutex<Inner>>) -> HttpResponse {
    let (status, wait) = {
        let mut inner = inner.lock().unwrap();
        let headers = request
            .headers()
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap_or_default().to_owned()))
            .collect();
        inner.got.push(Got { at: Instant::now(), headers, body });
        let otherwise = inner.otherwise.unwrap_or(200);
        inner.answers.pop_front().unwrap_or((otherwise, Duration::ZERO))
    };
    tokio::time::sleep(wait).await;
    HttpResponse::build(StatusCode::from_u16(status).unwrap()).finish()
}
