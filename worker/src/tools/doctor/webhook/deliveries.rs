//! What became of what Kapso sent in the last day.

use super::super::{guide, report::Finding};
use crate::{
    kapso::platform::{Delivery, DeliveryQuery, Platform},
    tools::screen::{self, count},
};

/// Kapso's most on a page.
const PAGE: u32 = 100;

/// Asks for the last of them.
pub(super) async fn of(platform: &Platform, webhook_id: &str) -> Finding {
    let query = DeliveryQuery {
        webhook_id: Some(webhook_id),
        period: Some("24h"),
        limit: Some(PAGE),
        ..Default::default()
    };
    match platform.deliveries(&query).await {
        Ok(deliveries) => judged(&deliveries),
        Err(error) => {
            let says =
                format!("Kapso's log of deliveries can't be read: {}", screen::plain(&error.to_string()));
            Finding::remark("deliveries", says, "look at it in Kapso: Webhooks, Deliveries")
        }
    }
}

/// The newest comes first: whether it failed says how it is now.
fn judged(deliveries: &[Delivery]) -> Finding {
    const ABOUT: &str = "deliveries";
    let failed = |delivery: &&Delivery| {
        delivery.failed_at.is_some()
            || (delivery.delivered_at.is_none()
                && delivery.response_status.is_some_and(|status| status != 200))
    };
    let failures: Vec<&Delivery> = deliveries.iter().filter(failed).collect();
    let Some(last) = failures.first() else {
        let says =
            format!("{} in the last day, and none failed", count(deliveries.len(), "delivery", "deliveries"));
        return Finding::fine(ABOUT, says);
    };
    let how = last.response_status.map_or("no answer".to_owned(), |status| format!("HTTP {status}"));
    let says = format!("{} of the last {} failed, the newest with {how}", failures.len(), deliveries.len());
    let settled = deliveries.iter().find(|delivery| delivery.delivered_at.is_some() || failed(delivery));
    let is_over = settled.is_some_and(|newest| !failed(&newest));
    let (remedy, name) = match last.response_status {
        Some(401) => (
            "ingest refuses Kapso's signature: make KAPSO_WEBHOOK_SECRET identical on both sides; see `road` for a proxy that rewrites the body",
            guide::INVALID,
        ),
        Some(404 | 405) => ("the URL in Kapso leads past ingest: see `road`", guide::NOTHING),
        None | Some(502..=504) => ("Kapso does not reach ingest: see `road`", guide::REFUSED),
        Some(_) => ("docs/TROUBLESHOOTING.md, \"What the answers mean\"", guide::NOTHING),
    };
    if is_over {
        return Finding::remark(ABOUT, says, "the newest delivery went well; what was lost: worker backfill");
    }
    Finding::wrong(ABOUT, says, remedy).named(name)
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;
    use crate::tools::doctor::report::Mark;

    fn delivery(status: Option<u64>, delivered: bool) -> Delivery {
        let at = Some(datetime!(2026-11-25 12:00 UTC));
        Delivery {
            id: "d".to_owned(),
            event: None,
            attempt_count: Some(1),
            response_status: status,
            webhook_id: None,
            created_at: at,
            last_attempt_at: at,
            failed_at: at.filter(|_| !delivered),
            delivered_at: at.filter(|_| delivered),
        }
    }

    #[test]
    fn the_newest_says_how_it_is() {
        let (good, refused) = (delivery(Some(200), true), delivery(Some(401), false));
        let marks = [
            (vec![], Mark::Fine),
            (vec![good.clone()], Mark::Fine),
            (vec![good.clone(), refused.clone()], Mark::Remark),
            (vec![refused.clone(), good.clone()], Mark::Wrong),
        ];
        for (deliveries, mark) in marks {
            assert_eq!(judged(&deliveries).mark, mark, "{deliveries:?}");
        }
        assert_eq!(judged(&[refused]).guide, Some(guide::INVALID));
        assert_eq!(judged(&[delivery(None, false)]).guide, Some(guide::REFUSED));
    }
}
