//! What time alone settles.

use sqlx::PgPool;

/// A lease that ran out over an attempt without an outcome (its worker was killed) makes the
/// effect unknown; a pending one that has become too old is discarded. Who leased is kept:
/// a dispatcher that never let the request leave can still say so.
pub(super) async fn sweep(pool: &PgPool) -> sqlx::Result<u64> {
    let lost = sqlx::query(
        "UPDATE effects SET state = 'unknown', lease = NULL, settled_at = now(),
            outcome = 'the worker stopped before it saw the answer'
         WHERE state = 'pending' AND lease < now()",
    )
    .execute(pool)
    .await?;
    let late = sqlx::query(
        "UPDATE effects SET state = 'discarded', settled_at = now(),
            outcome = concat_ws('; ', 'it became too old while it waited', outcome)
         WHERE state = 'pending' AND lease IS NULL AND expires_at < now()",
    )
    .execute(pool)
    .await?;
    Ok(lost.rows_affected() + late.rows_affected())
}
