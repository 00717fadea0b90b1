//! What happens to messages and people afterwards: edits, deletions, groups, other forms of a number, other numbers and
//! ids, payments. Each is told by every dialect that has words for it.

use kapso_sim::Dialect::{self, Guide, Meta, V1, V2};
use kapso_sim::story::{Contact, Content, Conversation, Direction, Event, Fact, Status, StatusChange};
use serde_json::{Value, json};

use super::Story;
use super::talk::{contact, conversation, message, sample};

const ALL: [Dialect; 4] = [Guide, V1, V2, Meta];

/// The dialects that tell the whole of a message. The guide has but its text.
const WHOLE: [Dialect; 3] = [V1, V2, Meta];

const GROUP: &str = "Y2FwaV9ncm91cDoxNzA1NTU1MDEzOToxMjAzNjM0MDQ2OTQyMzM4MjAZA";

pub(super) fn tell(story: &mut Story) {
    edits(story);
    deletions(story);
    on_the_phone(story);
    groups(story);
    two_forms(story);
    changed_numbers(story);
    changed_ids(story);
    payments(story);
    preferences(story);
}

impl Story {
    /// A person says something.
    fn said(&mut self, dialects: &[Dialect], talk: &Conversation, nth: u16, content: Content, seconds: i64) {
        let said = message(nth, Direction::Inbound, talk, content, self.at(seconds));
        self.tell(dialects, &Event::received(said));
    }

    /// Adds fields to the messages of what was told since.
    fn adorn(&mut self, since: usize, fields: impl Fn(Dialect) -> Value) {
        for told in self.told.iter_mut().skip(since) {
            let message = match told.dialect {
                Guide => &mut told.body["payload"],
                Meta => &mut told.body["entry"][0]["changes"][0]["value"]["messages"][0],
                _ => &mut told.body["message"],
            };
            for (name, value) in fields(told.dialect).as_object().into_iter().flatten() {
                message[name] = value.clone();
            }
        }
    }
}

fn wamid(nth: u16) -> String {
    format!("wamid.HBgL{nth}")
}

fn edit(of: u16, kind: &str, new: Value) -> Content {
    let mut edited = json!({ "context": { "id": "M0" }, "type": kind });
    edited[kind] = new;
    Content::raw("edit", json!({ "original_message_id": wamid(of), "message": edited }))
}

fn new_text(of: u16, text: &str) -> Content {
    edit(of, "text", json!({ "body": text }))
}

fn revoke(of: u16) -> Content {
    Content::raw("revoke", json!({ "original_message_id": wamid(of) }))
}

/// Edits that bring the keyword and take it away, that come together, and whose original nobody tells.
fn edits(story: &mut Story) {
    let eva = contact(4, Some("56911110020"), Some("CL.5001"), story.at(1400));
    let talk = conversation(7, eva, story.at(1400));
    story.said(&ALL, &talk, 100, Content::text("quiero 10 panes"), 1401);
    story.said(&WHOLE, &talk, 101, Content::text("necesito ayuda"), 1402);
    story.said(&WHOLE, &talk, 102, sample("image", "Necesito ayuda"), 1403);
    story.said(&[Guide, V1], &talk, 103, Content::text("ayuda, por favor"), 1404);
    story.said(&WHOLE, &talk, 105, new_text(100, "quiero 100 panes, ayuda"), 1411);
    // Of two edits at one time the same one wins, whichever comes last.
    story.said(&[V1, V2], &talk, 106, new_text(100, "quiero 1000 panes"), 1412);
    story.said(&[V2, Meta], &talk, 107, new_text(100, "quiero 999 panes"), 1412);
    story.said(&WHOLE, &talk, 108, new_text(101, "ya no"), 1413);
    let caption = json!({ "id": "990011", "mime_type": "image/jpeg", "caption": "así quedó" });
    story.said(&WHOLE, &talk, 109, edit(102, "image", caption), 1414);
    story.said(&[V2, Meta], &talk, 110, new_text(103, "por favor"), 1415);
    story.said(&[V1, Meta], &talk, 111, new_text(199, "de algo que nadie contó"), 1416);
}

/// Deletions of what asks for help, of what was edited, of what nobody tells, and one that is told twice.
fn deletions(story: &mut Story) {
    let fer = contact(5, Some("56911110021"), None, story.at(1420));
    let talk = conversation(8, fer, story.at(1420));
    story.said(&ALL, &talk, 120, Content::text("ayuda, borro esto"), 1421);
    story.said(&WHOLE, &talk, 121, Content::text("mi tarjeta es 0000"), 1422);
    story.said(&[Guide, V1], &talk, 122, Content::text("ayuda, esto también"), 1423);
    story.said(&WHOLE, &talk, 123, new_text(121, "mi tarjeta es otra, ayuda"), 1424);
    story.said(&WHOLE, &talk, 124, revoke(120), 1431);
    story.said(&WHOLE, &talk, 125, revoke(121), 1432);
    story.said(&[V2, Meta], &talk, 126, revoke(121), 1433);
    story.said(&[V2, Meta], &talk, 127, revoke(122), 1434);
    story.said(&WHOLE, &talk, 128, revoke(198), 1435);
    story.said(&WHOLE, &talk, 129, Content::text("mejor sí: ayuda"), 1436);
}

