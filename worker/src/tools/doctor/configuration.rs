//! The settings: are they there, can they be read, do they go together.

use std::time::Duration;

use contract::{
    broker::Broker,
    secrets,
    settings::{Environment, Settings, SettingsError},
};
use reqwest::Url;

use super::{check::Scope, guide, report::Finding, values::oddity};
use crate::{
    ingest_url::{IngestUrl, is_here, is_local},
    kapso::REQUEST_TIMEOUT,
    settings::RunSettings,
};

/// How long Kapso waits for an answer. Source: Kapso's documentation, "Webhooks".
const KAPSO_WAITS: Duration = Duration::from_secs(10);
/// How long ingest takes for an answer once it has the body, at the most (`ingest/src/keep`).
const ANSWER_WITHIN: Duration = Duration::from_millis(2_500);
/// How long the platform waits before it kills, unless `BUZON_STOP_GRACE_SECONDS` says otherwise: Kubernetes' default,
/// and that of our compose file. No program can ask for it.
const STOP_GRACE_SECONDS: u64 = 30;
/// What a stop of ingest needs for itself: an answer under way, and the goodbye to its broker.
const STOP_NEEDS: Duration = Duration::from_secs(6);

/// The queues, of which two archive ahead, the slow lane, the dispatcher and the detector: each may want a connection.
const CONNECTION_USERS: u32 = 8;

/// Looks at the settings of both programs, as far as this one sees them.
pub(super) fn look(scope: &Scope) -> Vec<Finding> {
    let settings = &scope.settings;
    let mut findings = vec![readable(settings), secret(settings), token(settings)];
    findings.push(connections(settings));
    findings
        .extend([timeouts(settings), sizes(settings)].map(|looked| looked.unwrap_or_else(malformed_again)));
    findings
}

fn readable(settings: &Settings) -> Finding {
    let read = RunSettings::read(settings)
        .map(drop)
        .and_then(|()| secrets::webhook(settings).map(drop))
        .and_then(|()| secrets::meta_app(settings).map(drop))
        .and_then(|()| numbers_of_ingest(settings));
    match read {
        Ok(()) => Finding::fine("settings", "all can be read"),
        Err(SettingsError { variable, problem, remedy }) => {
            Finding::wrong("settings", format!("{variable} {problem}"), remedy)
        }
    }
}

/// Those of ingest's settings that are numbers: it does not start with one that is none.
fn numbers_of_ingest(settings: &Settings) -> Result<(), SettingsError> {
    for name in [
        "BUZON_MAX_BODY_BYTES",
        "BUZON_MAX_INFLIGHT_BYTES",
        "BUZON_BODY_DEADLINE_MS",
        "BUZON_SPOOL_MAX_BYTES",
        "BUZON_SPOOL_ALARM_SECONDS",
    ] {
        settings.parsed::<u64>(name, 0, "a number")?;
    }
    IngestUrl::near(settings).and_then(|_| IngestUrl::of_figures(settings)).map(drop)
}

/// Told by `settings` already: this only says what could not be looked at.
fn malformed_again(error: SettingsError) -> Finding {
    Finding::remark(
        "settings",
        format!("{} can't be read, so nothing is said of it", error.variable),
        error.remedy,
    )
}

fn secret(settings: &Settings) -> Finding {
    const ABOUT: &str = "secret";
    const REMEDY: &str = "copy it from the webhook in Kapso, character for character; in .env: \
                          KAPSO_WEBHOOK_SECRET='…'";
    let (all, meta) = match (secrets::webhook(settings), secrets::meta_app(settings)) {
        (Ok(all), Ok(meta)) => (all, meta),
        (Err(error), _) | (_, Err(error)) => {
            return Finding::wrong(ABOUT, format!("{} {}", error.variable, error.problem), error.remedy);
        }
    };
    let odd = all.iter().chain(&meta).find_map(|secret| oddity(secret.expose()));
    match (all.first().or(meta.as_ref()), odd) {
        (_, Some(odd)) => {
            Finding::wrong(ABOUT, format!("a webhook secret {odd}"), REMEDY).named(guide::INVALID)
        }
        (Some(_), None) if all.is_empty() => Finding::fine(ABOUT, "KAPSO_META_APP_SECRET is set"),
        (Some(_), None) => Finding::fine(ABOUT, "KAPSO_WEBHOOK_SECRET is set"),
        (None, None) if is_development(settings) => Finding::remark(
            ABOUT,
            "KAPSO_WEBHOOK_SECRET is not set, or empty: anybody can send webhooks",
            "only for a trial that nobody else can reach (BUZON_ENV=development)",
        ),
        (None, None) => Finding::wrong(
            ABOUT,
            "KAPSO_WEBHOOK_SECRET is not set, or empty: ingest does not start without it",
            REMEDY,
        ),
    }
}

fn token(settings: &Settings) -> Finding {
    const ABOUT: &str = "token";
    const VARIABLE: &str = "KAPSO_API_TOKEN";
    const REMEDY: &str = "copy the API key from Kapso; in .env: KAPSO_API_TOKEN='…'";
    let off = settings.text("BUZON_EFFECTS").is_some_and(|text| text == "off");
    match settings.secret(VARIABLE) {
        Err(error) => Finding::wrong(ABOUT, format!("{} {}", error.variable, error.problem), error.remedy),
        Ok(None) => {
            Finding::remark(ABOUT, format!("{VARIABLE} is not set: all is stored, nothing is sent"), REMEDY)
        }
        Ok(Some(token)) => match oddity(token.expose()) {
            Some(odd) => Finding::wrong(ABOUT, format!("{VARIABLE} {odd}"), REMEDY),
            None if off => Finding::remark(
                ABOUT,
                "BUZON_EFFECTS is off: what would be sent is recorded, nothing is sent",
                "take BUZON_EFFECTS=off away when the trial is over",
            ),
            None => Finding::fine(ABOUT, format!("{VARIABLE} is set")),
        },
    }
}

