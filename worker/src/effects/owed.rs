//! What a received message owes. Pure.

use std::fmt;

use time::{Duration, OffsetDateTime};

use super::{EffectKind, RuleBook, lane::Lane};
use crate::{
    kapso::{Reach, Target},
    project::Received,
};

/// Messages older than this are not marked as read.
const MARK_MAX_AGE: Duration = Duration::hours(24);

/// The types of messages that a person wrote and that can ask something: their words are in the text, the caption or the
/// title of what was pressed. Of any other (system notices, reactions, what WhatsApp or Kapso only describes) nobody wrote
/// the text. Source: Meta, "Webhooks: messages".
pub(super) const ANSWERED: [&str; 11] = [
    "text",
    "image",
    "video",
    "audio",
    "document",
    "sticker",
    "location",
    "contacts",
    "interactive",
    "button",
    "order",
];

/// The types of messages that nobody wrote: there is nothing to mark as read.
pub(super) const NOTICES: [&str; 3] = ["system", "edit", "revoke"];

/// The origin of messages that Kapso imported when a number was connected.
const HISTORY_SYNC: &str = "history_sync";
/// The origin of messages that a person wrote in the phone's app.
const BUSINESS_APP: &str = "business_app";

/// What decides about effects.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Why nothing is sent at all, if so.
    pub off: Option<&'static str>,
    /// Which texts are answered, and how late.
    pub book: RuleBook,
    /// Our number, for events that do not name it.
    pub phone_number_id: Option<String>,
    /// The APIs that are called: they say what a request must name.
    pub api: Reach,
}

/// An effect that is owed, or the record of why it is not.
#[derive(Clone, Debug)]
pub struct Owed {
    /// What.
    pub kind: EffectKind,
    /// Pending, or refused from the start.
    pub state: State,
    /// The message that causes it.
    pub message_id: String,
    /// The name by which Kapso's own API knows it.
    pub kapso_message_id: Option<String>,
    /// Its conversation.
    pub conversation_id: Option<String>,
    /// Our number.
    pub phone_number_id: Option<String>,
    /// Whom it goes to.
    pub recipient: Option<String>,
    /// What it goes through.
    pub lane: Lane,
    /// The text of a reply.
    pub body: Option<String>,
    /// The rule that owes a reply.
    pub rule: Option<String>,
    /// It is not performed after this.
    pub expires_at: OffsetDateTime,
}

/// Whether an effect is to be performed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// It is.
    Pending,
    /// It is not, and this is why.
    Refused(Refusal),
}

/// Why an effect is not performed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Nothing is sent at all.
    Off(&'static str),
    /// The message comes from an import or from the phone's app.
    Origin(&'static str),
    /// The message is too old.
    TooOld(Duration),
    /// The API can't be told what to act on.
    NotAddressable(&'static str),
    /// Nobody wrote the message, or not as a question: its type.
    Type(String),
    /// The message was written in a group.
    Group,
}

/// The kinds of refusals: the greater counts where events disagree ([`super::join`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reason {
    NotAddressable,
    TooOld,
    /// What the message is: where it was written, of which type.
    Origin,
    Off,
}

impl Reason {
    const ALL: [Self; 4] = [Self::NotAddressable, Self::TooOld, Self::Origin, Self::Off];

    /// As the table has it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::NotAddressable => "not_addressable",
            Self::TooOld => "too_old",
            Self::Origin => "origin",
            Self::Off => "off",
        }
    }

    /// From the table.
    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.name() == name)
    }
}

impl Refusal {
    /// What kind of refusal it is.
    pub(super) const fn reason(&self) -> Reason {
        match self {
            Self::Off(_) => Reason::Off,
            Self::Origin(_) | Self::Type(_) | Self::Group => Reason::Origin,
            Self::TooOld(_) => Reason::TooOld,
            Self::NotAddressable(_) => Reason::NotAddressable,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off(why) => f.write_str(why),
            Self::Origin(origin) => write!(f, "the message's origin is {origin}"),
            Self::TooOld(limit) => write!(f, "the message is older than {} minutes", limit.whole_minutes()),
            Self::NotAddressable(why) => f.write_str(why),
            Self::Type(kind) => write!(f, "nobody wrote the message to us: its type is {kind}"),
            Self::Group => f.write_str("the message was written in a group"),
        }
    }
}

impl Policy {
    /// What a received message owes, in the order in which it is to be performed.
    #[must_use]
    pub fn owe(&self, message: &Received, now: OffsetDateTime) -> Vec<Owed> {
        let reply = message.body.as_deref().and_then(|text| self.book.rules.answer(text)).map(|rule| {
            let mut reply = self.owed(EffectKind::SendText, message, now);
            reply.body = Some(rule.reply.clone());
            reply.rule = Some(rule.name.clone());
            reply
        });
        reply.into_iter().chain([self.owed(EffectKind::MarkRead, message, now)]).collect()
    }

