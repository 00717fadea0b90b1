//! What a migration may do while workers of the version before run: add. A cheap look at the files; what those
//! workers really ask is tried in [`super::statements`].

use anyhow::{Result, ensure};

use crate::earlier::{self, SCHEMA};

/// A migration's statements, in upper case, without comments and without what stands between quotes or dollars.
fn statements(sql: &str) -> Vec<String> {
    let code = |line: &str| line.split("--").next().unwrap_or_default().to_owned();
    let sql: String = sql.lines().map(code).collect::<Vec<_>>().join(" ");
    // Bodies of functions are called by new code, and texts say nothing.
    let outside = |text: &str, quote: &str| text.split(quote).step_by(2).collect::<Vec<_>>().join(" ");
    let sql = outside(&outside(&sql, "$$"), "'").to_uppercase();
    let words = |it: &str| it.split_whitespace().collect::<Vec<_>>().join(" ");
    sql.split(';').map(words).filter(|it| !it.is_empty()).collect()
}

/// Why a worker of the version before could fail by this statement, if it could.
fn takes_away(statement: &str) -> Option<&'static str> {
    let has = |words: &str| statement.contains(words);
    // An index is for speed alone, unless it is unique: then ON CONFLICT may name it, and statements.rs finds out.
    let drops = has("DROP ") && !statement.starts_with("DROP INDEX");
    if drops || has("TRUNCATE ") {
        Some("it takes something away")
    } else if has(" RENAME ") {
        Some("it renames something")
    } else if has("ALTER COLUMN") {
        Some("it changes a column that is there")
    } else if statement.starts_with("ALTER TABLE") && has("ADD COLUMN") && has("NOT NULL") && !has("DEFAULT")
    {
        Some("a row without the new column is refused")
    } else if statement.starts_with("ALTER TABLE")
        && (has("ADD CONSTRAINT") || has("ADD CHECK") || has("ADD UNIQUE"))
    {
        Some("a row that was fine may be refused")
    } else {
        None
    }
}

#[test]
fn every_migration_since_then_only_adds() -> Result<()> {
    let since: Vec<_> = earlier::migrations()?.into_iter().filter(|(version, _)| *version > SCHEMA).collect();
    ensure!(since.len() >= 11, "{}", since.len());
    for (version, sql) in since {
        for statement in statements(&sql) {
            let why = takes_away(&statement);
            ensure!(why.is_none(), "{version}: {}: {statement}", why.unwrap_or_default());
        }
    }
    Ok(())
}

#[test]
fn what_takes_something_away_is_seen() {
    for sql in [
        "ALTER TABLE messages DROP COLUMN body",
        "drop table\n lanes",
        "ALTER TABLE messages RENAME COLUMN body TO text",
        "ALTER TABLE messages ALTER COLUMN body TYPE varchar(10)",
        "ALTER TABLE messages ALTER body SET NOT NULL; ALTER TABLE messages ALTER COLUMN body SET NOT NULL",
        "ALTER TABLE messages ADD COLUMN more text NOT NULL",
        "ALTER TABLE messages ADD CONSTRAINT short CHECK (length(body) < 10)",
    ] {
        assert!(statements(sql).iter().any(|it| takes_away(it).is_some()), "{sql}");
    }
    for sql in [
        "-- what is dropped: DROP TABLE\nALTER TABLE messages ADD COLUMN more boolean NOT NULL DEFAULT false",
        "COMMENT ON TABLE lanes IS 'DROP TABLE'; DROP INDEX slow",
        "CREATE FUNCTION f() RETURNS void LANGUAGE sql AS $$ TRUNCATE x $$",
    ] {
        assert!(statements(sql).iter().all(|it| takes_away(it).is_none()), "{sql}");
    }
}
