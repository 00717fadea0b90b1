//! HTTP and signatures, with nothing behind them: the same server as ingest's, and the same check.

use std::net::SocketAddr;

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use anyhow::Result;
use contract::settings::Secret;
use contract::signature::{Keys, Presented, SignatureHeader};
use serde::{Deserialize, Serialize};

/// The longest body, as ingest's default.
const BODY_BYTES: usize = 5 * 1024 * 1024;

/// Where it listens and what opens it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BareDoor {
    /// Where it listens.
    pub addr: SocketAddr,
    /// Signs the webhooks.
    pub secret: String,
}

impl BareDoor {
    /// Listens, and answers until the cue.
    ///
    /// # Errors
    ///
    /// When the address can't be listened on.
    pub async fn run(self, cue: impl AsyncFnOnce() -> Result<()>) -> Result<()> {
        let keys = web::Data::new(Keys::new(&[Secret::new(&self.secret)], None));
        let app = move || {
            App::new()
                .app_data(keys.clone())
                .app_data(web::PayloadConfig::new(BODY_BYTES))
                .route(harness::stage::WEBHOOK_PATH, web::post().to(receive))
        };
        let server = HttpServer::new(app).disable_signals().bind(self.addr)?.run();
        let handle = server.handle();
        let serving = tokio::spawn(server);
        cue().await?;
        handle.stop(false).await;
        Ok(serving.await??)
    }
}

async fn receive(request: HttpRequest, body: web::Bytes, keys: web::Data<Keys>) -> HttpResponse {
    let mut presented = Presented::default();
    for header in SignatureHeader::ALL {
        for value in request.headers().get_all(header.name()) {
            if presented.add(header, value.as_bytes()).is_err() {
                return HttpResponse::Unauthorized().finish();
            }
        }
    }
    match keys.verify(&presented, body) {
        Ok(_) => HttpResponse::Ok().content_type("application/json").body(
            r#"{"status":"ok","message":"Webhook processed successfully","event_type":"whatsapp.message.received"}"#,
        ),
        Err(_) => HttpResponse::Unauthorized().finish(),
    }
}
