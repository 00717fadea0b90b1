//! Lanes as a person names them, pauses them and lets them go on.

use sqlx::{FromRow, PgPool};
use time::{Duration, OffsetDateTime};

/// A lane, with the pause that is in force.
#[derive(Clone, Debug, FromRow)]
pub struct Lane {
    /// Its id.
    pub id: String,
    /// Our number.
    pub phone_number_id: Option<String>,
    /// The conversation of it in which something was written last.
    pub conversation_id: Option<String>,
    /// Until when no reply leaves; none: it is not paused.
    pub paused_until: Option<OffsetDateTime>,
    /// Why.
    pub pause_reason: Option<String>,
    /// When a person last let it go on.
    pub resumed_at: Option<OffsetDateTime>,
}

/// What somebody means by a name.
#[derive(Debug)]
pub enum Named {
    /// Nothing that we know.
    Nothing,
    /// These: one person's at one of our numbers.
    Lanes(Vec<Lane>),
    /// One person's, at several of our numbers.
    Several(Vec<Lane>),
}

macro_rules! lanes {
    () => {
        "SELECT lanes.id, lanes.phone_number_id, resumed_at, pause.until AS paused_until, pause.why AS pause_reason,
            COALESCE(lanes.conversation_id, (
                SELECT talk.id FROM conversations talk WHERE talk.contact_id = lanes.contact_id
                AND (talk.phone_number_id IS NULL OR talk.phone_number_id = lanes.phone_number_id)
                ORDER BY talk.last_active_at DESC NULLS LAST, talk.id DESC LIMIT 1)) AS conversation_id
         FROM lanes LEFT JOIN LATERAL (
            SELECT found.until, found.why FROM (
                SELECT paused.paused_until, COALESCE(paused.pause_reason, 'by hand') FROM lanes_of_person(lanes.id) paused
                UNION ALL
                SELECT at + make_interval(secs => $1), by || ' at ' || to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI') || ' UTC'
                FROM takeovers(lanes.id, GREATEST(resumed_at, now() - make_interval(secs => $1))) WHERE $1 > 0
            ) found (until, why) WHERE found.until > now() ORDER BY found.until DESC, found.why LIMIT 1) pause ON true "
    };
}

/// The lanes that are paused now, the longest first; `pause`: how long a takeover lasts.
///
/// # Errors
/// When Postgres refuses or is away.
pub async fn paused(pool: &PgPool, pause: Duration) -> sqlx::Result<Vec<Lane>> {
    // Where nothing went out lately and nothing was handed over, there is nothing to find.
    const PAUSED: &str = concat!(
        lanes!(),
        "WHERE pause.until IS NOT NULL AND lanes.id IN (
            SELECT id FROM lanes WHERE paused_until > now() OR conversation_id IS NOT NULL
            UNION
            SELECT lanes.id FROM messages
            LEFT JOIN conversations talk ON talk.id = messages.conversation_id AND messages.contact_id IS NULL
            JOIN lanes ON lanes.contact_id = COALESCE(messages.contact_id, talk.contact_id)
            WHERE direction = 'outbound' AND COALESCE(occurred_at, sent_at) > now() - make_interval(secs => $1)
            UNION
            SELECT lanes.id FROM subject_events JOIN subjects USING (kind, id)
            JOIN conversations talk ON talk.id = subjects.conversation_id
            JOIN lanes ON lanes.contact_id = talk.contact_id
            WHERE event = 'handoff' AND occurred_at > now() - make_interval(secs => $1))
         ORDER BY pause.until DESC, lanes.id"
    );
    sqlx::query_as(PAUSED).bind(pause.as_seconds_f64()).fetch_all(pool).await
}

/// The lanes that somebody names by a lane's id, a conversation's, a number or a BSUID.
///
/// # Errors
/// When Postgres refuses or is away.
pub async fn named(pool: &PgPool, name: &str, pause: Duration) -> sqlx::Result<Named> {
    const NAMED: &str = "SELECT lanes.id FROM lanes WHERE lanes.id = $1
        UNION
        SELECT id FROM lanes WHERE conversation_id = $1
        UNION
        SELECT lanes.id FROM conversations talk JOIN lanes USING (contact_id) WHERE talk.id = $1
        AND (talk.phone_number_id IS NULL OR talk.phone_number_id = lanes.phone_number_id)
        UNION
        SELECT lanes.id FROM contact_aliases named JOIN lanes ON lanes.contact_id = named.id WHERE alias = ANY($2)
        UNION
        SELECT lanes.id FROM contact_aliases named JOIN conversations talk ON talk.contact_id = named.id
        JOIN lanes ON lanes.conversation_id = talk.id WHERE alias = ANY($2)";
    const LANES: &str = concat!(lanes!(), "WHERE lanes.id = ANY($2) ORDER BY lanes.id");
    let mut ids: Vec<String> =
        sqlx::query_scalar(NAMED).bind(name).bind(aliases(name)).fetch_all(pool).await?;
    // A lane's own id is as clear as it gets.
    if ids.iter().any(|id| id == name) {
        ids.retain(|id| id == name);
    }
    let lanes: Vec<Lane> =
        sqlx::query_as(LANES).bind(pause.as_seconds_f64()).bind(&ids).fetch_all(pool).await?;
    let mut numbers: Vec<&str> = lanes.iter().filter_map(|lane| lane.phone_number_id.as_deref()).collect();
    numbers.dedup();
    Ok(match (lanes.is_empty(), numbers.len()) {
        (true, _) => Named::Nothing,
        (false, 0 | 1) => Named::Lanes(lanes),
        (false, _) => Named::Several(lanes),
    })
}

/// The names that a contact may have by this one: numbers are kept as digits.
fn aliases(name: &str) -> Vec<String> {
    let digits: String = name.chars().filter(char::is_ascii_digit).collect();
    let is_number = name.chars().all(|c| c.is_ascii_digit() || "+ ()-.".contains(c));
    let number = (is_number && !digits.is_empty()).then_some(digits);
    number.into_iter().chain([name.to_owned(), format!("kapso:{name}")]).collect()
}

/// Pauses lanes until then.
///
/// # Errors
/// When Postgres refuses or is away.
pub async fn pause(pool: &PgPool, lanes: &[String], until: OffsetDateTime, why: &str) -> sqlx::Result<u64> {
    let paused = sqlx::query("UPDATE lanes SET paused_until = $2, pause_reason = $3 WHERE id = ANY($1)")
        .bind(lanes)
        .bind(until)
        .bind(why)
        .execute(pool)
        .await?;
    Ok(paused.rows_affected())
}

/// Lets lanes go on: whatever has happened until now pauses them no more.
///
/// # Errors
/// When Postgres refuses or is away.
pub async fn resume(pool: &PgPool, lanes: &[String], why: &str) -> sqlx::Result<u64> {
    let resumed = sqlx::query(
        "UPDATE lanes SET paused_until = NULL, resumed_at = GREATEST(resumed_at, now()), pause_reason = $2
         WHERE id = ANY($1)",
    )
    .bind(lanes)
    .bind(why)
    .execute(pool)
    .await?;
    Ok(resumed.rows_affected())
}

#[cfg(test)]
mod tests {
    use super::aliases;

    #[test]
    fn a_number_may_be_written_as_people_do() {
        assert_eq!(aliases("+56 (9) 1111-0001").first().map(String::as_str), Some("56911110001"));
        assert_eq!(aliases("CL.1001"), ["CL.1001", "kapso:CL.1001"]);
        assert_eq!(aliases(""), ["", "kapso:"]);
    }
}
