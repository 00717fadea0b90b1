//! The Meta proxy: the messages of each of our numbers, by cursor.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::Turner;
use crate::{
    event::Listing,
    gaps::{
        GapError, Skip,
        ask::Asker,
        check::{Check, Compared},
        listed::Raw,
        numbers,
    },
    kapso::listing::{Asked, Next, NumberPage},
};

pub(super) async fn walk(
    asker: &mut Asker<'_>,
    check: &Check<'_>,
    compared: &mut Compared<'_>,
) -> Result<(), GapError> {
    let numbers = numbers::ours(&check.store.pool, check.phone_number_id).await?;
    if numbers.is_empty() {
        return Err(GapError::NoNumber);
    }
    let mut answered = false;
    for number in &numbers {
        answered |= messages(asker, check, compared, number).await?;
    }
    let why = || "it knows none of our numbers (KAPSO_PHONE_NUMBER_ID)".to_owned();
    if answered { Ok(()) } else { Err(GapError::Refused { what: "the messages of a number", why: why() }) }
}

/// The messages of one number; false when Kapso does not know it.
async fn messages(
    asker: &mut Asker<'_>,
    check: &Check<'_>,
    compared: &mut Compared<'_>,
    number: &str,
) -> Result<bool, GapError> {
    let (since, until) = (check.window.since, check.window.until);
    let mut page = NumberPage { phone_number_id: number.to_owned(), since, until, after: None };
    let beside = Map::from_iter([("phone_number_id".to_owned(), Value::from(number))]);
    let mut turner = Turner::default();
    let mut cursors = HashSet::new();
    loop {
        let asked = Asked::MessagesOfNumber(&page);
        let what = asked.what();
        let Some(found) = asker.page(&asked).await? else {
            compared.asked(asker.asked);
            compared.skip(Skip::NumberGone);
            return Ok(false);
        };
        turner.turned(what, &found.items)?;
        let raw = |message| Raw { listing: Listing::MetaProxy, message, beside: beside.clone() };
        compared.page(asker.asked, found.items.into_iter().map(raw).collect()).await?;
        match found.next {
            Next::After(cursor) if !cursors.insert(cursor.clone()) => return Err(GapError::Endless(what)),
            Next::After(cursor) => page.after = Some(cursor),
            Next::Page | Next::End => return Ok(true),
        }
    }
}
