//! Effects and conversations, seen and decided by a person.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use harness::wait;
use kapso_sim::{Dialect, Fault, InboundMessage, Outcome, PersonsMessage, SentIds, Statuses};

use crate::scene::{PATIENCE, Said, Scene};

const REPLY: &str = "¿En qué puedo ayudarte?";

/// Whose number it is, as people type it.
fn number(contact: usize) -> String {
    format!("+5695551{contact:04}")
}

/// WhatsApp's times are whole seconds: what is written in that of a resume may have been before it.
async fn a_second_passes() {
    tokio::time::sleep(Duration::from_millis(1_100)).await;
}

impl Scene {
    /// The reply to a message, by its id in the outbox, once it is in a state.
    async fn reply(&self, ids: &SentIds, state: &str) -> Result<String> {
        wait::until(&format!("a reply to be {state}"), PATIENCE, async || {
            let found =
                "SELECT id, state, outcome FROM effects WHERE kind = 'send_text' AND message_id IN ($1, $2)";
            let found: Option<(i64, String, Option<String>)> = sqlx::query_as(found)
                .bind(&ids.message_id)
                .bind(&ids.wamid)
                .fetch_optional(&self.pool)
                .await?;
            let (id, is, outcome) = found.context("no such reply yet")?;
            ensure!(is == state, "it is {is}: {outcome:?}");
            Ok(Some(id.to_string()))
        })
        .await
    }

    async fn is_owed_as(&self, ids: &SentIds, state: &str) -> Result<()> {
        self.reply(ids, state).await.map(drop)
    }

    async fn conversations(&self, args: &[&str]) -> Result<Said> {
        self.tool(&[&["conversations"], args].concat()).await
    }

    async fn effects(&self, args: &[&str]) -> Result<Said> {
        self.tool(&[&["effects"], args].concat()).await
    }

    fn sends_to(&self, ids: &SentIds) -> usize {
        let sends = self.sim.accepted_sends();
        sends.iter().filter(|send| send.conversation_id == ids.conversation_id).count()
    }
}

#[tokio::test]
async fn a_conversation_is_paused_and_resumed_by_hand() -> Result<()> {
    let scene = Scene::new().await?;
    scene.sim.set_dialect(Dialect::V1);
    let _programs = scene.open().await?;
    let first = scene.asks(1);
    scene.is_owed_as(&first, "done").await?;
    let listed = scene.conversations(&["list"]).await?.fine()?;
    ensure!(listed.out == "No conversation is paused.\n", "{listed:?}");

    // By the number, as people write it; ended by the conversation's id.
    let (typed, ours) = (number(1).replace("+569", "+56 9 "), scene.sim.line().phone_number_id.clone());
    let paused =
        scene.conversations(&["pause", &typed, "--for", "2h", "--reason", "Marta la llama"]).await?.fine()?;
    ensure!(paused.out.starts_with(&format!("{ours}/…01: no automatic reply before 20")), "{paused:?}");
    let second = scene.asks(1);
    scene.is_owed_as(&second, "discarded").await?;
    let why = "SELECT outcome FROM effects WHERE state = 'discarded'";
    let why = scene.texts(why).await?.pop().unwrap_or_default();
    ensure!(why.contains("until 20") && why.ends_with("UTC: Marta la llama"), "{why}");
    let listed = scene.conversations(&["list"]).await?.fine()?;
    ensure!(
        listed.out.contains(&first.conversation_id) && listed.out.contains("Marta la llama"),
        "{listed:?}"
    );
    ensure!(!listed.out.contains("5695551"), "a number is shown: {listed:?}");
    let resumed = scene.conversations(&["resume", &first.conversation_id]).await?.fine()?;
    ensure!(resumed.out.contains("replies go on; it was paused until"), "{resumed:?}");
    scene.is_owed_as(&scene.asks(1), "done").await?;
    a_second_passes().await;

    // A takeover is ended like that, and what told of it tells nothing new when it comes again.
    scene.sim.person_writes(PersonsMessage::on_the_phone(number(1), "Le habla Marta"));
    scene.settled().await?;
    let listed = scene.conversations(&["list", "--json"]).await?.fine()?;
    let told = listed.json()?;
    ensure!(
        told[0]["pause_reason"].as_str().is_some_and(|why| why.starts_with("business_app at 20")),
        "{told}"
    );
    scene.is_owed_as(&scene.asks(1), "discarded").await?;
    scene.conversations(&["resume", &number(1)]).await?.fine()?;
    scene.tool(&["replay", "--all"]).await?.fine()?;
    scene.is_owed_as(&scene.asks(1), "done").await?;
    a_second_passes().await;
    scene.sim.person_writes(PersonsMessage::on_the_phone(number(1), "Una cosa más"));
    scene.settled().await?;
    scene.is_owed_as(&scene.asks(1), "discarded").await?;
    ensure!(scene.sends_to(&first) == 3, "{:?}", scene.sim.accepted_sends());
    Ok(())
}

