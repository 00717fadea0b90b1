//! One listing of messages, from its first page to its last: what to ask for next, and what a
//! page that was given holds. Pure; who asks, how often and how patiently, is the caller's.

use std::collections::HashSet;

use serde_json::{Map, Value};
use time::OffsetDateTime;

use super::Turner;
use crate::{
    event::Listing,
    gaps::{GapError, Window, listed::Raw},
    kapso::listing::{Asked, Next, NumberPage, Page},
};

/// The Meta proxy's messages of one of our numbers.
pub(crate) struct OfNumber {
    page: NumberPage,
    beside: Map<String, Value>,
    turner: Turner,
    cursors: HashSet<String>,
    ended: bool,
}

impl OfNumber {
    /// Those of a time.
    pub(crate) fn new(number: &str, window: Window) -> Self {
        let (since, until) = (window.since, window.until);
        Self {
            page: NumberPage { phone_number_id: number.to_owned(), since, until, after: None },
            beside: Map::from_iter([("phone_number_id".to_owned(), Value::from(number))]),
            turner: Turner::default(),
            cursors: HashSet::new(),
            ended: false,
        }
    }

    /// What to ask for; none at the end.
    pub(crate) fn next(&self) -> Option<Asked<'_>> {
        (!self.ended).then_some(Asked::MessagesOfNumber(&self.page))
    }

    /// Takes the page that was asked for.
    ///
    /// # Errors
    /// [`GapError::Endless`].
    pub(crate) fn take(&mut self, page: Page) -> Result<Vec<Raw>, GapError> {
        let what = Asked::MessagesOfNumber(&self.page).what();
        self.turner.turned(what, &page.items)?;
        match page.next {
            Next::After(cursor) if !self.cursors.insert(cursor.clone()) => {
                return Err(GapError::Endless(what));
            }
            Next::After(cursor) => self.page.after = Some(cursor),
            Next::Page | Next::End => self.ended = true,
        }
        Ok(raws(Listing::MetaProxy, page.items, &self.beside))
    }
}

/// The conversation API's messages of a conversation, the youngest first.
pub(crate) struct OfConversation<'a> {
    id: &'a str,
    beside: Map<String, Value>,
    since: OffsetDateTime,
    turner: Turner,
    page: u32,
    ended: bool,
}

impl<'a> OfConversation<'a> {
    /// Those since a time. `beside` is what stands beside each of them.
    pub(crate) fn new(id: &'a str, since: OffsetDateTime, beside: Map<String, Value>) -> Self {
        Self { id, beside, since, turner: Turner::default(), page: 1, ended: false }
    }

    /// What to ask for; none at the end.
    pub(crate) fn next(&self) -> Option<Asked<'a>> {
        (!self.ended).then_some(Asked::MessagesOf(self.id, self.page))
    }

    /// Takes the page that was asked for.
    ///
    /// # Errors
    /// [`GapError::Endless`].
    pub(crate) fn take(&mut self, page: Page) -> Result<Vec<Raw>, GapError> {
        self.turner.turned(Asked::MessagesOf(self.id, self.page).what(), &page.items)?;
        self.page += 1;
        self.ended = page.next == Next::End;
        Ok(raws(Listing::ConversationApi, page.items, &self.beside))
    }

    /// Takes note of when the messages of the last page were written, in its order: all that
    /// follows may be older than what is asked for.
    pub(crate) fn written(&mut self, times: &[OffsetDateTime]) {
        self.ended |= is_past(times, self.since);
    }
}

fn raws(listing: Listing, items: Vec<Value>, beside: &Map<String, Value>) -> Vec<Raw> {
    items.into_iter().map(|message| Raw { listing, message, beside: beside.clone() }).collect()
}

/// Whether all that follows a page was written before then. Only a page that is itself in
/// order, the youngest first, says so.
fn is_past(times: &[OffsetDateTime], since: OffsetDateTime) -> bool {
    times.last().is_some_and(|last| *last < since) && times.is_sorted_by(|a, b| a >= b)
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn it_ends_where_an_ordered_page_leaves_the_window() {
        let since = datetime!(2026-11-24 10:00 UTC);
        let (young, old, older) = (
            datetime!(2026-11-24 10:30 UTC),
            datetime!(2026-11-24 09:30 UTC),
            datetime!(2026-11-24 09:00 UTC),
        );
        assert!(is_past(&[young, old, older], since));
        assert!(!is_past(&[young, young], since));
        assert!(!is_past(&[older, young, old], since));
        assert!(!is_past(&[older, old, young], since));
        assert!(!is_past(&[], since));
    }
}
