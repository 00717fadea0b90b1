//! `worker webhook`: our webhook at Kapso, seen, registered, tested and resumed.

use anyhow::{Result, ensure};
use harness::wait;
use kapso_sim::{Action, Call, Fault, InboundMessage, Outcome, Reply, Sim, SimConfig, Statuses, Times};
use serde_json::{Value, json};

use crate::scene::{PATIENCE, Said, Scene};

/// All that it is told: above all, no database.
const SETTINGS: [&str; 5] = [
    "KAPSO_PLATFORM_URL",
    "KAPSO_API_TOKEN",
    "KAPSO_PHONE_NUMBER_ID",
    "KAPSO_WEBHOOK_SECRET",
    "BUZON_PUBLIC_URL",
];

/// What nobody may read but Kapso.
const REGISTERED: &str = "s3cret-to-be-registered";

impl Scene {
    async fn beside_a_platform() -> Result<Self> {
        let mut scene = Self::new().await?;
        scene.stage.set("KAPSO_PLATFORM_URL", scene.sim.platform_url());
        scene.stage.set("BUZON_PUBLIC_URL", scene.stage.webhook_url());
        Ok(scene)
    }

    async fn webhook(&self, args: &[&str]) -> Result<Said> {
        self.tool_with(&[&["webhook"], args].concat(), &SETTINGS).await
    }

    /// A status in which this is wrong, and this is said to mend it.
    async fn is_wrong(&self, severity: &str, what: &str, remedy: &str) -> Result<()> {
        let said = self.webhook(&["status"]).await?;
        ensure!(said.code == Some(if severity == "remark" { 0 } else { 1 }), "{said:?}");
        let found = said.out.split("\n").skip_while(|line| !line.starts_with(&format!("{severity}: {what}")));
        let lines: Vec<_> = found.take(2).collect();
        ensure!(matches!(lines[..], [_, mends] if mends.contains(remedy)), "{what}: {said:?}");
        Ok(())
    }

    /// Calls the platform as somebody else would.
    async fn platform(&self, method: &str, path: &str, body: Value) -> Result<Value> {
        let request = reqwest::Client::builder().no_proxy().build()?;
        let request = request.request(method.parse()?, format!("{}{path}", self.sim.platform_url()));
        let request = request.header("X-API-Key", self.stage.setting("KAPSO_API_TOKEN")).json(&body);
        Ok(request.send().await?.error_for_status()?.json().await?)
    }

    async fn registered(&self) -> Result<Vec<Value>> {
        let listed = self.platform("GET", "/whatsapp/webhooks", json!({})).await?;
        Ok(listed["data"].as_array().cloned().unwrap_or_default())
    }

    fn writes(&self) -> Vec<Call> {
        self.sim.calls().into_iter().filter(|call| matches!(call.method.as_str(), "POST" | "PATCH")).collect()
    }
}

#[tokio::test]
async fn status_says_what_is_wrong_and_what_mends_it() -> Result<()> {
    let scene = Scene::beside_a_platform().await?;
    let fine = scene.webhook(&["status"]).await?.fine()?;
    ensure!(fine.out.contains("The webhook is as it should be."), "{fine:?}");
    scene.is_wrong("remark", "BUZON_PUBLIC_URL is http://", "TLS").await?;

    scene.sim.set_paused(true);
    scene.is_wrong("broken", "the webhook is paused", "worker webhook resume").await?;
    scene.sim.set_paused(false);

    let id = scene.registered().await?[0]["id"].as_str().unwrap_or_default().to_owned();
    let one = format!("/whatsapp/webhooks/{id}");
    let change = |change: Value| json!({ "whatsapp_webhook": change });
    let statuses = json!(["whatsapp.message.sent"]);
    scene.platform("PATCH", &one, change(json!({ "events": statuses, "payload_version": "v1" }))).await?;
    scene
        .is_wrong("broken", "the webhook is not subscribed to whatsapp.message.received", "register")
        .await?;
    scene.is_wrong("flaw", "the webhook's payload version is v1", "register").await?;
    scene.webhook(&["register"]).await?.fine()?;
    scene.webhook(&["status"]).await?.fine()?;
    scene.platform("PATCH", &one, change(json!({ "buffer_enabled": true }))).await?;
    scene.is_wrong("remark", "received messages are buffered", "nothing").await?;

    let again = json!({ "url": scene.stage.webhook_url(), "events": ["whatsapp.message.received"],
                        "secret_key": scene.stage.setting("KAPSO_WEBHOOK_SECRET") });
    scene.platform("POST", "/whatsapp/webhooks", change(again)).await?;
    scene.is_wrong("flaw", "another active webhook of the number goes to the same", "delete one").await?;
    let told = scene.webhook(&["status", "--json"]).await?;
    ensure!(
        told.code == Some(1) && told.json()?["webhooks"].as_array().is_some_and(|it| it.len() == 2),
        "{told:?}"
    );
    let second = scene.registered().await?[1]["id"].as_str().unwrap_or_default().to_owned();
    scene.platform("DELETE", &format!("/whatsapp/webhooks/{second}"), json!({})).await?;

    scene.sim.set_webhook_url("http://127.0.0.1:9/elsewhere");
    scene.is_wrong("broken", "no webhook of the number goes to BUZON_PUBLIC_URL", "register").await?;
    scene.sim.clear_webhook_url();
    scene.is_wrong("broken", "no webhook is registered", "register").await?;
    Ok(())
}

