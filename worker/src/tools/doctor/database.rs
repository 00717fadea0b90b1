//! Postgres: can it be reached and written, has it our schema and its partitions, and what in it
//! needs a person.

use std::{collections::HashMap, time::Duration};

use sqlx::{Connection as _, PgConnection};
use time::OffsetDateTime;

use super::{check::Scope, guide, report::Finding, road};
use crate::{
    ingest_url::is_local,
    kapso::Api,
    schema::MIGRATIONS,
    settings,
    tools::screen::{self, count},
};

/// How long a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Fewer free connections than this are a remark: another worker could not start.
const SPARE: i64 = 10;

/// Looks, and writes nothing.
pub(super) async fn look(scope: &Scope) -> Vec<Finding> {
    match reached(scope).await {
        Ok((mut connection, findings)) => {
            let more = in_it(&mut connection, scope).await;
            findings.into_iter().chain(more).collect()
        }
        Err(finding) => vec![*finding],
    }
}

async fn reached(scope: &Scope) -> Result<(PgConnection, Vec<Finding>), Box<Finding>> {
    const ABOUT: &str = "reached";
    const REMEDY: &str = "is Postgres up, and DATABASE_URL right (user, password, database)? Until then webhooks wait in RabbitMQ";
    let options = settings::database(&scope.settings).map_err(|error| {
        Finding::wrong(ABOUT, format!("{} {}", error.variable, error.problem), error.remedy)
    })?;
    let place = format!("{}:{}", options.get_host(), options.get_port());
    let away =
        |why: String| Finding::wrong(ABOUT, format!("Postgres at {place} can't be used: {why}"), REMEDY);
    let options = options.application_name("buzon-doctor").options([("statement_timeout", "5s")]);
    let connecting = tokio::time::timeout(CONNECT_TIMEOUT, PgConnection::connect_with(&options)).await;
    let mut connection = connecting
        .map_err(|_| away(format!("no answer within {} s", CONNECT_TIMEOUT.as_secs())))?
        .map_err(|error| away(error.to_string()))?;
    let is_here = options.get_socket().is_some() || is_local(options.get_host());
    let encrypted = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    let encrypted: Option<bool> =
        sqlx::query_scalar(encrypted).fetch_optional(&mut connection).await.unwrap_or_default();
    let mut findings = vec![Finding::fine(ABOUT, format!("Postgres answers at {place}"))];
    if !is_here && encrypted == Some(false) {
        findings.push(Finding::remark(
            "encryption",
            "the connection to Postgres is not encrypted",
            "on a private network that is as usual; elsewhere add ?sslmode=verify-full to DATABASE_URL",
        ));
    }
    Ok((connection, findings))
}

/// What is asked of a database that answers. Without its schema, the rest has no answers.
async fn in_it(connection: &mut PgConnection, scope: &Scope) -> Vec<Finding> {
    let failed = |error: sqlx::Error| {
        Finding::wrong("asked", format!("a question to Postgres failed: {error}"), "look into its log")
    };
    let schema = match schema(connection).await {
        Ok(finding) => finding,
        Err(error) => return vec![failed(error)],
    };
    let usable = schema.mark != super::report::Mark::Wrong;
    let mut findings = vec![schema];
    findings.push(writable(connection).await.unwrap_or_else(failed));
    findings.push(room(connection).await.unwrap_or_else(failed));
    if usable {
        findings.push(partitions(connection).await.unwrap_or_else(failed));
        findings.push(arrivals(connection).await.unwrap_or_else(failed));
        findings.extend(needs_a_person(connection, scope).await.unwrap_or_else(|error| vec![failed(error)]));
    }
    findings
}