/// A human agent corrects and deletes what they wrote in the phone's app.
fn on_the_phone(story: &mut Story) {
    let wrote = |id: &str, kind: &str, body: Value, at: String| {
        let mut echo =
            json!({ "from": "56225550100", "to": "56911110021", "id": id, "timestamp": at, "type": kind });
        echo[kind] = body;
        json!({ "message_echoes": [echo] })
    };
    let text = |text: &str| json!({ "body": text });
    let first = wrote("wamid.HBgE10", "text", text("Le hablo yo"), story.unix(1440));
    let second = wrote("wamid.HBgE11", "text", text("Perdón, era para otro"), story.unix(1441));
    let object = json!({ "original_message_id": "wamid.HBgE10", "message": { "type": "text", "text": text("Le habla Marta") } });
    let edited = wrote("wamid.HBgE12", "edit", object, story.unix(1442));
    let object = json!({ "original_message_id": "wamid.HBgE11" });
    let deleted = wrote("wamid.HBgE13", "revoke", object, story.unix(1443));
    for value in [first, second, edited, deleted] {
        story.tell_meta("smb_message_echoes", value);
    }
}

/// A member of a group asks there, and then in private; a message of the group is edited, and one is deleted.
fn groups(story: &mut Story) {
    let gil = contact(6, Some("56911110022"), Some("CL.5002"), story.at(1450));
    let in_group = conversation(9, gil.clone(), story.at(1450));
    let private = Conversation { id: "5e0d0000-0000-4000-8000-000000000010".to_owned(), ..in_group.clone() };
    let since = story.told.len();
    story.said(&WHOLE, &in_group, 130, Content::text("alguien que dé una ayuda"), 1451);
    story.said(&WHOLE, &in_group, 131, Content::text("ayuda, borro esto"), 1452);
    story.said(&WHOLE, &in_group, 132, new_text(130, "alguien que me dé una ayuda"), 1453);
    story.said(&WHOLE, &in_group, 133, revoke(131), 1454);
    story.adorn(since, |_| json!({ "group_id": GROUP }));
    story.said(&WHOLE, &private, 134, Content::text("en privado: ayuda"), 1455);
}

/// Webhooks that name two forms of a number, and messages from each form alone.
fn two_forms(story: &mut Story) {
    let forms = [("5511987650030", "551187650030"), ("5491155500031", "541155500031")];
    for ((long, short), first) in forms.into_iter().zip([140, 150]) {
        let by = |number: &str| Contact { name: None, ..contact(7, Some(number), None, story.at(1460)) };
        let talk = |contact: Contact, nth: u16| Conversation {
            id: format!("5e0d0000-0000-4000-8000-000000000{nth}"),
            ..conversation(1, contact, story.at(1460))
        };
        let (longer, shorter) = (talk(by(long), first), talk(by(short), first + 1));
        let at = 1320 + i64::from(first);
        // Kapso's id of the contact, which the guide gives, is not told here: it would link them by itself.
        story.said(&WHOLE, &longer, first, Content::text("ayuda"), at);
        story.said(&WHOLE, &shorter, first + 1, Content::text("ayuda otra vez"), at + 1);
        let since = story.told.len();
        let dialects: &[Dialect] = if first == 140 { &WHOLE } else { &[V1] };
        story.said(dialects, &longer, first + 2, Content::text("soy yo"), at + 2);
        story.adorn(since, |dialect| match dialect {
            V1 => json!({ "phone_number": format!("+{short}"), "conversation_phone_number": format!("+{long}") }),
            _ => json!({ "from": short }),
        });
    }
    // The guide names both in the message and in its contact.
    let received = json!({
        "event_type": "message.received", "conversation_id": "conv-two-forms", "message_id": "m-two-forms",
        "timestamp": story.iso(1480),
        "payload": {
            "from": "+551187650032", "content": "ayuda", "message_type": "text",
            "contact": { "phone_number": "+5511987650032" },
        },
    });
    story.tell_raw(Guide, "message.received", received);
    for (number, nth) in [("551187650032", 1), ("5511987650032", 2)] {
        let received = json!({
            "event_type": "message.received", "conversation_id": format!("conv-form-{nth}"),
            "message_id": format!("m-form-{nth}"), "timestamp": story.iso(1480 + nth),
            "payload": { "from": format!("+{number}"), "content": "ayuda", "message_type": "text" },
        });
        story.tell_raw(Guide, "message.received", received);
    }
}

fn system(kind: &str, body: Value) -> Content {
    let mut system = json!({ "body": "Ayuda Legal changed", "type": kind });
    for (name, value) in body.as_object().into_iter().flatten() {
        system[name] = value.clone();
    }
    Content::raw("system", system)
}

