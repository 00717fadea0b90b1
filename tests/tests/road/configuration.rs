//! Configuration: what is missing or malformed stops the start with one line, and values are taken verbatim.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use harness::process::Launch;
use harness::product::{self, Finished, Product, READY_DEADLINE, Settings, binaries};
use harness::{ports, scratch, sign};

use crate::scene::{Road, kapso};

const EXIT_USAGE: i32 = 64;

/// One that starts all the same is not waited for any longer.
const END_DEADLINE: Duration = Duration::from_secs(10);

/// In every value that could be a secret.
const PRIVATE: &str = "muy-secreto";

const DATABASE_URL: &str = "postgres://buzon:muy-secreto@127.0.0.1:1/buzon";
const AMQP_URL: &str = "amqp://buzon:muy-secreto@127.0.0.1:1/buzon";

/// A setting that is wrong, and what the line says of it.
struct Wrong {
    program: &'static str,
    changes: &'static [(&'static str, &'static str)],
    told: &'static str,
}

const fn wrong(
    program: &'static str,
    changes: &'static [(&'static str, &'static str)],
    told: &'static str,
) -> Wrong {
    Wrong { program, changes, told }
}

const EVERY_WRONG: &[Wrong] = &[
    wrong(
        "worker",
        &[("DATABASE_URL", "")],
        "DATABASE_URL is not set: give postgres://user:password@host:5432/database",
    ),
    wrong("worker", &[("DATABASE_URL", "muy-secreto")], "DATABASE_URL is malformed: give postgres://"),
    wrong(
        "worker",
        &[("DATABASE_URL", "mysql://u:muy-secreto@h/d")],
        "DATABASE_URL is malformed: give postgres://",
    ),
    wrong(
        "worker",
        &[("DATABASE_URL", "postgres://u:muy-secreto@h:port/d")],
        "DATABASE_URL is malformed: give postgres://",
    ),
    wrong("worker", &[("AMQP_URL", "")], "AMQP_URL is not set: give amqp://user:password@host:5672/vhost"),
    wrong("worker", &[("AMQP_URL", "http://u:muy-secreto@h/v")], "AMQP_URL is malformed: give amqp://"),
    wrong(
        "worker",
        &[("KAPSO_API_BASE_URL", "app.kapso.ai")],
        "KAPSO_API_BASE_URL is malformed: give an address such as https://app.kapso.ai/api/v1",
    ),
    wrong("worker", &[("KAPSO_API_BASE_URL", "ftp://app.kapso.ai")], "KAPSO_API_BASE_URL is malformed: give"),
    wrong("worker", &[("KAPSO_API_TOKEN", "muy-secreto\nde dos")], "KAPSO_API_TOKEN is malformed: give"),
    wrong(
        "worker",
        &[("KAPSO_API_TOKEN_FILE", "/no/such/file")],
        "KAPSO_API_TOKEN_FILE names a file that can't be read",
    ),
    wrong(
        "worker",
        &[("KAPSO_API_TOKEN", "muy-secreto"), ("KAPSO_API_TOKEN_FILE", "/no/such/file")],
        "KAPSO_API_TOKEN is set twice: set only one of KAPSO_API_TOKEN and KAPSO_API_TOKEN_FILE",
    ),
    wrong(
        "worker",
        &[("DATABASE_URL", ""), ("DATABASE_URL_FILE", "/no/such/file")],
        "DATABASE_URL_FILE names a file that can't be read",
    ),
    wrong("worker", &[("BUZON_ENV", "staging")], "BUZON_ENV is malformed: give development or production"),
    wrong("worker", &[("BUZON_EFFECTS", "maybe")], "BUZON_EFFECTS is malformed: give on or off"),
    wrong(
        "worker",
        &[("BUZON_PREFETCH", "many")],
        "BUZON_PREFETCH is malformed: give a number from 1 to 2000",
    ),
    // To the broker, 0 means without limit.
    wrong("worker", &[("BUZON_PREFETCH", "0")], "BUZON_PREFETCH is malformed: give a number from 1 to 2000"),
    wrong(
        "worker",
        &[("BUZON_PREFETCH", "2001")],
        "BUZON_PREFETCH is malformed: give a number from 1 to 2000",
    ),
    wrong("worker", &[("BUZON_WINDOW", "wide")], "BUZON_WINDOW is malformed: give"),
    wrong("worker", &[("BUZON_WINDOW", "0")], "BUZON_WINDOW is malformed: give"),
    wrong("worker", &[("BUZON_DATABASE_CONNECTIONS", "0")], "BUZON_DATABASE_CONNECTIONS is malformed: give"),
    wrong(
        "worker",
        &[("BUZON_REPLY_MAX_AGE_SECONDS", "15m")],
        "BUZON_REPLY_MAX_AGE_SECONDS is malformed: give",
    ),
    wrong(
        "worker",
        &[("BUZON_REPLY_MAX_AGE_SECONDS", "-1")],
        "BUZON_REPLY_MAX_AGE_SECONDS is malformed: give",
    ),
    wrong(
        "worker",
        &[("BUZON_SHUTDOWN_DEADLINE_MS", "soon")],
        "BUZON_SHUTDOWN_DEADLINE_MS is malformed: give a number of milliseconds",
    ),
    wrong(
        "worker",
        &[("BUZON_WORKER_METRICS_ADDR", "9102")],
        "BUZON_WORKER_METRICS_ADDR is malformed: give an address such as 127.0.0.1:9102",
    ),
    wrong("worker", &[("RUST_LOG", "worker=loud")], "RUST_LOG is malformed"),
    wrong("ingest", &[("AMQP_URL", "")], "AMQP_URL is not set: give amqp://user:password@host:5672/vhost"),
    wrong("ingest", &[("AMQP_URL", "muy-secreto")], "AMQP_URL is malformed: give amqp://"),
    wrong(
        "ingest",
        &[("KAPSO_WEBHOOK_SECRET", "")],
        "KAPSO_WEBHOOK_SECRET is not set, so anybody could send webhooks: give the secret",
    ),
    wrong(
        "ingest",
        &[("KAPSO_WEBHOOK_SECRET", ""), ("KAPSO_WEBHOOK_SECRET_FILE", "/no/such/file")],
        "KAPSO_WEBHOOK_SECRET_FILE names a file that can't be read",
    ),
    wrong("ingest", &[("KAPSO_WEBHOOK_SECRET_FILE", "/no/such/file")], "KAPSO_WEBHOOK_SECRET is set twice"),
    wrong("ingest", &[("BUZON_ENV", "staging")], "BUZON_ENV is malformed: give development or production"),
    wrong(
        "ingest",
        &[("INGEST_ADDR", "8000")],
        "INGEST_ADDR is malformed: give an address such as 0.0.0.0:8000",
    ),
    wrong(
        "ingest",
        &[("BUZON_INGEST_METRICS_ADDR", "here")],
        "BUZON_INGEST_METRICS_ADDR is malformed: give an address",
    ),
    wrong(
        "ingest",
        &[("BUZON_MAX_BODY_BYTES", "5 MB")],
        "BUZON_MAX_BODY_BYTES is malformed: give a number of bytes",
    ),
    wrong(
        "ingest",
        &[("BUZON_MAX_INFLIGHT_BYTES", "1")],
        "BUZON_MAX_INFLIGHT_BYTES is less than BUZON_MAX_BODY_BYTES",
    ),
    wrong(
        "ingest",
        &[("BUZON_BODY_DEADLINE_MS", "5s")],
        "BUZON_BODY_DEADLINE_MS is malformed: give a number of milliseconds",
    ),
    wrong("ingest", &[("BUZON_SHUTDOWN_DEADLINE_MS", "-1")], "BUZON_SHUTDOWN_DEADLINE_MS is malformed: give"),
];

