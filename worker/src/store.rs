//! One transaction archives webhooks, projects their events and owes the effects of them.

pub mod changes;
pub mod rebuild;
pub mod replay;

use std::{
    borrow::{Borrow, Cow},
    collections::HashSet,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use contract::{
    envelope::{Envelope, WebhookId},
    shown,
};
use sqlx::{PgConnection, PgPool, Postgres, Transaction};
use time::OffsetDateTime;
use tokio::time::timeout;

use crate::{
    archive::{self, Disposition, Entry, Partitions, dead_letters, pending},
    decode::{Decoded, Undecodable, decode},
    effects::{Policy, RuleBook, outbox},
    event::Event,
    fault::Fault,
    figures,
    project::{self, Lock, ProjectError, Received, Source, Sourced},
    wake::Wake,
};

/// How long it is waited for that something is undone. Postgres undoes it at the latest when the connection ends.
const UNDO_WITHIN: Duration = Duration::from_secs(5);

/// The way into the database.
#[derive(Clone)]
pub struct Store {
    /// The connections.
    pub pool: PgPool,
    /// Who is to be told.
    pub wake: Arc<Wake>,
    policy: Arc<RwLock<Arc<Policy>>>,
    /// Whether debug lines show numbers and texts as they are.
    unmasked: bool,
    partitions: Arc<Partitions>,
}

/// Decoded webhooks, each once, ready for their transaction.
pub struct Batch<W> {
    webhooks: Vec<(W, Decoded)>,
    events: Vec<Sourced>,
    seen: HashSet<WebhookId>,
}

/// A transaction that has archived a batch and projected nothing of it yet. Only what archives the same webhooks waits
/// for what it holds.
pub struct Begun {
    tx: Transaction<'static, Postgres>,
    new: HashSet<WebhookId>,
}

impl Begun {
    /// Undoes it. Whatever goes wrong with that, the transaction ends with its connection.
    pub async fn undo(self) {
        timeout(UNDO_WITHIN, self.tx.rollback()).await.ok();
    }
}

impl Store {
    /// A store that owes effects by `policy`.
    #[must_use]
    pub fn new(pool: PgPool, policy: Policy) -> Self {
        let (wake, partitions) = (Arc::default(), Arc::default());
        let policy = Arc::new(RwLock::new(Arc::new(policy)));
        Self { pool, wake, policy, unmasked: false, partitions }
    }

    /// What is decided about effects now.
    #[must_use]
    pub fn policy(&self) -> Arc<Policy> {
        Arc::clone(&self.policy.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Decides by another rule book from now on. What is owed already stays owed.
    pub fn decide_by(&self, book: RuleBook) {
        let mut policy = self.policy.write().unwrap_or_else(PoisonError::into_inner);
        *policy = Arc::new(Policy { book, ..Policy::clone(&policy) });
    }

    /// Lets debug lines show numbers and texts as they are.
    #[must_use]
    pub fn unmasked(self, unmasked: bool) -> Self {
        Self { unmasked, ..self }
    }

    /// The fast lane: archives and projects webhooks as they come, and owes their effects.
    /// Items that can't be decoded become dead letters.
    ///
    /// # Errors
    /// [`Fault`]; nothing of the slice is stored then.
    pub async fn take<W: Borrow<Envelope>>(&self, batch: &Batch<W>) -> Result<(), Fault> {
        let mut lock = Lock::Shared;
        loop {
            let begun = self.begin(batch).await?;
            if self.go_on(begun, batch, lock).await? {
                return Ok(());
            }
            lock = Lock::Exclusive;
        }
    }

    /// The first half of [`Store::take`]: archives webhooks, in a transaction that is left open.
    ///
    /// # Errors
    /// [`Fault`].
    pub async fn begin<W: Borrow<Envelope>>(&self, batch: &Batch<W>) -> Result<Begun, Fault> {
        self.partitions.ensure(&self.pool, batch.webhooks().map(|webhook| webhook.received_at)).await?;
        let mut entries: Vec<Entry> = batch
            .decoded()
            .map(|(webhook, decoded)| Entry {
                webhook,
                dialect: decoded.dialect,
                disposition: disposition(decoded),
            })
            .collect();
        in_order(&mut entries);
        let mut tx = self.pool.begin().await?;
        let new = self.archive(&mut tx, &entries).await?;
        Ok(Begun { tx, new })
    }

    /// The second half of [`Store::take`]. False: nothing is stored, and only the whole of `take` can do it, since
    /// it has to begin anew to be alone.
    ///
    /// # Errors
    /// [`Fault`]; nothing of the slice is stored then.
    pub async fn finish<W: Borrow<Envelope>>(&self, begun: Begun, batch: &Batch<W>) -> Result<bool, Fault> {
        self.go_on(begun, batch, Lock::Shared).await
    }

    /// The way into the slow lane: archives webhooks undecoded, as pending.
    ///
    /// # Errors
    /// [`Fault`]; nothing of the slice is stored then.
    pub async fn set_aside<'a>(&self, webhooks: impl Iterator<Item = &'a Envelope>) -> Result<(), Fault> {
        let disposition = Disposition::Pending;
        let mut entries: Vec<Entry> =
            webhooks.map(|webhook| Entry { webhook, dialect: None, disposition }).collect();
        self.partitions.ensure(&self.pool, entries.iter().map(|entry| entry.webhook.received_at)).await?;
        in_order(&mut entries);
        let mut connection = self.pool.acquire().await?;
        let new = self.archive(&mut connection, &entries).await?;
        figures::webhooks_stored(disposition.name(), new.len());
        self.wake.pending.notify_one();
        Ok(())
    }

    /// Archives a webhook that is dead on arrival, with the reason.
    ///
    /// # Errors
    /// [`Fault`]; it is not stored then.
    pub async fn bury(&self, webhook: &Envelope, reason: String) -> Result<(), Fault> {
        let disposition = Disposition::Dead;
        self.partitions.ensure(&self.pool, std::iter::once(webhook.received_at)).await?;
        let mut tx = self.pool.begin().await?;
        let new = self.archive(&mut tx, &[Entry { webhook, dialect: None, disposition }]).await?;
        if new.is_empty() {
            // It came before: a letter that somebody has resolved stays so.
            return Ok(());
        }
        let letter = Undecodable { item: None, reason };
        dead_letters::insert(&mut tx, &[(webhook.id, &letter)]).await?;
        tx.commit().await?;
        figures::webhooks_stored(disposition.name(), 1);
        figures::dead_letters_made(1);
        Ok(())
    }

    /// The slow lane: projects one webhook that is archived already as pending; one that is
    /// pending no more, somebody else has.
    ///
    /// # Errors
    /// [`Fault`]; nothing of it is stored then.
    pub async fn take_pending(&self, webhook: &Envelope) -> Result<(), Fault> {
        let batch = Batch::of([webhook]);
        let mut lock = Lock::Shared;
        loop {
            let mut tx = self.pool.begin().await?;
            // Before the projections' lock, which may be long in coming: else others claim it meanwhile, and count
            // attempts that nobody has made.
            if !pending::lock(&mut tx, webhook).await? {
                return Ok(());
            }
            project::lock(&mut tx, lock).await?;
            batch.note(&mut tx).await?;
            match self.project(tx, &HashSet::from([webhook.id]), &batch, lock).await {
                Ok(()) => return Ok(()),
                Err(ProjectError::NeedsExclusive) => lock = Lock::Exclusive,
                Err(ProjectError::Database(error)) => return Err(error.into()),
            }
        }
    }

    /// Archives. Where that is refused, the next try looks for its partitions anew.
    async fn archive(
        &self,
        tx: &mut PgConnection,
        entries: &[Entry<'_>],
    ) -> sqlx::Result<HashSet<WebhookId>> {
        archive::insert(tx, entries).await.inspect_err(|_| self.partitions.forget())
    }

    /// Goes on with what has been archived. False: it was undone, because it has to run alone.
    ///
    /// The projections' lock comes after the archive's new rows: who waits for such a row holds nothing that a
    /// projection needs.
    async fn go_on<W: Borrow<Envelope>>(
        &self,
        Begun { mut tx, new }: Begun,
        batch: &Batch<W>,
        lock: Lock,
    ) -> Result<bool, Fault> {
        project::lock(&mut tx, lock).await?;
        match self.project(tx, &new, batch, lock).await {
            Ok(()) => {
                let stored = batch.decoded().filter(|(webhook, _)| new.contains(&webhook.id));
                stored.for_each(|(_, decoded)| figures::webhooks_stored(disposition(decoded).name(), 1));
                Ok(true)
            }
            Err(ProjectError::NeedsExclusive) => Ok(false),
            Err(ProjectError::Database(error)) => Err(error.into()),
        }
    }

    /// Says of a message who sent it and what it says, where somebody asked for that much.
    fn tell(&self, message: &Received) {
        let contact = message.contact_id.as_deref().unwrap_or_default();
        let text = message.body.as_deref().unwrap_or_default();
        let (contact, text) = if self.unmasked {
            (contact.to_owned(), text.to_owned())
        } else {
            (shown::number(contact), shown::text(text))
        };
        tracing::debug!(message.id = shown::id(&message.message_id), contact.id = contact, message.text = ?text, "message received");
    }

    /// Projects what is new of a batch, owes its effects, and commits.
    async fn project<W: Borrow<Envelope>>(
        &self,
        mut tx: Transaction<'static, Postgres>,
        new: &HashSet<WebhookId>,
        batch: &Batch<W>,
        lock: Lock,
    ) -> Result<(), ProjectError> {
        let received = match project::project(&mut tx, &batch.events_of(new), lock).await {
            Ok(received) => received,
            Err(error) => {
                // Whoever begins anew waits for what this one holds.
                tx.rollback().await.ok();
                return Err(error);
            }
        };
        received.iter().for_each(|message| self.tell(message));
        dead_letters::insert(&mut tx, &batch.dead_letters_of(new)).await?;
        let owed = outbox::owe(&mut tx, &self.policy(), &received, OffsetDateTime::now_utc()).await?;
        tx.commit().await?;
        batch.count(new);
        if owed > 0 {
            self.wake.outbox.notify_one();
        }
        Ok(())
    }
}

impl<W> Default for Batch<W> {
    fn default() -> Self {
        Self { webhooks: Vec::new(), events: Vec::new(), seen: HashSet::new() }
    }
}

impl<W: Borrow<Envelope>> Batch<W> {
    /// A batch of these.
    #[must_use]
    pub fn of(webhooks: impl IntoIterator<Item = W>) -> Self {
        let mut batch = Self::default();
        webhooks.into_iter().for_each(|webhook| batch.add(webhook));
        batch
    }

    /// Decodes a webhook and adds it, if it is not there yet.
    pub fn add(&mut self, added: W) {
        let webhook = added.borrow();
        if !self.seen.insert(webhook.id) {
            return;
        }
        #[cfg(debug_assertions)]
        crate::killer::strike(&webhook.body);
        let mut decoded = decode(webhook);
        if let Some(dialect) = decoded.dialect {
            let sourced = |event: Event| Sourced {
                source: Source::Webhook(webhook.id),
                received_at: webhook.received_at,
                dialect,
                event,
            };
            self.events.extend(decoded.events.drain(..).map(sourced));
        }
        self.webhooks.push((added, decoded));
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.webhooks.is_empty()
    }

    /// The webhooks with what they say.
    fn decoded(&self) -> impl Iterator<Item = (&Envelope, &Decoded)> {
        self.webhooks.iter().map(|(webhook, decoded)| (webhook.borrow(), decoded))
    }

    /// The webhooks.
    pub fn webhooks(&self) -> impl Iterator<Item = &Envelope> + Clone {
        self.webhooks.iter().map(|(webhook, _)| webhook.borrow())
    }

    /// The events of the webhooks that are new to the archive. The others have been projected,
    /// or will be by the slow lane: a sender's retry is nothing new.
    fn events_of(&self, new: &HashSet<WebhookId>) -> Cow<'_, [Sourced]> {
        if new.len() == self.webhooks.len() {
            return Cow::Borrowed(&self.events);
        }
        let is_new = |sourced: &&Sourced| matches!(sourced.source, Source::Webhook(id) if new.contains(&id));
        Cow::Owned(self.events.iter().filter(is_new).cloned().collect())
    }

    /// Notes what became of webhooks that were pending.
    async fn note(&self, tx: &mut PgConnection) -> sqlx::Result<()> {
        for (webhook, decoded) in self.decoded() {
            if is_dead(decoded) {
                pending::dead(tx, webhook).await?;
            } else {
                pending::projected(tx, webhook, decoded.dialect).await?;
                dead_letters::resolve(tx, webhook.id, &decoded.undecodable).await?;
            }
        }
        Ok(())
    }

    /// The dead letters of the webhooks that are new: a sender's retry does not open again what
    /// somebody has resolved.
    fn dead_letters_of(&self, new: &HashSet<WebhookId>) -> Vec<(WebhookId, &Undecodable)> {
        let webhooks = self.decoded().filter(|(webhook, _)| new.contains(&webhook.id));
        webhooks
            .flat_map(|(webhook, decoded)| decoded.undecodable.iter().map(|letter| (webhook.id, letter)))
            .collect()
    }

    fn count(&self, new: &HashSet<WebhookId>) {
        figures::events_projected(self.events_of(new).len());
        let webhooks = self.decoded().filter(|(webhook, _)| new.contains(&webhook.id));
        figures::items_not_understood(webhooks.map(|(_, decoded)| decoded.not_understood).sum());
        for (id, letter) in self.dead_letters_of(new) {
            figures::dead_letters_made(1);
            tracing::warn!(webhook.id = %id, item = letter.item, reason = letter.reason, "dead letter");
        }
    }
}

/// Two workers that archive the same webhooks at once meet at the first of them, whatever order
/// they came in: one waits for the other, and not both for each other.
fn in_order(entries: &mut [Entry<'_>]) {
    entries.sort_unstable_by_key(|entry| entry.webhook.id);
}

/// What becomes of a webhook that is new.
fn disposition(decoded: &Decoded) -> Disposition {
    if is_dead(decoded) { Disposition::Dead } else { Disposition::Projected }
}

/// Whether nothing of a webhook could be decoded at all.
fn is_dead(decoded: &Decoded) -> bool {
    decoded.undecodable.iter().any(|letter| letter.item.is_none())
}