/// A person changes numbers, and changes them again.
fn changed_numbers(story: &mut Story) {
    let numbers = ["56911110040", "56911110041", "56911110042"];
    for (number, nth) in numbers.into_iter().zip(160..) {
        let at = 1340 + i64::from(nth);
        let ines =
            Contact { name: Some("Ayuda Legal".to_owned()), ..contact(8, Some(number), None, story.at(at)) };
        let ines = Contact { id: format!("5e0c0000-0000-4000-8000-000000000{nth}"), ..ines };
        let id = format!("5e0d0000-0000-4000-8000-000000000{nth}");
        let talk = Conversation { id, ..conversation(1, ines, story.at(at)) };
        story.said(&WHOLE, &talk, nth, Content::text("ayuda, soy yo"), at);
        if let Some(next) = numbers.get(usize::from(nth - 159)) {
            let notice = system("user_changed_number", json!({ "wa_id": next }));
            story.said(&WHOLE, &talk, nth + 10, notice, at);
        }
    }
}

/// Other user ids: by a notice without a sender, by Meta's own field, and by Kapso's event.
fn changed_ids(story: &mut Story) {
    let ids = ["CO.5003", "MX.5003", "AR.5003", "PE.5003"];
    for (id, nth) in ids.into_iter().zip(180..) {
        let juan = contact(9, None, Some(id), story.at(1530));
        let juan = Contact { id: format!("5e0c0000-0000-4000-8000-000000000{nth}"), ..juan };
        let talk = format!("5e0d0000-0000-4000-8000-000000000{nth}");
        let talk = Conversation { id: talk, ..conversation(1, juan, story.at(1530)) };
        story.said(&[V2, Meta], &talk, nth, Content::text("ayuda"), 1350 + i64::from(nth));
    }
    let notice = json!({
        "id": "wamid.HBgS1", "timestamp": story.unix(1540), "type": "system",
        "system": {
            "body": "Ayuda changed from CO.5003 to MX.5003", "user_id": "MX.5003", "previous_user_id": "CO.5003",
            "type": "user_changed_user_id",
        },
    });
    story.tell_meta("messages", json!({ "messages": [notice] }));
    let mut of_kapso = notice;
    of_kapso["kapso"] = json!({ "direction": "inbound", "status": "received", "origin": "cloud_api" });
    let item = json!({ "message": of_kapso, "phone_number_id": story.line.phone_number_id });
    story.tell_raw(V2, "whatsapp.message.received", item);
    let update = json!({
        "wa_id": "56911110050", "user_id": { "previous": "MX.5003", "current": "AR.5003" },
        "timestamp": story.unix(1541),
    });
    story.tell_meta(
        "user_id_update",
        json!({ "contacts": [{ "wa_id": "56911110050" }], "user_id_update": [update] }),
    );
    let juan = contact(9, Some("56911110050"), Some("PE.5003"), story.at(1530));
    let change = Fact::ContactUpdated(juan, Some("AR.5003".to_owned()));
    story.tell(&[V2], &Event { at: story.at(1542), fact: change });
}

/// A payment fails, and not the message that asked for it.
fn payments(story: &mut Story) {
    let kay = contact(4, Some("56911110060"), None, story.at(1550));
    let kay = Contact { id: "5e0c0000-0000-4000-8000-000000000190".to_owned(), ..kay };
    let id = "5e0d0000-0000-4000-8000-000000000190".to_owned();
    let talk = Conversation { id, ..conversation(1, kay, story.at(1550)) };
    for (nth, fate) in [(190, Status::Sent), (191, Status::Delivered)] {
        let mut ours = message(nth, Direction::Outbound, &talk, Content::text("su pago"), story.at(1551));
        let change = StatusChange { status: fate, at: story.at(1552), error: None };
        ours.statuses.push(change.clone());
        story.tell(&ALL, &Event::status(ours, change));
        let payment = json!({
            "id": wamid(nth), "type": "payment", "status": "failed", "timestamp": story.unix(1553),
            "recipient_id": "56911110060",
            "payment": { "reference_id": "orden-1", "transaction": { "type": "pix", "status": "failed" } },
        });
        story.tell_meta("messages", json!({ "statuses": [payment] }));
        for (kind, status) in [("sent", "sent"), ("failed", "failed")] {
            let message = json!({
                "id": wamid(nth), "timestamp": story.unix(1551), "type": "text", "to": "56911110060",
                "text": { "body": "su pago" },
                "kapso": { "direction": "outbound", "status": status, "origin": "cloud_api", "statuses": [payment] },
            });
            let item = json!({ "message": message, "phone_number_id": story.line.phone_number_id });
            story.tell_raw(V2, &format!("whatsapp.message.{kind}"), item);
        }
    }
}

/// A person stops advertising, and wants it again; calls have statuses of their own.
fn preferences(story: &mut Story) {
    for (value, seconds) in [("stop", 1560), ("resume", 1561)] {
        let preference = json!({
            "wa_id": "56911110060", "category": "marketing_messages", "value": value,
            "timestamp": story.unix(seconds),
        });
        story.tell_meta("user_preferences", json!({ "user_preferences": [preference] }));
    }
    let failed =
        json!({ "id": wamid(190), "type": "call", "status": "failed", "timestamp": story.unix(1562) });
    story.tell_meta("calls", json!({ "calls": [{ "id": wamid(190) }], "statuses": [failed] }));
}
