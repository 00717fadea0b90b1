//! Through the pages of Kapso's listings, one at a time, to their end.

mod conversation_api;
mod meta_proxy;
mod pages;

use serde_json::Value;

pub(crate) use pages::{OfConversation, OfNumber};

use super::{
    GapError,
    ask::Asker,
    check::{Check, Compared},
};
use crate::{decode::text, kapso::ApiStyle};

/// More pages than any listing has: at a hundred items each, ten million.
const MOST_PAGES: u32 = 100_000;

/// Walks through all messages of the check's window.
pub(super) async fn all(
    asker: &mut Asker<'_>,
    check: &Check<'_>,
    compared: &mut Compared<'_>,
) -> Result<(), GapError> {
    match check.client.style() {
        ApiStyle::Conversation => conversation_api::walk(asker, check, compared).await,
        ApiStyle::MetaProxy => meta_proxy::walk(asker, check, compared).await,
    }
}

/// Sees that a listing comes to its end.
#[derive(Default)]
struct Turner {
    pages: u32,
    last: Vec<String>,
}

impl Turner {
    /// Takes note of a page; an error when it says what the page before said.
    fn turned(&mut self, what: &'static str, items: &[Value]) -> Result<(), GapError> {
        let ids: Vec<String> = items.iter().filter_map(|item| text(item, "id")).collect();
        self.pages += 1;
        if self.pages > MOST_PAGES || (!ids.is_empty() && ids == self.last) {
            return Err(GapError::Endless(what));
        }
        self.last = ids;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_page_that_comes_again_is_noticed() {
        let mut turner = Turner::default();
        let [first, second] = [[json!({ "id": "a" }), json!({ "id": 1 })], [json!({ "id": "a" }), json!({})]];
        assert!(turner.turned("x", &first).is_ok());
        assert!(turner.turned("x", &second).is_ok());
        assert!(turner.turned("x", &[]).is_ok());
        assert!(turner.turned("x", &[]).is_ok());
        assert!(turner.turned("x", &first).is_ok());
        assert!(matches!(turner.turned("x", &first), Err(GapError::Endless("x"))));
    }
}
