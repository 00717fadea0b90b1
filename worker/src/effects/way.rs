//! By which of Kapso's APIs an effect goes. Pure.

use crate::kapso::ApiStyle;

/// The way of an effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// The API that is configured.
    Own,
    /// The Meta proxy beside the conversation API: marks of messages whose event does not give Kapso's id.
    Proxy,
}

impl Way {
    /// Which effects go by it, as the statements that choose have it.
    pub(super) const fn effects(self, has_proxy: bool) -> &'static str {
        match (self, has_proxy) {
            (Self::Own, false) => "all",
            (Self::Own, true) => "but by proxy",
            (Self::Proxy, _) => "by proxy",
        }
    }

    /// Whether marking a message as read covers those before it.
    pub(super) fn marks_cover_earlier(self, own: ApiStyle) -> bool {
        match self {
            Self::Own => own.marks_cover_earlier(),
            Self::Proxy => ApiStyle::MetaProxy.marks_cover_earlier(),
        }
    }
}

/// The condition for an effect to go by a way; $4 is [`Way::effects`].
macro_rules! by_this_way {
    () => {
        "($4 = 'all' OR ($4 = 'by proxy') = (effects.kind = 'mark_read' AND effects.kapso_message_id IS NULL))"
    };
}
pub(super) use by_this_way;
