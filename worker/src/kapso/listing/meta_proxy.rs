//! The listing of the Meta proxy (`…/meta/whatsapp/v24.0`): pages by cursor.
//! Source: Kapso's API reference, "List messages", and its SDK's page on extensions.

use reqwest::RequestBuilder;
use serde_json::Value;

use super::{Client, Next, NumberPage, PAGE, iso};

/// The messages of a number. Kapso's own fields are not listed unless asked for, and without
/// them nothing says which way a message went or what became of it.
pub(super) fn messages(client: &Client, page: &NumberPage) -> RequestBuilder {
    let mut query = vec![
        ("since", iso(page.since)),
        ("until", iso(page.until)),
        ("limit", PAGE.to_string()),
        ("fields", "kapso(default)".to_owned()),
    ];
    query.extend(page.after.clone().map(|after| ("after", after)));
    client.question(&[&page.phone_number_id, "messages"], &query)
}

/// What comes after this page. Meta's own listings give a cursor on the last page too: the
/// page after it is empty then.
pub(super) fn next(body: &Value, items: usize) -> Next {
    if items == 0 {
        return Next::End;
    }
    let after = body.pointer("/paging/cursors/after").and_then(Value::as_str);
    after.filter(|after| !after.is_empty()).map_or(Next::End, |after| Next::After(after.to_owned()))
}
