//! `worker webhook register`: once or many times, it is registered once.

use std::process::ExitCode;

use clap::{Args, ValueEnum};

use super::{Which, place::Place, replace};
use crate::{
    kapso::platform::{PlatformError, Webhook, WebhookChange},
    tools::screen::{plain, say},
    webhooks::{self, EVENTS, REQUIRED, Severity, is_meta},
};

/// The version of payloads that is asked for.
const VERSION: &str = "v2";

/// Which, and how.
#[derive(Args, Clone, Debug)]
pub struct Arguments {
    #[command(flatten)]
    which: Which,
    /// The kind of webhook; default: that of the one that is there, else kapso
    #[arg(long, value_enum)]
    kind: Option<Kind>,
    /// If ours is of another kind than this (default: kapso), register a new one and delete it: Kapso never changes a kind
    #[arg(long)]
    replace: bool,
    /// Do not ask before one is replaced
    #[arg(long, requires = "replace")]
    yes: bool,
    /// Say what would be changed, and change nothing
    #[arg(long)]
    dry_run: bool,
}

/// In whose words events come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Kind {
    /// In Kapso's own: what Buzón understands best
    Kapso,
    /// In Meta's: its own body, passed on, with all its events
    Meta,
}

impl Kind {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Kapso => "kapso",
            Self::Meta => "meta",
        }
    }

    /// One that Kapso does not name is its own.
    pub(super) fn of(webhook: &Webhook) -> Self {
        if is_meta(webhook) { Self::Meta } else { Self::Kapso }
    }
}

pub(super) async fn run(place: &Place, arguments: Arguments) -> anyhow::Result<ExitCode> {
    let Arguments { which, kind, replace, yes, dry_run } = arguments;
    let number = place.number(&which).await?;
    let webhooks = place.platform.webhooks_of(&number).await?;
    let wanted = place.wanted();
    let existing = match which.id {
        Some(_) => Some(place.chosen(&webhooks, &which)?),
        None => webhooks::ours(&webhooks, &wanted),
    };
    let Some(existing) = existing else {
        say("a webhook is registered: it goes to BUZON_PUBLIC_URL, signed with KAPSO_WEBHOOK_SECRET")?;
        return Writing { place, number: &number, kind: kind.unwrap_or(Kind::Kapso) }
            .run(None, dry_run, &webhooks)
            .await;
    };
    let is = Kind::of(existing);
    let becomes = kind.unwrap_or(if replace { Kind::Kapso } else { is });
    let writing = Writing { place, number: &number, kind: becomes };
    if is != becomes {
        return replace::run(&writing, existing, &webhooks, replace::How { replace, yes, dry_run }).await;
    }
    if is == Kind::Meta && kind.is_none() {
        say(
            "it is of kind meta, and stays so, since Kapso never changes a kind. To have Kapso's own events it must be made anew: worker webhook register --replace",
        )?;
    }
    let differs = differences(existing, place);
    let more = if differs.is_empty() { String::new() } else { format!(" Changed: {}.", differs.join(", ")) };
    say(format!(
        "webhook {} is signed with KAPSO_WEBHOOK_SECRET from now on, and active.{more}",
        plain(&existing.id)
    ))?;
    writing.run(Some(existing), dry_run, &webhooks).await
}

/// What is registered.
pub(super) struct Writing<'a> {
    pub(super) place: &'a Place,
    pub(super) number: &'a str,
    pub(super) kind: Kind,
}

