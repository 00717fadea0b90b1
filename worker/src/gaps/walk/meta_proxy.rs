//! The Meta proxy: the messages of each of our numbers, by cursor.

use super::OfNumber;
use crate::gaps::{
    GapError, Skip,
    ask::Asker,
    check::{Check, Compared},
    numbers,
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
    let mut pages = OfNumber::new(number, check.window);
    while let Some(asked) = pages.next() {
        let Some(found) = asker.page(&asked).await? else {
            compared.asked(asker.asked);
            compared.skip(Skip::NumberGone);
            return Ok(false);
        };
        compared.page(asker.asked, pages.take(found)?).await?;
    }
    Ok(true)
}
