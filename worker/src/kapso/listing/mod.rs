//! Kapso's listings, one page at a time: what each API is asked, and how its page is read.
//! Asking changes nothing at Kapso, so it may be repeated.

mod conversation_api;
mod meta_proxy;

use std::time::Duration;

use serde_json::Value;
use time::{OffsetDateTime, UtcOffset, format_description::well_known::Rfc3339};

use super::{Answer, Client, Response};

/// The most items that Kapso lists on a page; more is refused by one API, and cut by the other.
pub const PAGE: usize = 100;

/// A page of a hundred messages takes longer than a send does.
const LISTING_TIMEOUT: Duration = Duration::from_secs(30);

/// Whether a listing that was refused like this may be given if it is asked for again.
pub(crate) const fn is_asked_again(status: u16) -> bool {
    matches!(status, 408 | 409 | 425 | 429 | 500..)
}

/// One page of one listing.
#[derive(Clone, Debug)]
pub enum Asked<'a> {
    /// Conversation API: our numbers, the page counted from 1.
    Configs(u32),
    /// Conversation API: all conversations.
    Conversations(u32),
    /// Conversation API: the messages of a conversation.
    MessagesOf(&'a str, u32),
    /// Meta proxy: the messages of a number.
    MessagesOfNumber(&'a NumberPage),
}

/// A page of the Meta proxy's messages of one of our numbers.
#[derive(Clone, Debug)]
pub struct NumberPage {
    /// The number, as Meta names it.
    pub phone_number_id: String,
    /// None written before.
    pub since: OffsetDateTime,
    /// None written after.
    pub until: OffsetDateTime,
    /// The place where the page before ended; none for the first.
    pub after: Option<String>,
}

/// A page, read.
#[derive(Clone, Debug, PartialEq)]
pub struct Page {
    /// What it lists, as listed.
    pub items: Vec<Value>,
    /// What comes after it.
    pub next: Next,
}

/// What comes after a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing: it was the last.
    End,
    /// The page of the next number.
    Page,
    /// The page at this cursor.
    After(String),
}

impl Client {
    /// Asks for a page, and tells what came of it.
    pub async fn list(&self, asked: &Asked<'_>) -> Answer {
        let request = match asked {
            Asked::Configs(page) => conversation_api::configs(self, *page),
            Asked::Conversations(page) => conversation_api::conversations(self, *page),
            Asked::MessagesOf(conversation, page) => conversation_api::messages(self, conversation, *page),
            Asked::MessagesOfNumber(page) => meta_proxy::messages(self, page),
        };
        self.send(Some(request.timeout(LISTING_TIMEOUT))).await
    }
}

impl Asked<'_> {
    /// What is asked for, for a person.
    #[must_use]
    pub fn what(&self) -> &'static str {
        match self {
            Self::Configs(_) => "our numbers",
            Self::Conversations(_) => "the conversations",
            Self::MessagesOf(..) => "the messages of a conversation",
            Self::MessagesOfNumber(_) => "the messages of a number",
        }
    }

    /// The page that an answer is; none when it is no page of this listing.
    #[must_use]
    pub fn read(&self, response: &Response) -> Option<Page> {
        let mut body: Value = serde_json::from_str(&response.body).ok()?;
        let Value::Array(items) = body.get_mut("data")?.take() else { return None };
        let next = match self {
            Self::Configs(page) | Self::Conversations(page) | Self::MessagesOf(_, page) => {
                conversation_api::next(&body, *page, items.len())
            }
            Self::MessagesOfNumber(_) => meta_proxy::next(&body, items.len()),
        };
        Some(Page { items, next })
    }
}

/// A time as the listings take it.
fn iso(at: OffsetDateTime) -> String {
    at.to_offset(UtcOffset::UTC).format(&Rfc3339).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use time::macros::datetime;

    use super::*;

    fn read(asked: &Asked<'_>, body: &Value) -> Option<(usize, Next)> {
        let response = Response { status: 200, retry_after: None, body: body.to_string() };
        asked.read(&response).map(|page| (page.items.len(), page.next))
    }

    fn of_number() -> NumberPage {
        let (since, until) = (datetime!(2026-11-24 10:00 UTC), datetime!(2026-11-24 11:00 UTC));
        NumberPage { phone_number_id: "2077".to_owned(), since, until, after: None }
    }

    #[test]
    fn pages_by_number_end_where_kapso_says() {
        let asked = Asked::Conversations(2);
        let page = |total: Value| json!({ "data": [{}], "meta": { "page": 2, "total_pages": total } });
        assert_eq!(read(&asked, &page(json!(3))), Some((1, Next::Page)));
        assert_eq!(read(&asked, &page(json!(2))), Some((1, Next::End)));
        assert_eq!(read(&asked, &page(json!(0))), Some((1, Next::End)));
    }

    #[test]
    fn a_page_that_does_not_say_is_the_last_unless_it_is_full() {
        let page = |count: usize| json!({ "data": vec![json!({}); count] });
        assert_eq!(read(&Asked::MessagesOf("c", 1), &page(PAGE)), Some((PAGE, Next::Page)));
        assert_eq!(read(&Asked::MessagesOf("c", 1), &page(PAGE - 1)), Some((PAGE - 1, Next::End)));
        assert_eq!(read(&Asked::Configs(1), &page(0)), Some((0, Next::End)));
    }

    #[test]
    fn cursors_end_where_there_is_none_or_nothing_is_listed() {
        let number = of_number();
        let asked = Asked::MessagesOfNumber(&number);
        let page = |paging: Value| json!({ "data": [{}], "paging": paging });
        let (next, cursors) = (Next::After("x".to_owned()), json!({ "cursors": { "after": "x" } }));
        assert_eq!(read(&asked, &page(cursors.clone())), Some((1, next)));
        assert_eq!(read(&asked, &json!({ "data": [], "paging": cursors })), Some((0, Next::End)));
        for paging in [
            json!({ "cursors": { "after": null } }),
            json!({ "cursors": { "after": "" } }),
            json!({}),
            json!(null),
        ] {
            assert_eq!(read(&asked, &page(paging.clone())), Some((1, Next::End)), "{paging}");
        }
    }

    #[test]
    fn what_is_no_page_is_none() {
        for body in [json!({}), json!([]), json!({ "data": {} }), json!({ "error": "x" }), json!("x")] {
            assert_eq!(read(&Asked::Configs(1), &body), None, "{body}");
        }
    }
}
