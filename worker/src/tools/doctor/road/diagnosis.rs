//! Why a test event was not taken. Pure: from answers to a finding.

use contract::signature::Refused;
use reqwest::Url;

use super::super::{guide, report::Finding};
use crate::{
    ingest_url::is_here,
    tools::{
        post::{Answered, Failure, Sent},
        screen,
    },
};

/// What was tried.
pub(super) struct Tried<'a> {
    /// Where the test event went.
    pub(super) url: &'a Url,
    /// What came of it.
    pub(super) sent: Sent,
    /// What came of one that no rewriting changes, sent there too.
    pub(super) unchangeable: Option<Sent>,
    /// What came of the same by ingest's own address, where that is another one.
    pub(super) by_near: Option<Sent>,
}

const ABOUT: &str = "answer";
/// Our answer to another path.
const NOTHING_HERE: &str = "Nothing is here";

/// What is wrong.
pub(super) fn diagnose(tried: &Tried<'_>) -> Finding {
    match &tried.sent {
        Sent::Failed { how, why } => unanswered(tried, *how, why),
        Sent::Answered(answered) => refused(tried, answered),
    }
}

/// Whether ingest itself takes what was not taken: then the way to it is at fault.
fn ingest_takes_it(tried: &Tried<'_>) -> bool {
    matches!(&tried.by_near, Some(Sent::Answered(answered)) if answered.is_taken())
}

fn unanswered(tried: &Tried<'_>, how: Failure, why: &str) -> Finding {
    let url = tried.url;
    let runs = if ingest_takes_it(tried) {
        " (ingest itself takes webhooks: the way to it is at fault)"
    } else {
        ""
    };
    match how {
        Failure::Name => Finding::wrong(
            ABOUT,
            format!("there is no host `{}`: {why}{runs}", url.host_str().unwrap_or_default()),
            "check the address, and its entry in the DNS; a tunnel has a new name at each start",
        )
        .named(guide::NOTHING),
        Failure::Refused => Finding::wrong(
            ABOUT,
            format!("nobody listens at {url}{runs}"),
            "is the server running, and open to the world (firewall, security groups, proxy)? For a trial use a tunnel",
        )
        .named(guide::REFUSED),
        Failure::Late => Finding::wrong(
            ABOUT,
            format!("no answer from {url} in time{runs}"),
            "does a firewall drop it? From inside, some networks can't reach their own public address: try from elsewhere",
        )
        .named(guide::REFUSED),
        Failure::Tls => Finding::wrong(
            ABOUT,
            format!("no TLS with {url}: {why}{runs}"),
            "Kapso does not send there either: the proxy needs a certificate that the world trusts",
        ),
        Failure::Other => {
            Finding::wrong(ABOUT, format!("no answer from {url}: {why}{runs}"), "look into the proxy's log")
                .named(guide::REFUSED)
        }
    }
}

fn refused(tried: &Tried<'_>, answered: &Answered) -> Finding {
    let (url, status) = (tried.url, answered.status);
    // Problem details are ours; pages are somebody else's.
    let detail = answered.says("detail");
    let is = |refused: Refused| detail == Some(refused.to_string());
    match (status, detail.as_deref()) {
        (401, Some(_)) if is(Refused::Missing) => Finding::wrong(
            ABOUT,
            format!("the signature headers do not arrive at ingest by {url}"),
            "something between drops them: let the proxy pass X-Webhook-Signature and X-Kapso-Signature on",
        )
        .named(guide::MISSING),
        (401, Some(_)) if is(Refused::Invalid) => invalid(tried),
        (401, Some(_)) => {
            let says = format!("a signature header arrives twice at ingest by {url}");
            Finding::wrong(ABOUT, says, "the proxy adds it once more: let it not")
        }
        (401 | 403 | 407, None) => Finding::wrong(
            ABOUT,
            format!("something before ingest asks for an authentication at {url} ({status})"),
            "Kapso brings none, only its signature: let the path of the webhook through without a login",
        )
        .named(guide::UNAUTHORIZED),
        (404, Some(NOTHING_HERE)) => Finding::wrong(
            ABOUT,
            format!("ingest is there, and nothing is at this path: {url}"),
            "the path is /api/whatsapp/webhook: does the proxy change it?",
        )
        .named(guide::NOTHING),
        (404 | 410, _) => Finding::wrong(
            ABOUT,
            format!("nothing is at {url} ({status}), and that is not ingest's answer"),
            "let the proxy pass /api/whatsapp/webhook on to ingest; is it the right host?",
        )
        .named(guide::NOTHING),
        (405, _) => {
            let says = format!("{url} takes no POST ({status})");
            Finding::wrong(ABOUT, says, "let the proxy pass POST on").named(guide::NOTHING)
        }
        (415, Some(_)) => {
            let says = "the body arrives compressed at ingest".to_owned();
            Finding::wrong(ABOUT, says, "switch the compression of requests off in the proxy")
        }
        (502 | 504, _) | (503, None) => Finding::wrong(
            ABOUT,
            format!("the proxy at {url} does not reach ingest ({status})"),
            "is ingest running, and does the proxy have its address?",
        )
        .named(guide::REFUSED),
        (503, Some(detail)) => Finding::wrong(
            ABOUT,
            format!("ingest can't make webhooks durable: {}", screen::plain(detail)),
            "neither RabbitMQ nor the spool takes them: see the checks `broker` and `ingest`",
        ),
        (300..=399, _) => Finding::wrong(
            ABOUT,
            format!(
                "{url} leads elsewhere ({status}): {}",
                screen::plain(answered.location.as_deref().unwrap_or("nowhere"))
            ),
            "register the address that it leads to: a POST is not led along",
        )
        .named(guide::NOTHING),
        (200, _) => Finding::wrong(
            ABOUT,
            format!("something else than ingest answers 200 at {url}"),
            "is it the right host? Let the proxy pass /api/whatsapp/webhook on to ingest",
        )
        .named(guide::NOTHING),
        (_, detail) => {
            let detail = detail.map(screen::plain).unwrap_or_default();
            let remedy = "docs/TROUBLESHOOTING.md, \"What the answers mean\"; the proxy's log, where it is not ingest's";
            Finding::wrong(ABOUT, format!("{url} answers {status} {detail}"), remedy)
        }
    }
}

/// The signature arrives and does not fit: is it the secret, or the body?
fn invalid(tried: &Tried<'_>) -> Finding {
    let url = tried.url;
    let unchanged_is_taken =
        matches!(&tried.unchangeable, Some(Sent::Answered(answered)) if answered.is_taken());
    if unchanged_is_taken || ingest_takes_it(tried) {
        let how = if unchanged_is_taken { "parses the JSON and writes it anew" } else { "changes the body" };
        return Finding::wrong(
            ABOUT,
            format!("a proxy that rewrites the body: something between {url} and ingest {how}, and no signature fits it any more"),
            "let it pass the bytes as they are (no body parser, no transformation, no inspection that rewrites); the log of ingest says `signed.as`",
        )
        .named(guide::INVALID);
    }
    let elsewhere = if is_here(url) { "" } else { " (or another ingest than this one is behind it)" };
    Finding::wrong(
        ABOUT,
        format!("ingest at {url} has another secret than KAPSO_WEBHOOK_SECRET here{elsewhere}"),
        "make KAPSO_WEBHOOK_SECRET identical everywhere: in Kapso, for ingest, and here; then restart ingest",
    )
    .named(guide::INVALID)
}
