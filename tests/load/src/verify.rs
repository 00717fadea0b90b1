//! Looks for every webhook that was answered 200: by its id in the archive, and by its message among what is
//! projected. A sum that fits proves nothing: one lost and one doubled make the right number.

use std::collections::{HashMap, HashSet};

use anyhow::{Result, bail};
use contract::envelope::WebhookId;
use futures_util::TryStreamExt as _;
use sqlx::{PgPool, Row as _};

use crate::send::Sent;
use crate::traffic::{TURN, Traffic};

/// How many numbers a complaint shows.
const SHOWN: usize = 5;

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// How many were looked for.
    pub wanted: u64,
    /// Those that are not in the archive as projected.
    pub lost: Vec<u64>,
    /// Those that are there, but whose message or status is not.
    pub unprojected: Vec<u64>,
    /// Those that are there more than once.
    pub doubled: Vec<u64>,
}

impl Verdict {
    /// Nothing, when all is as it must be.
    ///
    /// # Errors
    ///
    /// What is lost or doubled.
    pub fn judge(&self) -> Result<()> {
        let Self { wanted, lost, unprojected, doubled } = self;
        if lost.is_empty() && unprojected.is_empty() && doubled.is_empty() {
            return Ok(());
        }
        let some = |numbers: &[u64]| {
            let first: Vec<_> = numbers.iter().take(SHOWN).map(ToString::to_string).collect();
            format!("{} ({})", numbers.len(), first.join(", "))
        };
        bail!(
            "of {wanted} webhooks answered 200: lost {}, not projected {}, doubled {}",
            some(lost),
            some(unprojected),
            some(doubled)
        );
    }
}

/// Looks for all that a load sent and that was answered 200. What was not promised may be there or not.
///
/// # Errors
///
/// When Postgres can't be asked.
pub async fn verify(pool: &PgPool, traffic: &Traffic, sent: &Sent) -> Result<Verdict> {
    let refused: HashSet<u64> = sent.refused.iter().map(|refused| refused.number).collect();
    let numbers = (sent.first..sent.first + sent.count).filter(|number| !refused.contains(number));
    let mut wanted = HashMap::<WebhookId, (u64, u32)>::new();
    let mut body = Vec::new();
    for number in numbers {
        body.clear();
        traffic.write(number, &mut body);
        wanted.insert(traffic.id(number, &body).0, (number, 0));
    }
    archived(pool, &mut wanted).await?;
    let found = projected(pool, traffic).await?;

    let mut verdict = Verdict { wanted: wanted.len() as u64, ..Verdict::default() };
    for (number, times) in wanted.into_values() {
        match (times, found.get(&key(traffic, number)).copied().unwrap_or_default()) {
            (0, _) => verdict.lost.push(number),
            (1, 0) => verdict.unprojected.push(number),
            (1, 1) => {}
            _ => verdict.doubled.push(number),
        }
    }
    for numbers in [&mut verdict.lost, &mut verdict.unprojected, &mut verdict.doubled] {
        numbers.sort_unstable();
    }
    Ok(verdict)
}

/// Counts what is in the archive, and projected.
async fn archived(pool: &PgPool, wanted: &mut HashMap<WebhookId, (u64, u32)>) -> Result<()> {
    let mut rows = sqlx::query("SELECT id FROM webhooks WHERE projected_at IS NOT NULL").fetch(pool);
    while let Some(row) = rows.try_next().await? {
        let id = WebhookId::from_bytes(row.try_get("id")?);
        if let Some((_, times)) = id.and_then(|id| wanted.get_mut(&id)) {
            *times += 1;
        }
    }
    Ok(())
}

/// Counts the messages of contacts and the statuses of ours that this stream told of.
async fn projected(pool: &PgPool, traffic: &Traffic) -> Result<HashMap<(String, &'static str), u32>> {
    let mut found = HashMap::new();
    let first = traffic.message(0);
    let mine = first.split_at(first.len() - "0000000000IN".len()).0.to_owned();
    let mut rows = sqlx::query(
        "SELECT id, 'received' AS status FROM messages WHERE direction = 'inbound' AND starts_with(id, $1)
         UNION ALL SELECT message_id, status FROM message_statuses WHERE starts_with(message_id, $1)",
    )
    .bind(&mine)
    .fetch(pool);
    while let Some(row) = rows.try_next().await? {
        let status: &str = row.try_get("status")?;
        if let Some(status) = STATUSES.iter().find(|known| **known == status) {
            *found.entry((row.try_get("id")?, *status)).or_default() += 1;
        }
    }
    Ok(found)
}

/// What the webhooks of a turn tell, in order.
const STATUSES: [&str; TURN as usize] = ["received", "sent", "delivered", "read"];

fn key(traffic: &Traffic, number: u64) -> (String, &'static str) {
    let step = usize::try_from(number % TURN).unwrap_or_default();
    (traffic.message(number), STATUSES[step])
}