async fn schema(connection: &mut PgConnection) -> sqlx::Result<Finding> {
    const ABOUT: &str = "schema";
    const REMEDY: &str = "run `worker migrate`";
    let exists: bool = sqlx::query_scalar("SELECT to_regclass('_sqlx_migrations') IS NOT NULL")
        .fetch_one(&mut *connection)
        .await?;
    let applied: HashMap<i64, bool> = if exists {
        let rows: Vec<(i64, bool)> =
            sqlx::query_as("SELECT version, success FROM _sqlx_migrations").fetch_all(connection).await?;
        rows.into_iter().collect()
    } else {
        HashMap::new()
    };
    let missing = MIGRATIONS.iter().filter(|migration| applied.get(&migration.version) != Some(&true));
    let missing: Vec<String> =
        missing.map(|migration| format!("{} ({})", migration.version, migration.description)).collect();
    let known = MIGRATIONS.iter().count();
    Ok(match missing.as_slice() {
        [] => Finding::fine(ABOUT, format!("all {} are there", count(known, "migration", "migrations"))),
        missing if missing.len() == known => Finding::wrong(ABOUT, "the database has no schema yet", REMEDY),
        [one] => {
            Finding::wrong(ABOUT, format!("the migration {one} is missing: workers wait for it"), REMEDY)
        }
        missing => Finding::wrong(
            ABOUT,
            format!("migrations are missing, and workers wait for them: {}", missing.join(", ")),
            REMEDY,
        ),
    })
}

async fn writable(connection: &mut PgConnection) -> sqlx::Result<Finding> {
    let read_only: String =
        sqlx::query_scalar("SELECT current_setting('transaction_read_only')").fetch_one(connection).await?;
    Ok(if read_only == "on" {
        let remedy =
            "is it a stand-by, or was default_transaction_read_only set? Give the primary in DATABASE_URL";
        Finding::wrong("writable", "Postgres takes no writes here: nothing can be stored", remedy)
    } else {
        Finding::fine("writable", "it takes writes")
    })
}

async fn room(connection: &mut PgConnection) -> sqlx::Result<Finding> {
    const ASK: &str = "SELECT current_setting('max_connections')::bigint
                             - current_setting('superuser_reserved_connections')::bigint, count(*)
                       FROM pg_stat_activity WHERE backend_type = 'client backend'";
    let (most, used): (i64, i64) = sqlx::query_as(ASK).fetch_one(connection).await?;
    let says = format!("{used} of {most} connections are taken");
    Ok(if most - used < SPARE {
        let remedy = "raise max_connections, or lower BUZON_DATABASE_CONNECTIONS of the workers";
        Finding::remark("room", says, remedy)
    } else {
        Finding::fine("room", says)
    })
}

async fn partitions(connection: &mut PgConnection) -> sqlx::Result<Finding> {
    const ABOUT: &str = "partitions";
    const ASK: &str = "SELECT 'webhooks_' || to_char(month, 'YYYY_MM'),
            to_regclass('webhooks_' || to_char(month, 'YYYY_MM')) IS NOT NULL
        FROM (SELECT now() AT TIME ZONE 'UTC' + nth * interval '1 month' AS month
              FROM generate_series(0, 1) nth) months ORDER BY 1";
    let months: Vec<(String, bool)> = sqlx::query_as(ASK).fetch_all(connection).await?;
    let missing = |nth: usize| months.get(nth).filter(|(_, there)| !there).map(|(name, _)| name);
    Ok(match (missing(0), missing(1)) {
        (Some(name), _) => Finding::wrong(
            ABOUT,
            format!("there is no partition `{name}`, for the webhooks of this month"),
            "run `worker migrate`: it makes them. (A running worker makes what it misses, if its role may.)",
        ),
        (None, Some(name)) => Finding::remark(
            ABOUT,
            format!("there is no partition `{name}` yet, for the webhooks of next month"),
            "the first webhook of a month makes it; or run `worker migrate`",
        ),
        (None, None) => Finding::fine(ABOUT, "this month's and the next one's are there"),
    })
}

