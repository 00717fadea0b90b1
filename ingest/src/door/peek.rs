//! A tolerant look into a body, in one pass: its kind, for routing, and two ids, for the log.
//!
//! Nothing here can fail a request: an authentic body is kept, whatever it holds.

use std::borrow::Cow;

use contract::kind::Kind;
use serde::de::{DeserializeSeed, IgnoredAny, MapAccess};

use super::loose::{Look, Loose};

/// What a look at the top of a body finds. Where a key comes twice, the last text counts.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Peek<'a> {
    /// Whether it is JSON at all; nothing else is known if not.
    pub(super) is_json: bool,
    event_type: Option<Cow<'a, str>>,
    r#type: Option<Cow<'a, str>>,
    event: Option<Cow<'a, str>>,
    /// The conversation it is about: the guide's `conversation_id`, Kapso's `conversation.id`.
    pub(super) conversation: Option<Cow<'a, str>>,
    /// The message it is about: the guide's `message_id`, Kapso's `message.id`.
    pub(super) message: Option<Cow<'a, str>>,
}

impl<'a> Peek<'a> {
    /// Looks at a body.
    pub(super) fn at(body: &'a [u8]) -> Self {
        let mut json = serde_json::Deserializer::from_slice(contract::without_bom(body));
        match Loose::new(Top).deserialize(&mut json) {
            // What was seen of a body that breaks off, or goes on after its end, is worth nothing.
            Ok(seen) if json.end().is_ok() => Self { is_json: true, ..seen },
            _ => Self::default(),
        }
    }

    /// The kind that the body names, else the one that `header` does.
    pub(super) fn kind(&self, header: Option<&[u8]>) -> Kind {
        let names_something = |text: &&str| !text.is_empty();
        let names_an_event = |text: &&str| names_an_event(text);
        let kind = (self.event_type.as_deref().filter(names_something))
            .or_else(|| self.r#type.as_deref().filter(names_an_event))
            .or_else(|| self.event.as_deref().filter(names_an_event))
            .or_else(|| header.and_then(|header| std::str::from_utf8(header).ok()).map(str::trim));
        Kind::new(kind.unwrap_or_default())
    }
}

/// Whether a `type` or `event` says what happened (`whatsapp.message.received`,
/// `message_received`) rather than what a message consists of (`text`).
fn names_an_event(text: &str) -> bool {
    text.contains(['.', '_']) && !text.contains(char::is_whitespace)
}

/// Looks at a body's top.
struct Top;

impl<'de> Look<'de> for Top {
    type Found = Peek<'de>;

