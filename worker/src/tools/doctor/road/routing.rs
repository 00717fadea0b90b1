//! By which queue the test event went: a binding can't be asked for, but what takes the way round is seen.

use contract::{
    broker::Broker,
    envelope::WebhookId,
    kind::Kind,
    settings::Settings,
    topology::{EVENTS_EXCHANGE, EVENTS_QUEUE, Tap, UNROUTED},
};

use super::{super::report::Finding, probe::KIND};

/// Opens the tap, before the event is sent; none where the broker can't be used: the check `broker` says why.
pub(super) async fn tap(settings: &Settings) -> Option<Tap> {
    Broker::from_settings(settings, "buzon-doctor").ok()?.tap().await.ok()
}

/// Looks behind the event.
pub(super) async fn look(tap: Option<Tap>, event: &[u8]) -> Option<Finding> {
    let id = WebhookId::of(&Kind::new(KIND), event).to_string();
    tap?.saw(&id).await.is_ok_and(|saw| saw).then(|| {
        Finding::remark(
            "routing",
            format!(
                "the queue `{EVENTS_QUEUE}` is not bound to the exchange `{EVENTS_EXCHANGE}`: webhooks go round by \
                 `{UNROUTED}` (nothing is lost by that)"
            ),
            "restart a worker: it binds the queue anew (rabbitmqctl list_bindings shows how it is bound)",
        )
    })
}
