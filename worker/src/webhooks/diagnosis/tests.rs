use super::*;

const HERE: &str = "https://buzon.example.com/api/whatsapp/webhook";

fn webhook(id: &str, url: &str) -> Webhook {
    Webhook {
        id: id.to_owned(),
        url: Some(url.to_owned()),
        kind: Some("kapso".to_owned()),
        events: Some(EVENTS.map(str::to_owned).to_vec()),
        active: Some(true),
        payload_version: Some("v2".to_owned()),
        buffer_enabled: Some(false),
        buffer_window_seconds: None,
        max_buffer_size: None,
        inactivity_minutes: None,
        phone_number_id: None,
        updated_at: None,
    }
}

fn found(webhooks: &[Webhook], wanted: Wanted<'_>) -> Vec<(Severity, String)> {
    diagnose(webhooks, &wanted).into_iter().map(|it| (it.severity, it.what)).collect()
}

fn worst(webhooks: &[Webhook]) -> (Severity, String) {
    let found = found(webhooks, Wanted { url: Some(HERE), style: None });
    found.first().cloned().unwrap_or((Severity::Remark, "nothing".to_owned()))
}

#[test]
fn a_webhook_as_it_should_be_is_nothing_to_talk_about() {
    assert_eq!(worst(&[webhook("w", HERE)]).1, "nothing");
}

#[test]
fn each_bad_state_is_told() {
    let our = || webhook("w", HERE);
    let without = |gone: &str| {
        let mut our = our();
        our.events.iter_mut().for_each(|events| events.retain(|event| event != gone));
        our
    };
    for (webhooks, severity, what) in [
        (vec![], Severity::Broken, "no webhook is registered"),
        (
            vec![webhook("w", "https://old.example.com/")],
            Severity::Broken,
            "no webhook of the number goes to",
        ),
        (vec![webhook("w", &format!("{HERE}/"))], Severity::Broken, "no webhook of the number goes to"),
        (vec![Webhook { active: Some(false), ..our() }], Severity::Broken, "the webhook is paused"),
        (vec![without("whatsapp.message.received")], Severity::Broken, "the webhook is not subscribed to"),
        (vec![without("whatsapp.message.read")], Severity::Flaw, "the webhook is not subscribed to"),
        (vec![without("whatsapp.conversation.ended")], Severity::Remark, "the webhook is not subscribed to"),
        (
            vec![Webhook { payload_version: Some("v1".to_owned()), ..our() }],
            Severity::Flaw,
            "the webhook's payload",
        ),
        (
            vec![our(), webhook("v", HERE)],
            Severity::Flaw,
            "another active webhook of the number goes to the same",
        ),
        (
            vec![our(), webhook("v", "https://x/")],
            Severity::Remark,
            "another active webhook of the number goes else",
        ),
        (
            vec![Webhook { kind: Some("meta".to_owned()), events: None, ..our() }],
            Severity::Remark,
            "the webhook is of",
        ),
        (
            vec![Webhook { buffer_enabled: Some(true), ..our() }],
            Severity::Remark,
            "received messages are buffered",
        ),
    ] {
        let (found, said) = worst(&webhooks);
        assert!(found == severity && said.starts_with(what), "{what}: {found:?} {said}");
        assert!(!said.contains("https://"), "{said}");
    }
}

#[test]
fn what_is_not_known_is_not_wrong() {
    let bare = Webhook {
        kind: None,
        events: None,
        active: None,
        payload_version: None,
        buffer_enabled: None,
        ..webhook("w", HERE)
    };
    assert_eq!(worst(&[bare]).1, "nothing");
}

#[test]
fn a_paused_one_beside_an_active_one_is_not_in_the_way() {
    let paused = Webhook { active: Some(false), ..webhook("old", HERE) };
    let both = [paused, webhook("new", HERE)];
    let wanted = Wanted { url: Some(HERE), style: None };
    assert_eq!(ours(&both, &wanted).map(|it| &*it.id), Some("new"));
    assert!(found(&both, wanted).is_empty());
}

#[test]
fn without_an_address_the_only_one_is_ours() {
    let one = [webhook("w", "https://somewhere/")];
    assert_eq!(ours(&one, &Wanted::default()).map(|it| &*it.id), Some("w"));
    let remarks = found(&one, Wanted::default());
    assert!(matches!(&remarks[..], [(Severity::Remark, what)] if what.starts_with("BUZON_PUBLIC_URL")));
    let two = [webhook("w", "https://x/"), webhook("v", "https://y/")];
    assert_eq!(found(&two, Wanted::default()).first().map(|it| it.0), Some(Severity::Broken));
}

#[test]
fn metas_own_events_are_not_answered_in_conversations() {
    let meta = [Webhook { kind: Some("meta".to_owned()), ..webhook("w", HERE) }];
    let flaws = |style| {
        let told = found(&meta, Wanted { url: Some(HERE), style: Some(style) });
        told.into_iter().filter(|(severity, _)| *severity == Severity::Flaw).count()
    };
    assert_eq!((flaws(ApiStyle::Conversation), flaws(ApiStyle::MetaProxy)), (1, 0));
}