#[tokio::test]
async fn registered_twice_it_is_registered_once() -> Result<()> {
    let mut scene = Scene::beside_a_platform().await?;
    scene.stage.set("KAPSO_WEBHOOK_SECRET", REGISTERED);
    scene.sim.clear_webhook_url();
    scene.webhook(&["register", "--dry-run"]).await?.fine()?;
    ensure!(scene.writes().is_empty(), "a dry run wrote: {:?}", scene.writes());
    for args in [&["register"][..], &["register"], &["status"], &["status", "--json"], &["resume"]] {
        let said = scene.webhook(args).await?.fine()?;
        ensure!(!format!("{said:?}").contains(REGISTERED), "{said:?}");
    }
    ensure!(
        scene.registered().await?[0]["secret_key"] == REGISTERED,
        "Kapso lists it to whoever has the key"
    );
    let found = scene.registered().await?;
    ensure!(found.len() == 1 && found[0]["url"] == scene.stage.webhook_url(), "{found:?}");
    ensure!(found[0]["events"].as_array().is_some_and(|events| events.len() == 11), "{found:?}");
    let secrets: Vec<_> =
        scene.writes().iter().map(|call| call.body["whatsapp_webhook"]["secret_key"].clone()).collect();
    // It is set each time, since nobody looks at what Kapso has.
    ensure!(secrets == [REGISTERED, REGISTERED], "{secrets:?}");
    scene.webhook(&["status"]).await?.fine()?;

    // It is what opens the door, and a test event comes through.
    let ingest = scene.stage.ingest().await?;
    let said = scene.webhook(&["test"]).await?.fine()?;
    ensure!(
        said.out.contains("FROM webhooks") && said.out.contains("whatsapp.message.delivered"),
        "{said:?}"
    );
    wait::until("the test event", PATIENCE, async || ingest.log().contains("webhook accepted")).await?;

    // Somebody else is told too: nobody is hindered, and it is said.
    let other = json!({ "whatsapp_webhook": {
        "url": "http://127.0.0.1:9/other", "events": [], "secret_key": "another",
    }});
    scene.platform("POST", "/whatsapp/webhooks", other).await?;
    let said = scene.webhook(&["register"]).await?.fine()?;
    ensure!(said.out.contains("1 active webhooks of the number go elsewhere"), "{said:?}");
    Ok(())
}

