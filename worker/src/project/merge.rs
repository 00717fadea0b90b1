//! Two ids that turned out to be one: everything of the old one becomes the new one's.
//! Runs alone (see [`super::Lock::Exclusive`]).

use sqlx::PgConnection;

/// Moves effects from the lanes of a contact to the other's. There are as many as there are messages, and few of them
/// are concerned: each of the conditions has an index. What may still leave and what is counted moves by its lane; the
/// rest is history, and moves with its message.
macro_rules! move_effects {
    ($which:literal) => {
        concat!(
            "UPDATE effects SET lane = lanes.phone_number_id || '/' || $2
             FROM lanes WHERE lanes.contact_id = $1 AND effects.lane = lanes.id AND ",
            $which
        )
    };
}

/// Merges a contact into another.
pub(super) async fn contacts(tx: &mut PgConnection, old: &str, new: &str) -> sqlx::Result<()> {
    for statement in [
        // A dispatcher locks a lane before it leases from it, and so it is here.
        "SELECT FROM lanes WHERE contact_id IN ($1, $2) ORDER BY id FOR UPDATE",
        super::contacts::MERGE,
        "DELETE FROM contacts WHERE id = $1 AND $2 <> id",
        "UPDATE conversations SET contact_id = $2 WHERE contact_id = $1",
        "UPDATE messages SET contact_id = $2 WHERE contact_id = $1",
        super::reactions::MERGE_CONTACT,
        "DELETE FROM reactions WHERE reactor = $1 AND $2 <> reactor",
        // A lane is named after its contact: what it holds moves to the other's. What people decided
        // about either holds for both: the longer pause, and the later going on.
        "INSERT INTO lanes (id, phone_number_id, contact_id, paused_until, pause_reason, resumed_at)
         SELECT phone_number_id || '/' || $2, phone_number_id, $2, paused_until, pause_reason, resumed_at
         FROM lanes WHERE contact_id = $1 AND phone_number_id IS NOT NULL
         ON CONFLICT (id) DO UPDATE SET
            pause_reason = CASE WHEN (COALESCE(EXCLUDED.paused_until, '-infinity'), COALESCE(EXCLUDED.resumed_at, '-infinity'))
                                   > (COALESCE(lanes.paused_until, '-infinity'), COALESCE(lanes.resumed_at, '-infinity'))
                                THEN EXCLUDED.pause_reason ELSE lanes.pause_reason END,
            paused_until = GREATEST(lanes.paused_until, EXCLUDED.paused_until),
            resumed_at = GREATEST(lanes.resumed_at, EXCLUDED.resumed_at)",
        move_effects!("effects.state = 'pending'"),
        move_effects!("effects.kind = 'send_text' AND effects.state IN ('done', 'unknown')"),
        move_effects!("effects.message_id IN (SELECT id FROM messages WHERE contact_id = $2)"),
        "DELETE FROM lanes WHERE contact_id = $1 AND $2 <> contact_id",
    ] {
        sqlx::query(statement).bind(old).bind(new).execute(&mut *tx).await?;
    }
    Ok(())
}

/// What two messages owe, by kind, with what got furthest in the first place.
macro_rules! rivals {
    () => {
        "WITH rivals AS (
            SELECT id, kind, row_number() OVER (PARTITION BY kind ORDER BY
                CASE WHEN state = 'done' THEN 1 WHEN state = 'unknown' THEN 2 WHEN lease IS NOT NULL THEN 3
                     WHEN state = 'pending' THEN 4 ELSE 5 END, id) AS place
            FROM effects WHERE message_id IN ($1, $2)) "
    };
}

/// Merges a message into another.
pub(super) async fn messages(tx: &mut PgConnection, old: &str, new: &str) -> sqlx::Result<()> {
    for statement in [
        "SELECT FROM lanes WHERE id IN (SELECT lane FROM effects WHERE message_id IN ($1, $2)) ORDER BY id FOR UPDATE",
        super::messages::MERGE,
        "DELETE FROM messages WHERE id = $1 AND $2 <> id",
        super::statuses::MERGE,
        "DELETE FROM message_statuses WHERE message_id = $1 AND $2 <> message_id",
        super::reactions::MERGE_MESSAGE,
        "DELETE FROM reactions WHERE message_id = $1 AND $2 <> message_id",
        // What both owed is owed once. Until it leaves, it goes by the names, the recipient and the deadline that both
        // said, as `effects/join.rs` has it, as long as `effects/known.rs` lets anything be learnt of it; its number,
        // its lane and its refusal stay its own.
        concat!(
            rivals!(),
            "UPDATE effects SET kapso_message_id = LEAST(effects.kapso_message_id, other.kapso_message_id),
                conversation_id = GREATEST(effects.conversation_id, other.conversation_id),
                recipient = LEAST(effects.recipient, other.recipient),
                expires_at = LEAST(effects.expires_at, other.expires_at)
             FROM rivals kept JOIN rivals lost ON kept.kind = lost.kind JOIN effects other ON other.id = lost.id
             WHERE effects.id = kept.id AND kept.place = 1 AND lost.place = 2
             AND effects.lease IS NULL AND effects.retried_at IS NULL
             AND (effects.state = 'pending' OR effects.state = 'discarded' AND effects.refused IS NOT NULL)"
        ),
        // The one that got further stays the message's. Of the other nothing is left where
        // nothing was tried; else it keeps its row, under a name that is free.
        concat!(rivals!(), "DELETE FROM effects USING rivals
             WHERE rivals.id = effects.id AND place > 1 AND attempts = 0 AND lease IS NULL"),
        concat!(
            rivals!(),
            "UPDATE effects SET message_id = message_id || ' #' || effects.id, state = 'discarded',
                settled_at = COALESCE(settled_at, now()), outcome = 'owed already: the message is ' || $2
             FROM rivals
             WHERE rivals.id = effects.id AND place > 1 AND lease IS NULL AND state IN ('pending', 'discarded')"
        ),
        "UPDATE effects SET message_id = $2 WHERE message_id = $1
         AND NOT EXISTS (SELECT FROM effects other WHERE other.message_id = $2 AND other.kind = effects.kind)",
        // A message of which nothing else is known has a lane of its own, named after it.
        "INSERT INTO lanes (id, phone_number_id, contact_id, conversation_id, paused_until, pause_reason, resumed_at)
         SELECT 'message/' || $2, phone_number_id, contact_id, conversation_id, paused_until, pause_reason, resumed_at
         FROM lanes WHERE id = 'message/' || $1
         ON CONFLICT (id) DO NOTHING",
        "UPDATE effects SET lane = 'message/' || $2 WHERE message_id IN ($1, $2) AND lane = 'message/' || $1",
        "DELETE FROM lanes WHERE id = 'message/' || $1 AND $2 <> $1",
        "UPDATE effects SET sent_message_id = $2 WHERE sent_message_id = $1",
    ] {
        sqlx::query(statement).bind(old).bind(new).execute(&mut *tx).await?;
    }
    Ok(())
}