#[tokio::test]
async fn who_is_meant_has_to_be_clear() -> Result<()> {
    let scene = Scene::new().await?;
    let _programs = scene.open().await?;
    scene.is_owed_as(&scene.asks(1), "done").await?;
    let other_line = "INSERT INTO lanes (id, phone_number_id, contact_id)
        SELECT '99/' || contact_id, '99', contact_id FROM lanes LIMIT 1";
    scene.run(other_line).await?;
    let lane = format!("99/{}", number(1).trim_start_matches('+'));
    for (args, code, told) in [
        (&["pause", "+56955519999", "--for", "1h"][..], 1, "nobody has written to us under"),
        (&["resume", &number(1)], 1, "writes to several of our numbers: give one of 118800223344556/"),
        (&["pause", &lane, "--until", "2020-01-01"], 1, "would end before it begins"),
        (&["pause", &lane, "--for", "9999d"], 1, "more than a year"),
        (&["pause", &lane, "--for", "soon"], 2, "give how long, such as 90s"),
        (&["pause", &lane], 2, "--for <SPAN>"),
    ] {
        let said = scene.conversations(args).await?;
        ensure!(said.code == Some(code) && said.err.contains(told), "{args:?}: {said:?}");
    }
    scene.conversations(&["pause", &lane, "--until", "2026-12-31T12:00:00Z"]).await?.fine()?;
    let paused = scene.texts("SELECT id FROM lanes WHERE paused_until IS NOT NULL").await?;
    ensure!(paused == [lane], "{paused:?}");
    Ok(())
}

#[tokio::test]
async fn effects_are_listed_and_shown_with_what_comes_next() -> Result<()> {
    let scene = Scene::new().await?;
    scene.sim.set_dialect(Dialect::V1);
    let _programs = scene.open().await?;
    let done = scene.asks(1);
    let done_id = scene.reply(&done, "done").await?;
    scene.conversations(&["pause", &number(1), "--for", "1h"]).await?.fine()?;
    let left = scene.reply(&scene.asks(1), "discarded").await?;
    scene.settled().await?;

    let listed = scene.effects(&["list"]).await?.fine()?;
    ensure!(listed.out.starts_with("ID ") && listed.out.contains("a person has taken over"), "{listed:?}");
    ensure!(!listed.out.contains(REPLY) && !listed.out.contains("5695551"), "words or numbers: {listed:?}");
    let listed = scene.effects(&["list", "--show-text", "--kind", "send_text"]).await?.fine()?;
    ensure!(listed.out.matches(REPLY).count() == 2, "{listed:?}");
    for (args, expected) in [
        (&["--state", "done", "--kind", "send_text"][..], vec![&done_id]),
        (&["--state", "discarded"], vec![&left]),
        (&["--conversation", &done.conversation_id, "--kind", "send_text"], vec![&left, &done_id]),
        (&["--conversation", "another"], vec![]),
        (&["--kind", "send_text", "--since", "1h", "--limit", "1"], vec![&left]),
        (&["--lane", "another"], vec![]),
    ] {
        let found = scene.effects(&[&["list", "--json"], args].concat()).await?.fine()?.json()?;
        let found: Vec<String> =
            found.as_array().into_iter().flatten().map(|effect| effect["id"].to_string()).collect();
        ensure!(found.iter().eq(expected.iter().copied()), "{args:?}: {found:?}");
    }
    let shown = scene.effects(&["show", &left]).await?.fine()?;
    for told in [
        "why           It is discarded: a person has taken over the conversation, until 20",
        "next          Nothing, unless somebody decides otherwise",
        "text          23 characters",
        "  paused      until 20",
    ] {
        ensure!(shown.out.contains(told), "{told}: {shown:?}");
    }
    ensure!(!shown.out.contains("5695551"), "{shown:?}");
    let shown = scene.effects(&["show", &done_id, "--json", "--show-text"]).await?.fine()?.json()?;
    ensure!(shown["body"] == REPLY && shown["tries"][0]["http_status"] == 201, "{shown}");
    let missing = scene.effects(&["show", "4711"]).await?;
    ensure!(missing.code == Some(1) && missing.err.contains("there is no effect 4711"), "{missing:?}");
    Ok(())
}

