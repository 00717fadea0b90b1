//! Edits and deletions.

use serde_json::json;

use super::{KAPSOS, on};
use crate::case::{Case, Is, answered, message, no_message, not_answered};
use crate::dialects::{Dialect, Meta, Person, Said, V2, V2Batch, batch, changed, told, unix};

pub(super) fn cases() -> Vec<Case> {
    let mut cases =
        vec![two_edits(), deleted_in_one_batch(), a_caption(), another_message_is_deleted(), a_word_added()];
    for (dialect, nth) in KAPSOS.into_iter().zip(0..) {
        cases.extend([edited(dialect, nth), deleted(dialect, nth), deleted_first(dialect, nth)]);
    }
    cases
}

fn edit(who: &Person, nth: u8, of: &str, text: &str) -> Said {
    let object = json!({
        "original_message_id": of,
        "message": { "context": { "id": "M0" }, "type": "text", "text": { "body": text } },
    });
    Said::of(who, nth, "edit", object, text)
}

fn revoke(who: &Person, nth: u8, of: &str) -> Said {
    Said::of(who, nth, "revoke", json!({ "original_message_id": of }), "Message deleted")
}

fn edited(dialect: Dialect, nth: u16) -> Case {
    let who = Person::new(format!("edit-{dialect}"), 10 + nth);
    let first = Said::text(&who, 1, "quiero 10 panes").at(-60);
    let second = edit(&who, 2, &first.id, "quiero 100 panes, ayuda");
    let wants = vec![
        message(
            &first.id,
            &[
                ("body", Is::Text("quiero 100 panes, ayuda")),
                ("edited_at", Is::Set),
                ("type", Is::Text("text")),
            ],
        ),
        no_message(&second.id),
        not_answered(&first.id),
        not_answered(&second.id),
    ];
    Case::new(who.key, vec![told(dialect, &first).into(), told(dialect, &second).into()], wants).any_order()
}

fn deleted(dialect: Dialect, nth: u16) -> Case {
    let who = Person::new(format!("revoke-{dialect}"), 20 + nth);
    let first = Said::text(&who, 1, "mi tarjeta es 0000").at(-60);
    let second = revoke(&who, 2, &first.id);
    let wants = vec![
        message(&first.id, &[("deleted_at", Is::Set), ("type", Is::Text("text")), ("edited_at", Is::Null)]),
        no_message(&second.id),
    ];
    Case::new(who.key, vec![told(dialect, &first).into(), told(dialect, &second).into()], wants).any_order()
}

fn deleted_first(dialect: Dialect, nth: u16) -> Case {
    let who = Person::new(format!("revoke-first-{dialect}"), 30 + nth);
    let said = Said::text(&who, 1, "ayuda, borro esto").at(-60);
    let wants = vec![message(&said.id, &[("deleted_at", Is::Set)]), not_answered(&said.id)];
    let webhooks = vec![told(dialect, &revoke(&who, 2, &said.id)).into(), told(dialect, &said).into()];
    Case::new(who.key, webhooks, wants)
}

fn deleted_in_one_batch() -> Case {
    let who = Person::new("revoke-beside-v2-batch", 40);
    let said = Said::text(&who, 1, "ayuda, no, olvídalo").at(-3);
    let wants = vec![message(&said.id, &[("deleted_at", Is::Set)]), not_answered(&said.id)];
    // In either place of the batch.
    Case::new(who.key.clone(), vec![batch(&[&revoke(&who, 2, &said.id), &said]).into()], wants)
}

/// The latest edit is what counts.
fn two_edits() -> Case {
    let who = Person::new("two-edits", 41);
    let said = Said::text(&who, 1, "uno").at(-60);
    let edits = [edit(&who, 2, &said.id, "dos").at(-40), edit(&who, 3, &said.id, "tres").at(-20)];
    let wants = vec![message(&said.id, &[("body", Is::Text("tres")), ("edited_at", Is::Set)])];
    let webhooks = [&said, &edits[0], &edits[1]].map(|said| told(Meta, said).into());
    Case::new(who.key.clone(), webhooks.into(), wants).any_order()
}

/// A caption is a text, too.
fn a_caption() -> Case {
    let who = Person::new("edit-of-a-caption", 42);
    let image = |caption: &str| json!({ "id": "990011", "mime_type": "image/jpeg", "caption": caption });
    let said = Said::of(&who, 1, "image", image("así"), "Image attached").at(-60);
    let object = json!({
        "original_message_id": said.id, "message": { "type": "image", "image": image("así quedó") },
    });
    let wants = vec![message(
        &said.id,
        &[("body", Is::Text("así quedó")), ("type", Is::Text("image")), ("edited_at", Is::Set)],
    )];
    let edit = Said::of(&who, 2, "edit", object, "Image attached");
    Case::new(who.key.clone(), vec![told(V2, &said).into(), told(V2Batch, &edit).into()], wants).any_order()
}

/// A deletion costs the other messages of the person nothing.
fn another_message_is_deleted() -> Case {
    let who = Person::new("another-is-deleted", 43);
    let gone = Said::text(&who, 1, "ayuda, no, olvídalo").at(-9);
    let stays = Said::text(&who, 2, "mejor sí: ayuda").at(-3);
    let revoke = json!({
        "id": who.id(3), "from": who.number, "timestamp": unix(-5), "type": "revoke",
        "revoke": { "original_message_id": gone.id },
    });
    let wants = vec![
        not_answered(&gone.id),
        message(&stays.id, &[("deleted_at", Is::Null)]),
        answered(&stays.id, on(V2)),
    ];
    let revoke = changed("messages", json!({ "messages": [revoke] }));
    let webhooks = vec![revoke.into(), told(V2, &gone).into(), told(V2, &stays).into()];
    Case::new(who.key.clone(), webhooks, wants)
}

/// A person asks, is answered, and corrects a letter: that asks nothing again.
fn a_word_added() -> Case {
    let who = Person::new("edited-after-the-answer", 44);
    let said = Said::text(&who, 1, "necesito ayuda").at(-9);
    let edit = edit(&who, 2, &said.id, "necesito mucha ayuda");
    let wants = vec![
        message(&said.id, &[("body", Is::Text("necesito mucha ayuda"))]),
        answered(&said.id, on(V2)),
        not_answered(&edit.id),
    ];
    Case::new(who.key.clone(), vec![told(V2, &said).into(), told(V2, &edit).into()], wants)
}
