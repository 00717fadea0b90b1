//! Events about numbers, accounts, workflows, agents and templates.

use serde_json::Value;
use time::OffsetDateTime;

use super::{
    Facts, Told,
    instant::instant,
    json::{filled, phone_number, text},
};
use crate::event::{Fact, Moment, SubjectEvent, SubjectKind};

/// The fields in which an event's own time may be.
const TIMES: [&str; 3] = ["occurred_at", "created_at", "timestamp"];

/// An agent of the older sort handed its conversation over to a person. Of these agents' events
/// Kapso documents the names only; the others say nothing that anybody here asks for.
const OLDER_HANDOFF: &str = "agent_execution_handoff";

/// Decodes an event about a subject. `kind` is without `whatsapp.`.
pub(super) fn decode(value: &Value, kind: &str, received_at: OffsetDateTime) -> Told {
    let at = TIMES.iter().find_map(|field| instant(value, field));
    if kind == OLDER_HANDOFF {
        return older_handoff(value, Moment::new(at, received_at));
    }
    let Some((family, event)) = kind.rsplit_once('.').filter(|(_, event)| !event.is_empty()) else {
        return Told::NotUnderstood;
    };
    let facts = match family {
        "phone_number" => subject(value, SubjectKind::PhoneNumber, number_id(value), event),
        // The first dialect calls a number a config.
        "config" => {
            let config = filled(value, "whatsapp_config").unwrap_or(value);
            subject(value, SubjectKind::PhoneNumber, number_id(config), event)
        }
        "account" => subject(value, SubjectKind::Account, text(value, "business_account_id"), event),
        "workflow.execution" => {
            subject(value, SubjectKind::WorkflowExecution, text(value, "workflow_execution_id"), event)
        }
        "kapso_agent.run" => {
            let run = filled(value, "data").unwrap_or(value);
            subject(value, SubjectKind::AgentRun, text(run, "run_id"), event)
        }
        "project" if event == "event" => {
            let name = text(value, "name").unwrap_or_else(|| event.to_owned());
            subject(value, SubjectKind::ProjectEvent, text(value, "id"), &name)
        }
        _ => return Told::NotUnderstood,
    };
    match facts {
        Some(subject) => {
            let at = Moment::new(at, received_at);
            let mut facts: Facts = vec![(at, Fact::Subject(subject))];
            facts.extend(numbers_of(value, kind, at));
            Told::Facts(facts)
        }
        None => Told::Undecodable(format!("the event {kind} does not say what it is about")),
    }
}

fn subject(value: &Value, kind: SubjectKind, id: Option<String>, event: &str) -> Option<SubjectEvent> {
    let conversation = text(value, "whatsapp_conversation_id").or_else(|| text(value, "conversation_id"));
    Some(SubjectEvent { kind, id: id?, event: event.to_owned(), conversation, details: value.to_string() })
}

/// The likely fields are read, there or in the objects that describe run and conversation. One that
/// names its conversation alone is told by that.
fn older_handoff(value: &Value, at: Moment) -> Told {
    let run = filled(value, "agent_execution").unwrap_or(value);
    let named = |field| text(value, field).or_else(|| text(run, field));
    let conversation = named("whatsapp_conversation_id")
        .or_else(|| named("conversation_id"))
        .or_else(|| [value, run].iter().find_map(|it| text(filled(it, "conversation")?, "id")));
    let id = named("agent_execution_id").or_else(|| text(run, "id")).or_else(|| conversation.clone());
    let Some(id) = id else {
        return Told::Undecodable(format!(
            "the event {OLDER_HANDOFF} names neither a run nor a conversation"
        ));
    };
    let subject = SubjectEvent {
        kind: SubjectKind::AgentExecution,
        id,
        event: "handoff".to_owned(),
        conversation,
        details: value.to_string(),
    };
    Told::Facts(vec![(at, Fact::Subject(subject))])
}

fn number_id(value: &Value) -> Option<String> {
    text(value, "phone_number_id").or_else(|| text(value, "id"))
}

/// What happens to an account happens to its numbers.
fn numbers_of(value: &Value, kind: &str, at: Moment) -> Facts {
    let Some(event) = kind.strip_prefix("account.") else {
        return Facts::new();
    };
    let numbers = value.get("phone_numbers").and_then(Value::as_array).into_iter().flatten();
    let told = numbers.filter_map(|number| {
        let event = format!("account_{event}");
        let subject = SubjectEvent {
            kind: SubjectKind::PhoneNumber,
            id: text(number, "id")?,
            event,
            conversation: None,
            details: number.to_string(),
        };
        Some((at, Fact::Subject(subject)))
    });
    told.collect()
}

/// An event of Meta's about an account or a template, which Kapso passes on.
pub(super) fn of_meta(field: &str, entry: &Value, value: &Value, received_at: OffsetDateTime) -> Told {
    let event = text(value, "event").or_else(|| text(value, "decision")).map(|event| event.to_lowercase());
    let event = event.unwrap_or_else(|| field.to_owned());
    let subject = match field {
        "account_update" | "account_review_update" | "business_capability_update" => {
            subject(value, SubjectKind::Account, text(entry, "id"), &event)
        }
        "message_template_status_update" | "message_template_quality_update" | "template_category_update" => {
            let id = text(value, "message_template_id").or_else(|| text(value, "message_template_name"));
            subject(value, SubjectKind::Template, id, &event)
        }
        "phone_number_quality_update" | "phone_number_name_update" => {
            let id = text(value, "phone_number_id").or_else(|| phone_number(value, "display_phone_number"));
            subject(value, SubjectKind::PhoneNumber, id, &event)
        }
        _ => return Told::NotUnderstood,
    };
    match subject {
        Some(subject) => {
            let at = Moment::new(instant(entry, "time"), received_at);
            Told::Facts(vec![(at, Fact::Subject(subject))])
        }
        None => Told::Undecodable(format!("the change {field} does not say what it is about")),
    }
}