    fn owed(&self, kind: EffectKind, message: &Received, now: OffsetDateTime) -> Owed {
        let phone_number_id = message.phone_number_id.clone().or_else(|| self.phone_number_id.clone());
        let lane = Lane::of(
            message.group_id.as_deref(),
            phone_number_id.as_deref(),
            message.contact_id.as_deref(),
            message.conversation_id.as_deref(),
            &message.message_id,
        );
        let mut owed = Owed {
            kind,
            state: State::Pending,
            message_id: message.message_id.clone(),
            kapso_message_id: message.kapso_message_id.clone(),
            conversation_id: message.conversation_id.clone(),
            phone_number_id,
            recipient: message.recipient.clone(),
            lane,
            body: None,
            rule: None,
            expires_at: self.expires_at(kind, message),
        };
        if let Some(refusal) = self.refusal(&owed, message, now) {
            owed.state = State::Refused(refusal);
        }
        owed
    }

    /// A message is as old as the earlier of its own time and its arrival says.
    fn expires_at(&self, kind: EffectKind, message: &Received) -> OffsetDateTime {
        message.at.at.min(message.received_at).saturating_add(self.max_age(kind))
    }

    fn max_age(&self, kind: EffectKind) -> Duration {
        match kind {
            EffectKind::SendText => self.book.max_age,
            EffectKind::MarkRead => MARK_MAX_AGE,
        }
    }

    fn refusal(&self, owed: &Owed, message: &Received, now: OffsetDateTime) -> Option<Refusal> {
        if message.group_id.is_some() {
            return Some(Refusal::Group);
        }
        if let Some(kind) = message.kind.as_deref().filter(|kind| !is_for(owed.kind, kind)) {
            return Some(Refusal::Type(kind.to_owned()));
        }
        if let Some(why) = self.off {
            return Some(Refusal::Off(why));
        }
        let origin = message.origin.as_deref();
        if origin == Some(HISTORY_SYNC) {
            return Some(Refusal::Origin(HISTORY_SYNC));
        }
        if owed.kind == EffectKind::SendText && origin == Some(BUSINESS_APP) {
            return Some(Refusal::Origin(BUSINESS_APP));
        }
        if owed.expires_at < now {
            return Some(Refusal::TooOld(self.max_age(owed.kind)));
        }
        let target = Target {
            message_id: &owed.message_id,
            kapso_message_id: owed.kapso_message_id.as_deref(),
            conversation_id: owed.conversation_id.as_deref(),
            phone_number_id: owed.phone_number_id.as_deref(),
            recipient: owed.recipient.as_deref(),
        };
        self.api.unaddressable(owed.kind, target).map(Refusal::NotAddressable)
    }
}