#[tokio::test]
async fn what_is_discarded_is_tried_again_when_somebody_wants_it() -> Result<()> {
    let scene = Scene::new().await?;
    let _programs = scene.open().await?;
    let first = scene.asks(1);
    scene.is_owed_as(&first, "done").await?;
    scene.conversations(&["pause", &first.conversation_id, "--for", "1h"]).await?.fine()?;
    let id = scene.reply(&scene.asks(1), "discarded").await?;
    let refused = scene.effects(&["retry", &id, "4711"]).await?;
    ensure!(refused.code == Some(1) && refused.out.contains("its lane is paused until 20"), "{refused:?}");
    ensure!(refused.out.contains("4711: there is no effect 4711"), "{refused:?}");
    scene.conversations(&["resume", &first.conversation_id]).await?.fine()?;
    scene.effects(&["retry", &id]).await?.fine()?;
    wait::until("it to be sent", PATIENCE, async || anyhow::Ok(scene.sends_to(&first) == 2)).await?;
    scene.settled().await?;
    let refused = scene.effects(&["retry", &id]).await?;
    ensure!(refused.code == Some(1) && refused.out.contains("it is done: Kapso took it"), "{refused:?}");

    // One that is too old is not, unless that is said.
    let at = Some(time::OffsetDateTime::now_utc() - time::Duration::minutes(30));
    let old = scene.sim.inbound(InboundMessage { at, ..InboundMessage::text(number(1), "Ayuda") });
    let id = scene.reply(&old, "discarded").await?;
    let refused = scene.effects(&["retry", &id]).await?;
    ensure!(refused.code == Some(1) && refused.out.contains("--even-if-old"), "{refused:?}");
    scene.effects(&["retry", &id, "--even-if-old"]).await?.fine()?;
    scene.is_owed_as(&old, "done").await?;
    ensure!(scene.sends_to(&first) == 3);

    // That somebody had it sent is the last word: what is told again makes it neither too old nor owed once more.
    let replayed = scene.stage.finish("worker", &["replay", "--all", "--effects"]).await?;
    ensure!(replayed.code == Some(0), "{replayed:?}");
    scene.is_owed_as(&old, "done").await?;
    scene.settled().await?;
    ensure!(scene.sends_to(&first) == 3);
    Ok(())
}

