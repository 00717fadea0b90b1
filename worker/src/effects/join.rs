//! What several events of one message say of an effect together. Pure.
//!
//! Dialects say more or less of a message, and any of its events can come first. So what they
//! say is joined, with the same result in any order: an effect that one event can't address
//! another can, and one that an event knows to be an import's is nobody's. This is done until
//! the effect leaves.

use std::cmp::{Ordering, Reverse};

use time::OffsetDateTime;

use super::{
    EffectKind, Owed, Policy, State,
    lane::Lane,
    owed::{Reason, Refusal},
};
use crate::kapso::Target;

/// What events say of an effect, but for what it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) kapso_message_id: Option<String>,
    pub(super) conversation_id: Option<String>,
    pub(super) phone_number_id: Option<String>,
    pub(super) recipient: Option<String>,
    pub(super) lane: Lane,
    pub(super) expires_at: OffsetDateTime,
    pub(super) refused: Option<Refused>,
}

/// Why it is not performed: the better reason first by its kind, then by its text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Refused {
    pub(super) reason: Reason,
    pub(super) told: String,
}

impl From<&Owed> for Said {
    fn from(owed: &Owed) -> Self {
        let refused = |refusal: &Refusal| Refused { reason: refusal.reason(), told: refusal.to_string() };
        Self {
            kapso_message_id: owed.kapso_message_id.clone(),
            conversation_id: owed.conversation_id.clone(),
            phone_number_id: owed.phone_number_id.clone(),
            recipient: owed.recipient.clone(),
            lane: owed.lane.clone(),
            expires_at: owed.expires_at,
            refused: match &owed.state {
                State::Pending => None,
                State::Refused(refusal) => Some(refused(refusal)),
            },
        }
    }
}

/// Joins what is known of an effect with what another event says of it.
pub(super) fn join(
    policy: &Policy,
    (kind, message_id): (EffectKind, &str),
    known: &Said,
    other: &Said,
    now: OffsetDateTime,
) -> Said {
    let default = policy.phone_number_id.as_deref();
    let mut joined = Said {
        // A guide's name can be a wamid; by Kapso's own its API knows the message in any case.
        kapso_message_id: least(&known.kapso_message_id, &other.kapso_message_id),
        conversation_id: known.conversation_id.clone().max(other.conversation_id.clone()),
        phone_number_id: better_number(default, &known.phone_number_id, &other.phone_number_id),
        // Phone numbers come before BSUIDs.
        recipient: least(&known.recipient, &other.recipient),
        lane: [&known.lane, &other.lane]
            .into_iter()
            .min_by(|a, b| lanes(default, a, b))
            .cloned()
            .unwrap_or_else(|| known.lane.clone()),
        expires_at: known.expires_at.min(other.expires_at),
        refused: None,
    };
    joined.refused = refused(policy, (kind, message_id), known, other, &joined, now);
    joined
}

/// What an event says of the message counts whatever the others say. That it can't be addressed
/// is no such thing: together they may.
fn refused(
    policy: &Policy,
    (kind, message_id): (EffectKind, &str),
    known: &Said,
    other: &Said,
    joined: &Said,
    now: OffsetDateTime,
) -> Option<Refused> {
    let for_good = |refused: &&Refused| refused.reason > Reason::NotAddressable;
    let known_reason = known.refused.as_ref().filter(for_good);
    // Effects that are switched off are about what is owed from now on.
    let other_reason = other.refused.as_ref().filter(for_good).filter(|it| it.reason != Reason::Off);
    if let Some(reason) = known_reason.max(other_reason) {
        return Some(reason.clone());
    }
    let target = Target {
        message_id,
        kapso_message_id: joined.kapso_message_id.as_deref(),
        conversation_id: joined.conversation_id.as_deref(),
        phone_number_id: joined.phone_number_id.as_deref(),
        recipient: joined.recipient.as_deref(),
    };
    match policy.api.unaddressable(kind, target) {
        Some(why) => Some(Refused { reason: Reason::NotAddressable, told: why.to_owned() }),
        None if joined.expires_at < now => known.refused.clone(),
        None => None,
    }
}

fn least(a: &Option<String>, b: &Option<String>) -> Option<String> {
    [a, b].into_iter().flatten().min().cloned()
}

/// Our number as an event names it, rather than the one that is set for those that name none.
fn better_number(default: Option<&str>, a: &Option<String>, b: &Option<String>) -> Option<String> {
    [a, b].into_iter().flatten().max_by_key(|number| (Some(number.as_str()) != default, *number)).cloned()
}

