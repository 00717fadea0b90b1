//! What a request has to name, by API, and which events give it. Pure.
//!
//! | event's dialect | conversation API: send | mark       | Meta proxy: send            | mark  |
//! |-----------------|------------------------|------------|-----------------------------|-------|
//! | guide           | conversation           | message    | our number¹, sender         | wamid²|
//! | Kapso v1        | conversation           | Kapso's id | our number, sender          | wamid |
//! | Kapso v2        | conversation           | –          | our number, sender or BSUID | wamid |
//! | Meta            | –                      | –          | our number, sender or BSUID | wamid |
//!
//! ¹ from `KAPSO_PHONE_NUMBER_ID`. ² where its `message_id` is one.
//! A cell with a dash can't be done: the effect is discarded, and says so. What the conversation API
//! can't mark is marked by the Meta proxy, where that is known too ([`Reach`]): the token is the same.
//!
//! Marking a message as read covers those before it by the Meta proxy, as Meta documents. Of
//! the conversation API nobody says so: there each message is marked.

use reqwest::Url;

use crate::effects::EffectKind;

/// Which of Kapso's APIs is called, by the shape of its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApiStyle {
    /// The conversation API of the guide, `…/api/v1`.
    Conversation,
    /// The proxy for Meta's own API, `…/meta/whatsapp/v24.0`.
    MetaProxy,
}

/// What a worker can call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reach {
    /// The API that replies go by, and marks first.
    pub style: ApiStyle,
    /// Whether the Meta proxy is there beside the conversation API, for marks.
    pub proxy_marks: bool,
}

/// What an effect can name.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// The message that caused it.
    pub message_id: &'a str,
    /// The name by which Kapso's own API knows that message.
    pub kapso_message_id: Option<&'a str>,
    /// Its conversation.
    pub conversation_id: Option<&'a str>,
    /// Our number.
    pub phone_number_id: Option<&'a str>,
    /// Whom it goes to: the phone number, else the BSUID.
    pub recipient: Option<&'a str>,
}

impl ApiStyle {
    /// The style of an address.
    #[must_use]
    pub fn of(base: &Url) -> Self {
        let is_proxy =
            base.path_segments().is_some_and(|mut segments| segments.any(|segment| segment == "meta"));
        if is_proxy { Self::MetaProxy } else { Self::Conversation }
    }

    /// Whether marking a message as read covers those before it.
    #[must_use]
    pub fn marks_cover_earlier(self) -> bool {
        match self {
            Self::Conversation => false,
            Self::MetaProxy => true,
        }
    }

    /// Why a request can't be addressed by this API, if so.
    fn unaddressable(self, kind: EffectKind, target: Target<'_>) -> Option<&'static str> {
        let (possible, why) = match (self, kind) {
            (Self::Conversation, EffectKind::SendText) => (
                target.conversation_id.is_some(),
                "the event names no conversation, and the conversation API sends to one",
            ),
            (Self::Conversation, EffectKind::MarkRead) => (
                target.kapso_message_id.is_some(),
                "the event does not give Kapso's id of the message, and the conversation API marks by it",
            ),
            (Self::MetaProxy, EffectKind::SendText) => (
                target.phone_number_id.is_some() && target.recipient.is_some(),
                "the event does not give our number (KAPSO_PHONE_NUMBER_ID) or its sender, and the Meta proxy needs both",
            ),
            (Self::MetaProxy, EffectKind::MarkRead) => (
                target.phone_number_id.is_some() && target.message_id.starts_with("wamid."),
                "the event does not give our number (KAPSO_PHONE_NUMBER_ID) or the wamid, and the Meta proxy needs both",
            ),
        };
        (!possible).then_some(why)
    }
}

impl Reach {
    /// Why a request can't be addressed at all, if so.
    #[must_use]
    pub fn unaddressable(self, kind: EffectKind, target: Target<'_>) -> Option<&'static str> {
        let why = self.style.unaddressable(kind, target)?;
        let by_proxy = self.proxy_marks && kind == EffectKind::MarkRead;
        if by_proxy { ApiStyle::MetaProxy.unaddressable(kind, target) } else { Some(why) }
    }
}

impl From<ApiStyle> for Reach {
    /// That API alone.
    fn from(style: ApiStyle) -> Self {
        Self { style, proxy_marks: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ApiStyle::{Conversation, MetaProxy};
    use EffectKind::{MarkRead, SendText};

    #[test]
    fn the_address_says_the_style() {
        for (base, style) in [
            ("https://app.kapso.ai/api/v1", Conversation),
            ("https://app.kapso.ai/api/v1/", Conversation),
            ("https://api.kapso.ai/meta/whatsapp/v24.0", MetaProxy),
            ("https://api.kapso.ai/meta/whatsapp", MetaProxy),
            ("https://app.kapso.ai/api/meta/v21.0", MetaProxy),
        ] {
            assert_eq!(Url::parse(base).map(|base| ApiStyle::of(&base)), Ok(style), "{base}");
        }
    }

    #[test]
    fn the_table_holds() {
        let nothing = Target {
            message_id: "wamid.X",
            kapso_message_id: None,
            conversation_id: None,
            phone_number_id: Some("2077"),
            recipient: Some("569"),
        };
        let meta = nothing;
        let v2 = Target { conversation_id: Some("c"), ..meta };
        let v1 = Target { kapso_message_id: Some("uuid"), ..v2 };
        let guide = Target { message_id: "msg-1", kapso_message_id: Some("msg-1"), ..v2 };
        let both = Reach { style: Conversation, proxy_marks: true };
        let possible = |reach: Reach, kind, target| reach.unaddressable(kind, target).is_none();
        for (target, cells) in [
            (guide, [true, true, true, false, true, true]),
            (v1, [true, true, true, true, true, true]),
            (v2, [true, false, true, true, true, true]),
            (meta, [false, false, true, true, false, true]),
            (Target { phone_number_id: None, ..meta }, [false, false, false, false, false, false]),
        ] {
            let found = [
                possible(Conversation.into(), SendText, target),
                possible(Conversation.into(), MarkRead, target),
                possible(MetaProxy.into(), SendText, target),
                possible(MetaProxy.into(), MarkRead, target),
                possible(both, SendText, target),
                possible(both, MarkRead, target),
            ];
            assert_eq!(found, cells, "{target:?}");
        }
    }
}
