//! The state of the account and of its number: what a test sets and the API then shows.

use serde::{Deserialize, Serialize};

/// What Meta says of a message that it has taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MessageStatus {
    /// Meta sends it.
    #[default]
    Accepted,
    /// Meta holds it back until it has judged the quality; then it sends or drops it.
    HeldForQualityAssessment,
}

/// How well messages can be sent, in Meta's words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum MessagingHealth {
    /// Without limits.
    #[default]
    Available,
    /// With limits.
    Limited,
    /// Not at all.
    Blocked,
}

/// The number as the platform API shows it, beside what never changes of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NumberState {
    /// Whether Kapso processes what comes in; `false` explains why no webhooks come.
    pub inbound_processing_enabled: bool,
    /// Whether the number is used in the phone's app, too.
    pub is_coexistence: bool,
    /// Whether people can call it.
    pub calls_enabled: bool,
    /// Meta's status of the number, e.g. `CONNECTED`.
    pub status: String,
    /// Meta's rating: `GREEN`, `YELLOW`, `RED` or `UNKNOWN`.
    pub quality_rating: String,
    /// Meta's tier of throughput, e.g. `TIER_10K`.
    pub throughput_tier: String,
    /// Conversations that the business may open in a day.
    pub messaging_limit: String,
    /// Result of the check `phone_number_connection`; none: Kapso could not tell.
    pub connection_passed: Option<bool>,
    /// Overall status of the check `messaging_health`.
    pub messaging_health: MessagingHealth,
    /// Result of that check; none: Kapso could not tell.
    pub messaging_passed: Option<bool>,
}

impl Default for NumberState {
    fn default() -> Self {
        Self {
            inbound_processing_enabled: true,
            is_coexistence: false,
            calls_enabled: false,
            status: "CONNECTED".to_owned(),
            quality_rating: "GREEN".to_owned(),
            throughput_tier: "TIER_10K".to_owned(),
            messaging_limit: "10000".to_owned(),
            connection_passed: Some(true),
            messaging_health: MessagingHealth::Available,
            messaging_passed: Some(true),
        }
    }
}

impl NumberState {
    /// The same number with this messaging health; the check passes only where that is `AVAILABLE`.
    #[must_use]
    pub fn messaging(self, health: MessagingHealth) -> Self {
        let passed = health == MessagingHealth::Available;
        Self { messaging_health: health, messaging_passed: Some(passed), ..self }
    }

    /// The health check's summary: `healthy`, `degraded` or `unhealthy`. What is unknown counts as well.
    pub(crate) fn summary(&self) -> &'static str {
        let is_blocked = self.messaging_health == MessagingHealth::Blocked;
        if is_blocked || self.connection_passed == Some(false) {
            "unhealthy"
        } else if self.messaging_health == MessagingHealth::Limited || self.messaging_passed == Some(false) {
            "degraded"
        } else {
            "healthy"
        }
    }
}

/// The account: whether it is paid, what Meta does with its messages, and its number.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    /// Without credits Kapso refuses every send and every mark.
    pub(crate) credits: bool,
    /// What the answers to sends say.
    pub(crate) message_status: MessageStatus,
    pub(crate) number: NumberState,
}

impl Default for Account {
    fn default() -> Self {
        Self { credits: true, message_status: MessageStatus::default(), number: NumberState::default() }
    }
}
