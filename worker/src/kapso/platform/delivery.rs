//! What became of what Kapso sent us, as its log of deliveries tells.

use serde_json::Value;
use time::OffsetDateTime;

use super::webhook::{instant, text};

/// Which deliveries are asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct DeliveryQuery<'a> {
    /// Those of this webhook.
    pub webhook_id: Option<&'a str>,
    /// `pending`, `delivered` or `failed`.
    pub status: Option<&'a str>,
    /// `24h`, `7d` or `30d` back; Kapso's own default where it is none.
    pub period: Option<&'a str>,
    /// How many at the most, up to 100.
    pub limit: Option<u32>,
}

impl DeliveryQuery<'_> {
    pub(super) fn pairs(&self) -> Vec<(&'static str, String)> {
        let pairs = [
            ("webhook_id", self.webhook_id.map(str::to_owned)),
            ("status", self.status.map(str::to_owned)),
            ("period", self.period.map(str::to_owned)),
            ("limit", self.limit.map(|limit| limit.to_string())),
        ];
        pairs.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }
}

/// One delivery. A field that the answer does not have is `None`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Its id at Kapso.
    pub id: String,
    /// The event.
    pub event: Option<String>,
    /// How often it was tried.
    pub attempt_count: Option<u64>,
    /// What we answered last.
    pub response_status: Option<u64>,
    /// Which webhook it is of.
    pub webhook_id: Option<String>,
    /// When it came about.
    pub created_at: Option<OffsetDateTime>,
    /// When it was tried last.
    pub last_attempt_at: Option<OffsetDateTime>,
    /// When Kapso gave it up.
    pub failed_at: Option<OffsetDateTime>,
    /// When it was delivered.
    pub delivered_at: Option<OffsetDateTime>,
}

impl Delivery {
    /// Reads one; none without an id.
    pub(super) fn read(item: &Value) -> Option<Self> {
        Some(Self {
            id: text(item, "id")?,
            event: text(item, "event"),
            attempt_count: item.get("attempt_count").and_then(Value::as_u64),
            response_status: item.get("response_status").and_then(Value::as_u64),
            webhook_id: text(item, "webhook_id"),
            created_at: instant(item, "created_at"),
            last_attempt_at: instant(item, "last_attempt_at"),
            failed_at: instant(item, "failed_at"),
            delivered_at: instant(item, "delivered_at"),
        })
    }

    /// When it failed, as near as it is told.
    #[must_use]
    pub fn at(&self) -> Option<OffsetDateTime> {
        self.failed_at.or(self.last_attempt_at).or(self.created_at)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_query_names_only_what_it_wants() {
        assert!(DeliveryQuery::default().pairs().is_empty());
        let query = DeliveryQuery { status: Some("failed"), limit: Some(5), ..DeliveryQuery::default() };
        assert_eq!(query.pairs(), [("status", "failed".to_owned()), ("limit", "5".to_owned())]);
    }

    #[test]
    fn a_bare_delivery_is_one() {
        let bare = Delivery::read(&json!({ "id": 7, "response_status": null, "failed_at": "nie" }));
        assert_eq!(
            bare.map(|it| (it.id.clone(), it.response_status, it.at())),
            Some(("7".to_owned(), None, None))
        );
        assert_eq!(Delivery::read(&json!({})), None);
    }
}