    fn map<A: MapAccess<'de>>(self, mut map: A) -> Result<Peek<'de>, A::Error> {
        let mut seen = Peek::default();
        while let Some(key) = map.next_key_seed(Loose::new(Text))? {
            let (field, found) = match key.as_deref() {
                Some("event_type") => (&mut seen.event_type, map.next_value_seed(Loose::new(Text))?),
                Some("type") => (&mut seen.r#type, map.next_value_seed(Loose::new(Text))?),
                Some("event") => (&mut seen.event, map.next_value_seed(Loose::new(Text))?),
                Some("conversation_id") => (&mut seen.conversation, map.next_value_seed(Loose::new(Text))?),
                Some("message_id") => (&mut seen.message, map.next_value_seed(Loose::new(Text))?),
                Some("conversation") => (&mut seen.conversation, map.next_value_seed(Loose::new(IdIn))?),
                Some("message") => (&mut seen.message, map.next_value_seed(Loose::new(IdIn))?),
                _ => {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            if found.is_some() {
                *field = found;
            }
        }
        Ok(seen)
    }
}

/// Looks for a text.
struct Text;

impl<'de> Look<'de> for Text {
    type Found = Option<Cow<'de, str>>;

    fn text(self, text: Cow<'de, str>) -> Self::Found {
        Some(text)
    }
}

/// Looks for the `id` of an object.
struct IdIn;

impl<'de> Look<'de> for IdIn {
    type Found = Option<Cow<'de, str>>;

    fn map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Found, A::Error> {
        let mut id = None;
        while let Some(key) = map.next_key_seed(Loose::new(Text))? {
            if key.as_deref() == Some("id") {
                id = map.next_value_seed(Loose::new(Text))?.or(id);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(body: &str) -> String {
        Peek::at(body.as_bytes()).kind(Some(b"from.header")).to_string()
    }

    fn ids(body: &str) -> (Option<Cow<'_, str>>, Option<Cow<'_, str>>) {
        let seen = Peek::at(body.as_bytes());
        (seen.conversation, seen.message)
    }

    #[test]
    fn the_body_names_the_kind_in_this_order() {
        assert_eq!(kind(r#"{"event":"c.c","type":"b.b","event_type":"a"}"#), "a");
        assert_eq!(kind(r#"{"event":"c.c","type":"b.b"}"#), "b.b");
        assert_eq!(kind(r#"{"event":"c_c","type":"text"}"#), "c_c");
        assert_eq!(kind(r#"{"event":"has a space.","type":"text"}"#), "from.header");
        assert_eq!(kind(r#"{"event_type":"","type":"b.b"}"#), "b.b");
    }

    #[test]
    fn escapes_are_undone_in_keys_and_values() {
        assert_eq!(kind(r#"{"\u0065vent_type":"a\u006co\n"}"#), "alo\n");
    }

    #[test]
    fn what_is_no_text_is_passed_over() {
        for value in ["null", "1", "-1", "1.5", "true", "[\"a\"]", "{\"a\":[{}]}"] {
            assert_eq!(kind(&format!(r#"{{"event_type":{value},"type":"b.b"}}"#)), "b.b");
        }
        assert_eq!(kind(r#"{"event_type":"a","event_type":7}"#), "a");
        assert_eq!(kind(r#"{"event_type":"a","event_type":"b"}"#), "b");
    }

    #[test]
    fn other_shapes_fall_to_the_header() {
        for body in ["[{\"event_type\":\"a\"}]", "\"event_type\"", "7", "null", "true", "{}", "[]"] {
            assert!(Peek::at(body.as_bytes()).is_json, "{body}");
            assert_eq!(kind(body), "from.header");
        }
        let deep = format!("{{\"event_type\":\"a\",\"x\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(kind(&deep), "a");
        let deep = format!("{{\"message\":{}1{}}}", "{\"a\":".repeat(100_000), "}".repeat(100_000));
        assert_eq!(kind(&deep), "from.header");
    }

    #[test]
    fn what_is_not_json_falls_to_the_header() {
        for body in ["{\"event_type\":\"a\"", "{\"event_type\":\"a\"} x", "event_type=a", ""] {
            assert_eq!(Peek::at(body.as_bytes()), Peek::default(), "{body}");
            assert_eq!(kind(body), "from.header");
        }
        let not_text = Peek::at(b"{\"event_type\":\"\xff\"}");
        assert_eq!(not_text.kind(Some(b"\xff")), Kind::unknown());
        assert_eq!(not_text.kind(Some(b" ")), Kind::unknown());
        assert_eq!(not_text.kind(None), Kind::unknown());
    }

    #[test]
    fn a_byte_order_mark_is_skipped() {
        assert_eq!(kind("\u{feff}{\"event_type\":\"a\"}"), "a");
        assert_eq!(kind("\u{feff}\u{feff}{\"event_type\":\"a\"}"), "from.header");
    }

    #[test]
    fn ids_of_the_guide_and_of_kapso() {
        let (conversation, message) = ids(r#"{"conversation_id":"c","message_id":"m","payload":{"id":"x"}}"#);
        assert_eq!((conversation.as_deref(), message.as_deref()), (Some("c"), Some("m")));
        let (conversation, message) =
            ids(r#"{"message":{"x":{"id":"y"},"id":"m"},"conversation":{"id":"c"}}"#);
        assert_eq!((conversation.as_deref(), message.as_deref()), (Some("c"), Some("m")));
        assert_eq!(ids(r#"{"message":[{"id":"m"}],"conversation":{"id":7}}"#), (None, None));
    }
}
