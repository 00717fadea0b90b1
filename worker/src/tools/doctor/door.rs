//! ingest: is it there and ready, what is in its spool, and whom did it refuse.

use std::path::Path;

use reqwest::{StatusCode, Url};
use serde_json::Value;

use super::{check::Scope, figures::Figures, guide, report::Finding};
use crate::{
    ingest_url::IngestUrl,
    kapso::{
        self,
        body::{self, MAX_ANSWER},
    },
    tools::screen,
};

/// A spool fuller than this is near its end.
const NEARLY_FULL: f64 = 0.8;

/// A disk with less room than this is near its end, in bytes: what the spool may take, unless configured.
const LITTLE_ROOM: u64 = 1024 * 1024 * 1024;

/// Looks at ingest from outside.
pub(super) async fn look(scope: &Scope) -> Vec<Finding> {
    let malformed = |error: contract::settings::SettingsError| {
        vec![Finding::wrong("ready", format!("{} {}", error.variable, error.problem), error.remedy)]
    };
    let places = (IngestUrl::near(&scope.settings), IngestUrl::of_figures(&scope.settings));
    let (readiness, figures) = match places {
        (Ok(near), Ok(figures)) => (near.below("/readyz"), figures.below("/metrics")),
        (Err(error), _) | (_, Err(error)) => return malformed(error),
    };
    let mut findings = vec![ready(&scope.http, readiness).await];
    match get(&scope.http, figures.clone()).await {
        Ok((StatusCode::OK, page)) => {
            let figures = Figures::of(&page);
            findings.push(spool(&figures));
            findings.push(signatures(&figures));
        }
        _ => findings.push(Finding::remark(
            "figures",
            format!("ingest's figures can't be read at {figures}: nothing is said of its spool and of whom it refused"),
            "run this beside ingest, or set BUZON_INGEST_METRICS_URL to where they are",
        )),
    }
    findings.extend(room(scope.settings.text("BUZON_SPOOL_DIR").as_deref().unwrap_or("buzon-spool")));
    findings
}

async fn get(http: &reqwest::Client, url: Url) -> reqwest::Result<(StatusCode, String)> {
    let answer = http.get(url).send().await?;
    let status = answer.status();
    // One that is too long, or breaks off, is none of ingest's.
    Ok((status, body::text(answer, MAX_ANSWER).await.unwrap_or_default()))
}

async fn ready(http: &reqwest::Client, url: Url) -> Finding {
    const ABOUT: &str = "ready";
    let place = url.clone();
    match get(http, url).await {
        Ok((StatusCode::OK, body)) => {
            let parts: Value = serde_json::from_str(&body).unwrap_or_default();
            match parts.get("broker").and_then(Value::as_str) {
                Some(broker) if broker.starts_with("ok") => Finding::fine(ABOUT, "ingest takes webhooks"),
                Some(broker) => Finding::remark(
                    ABOUT,
                    format!(
                        "ingest takes webhooks into its spool, since its broker is not well: {}",
                        screen::plain(broker)
                    ),
                    "see the check `broker`; the spool drains by itself",
                ),
                None => Finding::wrong(
                    ABOUT,
                    format!("something else than ingest answers at {place}"),
                    "set BUZON_INGEST_URL to where ingest is, or free its port",
                ),
            }
        }
        Ok((status, body)) => Finding::wrong(
            ABOUT,
            format!("ingest at {place} is not ready ({status}): {}", screen::plain(body.trim())),
            "its log says more; neither RabbitMQ nor its spool takes webhooks",
        ),
        Err(error) => Finding::wrong(
            ABOUT,
            format!("nobody answers at {place} ({})", kapso::cause(&error)),
            "start ingest; where it is on another machine, set BUZON_INGEST_URL",
        )
        .named(guide::REFUSED),
    }
}

fn spool(figures: &Figures<'_>) -> Finding {
    const ABOUT: &str = "spool";
    let value = |name| figures.value(name).unwrap_or_default();
    let (webhooks, oldest) = (value("buzon_spool_webhooks"), value("buzon_spool_oldest_seconds"));
    let full = value("buzon_spool_bytes") / value("buzon_spool_max_bytes").max(1.0);
    let unreadable = value("buzon_spool_unreadable_total");
    let says =
        format!("{webhooks} webhooks wait in it, the oldest for {oldest:.0} s; {:.0} % full", full * 100.0);
    if unreadable > 0.0 {
        let remedy = "docs/TROUBLESHOOTING.md, \"The spool\": what `.damaged` files are";
        Finding::wrong(ABOUT, format!("{unreadable} parts of it can't be read"), remedy)
    } else if full > NEARLY_FULL {
        Finding::wrong(ABOUT, says, "bring RabbitMQ back: it drains. Or raise BUZON_SPOOL_MAX_BYTES")
    } else if webhooks > 0.0 {
        Finding::remark(ABOUT, says, "it drains when RabbitMQ takes webhooks; the log of ingest says why not")
    } else {
        Finding::fine(ABOUT, "nothing waits in it")
    }
}

/// Whom ingest refused since its start.
fn signatures(figures: &Figures<'_>) -> Finding {
    const ABOUT: &str = "signatures";
    let refused = |reason: &str| {
        let label = format!("reason=\"{reason}\"");
        figures.with("buzon_webhooks_unauthenticated_total", &label).unwrap_or_default()
    };
    let taken = figures.with("buzon_webhooks_received_total", "status=\"200\"").unwrap_or_default();
    let since = "since ingest started";
    if refused("rewritten") > 0.0 {
        return Finding::wrong(
            ABOUT,
            format!("{} webhooks were rewritten on their way {since}: their signature fits the same JSON in another form", refused("rewritten")),
            "a proxy before ingest parses the body and writes it anew: let it pass the bytes as they are",
        )
        .named(guide::INVALID);
    }
    if refused("invalid") > 0.0 {
        let says =
            format!("{} webhooks had a wrong signature {since}, {taken} were taken", refused("invalid"));
        let remedy = "if they were Kapso's: KAPSO_WEBHOOK_SECRET has to be identical on both sides, character for character";
        return Finding::remark(ABOUT, says, remedy).named(guide::INVALID);
    }
    if refused("missing") > 0.0 {
        let says = format!("{} webhooks had no signature {since}, {taken} were taken", refused("missing"));
        let remedy =
            "if they were Kapso's: look at the webhook's secret in Kapso, and whether a proxy drops headers";
        return Finding::remark(ABOUT, says, remedy).named(guide::MISSING);
    }
    if refused("duplicate") > 0.0 {
        let says = format!("{} webhooks had their signature header twice {since}", refused("duplicate"));
        return Finding::remark(ABOUT, says, "a proxy adds the header once more: let it not");
    }
    Finding::fine(ABOUT, format!("none was refused {since}, {taken} were taken"))
}

/// The room on the disk of the spool, where this machine has it.
fn room(directory: &str) -> Option<Finding> {
    const ABOUT: &str = "disk";
    let found = rustix::fs::statvfs(Path::new(directory)).ok()?;
    let free = found.f_bavail.saturating_mul(found.f_frsize);
    let gigabytes = |bytes: u64| bytes as f64 / 1e9;
    let says = format!("{:.1} GB are free where the spool is", gigabytes(free));
    Some(if free < LITTLE_ROOM {
        Finding::remark(ABOUT, says, "free the disk: while RabbitMQ is away, webhooks wait there")
    } else {
        Finding::fine(ABOUT, says)
    })
}
