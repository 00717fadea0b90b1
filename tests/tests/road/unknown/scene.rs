//! A road on which replies are lost, and what is asked of it.

use std::time::Duration;

use anyhow::{Result, ensure};
use harness::wait;
use kapso_sim::{
    AcceptedSend, Action, Call, Dialect, Fault, InboundMessage, Outcome, Reply, SentIds, SimConfig, Statuses,
    Times,
};

use crate::scene::{Effect, PATIENCE, REPLY, Road, kapso, number};

/// Which of Kapso's APIs is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    Conversation,
    Proxy,
}

pub(crate) const STYLES: [Style; 2] = [Style::Conversation, Style::Proxy];

/// A request of ours may be under way for so long; nothing is listed before.
pub(crate) const DEADLINE: Duration = Duration::from_secs(10);

/// How long after that the second listing is asked for on this road, in seconds.
pub(crate) const SETTLE: u64 = 4;

/// Until both listings have been asked for, and more.
pub(crate) const LISTED_TWICE: Duration = Duration::from_secs(DEADLINE.as_secs() + SETTLE);

impl Road {
    /// A road with this API, where a reply is settled sooner than in production.
    pub(crate) async fn of(style: Style, dialect: Dialect, statuses: Statuses) -> Result<Self> {
        Self::called_by(style, SimConfig { dialect, statuses, ..kapso() }).await
    }

    /// A road where nothing but a listing tells of a reply, and a page of it has one message.
    pub(crate) async fn with_short_pages(style: Style) -> Result<Self> {
        let (dialect, statuses) = (Dialect::V2, Statuses::NONE);
        Self::called_by(style, SimConfig { dialect, statuses, page_at_most: Some(1), ..kapso() }).await
    }

    pub(crate) async fn called_by(style: Style, kapso: SimConfig) -> Result<Self> {
        let mut road = Self::beside(kapso).await?;
        if style == Style::Proxy {
            road.stage.set("KAPSO_API_BASE_URL", road.sim.meta_proxy_url());
        }
        road.stage.set("BUZON_UNKNOWN_SETTLE_SECONDS", SETTLE.to_string());
        Ok(road)
    }

    /// A contact asks for help, and the next send to it runs into this.
    pub(crate) fn asks_in_vain(&self, contact: usize, outcome: Outcome) -> SentIds {
        let number = number(contact);
        self.sim.fault(Fault::next_send(outcome).about(number.trim_start_matches('+')));
        self.sim.inbound(InboundMessage::text(number, "Necesito ayuda"))
    }

    /// The first contact writes so many messages more that no rule answers.
    pub(crate) fn says_more(&self, messages: usize) {
        for nth in 0..messages {
            let _named = self.sim.inbound(InboundMessage::text(number(0), format!("Buenas {nth}")));
        }
    }

    /// Waits until the reply to a message is said to have gone out, for a reason with these words.
    pub(crate) async fn went_out(&self, ids: &SentIds, how: &str) -> Result<Effect> {
        let effect = self.reply_becomes(ids, "done").await?;
        let outcome = effect.outcome.as_deref().unwrap_or_default();
        ensure!(outcome.starts_with("it went out: ") && outcome.contains(how), "{effect:?}");
        Ok(effect)
    }

    /// The name of the message that each reply became, by effect.
    pub(crate) async fn sent_message_ids(&self) -> Result<Vec<(i64, Option<String>)>> {
        let select = "SELECT id, sent_message_id FROM effects WHERE kind = 'send_text' ORDER BY id";
        Ok(sqlx::query_as(select).fetch_all(&self.pool).await?)
    }

    /// The replies that Kapso took, oldest first.
    pub(crate) fn sent(&self) -> Vec<AcceptedSend> {
        self.sim.accepted_sends().into_iter().filter(|send| send.text.as_deref() == Some(REPLY)).collect()
    }

    /// The listings that were asked for.
    pub(crate) fn listings(&self) -> Vec<Call> {
        self.sim.calls().into_iter().filter(|call| call.action == Action::List).collect()
    }

    /// No listing is answered until the faults are cleared.
    pub(crate) fn lists_nothing(&self) {
        let fault = Fault::next_list(Outcome::Answer(Reply::cloudflare(503)));
        self.sim.fault(fault.times(Times::Chance(1.0)));
    }

    /// Waits until so many questions have been asked in vain.
    pub(crate) async fn listed(&self, times: usize) -> Result<()> {
        wait::until(&format!("{times} listings"), LISTED_TWICE + PATIENCE, async || -> Result<bool> {
            let found = self.listings().len();
            ensure!(found >= times, "{found}");
            Ok(true)
        })
        .await
    }

    /// Sees that each reply that Kapso took is one message in the projection, under one of its names.
    pub(crate) async fn one_message_each(&self) -> Result<()> {
        let ids = self.texts("SELECT id FROM messages WHERE direction = 'outbound'").await?;
        let sent = self.sent();
        let rows = |send: &AcceptedSend| {
            ids.iter().filter(|id| [&send.wamid, &send.message_id].contains(id)).count()
        };
        ensure!(
            ids.len() == sent.len() && sent.iter().all(|send| rows(send) == 1),
            "{ids:?} stored, {sent:?} sent"
        );
        Ok(())
    }
}
