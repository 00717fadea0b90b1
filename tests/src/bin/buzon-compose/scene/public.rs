//! The profile public: TLS by itself, the webhook's path and no other, and the body as it was sent.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Result, ensure};
use harness::sign;
use harness::stage::WEBHOOK_PATH;
use harness::wait;
use reqwest::header::{CONTENT_ENCODING, LOCATION};
use reqwest::{Certificate, Client, StatusCode, redirect};
use tokio::time::sleep;

use super::Scene;
use crate::place::SECRET;

/// The root of the authority that Caddy is to itself.
const ROOT: &str = "/data/caddy/pki/authorities/local/root.crt";

/// How long until it has made a certificate.
const CERTIFIED: Duration = Duration::from_secs(60);

/// JSON as nobody writes it: what reformats it, or takes it for text, makes other bytes.
const ODD: &[u8] =
    b"{ \"event_type\" : \"compose.odd\",\t\"n\":1.0e2 ,\r\n \"\\u00e1\":\"\xc3\xa1\", \"n\":2 }\n\n ";

impl Scene<'_> {
    /// All of it.
    pub(crate) async fn public(&self) -> Result<String> {
        self.compose.call(&["--profile", "public", "up", "-d", "--no-build", "--no-deps", "caddy"]).await?;
        let client = self.trusting().await?;
        let base = format!("https://localhost:{}", self.place.ports.https);
        let url = format!("{base}{WEBHOOK_PATH}");
        self.sender.by(client.clone(), url.clone()).send_one().await?;
        self.odd_body(&client, &url).await?;

        let unsigned = client.post(&url).body("{}").send().await?;
        ensure!(unsigned.status() == StatusCode::UNAUTHORIZED, "unsigned: {}", unsigned.status());
        let handshake = client.get(&url).send().await?;
        ensure!(handshake.status() == StatusCode::FORBIDDEN, "GET, without a token: {}", handshake.status());
        let zipped = client.post(&url).header(CONTENT_ENCODING, "gzip").body(ODD).send().await?;
        ensure!(zipped.status() == StatusCode::UNSUPPORTED_MEDIA_TYPE, "compressed: {}", zipped.status());
        for path in ["/", "/readyz", "/livez", "/metrics", "/api/whatsapp/webhook/", "/api/whatsapp"] {
            let answer = client.get(format!("{base}{path}")).send().await?;
            ensure!(answer.status() == StatusCode::NOT_FOUND, "{path}: {}", answer.status());
        }
        let deleted = client.delete(&url).send().await?;
        ensure!(deleted.status() == StatusCode::NOT_FOUND, "DELETE: {}", deleted.status());
        self.plain(&client).await?;
        self.containers().await?;
        Ok("200 for a signed webhook, its bytes unchanged; 404 for every other path".to_owned())
    }

    /// A client that trusts Caddy's own authority, and no other.
    async fn trusting(&self) -> Result<Client> {
        let root = wait::until("Caddy's certificate", CERTIFIED, async || {
            sleep(Duration::from_millis(300)).await;
            self.compose
                .inside("caddy", &["cat", ROOT])
                .await
                .map(|root| root.contains("BEGIN CERTIFICATE").then_some(root))
        })
        .await?;
        let here = SocketAddr::from((Ipv4Addr::LOCALHOST, self.place.ports.https));
        let client = Client::builder()
            .no_proxy()
            .redirect(redirect::Policy::none())
            .tls_certs_only([Certificate::from_pem(root.as_bytes())?])
            .resolve("localhost", here)
            .timeout(Duration::from_secs(10))
            .build()?;
        let url = format!("https://localhost:{}/", self.place.ports.https);
        wait::until("TLS", CERTIFIED, async || {
            client.get(&url).send().await.map(|_| true).map_err(anyhow::Error::from)
        })
        .await?;
        Ok(client)
    }

    /// The bytes that are archived are those that were sent.
    async fn odd_body(&self, client: &Client, url: &str) -> Result<()> {
        let request = client.post(url).header("X-Kapso-Signature", sign::hex(SECRET, ODD)?).body(ODD);
        let answer = request.send().await?;
        ensure!(answer.status() == StatusCode::OK, "a signed body in an odd form: {}", answer.text().await?);
        let query = "SELECT encode(body, 'hex') FROM webhooks WHERE kind = 'compose.odd'";
        let body = wait::until("the odd body in the archive", CERTIFIED, async || {
            self.judge.rows(query).await.map(|rows| rows.into_iter().next())
        })
        .await?;
        ensure!(body == hex::encode(ODD), "other bytes were archived: {body}");
        Ok(())
    }

    /// Without TLS there is nothing but the way to it.
    async fn plain(&self, client: &Client) -> Result<()> {
        let url = format!("http://127.0.0.1:{}{WEBHOOK_PATH}", self.place.ports.http);
        let answer = client.get(&url).header("Host", "localhost").send().await?;
        let to = answer.headers().get(LOCATION).and_then(|to| to.to_str().ok()).unwrap_or_default();
        ensure!(
            answer.status() == StatusCode::PERMANENT_REDIRECT && to.starts_with("https://localhost"),
            "plain HTTP: {} to {to:?}",
            answer.status()
        );
        Ok(())
    }
}
