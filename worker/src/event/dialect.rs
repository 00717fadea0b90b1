//! The wire formats of webhooks: what each is called, and how much it is believed.

/// The wire format of a webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dialect {
    /// The customer's guide: `{event_type, conversation_id, payload, …}`.
    Guide,
    /// Kapso's first: `{message, conversation, whatsapp_config}`.
    KapsoV1,
    /// Kapso's second, and today's: `{message, conversation, phone_number_id}`.
    KapsoV2,
    /// Meta's own, forwarded: `{object, entry: […]}`.
    Meta,
    /// Ours: what the dispatcher knows of a reply that it sent.
    Outbox,
    /// Ours: an item of one of Kapso's listings, for a message that never reached us.
    Backfill(Listing),
}

/// Which of Kapso's APIs listed a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Listing {
    /// The conversation API: messages as in Kapso's first dialect.
    ConversationApi,
    /// The proxy for Meta's own: messages as in its second.
    MetaProxy,
}

impl Listing {
    /// As the archived item has it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ConversationApi => "conversation_api",
            Self::MetaProxy => "meta_proxy",
        }
    }

    /// From an archived item.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        [Self::ConversationApi, Self::MetaProxy].into_iter().find(|listing| listing.name() == name)
    }
}

impl Dialect {
    /// The name that the archive shows.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Guide => "guide",
            Self::KapsoV1 => "kapso_v1",
            Self::KapsoV2 => "kapso_v2",
            Self::Meta => "meta",
            Self::Outbox => "outbox",
            Self::Backfill(_) => "backfill",
        }
    }

    /// Whether it tells what has just happened: only such an event of a message owes its
    /// effects. Another one leaves them to the message's own event, should that still come.
    #[must_use]
    pub const fn is_live(self) -> bool {
        !matches!(self, Self::Backfill(_))
    }

    /// How well it is informed about a message's content: the greater rank wins.
    #[must_use]
    pub const fn rank(self) -> i16 {
        match self {
            Self::Guide | Self::Outbox => 1,
            Self::KapsoV1 | Self::Backfill(Listing::ConversationApi) => 2,
            Self::KapsoV2 | Self::Meta | Self::Backfill(Listing::MetaProxy) => 3,
        }
    }
}
