//! What a person wrote or chose is answered, whatever its type.

use serde_json::{Value, json};

use super::{ALL, WHOLE, on};
use crate::case::{Address, Case, Is, answered_at, message};
use crate::dialects::{Dialect, Person, Said, told};

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (dialect, nth) in ALL.into_iter().zip(0..) {
        let who = Person::new(format!("text-{dialect}"), 200 + nth);
        cases.push(asks(dialect, &Said::text(&who, 1, "necesito AYUDA"), "necesito AYUDA"));
    }
    // The guide has no words for these but Kapso's summary.
    for (dialect, nth) in WHOLE.into_iter().zip(0..) {
        for (kind, name, object, text, first) in chosen() {
            let who = Person::new(format!("{name}-{dialect}"), first + nth);
            cases.push(asks(dialect, &Said::of(&who, 1, kind, object, &format!("summary of {name}")), text));
        }
    }
    cases
}

type Chosen = (&'static str, &'static str, Value, &'static str, u16);

fn chosen() -> Vec<Chosen> {
    let image = json!({ "id": "990013", "mime_type": "image/jpeg", "caption": "ayuda con esto" });
    let document = json!({ "id": "990014", "filename": "a.pdf", "caption": "ayuda con el pago" });
    let button_reply =
        json!({ "type": "button_reply", "button_reply": { "id": "b1", "title": "Pedir ayuda" } });
    let list_reply = json!({ "type": "list_reply", "list_reply": { "id": "l1", "title": "Ayuda", "description": "con un pedido" } });
    vec![
        ("image", "caption", image, "ayuda con esto", 210),
        ("document", "caption-of-document", document, "ayuda con el pago", 220),
        ("interactive", "button-reply", button_reply, "Pedir ayuda", 230),
        ("interactive", "list-reply", list_reply, "Ayuda", 240),
        (
            "button",
            "button",
            json!({ "payload": "HELP", "text": "Ayuda, por favor" }),
            "Ayuda, por favor",
            250,
        ),
    ]
}

fn asks(dialect: Dialect, said: &Said, text: &'static str) -> Case {
    let wants = vec![
        message(&said.id, &[("body", Is::Text(text)), ("type", Is::Text(said.kind))]),
        answered_at(&said.id, on(dialect), Address::To(said.who.number.clone())),
    ];
    Case::new(said.who.key.clone(), vec![told(dialect, said).into()], wants)
}
