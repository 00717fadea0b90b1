//! The whole road: a signed test event, through the public address, into Postgres.
//!
//! The event is of a kind of its own, [`KIND`]. It is archived like everything that is authentic,
//! counts as an item of a kind that we do not know, is projected into nothing, and owes nothing.

mod diagnosis;
mod follow;
mod probe;
mod routing;

use contract::settings::{Environment, SettingsError};
use reqwest::Url;

use self::{
    diagnosis::{Tried, diagnose},
    probe::Signer,
};
use super::{check::Scope, report::Finding};
use crate::{
    ingest_url::IngestUrl,
    tools::post::{Sent, post},
};

pub(crate) use probe::KIND;

/// Where the test event goes.
struct Target {
    url: Url,
    /// What it is called, for a person.
    called: &'static str,
}

/// Sends a test event and follows it.
pub(super) async fn look(scope: &Scope) -> Vec<Finding> {
    match walked(scope).await {
        Ok(findings) => findings,
        Err(SettingsError { variable, problem, remedy }) => {
            vec![Finding::wrong("answer", format!("no test event was sent: {variable} {problem}"), remedy)]
        }
    }
}

async fn walked(scope: &Scope) -> Result<Vec<Finding>, SettingsError> {
    let settings = &scope.settings;
    let signer = Signer::read(settings, Environment::read(settings)?)?;
    let near = IngestUrl::near(settings)?.door();
    let public = public(scope)?;
    let mut findings = Vec::new();
    if public.is_none() && !scope.offline {
        findings.push(Finding::remark(
            "address",
            format!("the public address was not tried, only ingest's own ({near})"),
            "set BUZON_PUBLIC_URL, or give --url: the address that is registered with Kapso",
        ));
    }
    let target = public.unwrap_or_else(|| Target { url: near.clone(), called: "ingest's own address" });

    let event = probe::event();
    let tap = routing::tap(settings).await;
    let headers = signer.headers(&event);
    let sent = post(&scope.http, target.url.clone(), &headers, &event).await;
    let taken = |sent: &Sent| matches!(sent, Sent::Answered(answered) if answered.is_taken());
    if taken(&sent) {
        findings.push(Finding::fine("answer", format!("{} took a signed test event", target.called)));
        findings.push(follow::into_postgres(settings, &event).await);
        findings.extend(routing::look(tap, &event).await);
        return Ok(findings);
    }
    // Why not? The same by ingest's own address, and one that no rewriting changes, tell.
    let by_near =
        if target.url == near { None } else { Some(post(&scope.http, near, &headers, &event).await) };
    let unchangeable = match &sent {
        Sent::Answered(answered) if answered.status == 401 => {
            let headers = signer.headers(probe::UNCHANGEABLE);
            Some(post(&scope.http, target.url.clone(), &headers, probe::UNCHANGEABLE).await)
        }
        _ => None,
    };
    let near_took_it = by_near.as_ref().is_some_and(taken);
    findings.push(diagnose(&Tried { url: &target.url, sent, unchangeable, by_near }));
    if near_took_it {
        findings.push(follow::into_postgres(settings, &event).await);
        findings.extend(routing::look(tap, &event).await);
    }
    Ok(findings)
}

fn public(scope: &Scope) -> Result<Option<Target>, SettingsError> {
    let public = match &scope.url {
        _ if scope.offline => None,
        Some(url) => Some(IngestUrl::given("--url", url)?),
        None => IngestUrl::public(&scope.settings)?,
    };
    Ok(public.map(|public| Target { url: public.door(), called: "the public address" }))
}