/// Kapso never changes a kind: a webhook of another kind is replaced, when somebody says so.
#[tokio::test]
async fn a_webhook_of_another_kind_is_made_anew_when_asked() -> Result<()> {
    let scene = Scene::beside_a_platform().await?;
    scene.sim.clear_webhook_url();
    scene.webhook(&["register", "--kind", "meta"]).await?.fine()?;
    let kinds = async || -> Result<Vec<String>> {
        let found = scene.registered().await?;
        Ok(found.iter().map(|it| it["kind"].as_str().unwrap_or_default().to_owned()).collect())
    };
    ensure!(kinds().await? == ["meta"]);
    let old = scene.registered().await?[0]["id"].clone();
    let said = scene.webhook(&["test"]).await?;
    ensure!(said.code == Some(1) && said.err.contains("--event"), "{said:?}");

    // What it is, it stays, and that is said.
    let said = scene.webhook(&["register"]).await?.fine()?;
    ensure!(said.out.contains("must be made anew: worker webhook register --replace"), "{said:?}");
    let said = scene.webhook(&["register", "--kind", "meta"]).await?.fine()?;
    ensure!(!said.out.contains("anew"), "{said:?}");
    let before = scene.writes().len();
    for (args, code, words) in [
        (&["register", "--kind", "kapso"][..], 1, "--kind kapso --replace"),
        // Nobody is there to be asked.
        (&["register", "--replace"], 1, "--yes"),
        (&["register", "--replace", "--dry-run"], 0, "this was a dry run"),
    ] {
        let said = scene.webhook(args).await?;
        ensure!(said.code == Some(code), "{said:?}");
        ensure!(
            format!("{said:?}").contains("must be made anew") && format!("{said:?}").contains(words),
            "{said:?}"
        );
    }
    ensure!(scene.writes().len() == before && scene.registered().await?[0]["id"] == old);

    let said = scene.webhook(&["register", "--replace", "--yes"]).await?.fine()?;
    let found = scene.registered().await?;
    ensure!(found.len() == 1 && found[0]["kind"] == "kapso" && found[0]["id"] != old, "{found:?}");
    ensure!(found[0]["secret_key"] == scene.stage.setting("KAPSO_WEBHOOK_SECRET"), "{found:?}");
    ensure!(said.out.contains("is deleted") && !said.out.contains("everything comes twice"), "{said:?}");
    // The new one comes first: in no moment is there none.
    let calls = scene.sim.calls();
    let last: Vec<_> = calls.iter().rev().filter(|call| call.method != "GET").take(2).collect();
    ensure!(last[0].method == "DELETE" && last[1].method == "POST", "{last:?}");
    // It is of that kind already.
    scene.webhook(&["register", "--replace", "--yes"]).await?.fine()?;
    ensure!(scene.registered().await?[0]["id"] == found[0]["id"]);
    scene.webhook(&["status"]).await?.fine()?;
    Ok(())
}

#[tokio::test]
async fn a_test_is_of_an_event_that_is_subscribed() -> Result<()> {
    let scene = Scene::beside_a_platform().await?;
    let id = scene.registered().await?[0]["id"].as_str().unwrap_or_default().to_owned();
    let events = json!({ "whatsapp_webhook": { "events": ["whatsapp.message.received"] } });
    scene.platform("PATCH", &format!("/whatsapp/webhooks/{id}"), events).await?;
    let said = scene.webhook(&["test"]).await?.fine()?;
    ensure!(said.out.contains("whatsapp.message.received"), "{said:?}");
    let said = scene.webhook(&["test", "--event", "whatsapp.message.read"]).await?;
    ensure!(said.code == Some(1) && said.err.contains("not subscribed to whatsapp.message.read"), "{said:?}");
    let calls = scene.sim.calls();
    let tests: Vec<_> = calls.iter().filter(|call| call.path.ends_with("/test")).collect();
    ensure!(
        tests.len() == 1 && tests[0].body == json!({ "event_type": "whatsapp.message.received" }),
        "{tests:?}"
    );
    Ok(())
}