/// What leaves this machine unencrypted. Private networks are like that, so it is a remark.
fn connections(settings: &Settings) -> Finding {
    const ABOUT: &str = "connections";
    const ADDRESSES: [&str; 5] = [
        "KAPSO_API_BASE_URL",
        "KAPSO_META_PROXY_URL",
        "KAPSO_PLATFORM_URL",
        "BUZON_PUBLIC_URL",
        "BUZON_ALERT_URL",
    ];
    let mut plain: Vec<&str> = ADDRESSES
        .into_iter()
        .filter(|name| {
            let url = settings.text(name).and_then(|text| Url::parse(text.trim()).ok());
            url.is_some_and(|url| url.scheme() == "http" && !is_here(&url))
        })
        .collect();
    if let Ok(broker) = Broker::from_settings(settings, "buzon-doctor")
        && !broker.is_encrypted()
        && !is_local(broker.authority().0)
    {
        plain.push("AMQP_URL");
    }
    if plain.is_empty() || is_development(settings) {
        return Finding::fine(ABOUT, "nothing leaves this machine unencrypted that need not");
    }
    Finding::remark(
        ABOUT,
        format!("unencrypted beyond this machine: {}", plain.join(", ")),
        "on a private network that is as usual; elsewhere give https:// and amqps:// addresses",
    )
}

/// Time-outs against each other.
fn timeouts(settings: &Settings) -> Result<Finding, SettingsError> {
    const ABOUT: &str = "time-outs";
    let milliseconds = |name: &str, default| {
        settings.parsed(name, default, "a number of milliseconds").map(Duration::from_millis)
    };
    let body = milliseconds("BUZON_BODY_DEADLINE_MS", 5_000)?;
    let stop = milliseconds("BUZON_SHUTDOWN_DEADLINE_MS", 20_000)?;
    let grace = settings.parsed("BUZON_STOP_GRACE_SECONDS", STOP_GRACE_SECONDS, "a number of seconds")?;
    let grace = Duration::from_secs(grace);
    let assumed = if settings.text("BUZON_STOP_GRACE_SECONDS").is_none() { " (assumed)" } else { "" };
    let needed = REQUEST_TIMEOUT.max(STOP_NEEDS);
    Ok(if body + ANSWER_WITHIN > KAPSO_WAITS {
        Finding::remark(
            ABOUT,
            format!("a body may take {body:?} and its answer 2.5 s: Kapso gives up after 10 s"),
            "set BUZON_BODY_DEADLINE_MS to 7500 or less",
        )
    } else if stop >= grace {
        Finding::remark(
            ABOUT,
            format!("stopping may take {stop:?}, and the platform kills after {grace:?}{assumed}"),
            "set BUZON_SHUTDOWN_DEADLINE_MS below the platform's grace, or raise that (compose: stop_grace_period) and \
             say so in BUZON_STOP_GRACE_SECONDS",
        )
    } else if stop <= needed {
        Finding::remark(
            ABOUT,
            format!(
                "stopping may take {stop:?}: a call of Kapso's API under way ({REQUEST_TIMEOUT:?}) is cut off, and its end unknown"
            ),
            format!("set BUZON_SHUTDOWN_DEADLINE_MS above {}", needed.as_millis()),
        )
    } else {
        let stop = format!("stop {stop:?} of {grace:?}{assumed}");
        Finding::fine(ABOUT, format!("they fit: body {body:?}, call {REQUEST_TIMEOUT:?}, {stop}"))
    })
}

/// What a worker takes at once, against what it has for it.
fn sizes(settings: &Settings) -> Result<Finding, SettingsError> {
    const ABOUT: &str = "sizes";
    let prefetch: u32 = settings.parsed("BUZON_PREFETCH", 1000, "a number from 1 to 2000")?;
    let window: u32 = settings.parsed("BUZON_WINDOW", 250, "a number of deliveries, at least 1")?;
    let pool: u32 =
        settings.parsed("BUZON_DATABASE_CONNECTIONS", 10, "a number of connections, at least 1")?;
    Ok(if window > prefetch {
        Finding::remark(
            ABOUT,
            format!(
                "BUZON_WINDOW ({window}) is more than BUZON_PREFETCH ({prefetch}): a window is never full"
            ),
            "set BUZON_PREFETCH to twice the window, or more",
        )
    } else if pool < CONNECTION_USERS {
        Finding::remark(
            ABOUT,
            format!(
                "BUZON_DATABASE_CONNECTIONS ({pool}) is few: {CONNECTION_USERS} tasks of a worker share them"
            ),
            format!("set it to {CONNECTION_USERS} or more"),
        )
    } else {
        Finding::fine(ABOUT, format!("they fit: prefetch {prefetch}, window {window}, pool {pool}"))
    })
}

fn is_development(settings: &Settings) -> bool {
    Environment::read(settings).is_ok_and(|environment| environment == Environment::Development)
}
