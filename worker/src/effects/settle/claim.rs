//! Which of the messages of a lane is which reply. Pure.
//!
//! A message is one reply's at the most, and a reply is one message's. What a status echoes
//! comes first; then equal texts, by when they were written.

use std::time::Duration;

use time::OffsetDateTime;
use unicode_normalization::UnicodeNormalization as _;

use crate::kapso::effect_of_callback;

/// How far the clocks of Meta, Kapso and our database may be apart. Meta's times are whole
/// seconds, which the comparison below allows for beside this. Wide: to take the reply of
/// a minute ago for this one is prevented by its own effect, which claims it; to miss this one
/// is a second reply.
pub(super) const CLOCKS: Duration = Duration::from_secs(10);

/// A reply that looks for its message.
#[derive(Clone, Debug)]
pub(super) struct Claimant {
    /// Its effect.
    pub(super) effect: i64,
    /// Its text.
    pub(super) body: Option<String>,
    /// When the first attempt began that may have sent it.
    pub(super) since: OffsetDateTime,
    /// It has a message, under one kind of name alone: WhatsApp's (true) or Kapso's. The same
    /// message under the other kind of name is nobody else's.
    pub(super) known_by_wamid: Option<bool>,
}

/// A message of ours that no effect has.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    /// Its id.
    pub(super) id: String,
    /// Its text.
    pub(super) body: Option<String>,
    /// What its statuses echo.
    pub(super) callback_data: Option<String>,
    /// When it was written.
    pub(super) written_at: Option<OffsetDateTime>,
    /// The first thing known to have happened to it.
    pub(super) first_at: Option<OffsetDateTime>,
}

/// By what a message is known to be a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    /// A status of it echoes the effect's id.
    Echo,
    /// It has the text of the reply, in its lane, behind its request.
    Text,
}

/// Which reply has which message, for the replies and messages of one lane.
pub(super) fn claims<'a>(
    claimants: &[Claimant],
    candidates: &'a [Candidate],
) -> Vec<(i64, &'a Candidate, By)> {
    let mut claims = Vec::new();
    let mut free: Vec<&Claimant> = claimants.iter().collect();
    let mut left = Vec::new();
    for candidate in candidates {
        let Some(named) = candidate.callback_data.as_deref().and_then(effect_of_callback) else {
            left.push(candidate);
            continue;
        };
        // What echoes another effect's id is not this lane's, whatever its text.
        let matches = |it: &&Claimant| it.effect == named && fits(it, candidate);
        if let Some(place) = free.iter().position(|it| it.known_by_wamid.is_none() && matches(it)) {
            claims.push((free.swap_remove(place).effect, candidate, By::Echo));
        }
    }
    left.sort_by(|a, b| (a.written_at, &a.id).cmp(&(b.written_at, &b.id)));
    for candidate in left {
        let Some(at) = candidate.written_at else { continue };
        let Some(place) = best(&free, candidate, at) else { continue };
        let claimant = free.swap_remove(place);
        if claimant.known_by_wamid.is_none() {
            claims.push((claimant.effect, candidate, By::Text));
        }
    }
    claims
}

/// Whether a message that echoes a reply's id can be it at all: not before its request, nor
/// with other words. Another installation of ours may count its effects from 1 as well.
fn fits(claimant: &Claimant, candidate: &Candidate) -> bool {
    let words = match (&claimant.body, &candidate.body) {
        (Some(ours), Some(theirs)) => same_text(ours, theirs),
        _ => true,
    };
    words && candidate.first_at.is_some_and(|at| is_behind(at, claimant.since))
}

/// The reply whose message this is, by its text: of the requests before it the last one; else,
/// as the clocks may differ, the first of those that began a little later.
fn best(free: &[&Claimant], candidate: &Candidate, at: OffsetDateTime) -> Option<usize> {
    let mut places: Vec<usize> = (0..free.len()).collect();
    places.retain(|place| {
        free.get(*place).is_some_and(|it| {
            let text = it.body.as_deref().zip(candidate.body.as_deref());
            text.is_some_and(|(ours, theirs)| same_text(ours, theirs))
                && is_behind(at, it.since)
                && it.known_by_wamid.is_none_or(|by_wamid| by_wamid != is_wamid(&candidate.id))
        })
    });
    let since = |place: &usize| free.get(*place).map(|it| whole(it.since));
    let before = places.iter().copied().filter(|place| since(place) <= Some(whole(at)));
    before.max_by_key(since).or_else(|| places.iter().copied().min_by_key(since))
}

/// Whether something happened behind a request that began then, by clocks that may differ.
pub(super) fn is_behind(at: OffsetDateTime, since: OffsetDateTime) -> bool {
    at >= whole(since) - CLOCKS
}

fn whole(at: OffsetDateTime) -> OffsetDateTime {
    at.replace_nanosecond(0).unwrap_or(at)
}

fn is_wamid(name: &str) -> bool {
    name.starts_with("wamid.")
}