#[tokio::test]
async fn what_kapso_refuses_is_told_with_the_remedy() -> Result<()> {
    let mut scene = Scene::beside_a_platform().await?;
    scene.sim.clear_webhook_url();
    let unsupported = |event: &str| {
        let refusal = Reply::kapso(422, &format!("Events contains unsupported events: \"{event}\""));
        Fault {
            on: Some(Action::Other),
            about: None,
            outcome: Outcome::Answer(refusal),
            times: Times::Next(1),
        }
    };
    scene.sim.fault(unsupported("whatsapp.message.received"));
    let said = scene.webhook(&["register"]).await?;
    ensure!(said.code == Some(1) && said.err.contains("unsupported events"), "{said:?}");
    ensure!(scene.registered().await?.is_empty());
    scene.sim.fault(unsupported("whatsapp.meta_business_agent.handover"));
    let said = scene.webhook(&["register"]).await?.fine()?;
    ensure!(said.out.contains("Kapso does not know whatsapp.meta_business_agent.handover"), "{said:?}");
    ensure!(scene.registered().await?[0]["events"].as_array().is_some_and(|events| events.len() == 10));

    scene.stage.set("KAPSO_PHONE_NUMBER_ID", "0");
    let said = scene.webhook(&["status"]).await?;
    ensure!(said.code == Some(1) && said.err.contains("KAPSO_PHONE_NUMBER_ID"), "{said:?}");
    // Nobody says which: Kapso is asked.
    scene.stage.set("KAPSO_PHONE_NUMBER_ID", "");
    scene.webhook(&["status"]).await?.fine()?;
    scene.stage.set("KAPSO_API_TOKEN", "another");
    let said = scene.webhook(&["status"]).await?;
    ensure!(said.code == Some(1) && said.err.contains("set KAPSO_API_TOKEN to an API key"), "{said:?}");
    ensure!(!said.err.contains("another"), "{said:?}");
    for (variable, command) in [("KAPSO_API_TOKEN", "status"), ("BUZON_PUBLIC_URL", "register")] {
        let mut bare: Vec<_> = SETTINGS.into_iter().filter(|name| *name != variable).collect();
        bare.retain(|name| *name != "KAPSO_PHONE_NUMBER_ID");
        let said = scene.tool_with(&["webhook", command], &bare).await?;
        ensure!(said.code == Some(64) && said.err.contains(&format!("{variable} is not set")), "{said:?}");
    }
    Ok(())
}

#[tokio::test]
async fn what_kapso_paused_is_resumed_and_messages_flow_again() -> Result<()> {
    let mut scene = Scene::beside_a_platform().await?;
    scene.sim = Sim::start(SimConfig {
        webhook_secret: Some(scene.stage.setting("KAPSO_WEBHOOK_SECRET").to_owned()),
        webhook_url: Some(scene.stage.webhook_url()),
        auto_pause: true,
        time_scale: 0.01,
        statuses: Statuses::NONE,
        ..SimConfig::default()
    })
    .await?;
    scene.stage.set("KAPSO_PLATFORM_URL", scene.sim.platform_url());
    scene.stage.set("KAPSO_API_BASE_URL", scene.sim.conversation_api_url());
    for contact in 0..10 {
        let _unheard = scene.asks(contact);
    }
    ensure!(scene.sim.idle(PATIENCE).await && scene.sim.is_paused(), "it was not paused");
    let said = scene.webhook(&["status"]).await?;
    ensure!(said.code == Some(1) && said.out.contains("Kapso has given up"), "{said:?}");
    ensure!(said.out.contains("no answer"), "{said:?}");

    let _programs = scene.open().await?;
    let said = scene.webhook(&["test"]).await?;
    ensure!(said.code == Some(1) && said.err.contains("the webhook is paused"), "{said:?}");
    let said = scene.webhook(&["resume"]).await?.fine()?;
    let by_hand = said.out.lines().find_map(|line| line.trim().strip_prefix("worker backfill --since "));
    let since = by_hand.map(str::to_owned);
    ensure!(since.is_some() && !scene.sim.is_paused(), "{said:?}");
    let heard = scene.sim.inbound(InboundMessage::text("+56955519999", "Hola de nuevo"));
    let is_there = "SELECT count(*) FROM messages WHERE id = $1";
    wait::until("the message", PATIENCE, async || -> Result<bool> {
        let found: i64 = sqlx::query_scalar(is_there).bind(&heard.message_id).fetch_one(&scene.pool).await?;
        Ok(found == 1)
    })
    .await?;

    // What it said brings the rest.
    let args = ["backfill", "--since", since.as_deref().unwrap_or_default()];
    let settings = ["KAPSO_API_TOKEN", "KAPSO_API_BASE_URL"];
    scene.tool_with(&args, &settings).await?.fine()?;
    ensure!(scene.count("SELECT count(*) FROM messages WHERE direction = 'inbound'").await? == 11);
    let said = scene.webhook(&["resume"]).await?.fine()?;
    ensure!(said.out.contains("nothing is changed"), "{said:?}");
    Ok(())
}
