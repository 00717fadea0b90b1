//! What happens to the business's numbers and accounts, and in the workflows and agents that it runs.

use kapso_sim::Dialect::{V1, V2};
use serde_json::json;

use super::Story;

pub(super) fn tell(story: &mut Story) {
    let number = story.line.phone_number_id.clone();
    let config = json!({
        "id": story.line.config_id, "name": "Tienda", "phone_number_id": number,
        "display_phone_number": "+56 2 2555 0100", "created_at": story.iso(2),
    });
    story.tell_raw(
        V1,
        "whatsapp.config.created",
        json!({ "whatsapp_config": config, "created_at": story.iso(2) }),
    );
    for (event, seconds) in
        [("disconnected", 900), ("reconnected", 910), ("disconnected", 920), ("offboarded", 930)]
    {
        let body = json!({
            "id": format!("evt-{seconds}"), "event": format!("whatsapp.phone_number.{event}"),
            "occurred_at": story.iso(seconds), "phone_number_id": number, "project": { "id": "p1" },
            "connection_type": "coexistence", "disconnection": { "reason": "x", "initiated_by": "user" },
        });
        story.tell_raw(V2, &format!("whatsapp.phone_number.{event}"), body);
    }
    for (event, seconds) in [("restricted", 940), ("reinstated", 950), ("violation", 930)] {
        let body = json!({
            "id": format!("evt-{seconds}"), "event": format!("whatsapp.account.{event}"),
            "occurred_at": story.iso(seconds), "business_account_id": story.line.business_account_id,
            "phone_numbers": [{ "id": number, "display_phone_number": "+56 2 2555 0100" }],
        });
        story.tell_raw(V2, &format!("whatsapp.account.{event}"), body);
    }
    let handoff = json!({
        "event": "workflow.execution.handoff", "occurred_at": story.iso(960), "workflow_id": "w1",
        "workflow_execution_id": "we1", "status": "handoff", "handoff": { "reason": "asked", "source": "agent_tool" },
        "whatsapp_conversation_id": "5e0d0000-0000-4000-8000-000000000001",
    });
    story.tell_raw(V2, "workflow.execution.handoff", handoff);
    // Of the older sort of agents, and of a conversation that nobody else tells of.
    let known = "5e0d0000-0000-4000-8000-000000000002";
    for (run, conversation, seconds) in [("ae1", known, 961), ("ae2", "nobody-knows-it", 962)] {
        let body = json!({
            "event": "agent_execution_handoff", "created_at": story.iso(seconds),
            "agent_execution": { "id": run, "whatsapp_conversation_id": conversation },
        });
        story.tell_raw(V2, "agent_execution_handoff", body);
    }
    for (event, seconds) in [("approval_required", 970), ("completed", 980)] {
        let body = json!({
            "id": format!("evt-{seconds}"), "event": format!("kapso_agent.run.{event}"),
            "created_at": story.iso(seconds),
            "data": { "run_id": "run1", "status": event, "agent": { "name": "Ventas" } },
        });
        story.tell_raw(V2, &format!("kapso_agent.run.{event}"), body);
    }
    let paid = json!({
        "id": "evt-paid", "event": "project.event", "name": "order_paid", "occurred_at": story.iso(985),
        "project_id": "p1", "conversation_id": "5e0d0000-0000-4000-8000-000000000005", "properties": { "total": 5 },
    });
    story.tell_raw(V2, "project.event", paid);
}
