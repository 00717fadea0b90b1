//! Statuses: those that speak of something else than the message whose id they carry, and an early form.

use serde_json::{Value, json};

use crate::case::{Case, Is, Want, message, no_status};
use crate::dialects::{PHONE_NUMBER_ID, Person, Said, Told, V2, changed, event, told, unix};

pub(super) fn cases() -> Vec<Case> {
    vec![payment_beside_sent(), payment_alone(), payment_beside_delivered(), call(), early_and_flat()]
}

fn sent(who: &Person) -> (Said, Told) {
    let said = Said { ours: Some("cloud_api"), at: -50, ..Said::text(who, 1, "su pago") };
    let mut told = told(V2, &said);
    told.body["message"]["kapso"]["statuses"] = json!([status(&said, "sent", -50)]);
    (said, told)
}

fn status(of: &Said, status: &str, at: i64) -> Value {
    json!({ "id": of.id, "status": status, "timestamp": unix(at), "recipient_id": of.address })
}

fn payment(of: &Said) -> Value {
    let mut status = status(of, "failed", -5);
    status["type"] = json!("payment");
    status["payment"] = json!({
        "reference_id": "orden-1", "amount": { "value": 450, "offset": 100 }, "currency": "BRL",
        "transaction": { "id": "tx1", "type": "pix", "status": "failed", "error": { "code": "E1", "reason": "saldo" } },
    });
    status
}

fn not_failed(id: &str, status: &'static str) -> Vec<Want> {
    vec![
        message(id, &[("status", Is::Text(status)), ("failed_at", Is::Null), ("error", Is::Null)]),
        no_status(id, "failed"),
    ]
}

/// The listing of a message's statuses holds that of its payment.
fn payment_beside_sent() -> Case {
    let who = Person::new("payment-beside-sent", 300);
    let (said, sent) = sent(&who);
    let mut later = sent.clone();
    later.body["message"]["kapso"]["statuses"] = json!([status(&said, "sent", -50), payment(&said)]);
    Case::new(who.key, vec![sent.into(), later.into()], not_failed(&said.id, "sent")).any_order()
}

/// Kapso tells of it as of a failed message: only the status in the body says that it is the payment's.
fn payment_alone() -> Case {
    let who = Person::new("payment-alone", 301);
    let (said, sent) = sent(&who);
    let mut failed = sent.clone().body;
    failed["message"]["kapso"]["status"] = json!("failed");
    failed["message"]["kapso"]["statuses"] = json!([payment(&said)]);
    let failed = event("whatsapp.message.failed", failed);
    Case::new(who.key, vec![sent.into(), failed.into()], not_failed(&said.id, "sent")).any_order()
}

fn payment_beside_delivered() -> Case {
    let who = Person::new("payment-beside-delivered", 302);
    let (said, sent) = sent(&who);
    let delivered =
        changed("messages", json!({ "statuses": [payment(&said), status(&said, "delivered", -40)] }));
    Case::new(who.key, vec![sent.into(), delivered.into()], not_failed(&said.id, "delivered")).any_order()
}

/// Statuses of the field `calls` are those of calls, even where an id is that of a message.
fn call() -> Case {
    let who = Person::new("calls", 303);
    let (said, sent) = sent(&who);
    let mut failed = status(&said, "failed", -5);
    failed["type"] = json!("call");
    let read = status(&said, "read", -4);
    let calls = json!([{ "id": said.id, "from": who.number, "event": "terminate", "timestamp": unix(-5) }]);
    let calls = changed("calls", json!({ "calls": calls, "statuses": [failed, read] }));
    let mut wants = not_failed(&said.id, "sent");
    wants.push(no_status(&said.id, "read"));
    wants.push(message(&said.id, &[("body", Is::Text("su pago")), ("direction", Is::Text("outbound"))]));
    Case::new(who.key, vec![sent.into(), calls.into()], wants).any_order()
}

/// Early versions of the second dialect had Kapso's fields, the statuses among them, flat on Meta's message, and the
/// first dialect's configuration in the conversation.
fn early_and_flat() -> Case {
    let who = Person::new("early-and-flat", 304);
    let said = Said { ours: Some("cloud_api"), at: -50, ..Said::text(&who, 1, "su pedido") };
    let delivered = json!({
        "message": {
            "id": said.id, "timestamp": unix(said.at), "type": "text", "text": said.object, "to": who.number,
            "direction": "outbound", "status": "delivered", "has_media": false,
            "statuses": [status(&said, "sent", -45), status(&said, "delivered", -40)],
        },
        "conversation": {
            "id": who.conversation, "phone_number": who.number, "status": "active", "metadata": {},
            "whatsapp_config_id": "cfg-case",
        },
        "phone_number_id": PHONE_NUMBER_ID,
    });
    let wants = vec![message(
        &said.id,
        &[("body", Is::Text("su pedido")), ("sent_at", Is::Set), ("delivered_at", Is::Set)],
    )];
    Case::new(who.key, vec![event("whatsapp.message.delivered", delivered).into()], wants)
}