impl Writing<'_> {
    async fn run(
        &self,
        existing: Option<&Webhook>,
        dry_run: bool,
        webhooks: &[Webhook],
    ) -> anyhow::Result<ExitCode> {
        if dry_run {
            say("Nothing was done: this was a dry run.")?;
        } else {
            self.write(existing).await?;
        }
        warn(webhooks, self.place)
    }

    /// Registers or changes it, and says so.
    pub(super) async fn write(&self, existing: Option<&Webhook>) -> anyhow::Result<Webhook> {
        let (done, left_out) = self.written(existing).await?;
        if !left_out.is_empty() {
            say(format!("Kapso does not know {}: registered without", left_out.join(", ")))?;
        }
        say(format!(
            "webhook {}: done. See it with `worker webhook status`, try it with `worker webhook test`.",
            plain(&done.id)
        ))?;
        if done.active == Some(false) {
            anyhow::bail!("Kapso says that it is paused all the same: worker webhook resume");
        }
        Ok(done)
    }

    /// Registers or changes it; what Kapso does not know and can be done without is left out.
    async fn written(
        &self,
        existing: Option<&Webhook>,
    ) -> Result<(Webhook, Vec<&'static str>), PlatformError> {
        let mut events = EVENTS.to_vec();
        let mut left_out = Vec::new();
        loop {
            let change = self.change(&events, existing);
            let done = match existing {
                Some(existing) => self.place.platform.change(&existing.id, &change).await,
                None => self.place.platform.create(self.number, &change).await,
            };
            let refused = match done {
                Ok(webhook) => return Ok((webhook, left_out)),
                Err(PlatformError::Refused { what, why }) => PlatformError::Refused { what, why },
                Err(error) => return Err(error),
            };
            let unknown = webhooks::unsupported(&refused.to_string());
            let can_do_without = |event: &&str| !REQUIRED.contains(event) && events.contains(event);
            if unknown.is_empty() || !unknown.iter().all(can_do_without) {
                return Err(refused);
            }
            events.retain(|event| !unknown.contains(event));
            left_out.extend(unknown);
        }
    }

    /// All that Buzón needs. Of a webhook of kind meta neither the events nor the version can be
    /// chosen, and the kind of one that is there can't be at all.
    fn change<'a>(&'a self, events: &'a [&'a str], existing: Option<&Webhook>) -> WebhookChange<'a> {
        let is_kapsos = self.kind == Kind::Kapso;
        WebhookChange {
            url: self.place.wanted().url,
            kind: existing.is_none().then_some(self.kind.name()),
            events: is_kapsos.then_some(events),
            secret_key: self.place.secret(),
            active: Some(true),
            payload_version: is_kapsos.then_some(VERSION),
        }
    }
}

/// What is not as it should be, in words. Its secret is not looked at: it is set each time.
fn differences(existing: &Webhook, place: &Place) -> Vec<&'static str> {
    let subscribed =
        |events: &Vec<String>| EVENTS.iter().all(|event| events.iter().any(|there| there == event));
    let checks = [
        ("url", existing.url.as_deref() == place.wanted().url),
        ("active", existing.active == Some(true)),
        ("events", is_meta(existing) || existing.events.as_ref().is_some_and(subscribed)),
        ("payload version", is_meta(existing) || existing.payload_version.as_deref() == Some(VERSION)),
    ];
    checks.into_iter().filter(|(_, is_so)| !is_so).map(|(name, _)| name).collect()
}

/// Says what registering does not mend: above all, others that are told the same.
pub(super) fn warn(before: &[Webhook], place: &Place) -> anyhow::Result<ExitCode> {
    let url = place.wanted().url;
    let active = || before.iter().filter(|webhook| webhook.active != Some(false));
    let here = active().filter(|webhook| webhook.url.as_deref() == url).count();
    let elsewhere = active().filter(|webhook| webhook.url.as_deref() != url).count();
    if here > 1 {
        say(format!(
            "{}: {here} active webhooks of the number go to the same address: everything comes twice. Delete all but one in Kapso.",
            Severity::Flaw.name()
        ))?;
    }
    if elsewhere > 0 {
        say(format!(
            "{}: {elsewhere} active webhooks of the number go elsewhere. If somebody answers there too, people get two answers.",
            Severity::Remark.name()
        ))?;
    }
    if place.public.as_ref().is_some_and(|url| !url.is_https()) {
        say(format!(
            "{}: BUZON_PUBLIC_URL is http://, and Kapso documents https:// alone.",
            Severity::Remark.name()
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}
