//! Kapso's API and our token, by a listing: it changes nothing there.

use contract::settings::Secret;
use reqwest::Url;
use time::{Duration, OffsetDateTime};

use super::{check::Scope, report::Finding};
use crate::{
    kapso::{
        Answer, Api, ApiStyle, Client,
        listing::{Asked, NumberPage},
    },
    tools::screen,
};

/// One of Kapso's APIs, as our settings have it.
struct Place<'a> {
    /// What is asked about.
    about: &'static str,
    /// The setting that says where it is.
    variable: &'static str,
    base: &'a Url,
    style: ApiStyle,
}

/// Asks for one page, of each API that is called.
pub(super) async fn look(scope: &Scope) -> Vec<Finding> {
    const ABOUT: &str = "token";
    let api = match Api::read(&scope.settings) {
        Ok(api) => api,
        Err(error) => {
            return vec![Finding::wrong(
                ABOUT,
                format!("{} {}", error.variable, error.problem),
                error.remedy,
            )];
        }
    };
    let Some(token) = &api.token else {
        return vec![Finding::remark(ABOUT, "Kapso's API was not asked", "set KAPSO_API_TOKEN")];
    };
    let number = scope.settings.text("KAPSO_PHONE_NUMBER_ID");
    let place = Place { about: ABOUT, variable: "KAPSO_API_BASE_URL", base: &api.base, style: api.style };
    let mut findings = vec![place.asked(token, number.as_ref()).await];
    // It lists by our number. Where that is not set, marks take it from their events.
    if let (Some(base), Some(_)) = (&api.proxy, &number) {
        let style = ApiStyle::MetaProxy;
        let place = Place { about: "marks", variable: "KAPSO_META_PROXY_URL", base, style };
        findings.push(place.asked(token, number.as_ref()).await);
    }
    findings
}

impl Place<'_> {
    async fn asked(&self, token: &Secret, number: Option<&String>) -> Finding {
        let Ok(client) = Client::new(self.base.clone(), token) else {
            return Finding::wrong(
                self.about,
                "KAPSO_API_TOKEN can't be used",
                "give the API key as Kapso shows it",
            );
        };
        let client = if self.style == ApiStyle::MetaProxy { client.of_a_proxy() } else { client };
        let answer = match (self.style, number) {
            (ApiStyle::Conversation, _) => client.list(&Asked::Configs(1)).await,
            (ApiStyle::MetaProxy, Some(phone_number_id)) => {
                let (phone_number_id, until) = (phone_number_id.clone(), OffsetDateTime::now_utc());
                let since = until - Duration::minutes(1);
                let page = NumberPage { phone_number_id, since, until, after: None };
                client.list(&Asked::MessagesOfNumber(&page)).await
            }
            (ApiStyle::MetaProxy, None) => {
                let remedy = "set KAPSO_PHONE_NUMBER_ID, which the Meta proxy needs for events that do not name our number";
                let says = "Kapso's API was not asked: KAPSO_PHONE_NUMBER_ID is not set";
                return Finding::remark(self.about, says, remedy);
            }
        };
        self.judged(&answer)
    }

    fn judged(&self, answer: &Answer) -> Finding {
        let Self { about, variable, base, .. } = self;
        let host = base.host_str().unwrap_or_default();
        let response = match answer {
            Answer::Response(response) => response,
            Answer::NotAsked(why) | Answer::NotSent(why) | Answer::Lost(why) => {
                let says = format!("Kapso's API at {host} does not answer: {why}");
                let remedy = format!("is {variable} right, and may this machine reach it (DNS, firewall)?");
                return Finding::wrong(about, says, remedy);
            }
        };
        let said = screen::plain(&response.summary());
        match response.status {
            200..300 => Finding::fine(about, format!("Kapso's API at {host} takes our token")),
            300..=399 => Finding::wrong(
                about,
                format!("Kapso's API at {host} says that it is elsewhere: {said}"),
                format!("check {variable}: it is called without following redirects"),
            ),
            401 | 403 => Finding::wrong(
                about,
                format!("Kapso refuses the token: {said}"),
                "put the API key of this project into KAPSO_API_TOKEN, and restart the workers",
            ),
            404 => Finding::wrong(
                about,
                format!("Kapso knows nothing at this address: {said}"),
                format!("check {variable} and KAPSO_PHONE_NUMBER_ID"),
            ),
            429 => Finding::remark(
                about,
                format!("Kapso's limit is reached: {said}"),
                "set BUZON_API_CALLS_A_MINUTE to what your plan has, less some",
            ),
            _ => Finding::remark(
                about,
                format!("Kapso's API is not well: {said}"),
                "it passes; look again in a minute",
            ),
        }
    }
}
