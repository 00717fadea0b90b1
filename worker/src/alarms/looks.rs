//! The table `alarm_looks`: of several workers, who looks now.

use std::time::Duration;

use sqlx::{PgPool, types::Json};

/// What is looked at.
#[derive(Clone, Copy, Debug)]
pub(super) enum Look {
    /// The queue and the database.
    Ours,
    /// Our webhook at Kapso.
    Webhook,
}

impl Look {
    const fn name(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Webhook => "webhook",
        }
    }
}

/// Claims a look, unless somebody has done so within `fresh`. What was seen before, if it is
/// ours now.
pub(super) async fn claim(pool: &PgPool, look: Look, fresh: Duration) -> sqlx::Result<Option<Vec<u32>>> {
    let seen: Option<Json<Vec<u32>>> = sqlx::query_scalar(
        "INSERT INTO alarm_looks (look, claimed_at) VALUES ($1, now())
         ON CONFLICT (look) DO UPDATE SET claimed_at = now()
            WHERE alarm_looks.claimed_at <= now() - make_interval(secs => $2)
         RETURNING seen",
    )
    .bind(look.name())
    .bind(fresh.as_secs_f64())
    .fetch_optional(pool)
    .await?;
    Ok(seen.map(|Json(seen)| seen))
}

/// Keeps what was seen for the next who looks.
pub(super) async fn keep(pool: &PgPool, look: Look, seen: &[u32]) -> sqlx::Result<()> {
    sqlx::query("UPDATE alarm_looks SET seen = $2 WHERE look = $1")
        .bind(look.name())
        .bind(Json(seen))
        .execute(pool)
        .await?;
    Ok(())
}
