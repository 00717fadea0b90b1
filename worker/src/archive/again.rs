//! What the archive notes when webhooks that it was done with are projected again.

use contract::envelope::WebhookId;
use sqlx::PgConnection;

use super::dead_letters;
use crate::{
    decode::{Decoded, Undecodable},
    event::Dialect,
};

/// What came of a webhook that was projected again, where the archive has something to note.
#[derive(Clone, Debug)]
pub struct Verdict {
    id: WebhookId,
    dialect: Option<Dialect>,
    failed: Vec<Undecodable>,
}

/// How much was noted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Noted {
    /// Dead letters that are resolved now.
    pub resolved: u64,
    /// Webhooks of which nothing could be projected.
    pub dead: u64,
}

impl Verdict {
    /// What decoding said of a webhook. None where there is nothing to note: it was projected,
    /// wholly, and has been before. `flagged` says that it has not.
    #[must_use]
    pub fn of(id: WebhookId, decoded: &Decoded, flagged: bool) -> Option<Self> {
        let failed = decoded.undecodable.clone();
        (flagged || !failed.is_empty()).then_some(Self { id, dialect: decoded.dialect, failed })
    }

    /// Postgres refused it as a whole, for this reason.
    #[must_use]
    pub fn refused(id: WebhookId, reason: String) -> Self {
        Self { id, dialect: None, failed: vec![Undecodable { item: None, reason }] }
    }

    /// Whether nothing of it was projected.
    fn is_dead(&self) -> bool {
        self.failed.iter().any(|letter| letter.item.is_none())
    }
}

/// Notes it, for every copy of each webhook. What has become pending meanwhile stays so: the
/// slow lane has the last word then.
///
/// # Errors
/// When Postgres refuses or is away.
pub async fn note(tx: &mut PgConnection, verdicts: &[Verdict]) -> sqlx::Result<Noted> {
    let mut noted = Noted::default();
    for verdict in verdicts {
        if verdict.is_dead() {
            sqlx::query(
                "UPDATE webhooks SET dead_at = now(), projected_at = NULL
                 WHERE id = $1 AND projected_at IS NOT NULL AND dead_at IS NULL",
            )
            .bind(verdict.id.as_bytes())
            .execute(&mut *tx)
            .await?;
            noted.dead += 1;
        } else {
            sqlx::query(
                "UPDATE webhooks SET projected_at = now(), dead_at = NULL, dialect = $2
                 WHERE id = $1 AND dead_at IS NOT NULL",
            )
            .bind(verdict.id.as_bytes())
            .bind(verdict.dialect.map(Dialect::name))
            .execute(&mut *tx)
            .await?;
            noted.resolved += dead_letters::resolve(tx, verdict.id, &verdict.failed).await?;
        }
        let letters: Vec<_> = verdict.failed.iter().map(|letter| (verdict.id, letter)).collect();
        dead_letters::keep(tx, &letters).await?;
    }
    Ok(noted)
}
