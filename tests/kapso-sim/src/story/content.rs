//! What a message says, in Meta's shapes; the dialects take from it what they can show.

use serde_json::{Value, json};

/// A message's content.
#[derive(Clone, Debug)]
pub struct Content {
    /// Its type in Meta's words (`text`, `image`, `interactive` …).
    pub kind: String,
    /// The object (or list) under the key named like the type.
    pub body: Value,
    /// The attachment as Kapso stored it.
    pub media: Option<Media>,
    /// Kapso's one-line summary of what is no text.
    pub summary: Option<String>,
    /// Errors beside the content: an unsupported message has them.
    pub errors: Option<Value>,
}

/// An attachment as Kapso offers it.
#[derive(Clone, Debug)]
pub struct Media {
    /// Where anyone who knows this address can read it.
    pub url: String,
    /// Its file name.
    pub filename: String,
    /// Its media type.
    pub content_type: String,
    /// Its size.
    pub bytes: u64,
}

impl Content {
    /// A text.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self::plain("text", json!({ "body": text.into() }), None)
    }

    /// Any type with Meta's own object for it.
    #[must_use]
    pub fn raw(kind: impl Into<String>, body: Value) -> Self {
        Self { kind: kind.into(), body, media: None, summary: None, errors: None }
    }

    /// An invented message of a documented type; `text` is its caption, title or text where it has one.
    /// None for a type that Kapso does not know.
    #[must_use]
    pub fn sample(kind: &str, text: &str) -> Option<Self> {
        Some(match kind {
            "text" => Self::text(text),
            "image" => Self::file(kind, "foto.jpg", "image/jpeg", text, json!({})),
            "video" => Self::file(kind, "clip.mp4", "video/mp4", text, json!({})),
            "audio" => Self::file(kind, "voz.ogg", "audio/ogg; codecs=opus", "", json!({ "voice": true })),
            "document" => {
                Self::file(kind, "boleta.pdf", "application/pdf", text, json!({ "filename": "boleta.pdf" }))
            }
            "sticker" => Self::file(kind, "s.webp", "image/webp", "", json!({ "animated": false })),
            "location" => Self::plain(
                kind,
                json!({ "latitude": -33.4372, "longitude": -70.6506, "name": text, "address": null }),
                Some(format!("Location: {text}")),
            ),
            "contacts" => Self::plain(
                kind,
                json!([{
                    "name": { "formatted_name": text, "first_name": text },
                    "phones": [{ "phone": "+56 9 5550 0111", "type": "CELL", "wa_id": "56955500111" }],
                }]),
                Some("Contact shared".to_owned()),
            ),
            "interactive" | "button_reply" => Self::plain(
                "interactive",
                json!({ "type": "button_reply", "button_reply": { "id": "boton_1", "title": text } }),
                Some(text.to_owned()),
            ),
            "list_reply" => Self::plain(
                "interactive",
                json!({
                    "type": "list_reply",
                    "list_reply": { "id": "fila_1", "title": text, "description": "una fila" },
                }),
                Some(text.to_owned()),
            ),
            "nfm_reply" => Self::plain(
                "interactive",
                json!({
                    "type": "nfm_reply",
                    "nfm_reply": { "name": "flow", "body": "Sent", "response_json": json!({ "nota": text }).to_string() },
                }),
                Some("Flow response".to_owned()),
            ),
            "button" => Self::plain(kind, json!({ "payload": "BOTON", "text": text }), Some(text.to_owned())),
            "reaction" => Self::plain(
                kind,
                json!({ "message_id": "wamid.HBgINVENTED", "emoji": "❤️" }),
                Some("Reacted with ❤️ to message wamid.HBgINVENTED".to_owned()),
            ),
            "order" => Self::plain(
                kind,
                json!({
                    "catalog_id": "55001",
                    "text": text,
                    "product_items": [
                        { "product_retailer_id": "SKU-9", "quantity": 2, "item_price": 1499.5, "currency": "CLP" },
                    ],
                }),
                Some("Order received".to_owned()),
            ),
            "system" => Self::plain(
                kind,
                json!({ "body": "User changed number", "wa_id": "56955500112", "type": "user_changed_number" }),
                None,
            ),
            "unsupported" => Self {
                errors: Some(json!([{
                    "code": 131051,
                    "title": "Message type unknown",
                    "message": "Message type unknown",
                    "error_data": { "details": "Message type is currently not supported." },
                }])),
                ..Self::plain(kind, json!({}), None)
            },
            _ => return None,
        })
    }

    /// What the sender typed, where that is what the message is.
    #[must_use]
    pub fn typed_text(&self) -> Option<&str> {
        (self.kind == "text").then(|| self.body.get("body").and_then(Value::as_str)).flatten()
    }

    /// What Kapso shows as `content`: the text, or its own summary.
    pub(crate) fn shown(&self) -> Option<&str> {
        self.typed_text().or(self.summary.as_deref())
    }

    fn plain(kind: &str, body: Value, summary: Option<String>) -> Self {
        Self { kind: kind.to_owned(), body, media: None, summary, errors: None }
    }

    fn file(kind: &str, filename: &str, content_type: &str, caption: &str, extra: Value) -> Self {
        let mut body = json!({ "id": "990017", "mime_type": content_type, "sha256": "aW52ZW50YWRv" });
        if let (Value::Object(body), Value::Object(extra)) = (&mut body, extra) {
            body.extend(extra);
            if !caption.is_empty() {
                body.insert("caption".to_owned(), json!(caption));
            }
        }
        let url = format!(
            "https://app.kapso.ai/rails/active_storage/blobs/redirect/{}--c0ffee/{filename}",
            crate::ids::uuid()
        );
        let mut title = kind.to_owned();
        title[..1].make_ascii_uppercase();
        Self {
            summary: Some(format!(
                "{title} attached ({filename}) [Size: 41.2 KB | Type: {content_type}] URL: {url}"
            )),
            media: Some(Media {
                url,
                filename: filename.to_owned(),
                content_type: content_type.to_owned(),
                bytes: 42_188,
            }),
            ..Self::plain(kind, body, None)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_every_documented_type() {
        for kind in [
            "text",
            "image",
            "video",
            "audio",
            "document",
            "sticker",
            "location",
            "contacts",
            "interactive",
            "list_reply",
            "nfm_reply",
            "button",
            "reaction",
            "order",
            "system",
            "unsupported",
        ] {
            assert!(Content::sample(kind, "x").is_some(), "{kind}");
        }
        assert!(Content::sample("telegram", "x").is_none());
    }

    #[test]
    fn a_summary_is_not_typed_text() {
        let image = Content::sample("image", "así quedó");
        assert_eq!(image.as_ref().and_then(Content::typed_text), None);
        assert!(
            image.is_some_and(|image| image.shown().is_some_and(|shown| shown.starts_with("Image attached")))
        );
    }
}