/// Whether two texts are the same but for spaces and the form of their accents, which somebody on
/// the way may have made one.
pub(super) fn same_text(a: &str, b: &str) -> bool {
    let words = |text: &str| text.nfc().collect::<String>().split_whitespace().collect::<Vec<_>>().join(" ");
    a == b || words(a) == words(b)
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    const BEGAN: OffsetDateTime = datetime!(2026-11-25 10:00:00.7 UTC);

    fn at(seconds: i64) -> OffsetDateTime {
        BEGAN + time::Duration::seconds(seconds)
    }

    fn reply(effect: i64, since: i64) -> Claimant {
        Claimant { effect, body: Some("¿En qué?".to_owned()), since: at(since), known_by_wamid: None }
    }

    fn message(id: &str, seconds: i64, body: Option<&str>, echo: Option<&str>) -> Candidate {
        let at = Some(whole(at(seconds)));
        Candidate {
            id: id.to_owned(),
            body: body.map(str::to_owned),
            callback_data: echo.map(str::to_owned),
            written_at: at,
            first_at: at,
        }
    }

    fn said(id: &str, seconds: i64) -> Candidate {
        message(id, seconds, Some("¿En qué?"), None)
    }

    fn claimed(claimants: &[Claimant], candidates: &[Candidate]) -> Vec<(i64, String, By)> {
        let mut claims: Vec<_> =
            claims(claimants, candidates).into_iter().map(|(id, it, by)| (id, it.id.clone(), by)).collect();
        claims.sort_by_key(|(effect, ..)| *effect);
        claims
    }

    fn by_text(claims: &[(i64, &str)]) -> Vec<(i64, String, By)> {
        claims.iter().map(|(effect, id)| (*effect, (*id).to_owned(), By::Text)).collect()
    }

    #[test]
    fn an_echo_settles_the_reply_that_it_names_and_no_other() {
        let replies = [reply(7, 0), reply(8, 60)];
        let echo = |data| [message("m", 1, None, Some(data))];
        assert_eq!(claimed(&replies, &echo("buzon:effect:7")), [(7, "m".to_owned(), By::Echo)]);
        for data in ["buzon:effect:9", "buzon:effect:07", "buzon:effect:", "buzon:effect:-7", "reply:7", ""] {
            assert_eq!(claimed(&replies, &echo(data)), [], "{data}");
        }
        // Before its request, or with other words, it is another installation's.
        assert_eq!(claimed(&replies, &echo("buzon:effect:8")), []);
        assert_eq!(claimed(&replies, &[message("m", 1, Some("Adiós"), Some("buzon:effect:7"))]), []);
        // And what is another effect's is nobody's by its text.
        assert_eq!(claimed(&replies, &[message("m", 1, Some("¿En qué?"), Some("buzon:effect:9"))]), []);
        assert_eq!(
            claimed(&replies, &[message("m", 1, Some("¿En qué?"), Some("reply:9"))]),
            by_text(&[(7, "m")])
        );
    }

    #[test]
    fn a_text_counts_behind_the_request_by_whole_seconds_and_clocks() {
        for (seconds, found) in [(-11, false), (-10, true), (-1, true), (0, true), (500, true)] {
            assert_eq!(claimed(&[reply(7, 0)], &[said("m", seconds)]).len() == 1, found, "{seconds}");
        }
        assert_eq!(claimed(&[reply(7, 0)], &[message("m", 1, Some("Adiós"), None)]), []);
        let untimed = Candidate { written_at: None, ..said("m", 1) };
        assert_eq!(claimed(&[reply(7, 0)], &[untimed]), []);
    }

    #[test]
    fn two_equal_texts_are_one_message_each() {
        let replies = [reply(7, 0), reply(8, 60)];
        assert_eq!(claimed(&replies, &[said("b", 61), said("a", 1)]), by_text(&[(7, "a"), (8, "b")]));
        assert_eq!(claimed(&replies, &[said("b", 61)]), by_text(&[(8, "b")]), "the last request before it");
        assert_eq!(claimed(&replies, &[said("a", 1)]), by_text(&[(7, "a")]));
        assert_eq!(claimed(&replies, &[said("b", 61), said("a", 62)]).len(), 2, "late, and still two");
        assert_eq!(claimed(&replies[..1], &[said("a", 1), said("b", 2)]).len(), 1);
    }

    #[test]
    fn clocks_do_not_give_a_reply_the_message_of_the_one_before() {
        let replies = [reply(7, 0), reply(8, 5)];
        assert_eq!(claimed(&replies, &[said("a", 1)]), by_text(&[(7, "a")]));
    }

    #[test]
    fn what_is_known_by_one_kind_of_name_is_not_two_messages() {
        let known = Claimant { known_by_wamid: Some(false), ..reply(7, 0) };
        let replies = [known, reply(8, 5)];
        assert_eq!(claimed(&replies, &[said("wamid.A", 1)]), []);
        assert_eq!(claimed(&replies, &[said("wamid.A", 1), said("wamid.B", 6)]), by_text(&[(8, "wamid.B")]));
        assert_eq!(claimed(&replies, &[said("uuid", 6)]), by_text(&[(8, "uuid")]));
    }

    #[test]
    fn spaces_and_the_form_of_accents_do_not_count() {
        assert!(same_text("¿En  qué?\n", "¿En que\u{301}?"));
        assert!(!same_text("¿En que?", "¿En qué?"));
        assert!(!same_text("Hola", "hola"));
    }
}