/// Whether a message of this type can owe an effect.
fn is_for(effect: EffectKind, kind: &str) -> bool {
    match effect {
        EffectKind::SendText => ANSWERED.contains(&kind),
        EffectKind::MarkRead => !NOTICES.contains(&kind),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{event::Moment, kapso::ApiStyle};

    const NOW: OffsetDateTime = time::macros::datetime!(2026-11-24 12:00 UTC);

    fn policy() -> Policy {
        Policy {
            off: None,
            book: RuleBook::default(),
            phone_number_id: Some("2077".to_owned()),
            api: ApiStyle::Conversation.into(),
        }
    }

    fn received(age: Duration) -> Received {
        Received {
            message_id: "msg-1".to_owned(),
            kapso_message_id: Some("msg-1".to_owned()),
            at: Moment { at: NOW - age, timed: true },
            received_at: NOW,
            conversation_id: Some("conv-1".to_owned()),
            contact_id: Some("569".to_owned()),
            recipient: Some("569".to_owned()),
            phone_number_id: None,
            group_id: None,
            kind: Some("text".to_owned()),
            origin: None,
            body: Some("¡Ayuda!".to_owned()),
        }
    }

    fn states(policy: &Policy, message: &Received) -> Vec<(EffectKind, State)> {
        policy.owe(message, NOW).into_iter().map(|owed| (owed.kind, owed.state)).collect()
    }

    use EffectKind::{MarkRead, SendText};

    #[test]
    fn a_keyword_owes_a_reply_and_every_message_a_mark() {
        let owed = policy().owe(&received(Duration::ZERO), NOW);
        let kinds: Vec<_> = owed.iter().map(|owed| (owed.kind, owed.state.clone())).collect();
        assert_eq!(kinds, [(SendText, State::Pending), (MarkRead, State::Pending)]);
        assert_eq!(owed.first().and_then(|reply| reply.body.as_deref()), Some("¿En qué puedo ayudarte?"));
        assert!(owed.iter().all(|owed| owed.lane.id == "2077/569"));
        let silent = Received { body: Some("hola".to_owned()), ..received(Duration::ZERO) };
        assert_eq!(states(&policy(), &silent), [(MarkRead, State::Pending)]);
    }

    #[test]
    fn late_is_not_helpful() {
        let limit = Duration::minutes(15);
        let refused = State::Refused(Refusal::TooOld(limit));
        assert_eq!(states(&policy(), &received(limit)).first(), Some(&(SendText, State::Pending)));
        let late = received(limit + Duration::SECOND);
        assert_eq!(states(&policy(), &late), [(SendText, refused), (MarkRead, State::Pending)]);
        let day_old = states(&policy(), &received(Duration::hours(25)));
        assert!(day_old.iter().all(|(_, state)| matches!(state, State::Refused(Refusal::TooOld(_)))));
        // A clock that runs ahead makes nothing younger than its arrival.
        let ahead = Received { received_at: NOW - Duration::hours(1), ..received(-Duration::hours(1)) };
        assert!(matches!(states(&policy(), &ahead).first(), Some((SendText, State::Refused(_)))));
    }

    #[test]
    fn imports_and_the_phone_app_are_not_answered() {
        let origin = |origin: &str| Received { origin: Some(origin.to_owned()), ..received(Duration::ZERO) };
        let refused = |origin| State::Refused(Refusal::Origin(origin));
        assert_eq!(
            states(&policy(), &origin(HISTORY_SYNC)),
            [(SendText, refused(HISTORY_SYNC)), (MarkRead, refused(HISTORY_SYNC))]
        );
        assert_eq!(
            states(&policy(), &origin(BUSINESS_APP)).first(),
            Some(&(SendText, refused(BUSINESS_APP)))
        );
    }

    #[test]
    fn only_what_a_person_wrote_is_answered() {
        let of_type = |kind: &str| Received { kind: Some(kind.to_owned()), ..received(Duration::ZERO) };
        let refused = |kind: &str| State::Refused(Refusal::Type(kind.to_owned()));
        for kind in ["image", "button", "interactive", "order"] {
            assert_eq!(
                states(&policy(), &of_type(kind)).first(),
                Some(&(SendText, State::Pending)),
                "{kind}"
            );
        }
        for kind in ["reaction", "unsupported", "hologram", "template"] {
            let expected = [(SendText, refused(kind)), (MarkRead, State::Pending)];
            assert_eq!(states(&policy(), &of_type(kind)), expected);
        }
        for kind in ["system", "edit", "revoke"] {
            let expected = [(SendText, refused(kind)), (MarkRead, refused(kind))];
            assert_eq!(states(&policy(), &of_type(kind)), expected);
        }
        // Before the guide named the type there was none.
        let untyped = Received { kind: None, ..received(Duration::ZERO) };
        assert_eq!(states(&policy(), &untyped).first(), Some(&(SendText, State::Pending)));
    }

    #[test]
    fn a_group_has_a_lane_of_its_own_and_no_answer() {
        let in_group = Received { group_id: Some("g".to_owned()), ..received(Duration::ZERO) };
        let refused = State::Refused(Refusal::Group);
        assert_eq!(states(&policy(), &in_group), [(SendText, refused.clone()), (MarkRead, refused)]);
        assert!(policy().owe(&in_group, NOW).iter().all(|owed| owed.lane.id == "group/g"));
    }

    #[test]
    fn what_would_have_been_sent_is_recorded() {
        let off = Policy { off: Some("BUZON_EFFECTS is off"), ..policy() };
        let owed = off.owe(&received(Duration::ZERO), NOW);
        assert_eq!(owed.len(), 2);
        assert!(owed.iter().all(|owed| owed.state == State::Refused(Refusal::Off("BUZON_EFFECTS is off"))));
        assert!(owed.first().is_some_and(|reply| reply.body.is_some()));
    }

    #[test]
    fn what_the_api_can_not_address_is_refused() {
        let unnamed = Received {
            conversation_id: None,
            message_id: "webhook:00:0".to_owned(),
            kapso_message_id: None,
            ..received(Duration::ZERO)
        };
        let states = states(&policy(), &unnamed);
        assert!(states.iter().all(|(_, state)| matches!(state, State::Refused(Refusal::NotAddressable(_)))));
    }
}
