//! Sends the guide's webhooks: each is a message of somebody who has written nothing else, every fifth asks for help.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use contract::envelope::WebhookId;
use contract::kind::Kind;
use harness::sign;
use harness::stage::WEBHOOK_PATH;
use kapso_sim::dialect::{self, Dialect, Webhook};
use kapso_sim::story::{Contact, Content, Conversation, Direction, Event, Line, Message};
use reqwest::Client;
use time::OffsetDateTime;
use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::book::{Accepted, Book};
use crate::place::SECRET;

/// How long it waits before each try: sooner than Kapso, so that a run is short.
const WAITS: [Duration; 5] = [
    Duration::ZERO,
    Duration::from_secs(1),
    Duration::from_secs(4),
    Duration::from_secs(9),
    Duration::from_secs(15),
];

/// How long Kapso waits for an answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Connections are given up before ingest does it: a request that meets their end goes unanswered.
const IDLE: Duration = Duration::from_secs(2);

/// One webhook, ready to be sent.
#[derive(Debug)]
pub(crate) struct Letter {
    pub(crate) body: Webhook,
    pub(crate) signature: String,
    pub(crate) accepted: Accepted,
}

/// Sends.
#[derive(Clone)]
pub(crate) struct Sender {
    client: Client,
    url: String,
    run: u64,
    book: Arc<Book>,
}

impl Sender {
    /// To the port of ingest on the loopback.
    pub(crate) fn to(port: u16, book: Arc<Book>) -> Result<Self> {
        Ok(Self {
            client: Client::builder().no_proxy().pool_idle_timeout(IDLE).build()?,
            url: format!("http://127.0.0.1:{port}{WEBHOOK_PATH}"),
            run: rand::random::<u32>().into(),
            book,
        })
    }

    /// The same letters by another way.
    pub(crate) fn by(&self, client: Client, url: String) -> Self {
        Self { client, url, ..self.clone() }
    }

    /// The next letter, and its number.
    pub(crate) fn next(&self) -> Result<(u64, Letter)> {
        let nth = {
            let mut pages = self.book.pages();
            pages.sent += 1;
            pages.sent
        };
        Ok((nth, self.write(nth)?))
    }

    fn write(&self, nth: u64) -> Result<Letter> {
        let asks = nth.is_multiple_of(5);
        let id = format!("wamid.compose-{}-{nth}", self.run);
        let conversation = format!("c0000000-{:04x}-4000-8000-{nth:012x}", self.run % 0x1_0000);
        let now = OffsetDateTime::now_utc();
        let person = Contact::with_number(&format!("569{nth:08}"));
        let message = Message {
            id: id.clone(),
            wamid: id.clone(),
            direction: Direction::Inbound,
            conversation: Conversation { id: conversation.clone(), ..Conversation::open(person, now) },
            is_new_conversation: true,
            content: Content::text(if asks { "Necesito AYUDA, señorita 😊" } else { "Hola, ¿están?" }),
            at: now,
            context: None,
            referral: None,
            origin: "cloud_api".to_owned(),
            callback_data: None,
            statuses: Vec::new(),
        };
        let body = dialect::webhook(Dialect::Guide, &Line::default(), &Event::received(message));
        let body = body.context("the guide has a word for a message")?;
        let accepted = Accepted {
            id: WebhookId::of(&Kind::new(&body.kind), &body.body),
            message: id,
            asks_in: asks.then_some(conversation),
        };
        Ok(Letter { signature: sign::hex(SECRET, &body.body)?, body, accepted })
    }

    /// One try; its status, if there was an answer.
    pub(crate) async fn try_once(&self, nth: u64, letter: &Letter) -> Option<u16> {
        let request = self
            .client
            .post(&self.url)
            .timeout(PATIENCE)
            .header("Content-Type", "application/json")
            .header("X-Kapso-Signature", &letter.signature)
            .body(letter.body.body.clone());
        let answer = request.send().await.ok().map(|response| response.status().as_u16());
        let mut pages = self.book.pages();
        match answer {
            Some(200) => drop(pages.accepted.insert(nth, letter.accepted.clone())),
            Some(status) => *pages.refused.entry(status).or_default() += 1,
            None => pages.unanswered += 1,
        }
        answer
    }

    /// Sends one that has to be taken at the first try.
    pub(crate) async fn send_one(&self) -> Result<Letter> {
        let (nth, letter) = self.next()?;
        let answer = self.try_once(nth, &letter).await;
        ensure!(answer == Some(200), "a signed webhook to {} was answered {answer:?}", self.url);
        Ok(letter)
    }

    /// Sends the same until it is answered 200, or given up.
    async fn deliver(&self, nth: u64, letter: Letter) {
        for wait in WAITS {
            sleep(wait).await;
            if self.try_once(nth, &letter).await == Some(200) {
                return;
            }
        }
    }

    /// So many a second, until stopped; then waits for those that are under way.
    pub(crate) async fn load(self, rate: f64, stop: CancellationToken) -> Result<()> {
        let mut ticks = interval(Duration::from_secs_f64(1.0 / rate));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let under_way = TaskTracker::new();
        while !stop.is_cancelled() {
            ticks.tick().await;
            let (nth, letter) = self.next()?;
            let sender = self.clone();
            under_way.spawn(async move { sender.deliver(nth, letter).await });
        }
        under_way.close();
        under_way.wait().await;
        Ok(())
    }
}
