//! Kapso's platform API (`…/platform/v1`): the webhooks that are registered with it, what became
//! of their deliveries, our numbers and how well they are.
//! Source: Kapso's API reference, "Webhooks", "Phone numbers" and "Webhook deliveries".
//!
//! ```text
//! Platform::webhooks_of(number) ─► [Webhook]     create / change (WebhookChange) ─► Webhook
//! Platform::deliveries(query)   ─► [Delivery]    test(webhook, event)
//! Platform::phone_numbers()     ─► [PhoneNumber] health(number) ─► NumberHealth
//! ```
//!
//! What an answer does not say is `None`, never `false` or 0. Every call is one request (a
//! listing: one for each page) and is not repeated here.

mod delivery;
mod error;
mod number;
mod page;
mod settings;
mod webhook;

use std::error::Error;

use contract::settings::Secret;
use reqwest::{Method, RequestBuilder, Url};
use serde_json::{Value, json};

use super::Client;

pub use delivery::{Delivery, DeliveryQuery};
pub use error::PlatformError;
pub use number::{Check, Messaging, NumberHealth, PhoneNumber};
pub use settings::platform_url;
pub use webhook::{Webhook, WebhookChange};

/// A client of the platform API.
#[derive(Clone)]
pub struct Platform(Client);

impl Platform {
    /// A client that calls `base` with `token`.
    ///
    /// # Errors
    /// When the token can't be a header, or TLS can't be set up.
    pub fn new(base: Url, token: &Secret) -> Result<Self, Box<dyn Error + Send + Sync>> {
        Client::new(base, token).map(Self)
    }

    /// The webhooks of one of our numbers; messages come by these alone.
    ///
    /// # Errors
    /// [`PlatformError`]; [`PlatformError::NotFound`] where the token sees no such number.
    pub async fn webhooks_of(&self, phone_number_id: &str) -> Result<Vec<Webhook>, PlatformError> {
        let path = ["whatsapp", "phone_numbers", phone_number_id, "webhooks"];
        self.all("list the webhooks of a number", &path, &[], Webhook::read).await
    }

    /// All webhooks that the token sees without a number being named: those of the project.
    ///
    /// # Errors
    /// [`PlatformError`].
    pub async fn webhooks(&self) -> Result<Vec<Webhook>, PlatformError> {
        self.all("list the webhooks", &["whatsapp", "webhooks"], &[], Webhook::read).await
    }

    /// Registers a webhook for one of our numbers.
    ///
    /// # Errors
    /// [`PlatformError`]; [`PlatformError::Refused`] says what Kapso does not like about it.
    pub async fn create(
        &self,
        phone_number_id: &str,
        webhook: &WebhookChange<'_>,
    ) -> Result<Webhook, PlatformError> {
        let path = ["whatsapp", "phone_numbers", phone_number_id, "webhooks"];
        self.write("register a webhook", Method::POST, &path, webhook).await
    }

    /// Changes a webhook; what `change` does not name stays as it is.
    ///
    /// # Errors
    /// As [`Self::create`].
    pub async fn change(
        &self,
        webhook_id: &str,
        change: &WebhookChange<'_>,
    ) -> Result<Webhook, PlatformError> {
        self.write("change the webhook", Method::PATCH, &["whatsapp", "webhooks", webhook_id], change).await
    }

    /// Removes a webhook.
    ///
    /// # Errors
    /// [`PlatformError`].
    pub async fn delete(&self, webhook_id: &str) -> Result<(), PlatformError> {
        let path = ["whatsapp", "webhooks", webhook_id];
        self.ask("delete the webhook", self.0.request(Method::DELETE, &path, None)).await.map(drop)
    }

    /// Has Kapso send a test event by this webhook: of a kind that it is subscribed to.
    ///
    /// # Errors
    /// [`PlatformError`]. That it was sent says nothing about how we answered.
    pub async fn test(&self, webhook_id: &str, event_type: &str) -> Result<(), PlatformError> {
        let path = ["whatsapp", "webhooks", webhook_id, "test"];
        let request = self.0.request(Method::POST, &path, Some(&json!({ "event_type": event_type })));
        self.ask("send a test event", request).await.map(drop)
    }

    /// What became of deliveries, the newest first: one page.
    ///
    /// # Errors
    /// [`PlatformError`].
    pub async fn deliveries(&self, query: &DeliveryQuery<'_>) -> Result<Vec<Delivery>, PlatformError> {
        const WHAT: &str = "list the deliveries";
        let body = self.ask(WHAT, self.0.question(&["webhook_deliveries"], &query.pairs())).await?;
        let items = page::items(&body).ok_or(PlatformError::Unreadable(WHAT))?;
        Ok(items.iter().filter_map(Delivery::read).collect())
    }

    /// Our numbers.
    ///
    /// # Errors
    /// [`PlatformError`].
    pub async fn phone_numbers(&self) -> Result<Vec<PhoneNumber>, PlatformError> {
        self.all("list our numbers", &["whatsapp", "phone_numbers"], &[], PhoneNumber::read).await
    }

    /// How well one of our numbers is. Kapso asks Meta for it: it can take seconds.
    ///
    /// # Errors
    /// [`PlatformError`].
    pub async fn health(&self, phone_number_id: &str) -> Result<NumberHealth, PlatformError> {
        const WHAT: &str = "look after a number's health";
        let path = ["whatsapp", "phone_numbers", phone_number_id, "health"];
        let body = self.ask(WHAT, self.0.question(&path, &[])).await?;
        NumberHealth::read(page::unwrapped(&body)).ok_or(PlatformError::Unreadable(WHAT))
    }

    /// Every page of a listing.
    async fn all<T>(
        &self,
        what: &'static str,
        path: &[&str],
        query: &[(&str, String)],
        read: fn(&Value) -> Option<T>,
    ) -> Result<Vec<T>, PlatformError> {
        let mut found = Vec::new();
        let mut next = Some(page::Next::first());
        for _ in 0..page::MOST {
            let Some(at) = next else { return Ok(found) };
            let pairs: Vec<_> = query.iter().cloned().chain(at.pairs()).collect();
            let body = self.ask(what, self.0.question(path, &pairs)).await?;
            let items = page::items(&body).ok_or(PlatformError::Unreadable(what))?;
            found.extend(items.iter().filter_map(read));
            next = at.after(&body, items.len());
        }
        Err(PlatformError::Endless(what))
    }

    async fn write(
        &self,
        what: &'static str,
        method: Method,
        path: &[&str],
        webhook: &WebhookChange<'_>,
    ) -> Result<Webhook, PlatformError> {
        let body = json!({ "whatsapp_webhook": webhook.json() });
        let answer = self.ask(what, self.0.request(method, path, Some(&body))).await?;
        Webhook::read(page::unwrapped(&answer)).ok_or(PlatformError::Unreadable(what))
    }

    async fn ask(&self, what: &'static str, request: RequestBuilder) -> Result<Value, PlatformError> {
        error::judge(what, self.0.send(Some(request)).await)
    }
}