/// Which of two lanes is the better known.
fn lanes(default: Option<&str>, a: &Lane, b: &Lane) -> Ordering {
    let rank = |lane: &Lane| match (&lane.phone_number_id, &lane.conversation_id) {
        _ if lane.is_of_group() => -1,
        (Some(number), _) if Some(number.as_str()) != default => 0,
        (Some(_), _) => 1,
        (None, Some(_)) => 2,
        (None, None) => 3,
    };
    let key = |lane: &Lane| (rank(lane), Reverse(lane.phone_number_id.clone()), lane.id.clone());
    key(a).cmp(&key(b))
}

#[cfg(test)]
mod tests {
    use time::Duration;

    use super::*;
    use crate::{effects::RuleBook, kapso::ApiStyle};

    const NOW: OffsetDateTime = time::macros::datetime!(2026-11-25 12:00 UTC);
    const MARK: (EffectKind, &str) = (EffectKind::MarkRead, "wamid.X");

    fn policy() -> Policy {
        let book = RuleBook::default();
        Policy {
            off: None,
            book,
            phone_number_id: Some("2077".to_owned()),
            api: ApiStyle::Conversation.into(),
        }
    }

    fn text(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    fn refused(reason: Reason, told: &str) -> Option<Refused> {
        Some(Refused { reason, told: told.to_owned() })
    }

    fn said(number: &str, contact: &str) -> Said {
        Said {
            kapso_message_id: None,
            conversation_id: None,
            phone_number_id: text(number),
            recipient: text(contact),
            lane: Lane::of(None, Some(number), Some(contact), None, MARK.1),
            expires_at: NOW + Duration::minutes(15),
            refused: refused(Reason::NotAddressable, "…"),
        }
    }

    /// By Meta's event alone the conversation API can't mark; by the guide's it can.
    #[test]
    fn what_one_event_can_not_address_another_can() {
        let meta = said("1088", "CL.a");
        let guide = Said {
            kapso_message_id: text("uuid"),
            conversation_id: text("c"),
            refused: None,
            ..said("2077", "569")
        };
        let expected = Said {
            kapso_message_id: text("uuid"),
            conversation_id: text("c"),
            phone_number_id: text("1088"),
            recipient: text("569"),
            lane: Lane::of(None, Some("1088"), Some("CL.a"), None, MARK.1),
            expires_at: guide.expires_at,
            refused: None,
        };
        assert_eq!(join(&policy(), MARK, &meta, &guide, NOW), expected);
        assert_eq!(join(&policy(), MARK, &guide, &meta, NOW), expected);
        // Too late, it stays refused.
        let late = join(&policy(), MARK, &meta, &guide, NOW + Duration::hours(1));
        assert_eq!(late.refused.map(|it| it.reason), Some(Reason::NotAddressable));
    }

    #[test]
    fn what_is_said_of_the_message_itself_counts() {
        let pending = Said { kapso_message_id: text("uuid"), refused: None, ..said("2077", "569") };
        let import = Said { refused: refused(Reason::Origin, "import"), ..pending.clone() };
        let old = Said { refused: refused(Reason::TooOld, "old"), ..pending.clone() };
        let off = Said { refused: refused(Reason::Off, "off"), ..pending.clone() };
        let reason = |known: &Said, other: &Said| {
            join(&policy(), MARK, known, other, NOW).refused.map(|refused| refused.reason)
        };
        for (a, b, expected) in [
            (&pending, &import, Some(Reason::Origin)),
            (&old, &import, Some(Reason::Origin)),
            (&pending, &old, Some(Reason::TooOld)),
            (&pending, &pending, None),
        ] {
            assert_eq!((reason(a, b), reason(b, a)), (expected, expected));
        }
        // What is owed stays owed, and what was not is not.
        assert_eq!((reason(&pending, &off), reason(&off, &pending)), (None, Some(Reason::Off)));
    }

    #[test]
    fn any_order_says_the_same() {
        let mut all = Vec::new();
        for (number, contact) in [("2077", "569"), ("2077", "CL.a"), ("1088", "569"), ("3099", "570")] {
            for conversation in [None, Some("c"), Some("d")] {
                let lane = Lane::of(
                    None,
                    Some(number).filter(|_| contact != "570"),
                    Some(contact),
                    conversation,
                    MARK.1,
                );
                let named =
                    Said { conversation_id: conversation.map(str::to_owned), lane, ..said(number, contact) };
                let kapso = Said { kapso_message_id: text(contact), refused: None, ..named.clone() };
                all.extend([named, kapso]);
            }
        }
        let join = |a: &Said, b: &Said| join(&policy(), MARK, a, b, NOW);
        // Each as it is told: refused for what the API says it lacks.
        let all: Vec<Said> = all.iter().map(|it| join(it, it)).collect();
        for a in &all {
            assert_eq!(&join(a, a), a);
            for b in &all {
                assert_eq!(join(a, b), join(b, a));
                for c in &all {
                    assert_eq!(join(&join(a, b), c), join(a, &join(b, c)));
                }
            }
        }
    }
}