/// It had its effect, nobody saw it, and somebody decides to risk it, or not to.
#[tokio::test]
async fn what_is_unknown_is_tried_again_only_by_a_yes() -> Result<()> {
    let scene = Scene::new().await?;
    let _programs = scene.open().await?;
    scene.sim.fault(Fault::next_send(Outcome::AcceptThenCut));
    let asked = scene.asks(1);
    let id = scene.reply(&asked, "unknown").await?;
    let shown = scene.effects(&["show", &id]).await?.fine()?;
    ensure!(shown.out.contains("nobody knows whether Kapso took it"), "{shown:?}");
    let refused = scene.effects(&["retry", &id]).await?;
    ensure!(refused.code == Some(1) && refused.out.contains("nobody said yes (--yes)"), "{refused:?}");
    ensure!(scene.sends_to(&asked) == 1);
    scene.effects(&["retry", &id, "--yes"]).await?.fine()?;
    scene.is_owed_as(&asked, "done").await?;
    ensure!(scene.sends_to(&asked) == 2, "it is the second time, as somebody wanted");

    scene.sim.fault(Fault::next_send(Outcome::AcceptThenCut));
    let asked = scene.asks(2);
    let id = scene.reply(&asked, "unknown").await?;
    let refused = scene.effects(&["discard", &id]).await?;
    ensure!(refused.code == Some(2) && refused.err.contains("--reason"), "{refused:?}");
    scene.effects(&["discard", &id, "--reason", "Marta lo ha visto"]).await?.fine()?;
    scene.is_owed_as(&asked, "discarded").await?;
    let shown = scene.effects(&["show", &id]).await?.fine()?;
    ensure!(shown.out.contains("It is discarded: by hand: Marta lo ha visto"), "{shown:?}");
    let again = scene.effects(&["discard", &id, "--reason", "otra vez"]).await?;
    ensure!(again.code == Some(1) && again.out.contains("it is discarded already"), "{again:?}");
    Ok(())
}

/// Without our number a lane is but a conversation's, and Kapso opens a new one for each session: the pause is the
/// person's.
#[tokio::test]
async fn a_paused_person_is_paused_in_the_next_conversation_too() -> Result<()> {
    let mut scene = Scene::new().await?;
    scene.stage.set("KAPSO_PHONE_NUMBER_ID", "");
    let _programs = scene.open().await?;
    let asks = |conversation: &str, from: &str| {
        format!(
            r#"{{"event_type":"message.received","conversation_id":"{conversation}","message_id":"in-{conversation}",
                "payload":{{"from":"{from}","content":"Necesito ayuda","message_type":"text"}}}}"#
        )
    };
    scene.posts(&asks("conv-1", &number(1))).await?;
    scene.conversations(&["pause", &number(1), "--for", "2h", "--reason", "Marta la llama"]).await?.fine()?;
    scene.posts(&asks("conv-2", &number(1))).await?;
    scene.posts(&asks("conv-3", &number(2))).await?;
    scene.settled().await?;
    let paused = "SELECT message_id FROM effects WHERE outcome LIKE '%: Marta la llama'";
    ensure!(scene.texts(paused).await? == ["in-conv-2"]);
    scene.conversations(&["resume", &number(1)]).await?.fine()?;
    ensure!(scene.count("SELECT count(*) FROM lanes WHERE paused_until IS NOT NULL").await? == 0);
    // So is its end: what paused the person before then pauses no conversation that begins now.
    scene.posts(&asks("conv-4", &number(1))).await?;
    let resumed = "SELECT id FROM lanes WHERE resumed_at IS NOT NULL ORDER BY id";
    ensure!(
        scene.texts(resumed).await? == ["conversation/conv-1", "conversation/conv-2", "conversation/conv-4"]
    );
    Ok(())
}

/// Kapso took it, and WhatsApp did not deliver it: that comes late, as a status.
#[tokio::test]
async fn a_reply_that_fails_later_says_so() -> Result<()> {
    let scene = Scene::telling(Statuses::default()).await?;
    scene.sim.set_dialect(Dialect::V2);
    let _programs = scene.open().await?;
    scene.sim.fault(Fault::next_send(Outcome::fail_late()));
    let id = scene.reply(&scene.asks(1), "done").await?;
    let why = "Re-engagement message (131047)";
    wait::until("the failure", PATIENCE, async || -> Result<bool> {
        let shown = scene.effects(&["show", &id]).await?.fine()?;
        Ok(shown.out.contains(&format!("WhatsApp did not deliver it: {why}.")))
    })
    .await?;
    let listed = scene.effects(&["list", "--kind", "send_text"]).await?.fine()?;
    ensure!(listed.out.contains(&format!("not delivered: {why}")), "{listed:?}");
    let listed = scene.effects(&["list", "--kind", "send_text", "--json"]).await?.fine()?.json()?;
    ensure!(listed[0]["sent_status"] == "failed" && listed[0]["sent_error"] == why, "{listed}");
    Ok(())
}
