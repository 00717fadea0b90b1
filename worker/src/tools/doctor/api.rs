//! Kapso's API and our token, by a listing: it changes nothing there.

use time::{Duration, OffsetDateTime};

use super::{check::Scope, report::Finding};
use crate::{
    kapso::{
        Answer, Api, ApiStyle, Client,
        listing::{Asked, NumberPage},
    },
    tools::screen,
};

/// Asks for one page.
pub(super) async fn look(scope: &Scope) -> Vec<Finding> {
    vec![listed(scope).await]
}

async fn listed(scope: &Scope) -> Finding {
    const ABOUT: &str = "token";
    let api = match Api::read(&scope.settings) {
        Ok(api) => api,
        Err(error) => {
            return Finding::wrong(ABOUT, format!("{} {}", error.variable, error.problem), error.remedy);
        }
    };
    let Some(token) = &api.token else {
        return Finding::remark(ABOUT, "Kapso's API was not asked", "set KAPSO_API_TOKEN");
    };
    let Ok(client) = Client::new(api.base.clone(), token) else {
        return Finding::wrong(ABOUT, "KAPSO_API_TOKEN can't be used", "give the API key as Kapso shows it");
    };
    let answer = match (api.style, scope.settings.text("KAPSO_PHONE_NUMBER_ID")) {
        (ApiStyle::Conversation, _) => client.list(&Asked::Configs(1)).await,
        (ApiStyle::MetaProxy, Some(phone_number_id)) => {
            let until = OffsetDateTime::now_utc();
            let page =
                NumberPage { phone_number_id, since: until - Duration::minutes(1), until, after: None };
            client.list(&Asked::MessagesOfNumber(&page)).await
        }
        (ApiStyle::MetaProxy, None) => {
            let remedy = "set KAPSO_PHONE_NUMBER_ID, which the Meta proxy needs for events that do not name our number";
            return Finding::remark(
                ABOUT,
                "Kapso's API was not asked: KAPSO_PHONE_NUMBER_ID is not set",
                remedy,
            );
        }
    };
    judged(&answer, api.base.host_str().unwrap_or_default())
}

fn judged(answer: &Answer, host: &str) -> Finding {
    const ABOUT: &str = "token";
    let response = match answer {
        Answer::Response(response) => response,
        Answer::NotAsked(why) | Answer::NotSent(why) | Answer::Lost(why) => {
            let remedy = "is KAPSO_API_BASE_URL right, and may this machine reach it (DNS, firewall)?";
            return Finding::wrong(ABOUT, format!("Kapso's API at {host} does not answer: {why}"), remedy);
        }
    };
    let said = screen::plain(&response.summary());
    match response.status {
        200..300 => Finding::fine(ABOUT, format!("Kapso's API at {host} takes our token")),
        401 | 403 => Finding::wrong(
            ABOUT,
            format!("Kapso refuses the token: {said}"),
            "put the API key of this project into KAPSO_API_TOKEN, and restart the workers",
        ),
        300..=399 => Finding::wrong(
            ABOUT,
            format!("Kapso's API at {host} says that it is elsewhere: {said}"),
            "check KAPSO_API_BASE_URL (https://app.kapso.ai/api/v1): it is called without following redirects",
        ),
        404 => Finding::wrong(
            ABOUT,
            format!("Kapso knows nothing at this address: {said}"),
            "check KAPSO_API_BASE_URL (https://app.kapso.ai/api/v1) and KAPSO_PHONE_NUMBER_ID",
        ),
        429 => Finding::remark(
            ABOUT,
            format!("Kapso's limit is reached: {said}"),
            "set BUZON_API_CALLS_A_MINUTE to what your plan has, less some",
        ),
        _ => Finding::remark(
            ABOUT,
            format!("Kapso's API is not well: {said}"),
            "it passes; look again in a minute",
        ),
    }
}