/// Settings with which both programs would start.
fn right() -> Settings {
    let right = [
        ("DATABASE_URL", DATABASE_URL),
        ("AMQP_URL", AMQP_URL),
        ("KAPSO_WEBHOOK_SECRET", PRIVATE),
        ("INGEST_ADDR", "127.0.0.1:0"),
        ("BUZON_INGEST_METRICS_ADDR", "127.0.0.1:0"),
        ("BUZON_WORKER_METRICS_ADDR", "127.0.0.1:0"),
    ];
    right.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}

#[tokio::test]
async fn what_is_wrong_is_named_in_one_line_with_its_remedy() -> Result<()> {
    let dir = scratch::dir()?;
    let mut failures = Vec::new();
    for Wrong { program, changes, told } in EVERY_WRONG {
        let mut settings = right();
        for (variable, value) in *changes {
            settings.insert((*variable).to_owned(), (*value).to_owned());
        }
        let args = if *program == "ingest" { &["run"][..] } else { &[] };
        match product::finish(program, args, &settings, &dir, END_DEADLINE).await {
            Ok(Finished { code, log }) => {
                let line = log.trim_end().strip_prefix(&format!("{program}: ")).unwrap_or_default();
                let good = code == Some(EXIT_USAGE)
                    && line.lines().count() == 1
                    && line.starts_with(told)
                    && !log.contains(PRIVATE);
                if !good {
                    failures.push(format!("{program} {changes:?}: {code:?} {log}"));
                }
            }
            Err(error) => failures.push(format!("{program} {changes:?}: {error:#}")),
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    Ok(())
}

/// What the door and the hands make of a value says whether it was taken as it was meant.
struct Verbatim {
    road: Road,
    secret: &'static str,
    token: &'static str,
}

impl Verbatim {
    /// A Kapso that takes nothing but this secret and this token.
    async fn new(secret: &'static str, token: &'static str) -> Result<Self> {
        let kapso = kapso_sim::SimConfig {
            webhook_secret: Some(secret.to_owned()),
            api_key: Some(token.to_owned()),
            ..kapso()
        };
        Ok(Self { road: Road::beside(kapso).await?, secret, token })
    }

    /// The names and values that the programs are to find somewhere.
    fn values(&self) -> Vec<(&'static str, String)> {
        let of_the_stage = |variable| (variable, self.road.stage.setting(variable).to_owned());
        vec![
            of_the_stage("DATABASE_URL"),
            of_the_stage("AMQP_URL"),
            ("KAPSO_WEBHOOK_SECRET", self.secret.to_owned()),
            ("KAPSO_API_TOKEN", self.token.to_owned()),
        ]
    }

    /// Starts both in directories that `furnish` fills, with nothing of these values in their environment.
    async fn works(&self, furnish: impl Fn(&Path) -> Result<Settings>) -> Result<()> {
        let door = self.road.stage.webhook_url();
        let door = door.split('/').nth(2).context("an address")?.to_owned();
        let metrics = [ports::loopback(ports::free()?), ports::loopback(ports::free()?)];
        let open = [
            ("INGEST_ADDR", door.clone()),
            ("BUZON_INGEST_METRICS_ADDR", metrics[0].to_string()),
            ("BUZON_WORKER_METRICS_ADDR", metrics[1].to_string()),
            ("KAPSO_API_BASE_URL", self.road.sim.conversation_api_url()),
        ];
        let mut programs = Vec::new();
        for (program, http) in [("ingest", door.parse()?), ("worker", metrics[1])] {
            let dir = scratch::dir()?;
            let furnished = furnish(&dir)?;
            let launch =
                Launch::new(program, binaries::path(program)?, &dir).envs(open.clone()).envs(furnished);
            let mut program = Product::watch(launch.start()?, http);
            program.ready(READY_DEADLINE).await?;
            programs.push(program);
        }
        let asked = [self.road.asks(0)];
        self.road.each_answered_once(&asked).await
    }
}

#[tokio::test]
async fn a_dotenv_file_is_read_and_single_quotes_keep_values_verbatim() -> Result<()> {
    let there = Verbatim::new(r#"a $HOME #1 "secret" \n ñ = ${X} `x`"#, r##"to"k\en $1#2"##).await?;
    there
        .works(|dir| {
            let lines = there.values().into_iter().map(|(name, value)| format!("{name}='{value}'\n"));
            let text = format!("# What Buzón is told.\n\n{}", lines.collect::<String>());
            std::fs::write(dir.join(".env"), text)?;
            Ok(Settings::new())
        })
        .await
}

#[tokio::test]
async fn each_secret_may_come_from_a_file() -> Result<()> {
    let there = Verbatim::new("a secret with a space at its end ", "to$ken").await?;
    there
        .works(|dir| {
            let mut settings = Settings::new();
            for (name, value) in there.values() {
                let file = dir.join(name);
                // The line break is the editor's, not the secret's.
                std::fs::write(&file, format!("{value}\n"))?;
                settings.insert(format!("{name}_FILE"), file.display().to_string());
            }
            Ok(settings)
        })
        .await
}

#[tokio::test]
async fn the_environment_is_over_the_dotenv_file() -> Result<()> {
    let there = Verbatim::new("the right one", "the-right-one").await?;
    there
        .works(|dir| {
            std::fs::write(dir.join(".env"), "KAPSO_WEBHOOK_SECRET='wrong'\nKAPSO_API_TOKEN='wrong'\n")?;
            Ok(there.values().into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
        })
        .await
}

#[tokio::test]
async fn a_dotenv_file_that_can_not_be_read_stops_the_start() -> Result<()> {
    for program in ["ingest", "worker"] {
        let dir = scratch::dir()?;
        std::fs::write(dir.join(".env"), "KAPSO_API_TOKEN='muy-secreto\n")?;
        let mut process = Launch::new(program, binaries::path(program)?, &dir).envs(right()).start()?;
        let status = process.end(READY_DEADLINE).await?;
        let log = process.log();
        ensure!(status.code() == Some(EXIT_USAGE), "{status}: {log}");
        ensure!(log.contains(".env has a line that can't be parsed") && log.lines().count() == 1, "{log}");
        ensure!(!log.contains(PRIVATE), "{log}");
    }
    Ok(())
}

/// A rotated secret: both are good for as long as both are configured.
#[tokio::test]
async fn more_secrets_come_separated_by_white_space() -> Result<()> {
    let mut road = Road::new().await?;
    road.stage.set("KAPSO_WEBHOOK_SECRETS", "older\n  oldest\t");
    let _programs = road.open().await?;
    for (index, secret) in [harness::stage::SECRET, "older", "oldest"].into_iter().enumerate() {
        let body = format!(r#"{{"event_type":"a.test","n":{index}}}"#);
        let signature = sign::hex(secret, body.as_bytes())?;
        let answer = road.stage.post(body, &[("X-Kapso-Signature", &signature)]).await?;
        ensure!(answer.status() == 200, "{secret}");
    }
    harness::wait::until("three rows", READY_DEADLINE, async || -> Result<bool> {
        let by = road.texts("SELECT verified_by FROM webhooks ORDER BY convert_from(body, 'UTF8')").await?;
        ensure!(by == ["secret:0", "secret:1", "secret:2"], "{by:?}");
        Ok(true)
    })
    .await
}
