//! The pages of the platform API. They are documented by number (`meta.total_pages`), and by
//! cursor (`paging.cursors.after`) for what is logged; some answers are a bare list.

use serde_json::Value;

/// How many items a page is asked for.
pub(super) const PER_PAGE: usize = 100;

/// More pages than anybody has webhooks or numbers.
pub(super) const MOST: u32 = 50;

/// The page to ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// The page of this number, counted from 1.
    Page(u32),
    /// The page at this cursor.
    After(String),
}

impl Next {
    pub(super) fn first() -> Self {
        Self::Page(1)
    }

    pub(super) fn pairs(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::Page(page) => vec![("page", page.to_string()), ("per_page", PER_PAGE.to_string())],
            Self::After(cursor) => vec![("after", cursor.clone()), ("limit", PER_PAGE.to_string())],
        }
    }

    /// What comes after this page: where Kapso says so, and nowhere else. A page that does not
    /// say is the whole list.
    pub(super) fn after(&self, body: &Value, items: usize) -> Option<Self> {
        if items == 0 {
            return None;
        }
        let cursor = body.pointer("/paging/cursors/after").and_then(Value::as_str);
        if let Some(cursor) = cursor.filter(|cursor| !cursor.is_empty()) {
            return Some(Self::After(cursor.to_owned()));
        }
        let pages = body.pointer("/meta/total_pages").and_then(Value::as_u64)?;
        match self {
            Self::Page(page) if u64::from(*page) < pages => Some(Self::Page(page + 1)),
            _ => None,
        }
    }
}

/// The items of a page; none when it is no page.
pub(super) fn items(body: &Value) -> Option<&Vec<Value>> {
    body.get("data").unwrap_or(body).as_array()
}

/// One thing, in `data` or by itself.
pub(super) fn unwrapped(body: &Value) -> &Value {
    body.get("data").filter(|data| data.is_object()).unwrap_or(body)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn pages_go_on_as_kapso_says() {
        let after = |body: Value, items| Next::Page(1).after(&body, items);
        let numbered = |pages: u32| json!({ "data": [{}], "meta": { "total_pages": pages } });
        assert_eq!(after(numbered(2), 1), Some(Next::Page(2)));
        assert_eq!(after(numbered(1), 1), None);
        assert_eq!(after(numbered(9), 0), None);
        assert_eq!(after(json!([{}]), PER_PAGE), None);
        let cursor = |cursor: Value| json!({ "data": [{}], "paging": { "cursors": { "after": cursor } } });
        assert_eq!(after(cursor(json!("x")), 1), Some(Next::After("x".to_owned())));
        assert_eq!(after(cursor(json!("")), 1), None);
        assert_eq!(after(cursor(Value::Null), 1), None);
    }

    #[test]
    fn both_shapes_are_read() {
        assert_eq!(items(&json!({ "data": [1, 2] })).map(Vec::len), Some(2));
        assert_eq!(items(&json!([1])).map(Vec::len), Some(1));
        for no_page in [json!({}), json!({ "data": {} }), json!({ "error": "x" }), Value::Null] {
            assert_eq!(items(&no_page), None, "{no_page}");
        }
        assert_eq!(unwrapped(&json!({ "data": { "id": 1 } })), &json!({ "id": 1 }));
        assert_eq!(unwrapped(&json!({ "id": 1 })), &json!({ "id": 1 }));
    }
}
