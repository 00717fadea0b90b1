//! Meta's own body, as Kapso forwards it.

use serde_json::{Map, Value, json};

use crate::{
    clock::unix,
    story::{Direction, Event, Fact, Line, Message, Status, StatusChange, origin},
};

/// One entry with one change for each event; none where Meta has no word for any of them.
pub(super) fn body(line: &Line, events: &[Event]) -> Option<Value> {
    let changes: Vec<Value> = events.iter().filter_map(|event| change(line, event)).collect();
    (!changes.is_empty()).then(|| {
        json!({
            "object": "whatsapp_business_account",
            "entry": [{ "id": line.business_account_id, "changes": changes }],
        })
    })
}

fn change(line: &Line, event: &Event) -> Option<Value> {
    let mut value = json!({
        "messaging_product": "whatsapp",
        "metadata": { "display_phone_number": line.number, "phone_number_id": line.phone_number_id },
    });
    let mut field = "messages";
    let fields = match &event.fact {
        Fact::Received(it) => {
            let mut message = message(it);
            message.extend(it.context.clone().map(|context| ("context".to_owned(), context)));
            json!({ "contacts": [contact(it)], "messages": [message] })
        }
        // What is written on the phone is told once, as an echo, and not followed by statuses.
        Fact::Status(it, change) if it.origin == origin::PHONE => {
            if change.status != Status::Sent {
                return None;
            }
            field = "smb_message_echoes";
            json!({ "message_echoes": [echo(line, it)] })
        }
        Fact::Status(it, change) => json!({ "statuses": [status(it, change)] }),
        _ => return None,
    };
    if let (Value::Object(value), Value::Object(fields)) = (&mut value, fields) {
        value.extend(fields);
    }
    Some(json!({ "field": field, "value": value }))
}

fn echo(line: &Line, of: &Message) -> Map<String, Value> {
    let mut echo = message(of);
    echo.insert("from".to_owned(), json!(line.number));
    echo.insert("to".to_owned(), json!(of.conversation.contact.number));
    echo
}

fn contact(of: &Message) -> Value {
    let contact = &of.conversation.contact;
    let mut described = Map::new();
    described.insert("profile".to_owned(), json!({ "name": contact.name }));
    described.extend(contact.number.as_ref().map(|number| ("wa_id".to_owned(), json!(number))));
    described.extend(contact.bsuid.as_ref().map(|id| ("user_id".to_owned(), json!(id))));
    Value::Object(described)
}

/// A message in Meta's shape, without `context`: v2 shows that even where it is null.
pub(super) fn message(of: &Message) -> Map<String, Value> {
    let mut message = Map::new();
    message.insert("id".to_owned(), json!(of.wamid));
    message.insert("timestamp".to_owned(), json!(unix(of.at)));
    message.insert("type".to_owned(), json!(of.content.kind));
    if of.direction == Direction::Inbound {
        let number = of.conversation.contact.number.as_ref();
        message.extend(number.map(|number| ("from".to_owned(), json!(number))));
    }
    // An unsupported message has errors in place of a body.
    if of.content.errors.is_none() {
        message.insert(of.content.kind.clone(), of.content.body.clone());
    }
    message.extend(of.content.errors.clone().map(|errors| ("errors".to_owned(), errors)));
    message.extend(of.referral.clone().map(|referral| ("referral".to_owned(), referral)));
    message
}

/// A raw status, as Meta sends it and Kapso repeats it.
pub(super) fn status(of: &Message, change: &StatusChange) -> Value {
    let mut status = json!({
        "id": of.wamid,
        "status": change.status.as_str(),
        "timestamp": unix(change.at),
        "recipient_id": of.conversation.contact.number,
    });
    if let Value::Object(status) = &mut status {
        status.extend(
            of.callback_data.as_ref().map(|data| ("biz_opaque_callback_data".to_owned(), json!(data))),
        );
        if matches!(change.status, Status::Sent | Status::Delivered) {
            let pricing = json!({
                "billable": false,
                "pricing_model": "PMP",
                "type": "free_customer_service",
                "category": "service",
            });
            status.insert("pricing".to_owned(), pricing);
        }
        if let Some(error) = &change.error {
            let error = json!([{
                "code": error.code,
                "title": error.title,
                "message": error.title,
                "error_data": { "details": error.details },
                "href": "https://developers.facebook.com/docs/whatsapp/cloud-api/support/error-codes/",
            }]);
            status.insert("errors".to_owned(), error);
        }
    }
    status
}
