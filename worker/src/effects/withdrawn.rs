//! What a message turned out to be after its effects were owed: deleted, written in a group, or of a type that nobody
//! wrote. Another event of it can say so, before or after its own, so the projections are asked when an effect would be
//! leased ([`super::choose`]), as takeovers are.

use sqlx::PgConnection;

use super::owed::{ANSWERED, NOTICES};

/// How many marks of a lane are looked at: those that are next. There can be thousands behind them, and one too many does
/// no harm.
const MARKS: i64 = 16;

/// Parameters: $1, lanes, locked; $2, the types that are answered; $3, the types that are not marked as read; $4, how many
/// marks of each lane are looked at. What a person has had tried again is left: that is the last word.
const DISCARD: &str = "WITH waiting AS (
        SELECT id, message_id, kind FROM effects
        WHERE lane = ANY($1) AND kind = 'send_text' AND state = 'pending' AND lease IS NULL AND retried_at IS NULL
        UNION ALL
        SELECT mark.* FROM UNNEST($1) AS locked (lane) CROSS JOIN LATERAL (
            SELECT id, message_id, kind FROM effects
            WHERE effects.lane = locked.lane AND kind = 'mark_read' AND state = 'pending' AND lease IS NULL
            AND retried_at IS NULL ORDER BY id LIMIT $4) mark)
     UPDATE effects SET state = 'discarded', settled_at = now(),
        outcome = CASE WHEN messages.deleted_at IS NOT NULL THEN 'the message is deleted'
                       WHEN messages.group_id IS NOT NULL THEN 'the message was written in a group'
                       ELSE 'nobody wrote the message to us: its type is ' || messages.type END
     FROM waiting JOIN messages ON messages.id = waiting.message_id
     WHERE effects.id = waiting.id AND effects.state IS NOT DISTINCT FROM 'pending'
     AND (messages.deleted_at IS NOT NULL OR messages.group_id IS NOT NULL
          OR waiting.kind = 'send_text' AND messages.type <> ALL($2)
          OR waiting.kind = 'mark_read' AND messages.type = ANY($3))";

/// Discards what there is nothing to answer or to mark for in these locked lanes.
pub(super) async fn discard(tx: &mut PgConnection, lanes: &[String]) -> sqlx::Result<()> {
    sqlx::query(DISCARD).bind(lanes).bind(ANSWERED).bind(NOTICES).bind(MARKS).execute(tx).await?;
    Ok(())
}