/// Whether webhooks come in at all.
async fn arrivals(connection: &mut PgConnection) -> sqlx::Result<Finding> {
    const ABOUT: &str = "arrivals";
    // What Kapso's listings told, and our own test events, did not come in by the door.
    const ASK: &str = "SELECT received_at FROM webhooks WHERE kind <> $1 AND verified_by <> 'kapso-api'
                       ORDER BY received_at DESC LIMIT 1";
    let last: Option<OffsetDateTime> =
        sqlx::query_scalar(ASK).bind(road::KIND).fetch_optional(connection).await?;
    Ok(match last {
        Some(at) => Finding::fine(ABOUT, format!("the last webhook came at {} UTC", screen::minute(at))),
        None => Finding::remark(
            ABOUT,
            "no webhook has ever come",
            "write to the number; if nothing comes, look at `webhook` and `road`: the address in Kapso, and the events",
        )
        .named(guide::NOTHING),
    })
}

/// What waits for somebody to decide.
async fn needs_a_person(connection: &mut PgConnection, scope: &Scope) -> sqlx::Result<Vec<Finding>> {
    const LETTERS: &str = "SELECT count(*) FROM dead_letters WHERE resolved_at IS NULL";
    const UNKNOWN: &str = "SELECT count(*) FROM effects WHERE state = 'unknown'";
    const PENDING: &str = "SELECT count(*) FROM webhooks WHERE projected_at IS NULL AND dead_at IS NULL
                           AND received_at < now() - interval '1 minute'";
    let mut findings = held(connection, scope).await?;
    for (about, ask, one, several, remedy) in [
        (
            "dead letters",
            LETTERS,
            "webhook could not be understood",
            "items could not be understood",
            "see why: worker dead-letters list",
        ),
        (
            "unknown effects",
            UNKNOWN,
            "call of Kapso has no known end",
            "calls of Kapso have no known end",
            "worker effects list, or docs/REPLIES.md, \"Effects\"",
        ),
        (
            "pending",
            PENDING,
            "webhook waits for the slow lane",
            "webhooks wait for the slow lane",
            "is a worker running, and does its log say why it can't project them?",
        ),
    ] {
        let many: i64 = sqlx::query_scalar(ask).fetch_one(&mut *connection).await?;
        if many > 0 {
            findings.push(Finding::remark(about, count(many, one, several), remedy));
        }
    }
    if findings.is_empty() {
        findings
            .push(Finding::fine("open matters", "no dead letter, nothing unknown, nothing pending for long"));
    }
    Ok(findings)
}

/// Why only probes are sent, to Kapso's API and to the Meta proxy beside it.
async fn held(connection: &mut PgConnection, scope: &Scope) -> sqlx::Result<Vec<Finding>> {
    let client = Api::read(&scope.settings).ok().and_then(|api| api.client().ok().flatten());
    let Some(client) = client else { return Ok(Vec::new()) };
    let mut findings = Vec::new();
    for (id, place) in [(Some(client.key_id()), "Kapso"), (client.proxy_key_id(), "Kapso's Meta proxy")] {
        let hold: Option<String> =
            sqlx::query_scalar("SELECT hold_reason FROM api_keys WHERE id = $1 AND hold_reason IS NOT NULL")
                .bind(id)
                .fetch_optional(&mut *connection)
                .await?;
        const GO_ON: &str = "effects go on by themselves, unless they have become too old";
        let why = match hold.as_deref() {
            Some("token_refused") => format!("{place} has refused the token: calls are held back"),
            Some("credits_exhausted") => {
                format!("the credits at {place} are exhausted (HTTP 402): calls are held back")
            }
            Some(_) => format!("calls to {place} have failed: they are held back"),
            None => continue,
        };
        let says = format!("{why}, and one at a time tries whether they work again");
        findings.push(match hold.as_deref() {
            Some("credits_exhausted") => {
                Finding::wrong("held", says, format!("add credits in Kapso, under Billing; {GO_ON}"))
            }
            _ => Finding::remark("held", says, format!("see the check `api`; {GO_ON}")),
        });
    }
    Ok(findings)
}
