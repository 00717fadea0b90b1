//! What to try once it runs.

use super::configured::{Configured, SecretAt};

/// The guide's `message.received`, of now: to a message of long ago nobody replies.
const BODY: &str = r#"AT=$(date -u +%Y-%m-%dT%H:%M:%SZ)
  BODY='{"event_type":"message.received","conversation_id":"conv-abc123","message_id":"msg-'$(date +%s)'","timestamp":"'$AT'","payload":{"from":"+56912345678","to":"+56987654321","content":"Hola, necesito ayuda","message_type":"text","timestamp":"'$AT'","contact":{"id":"contact-123","phone_number":"+56912345678","display_name":"Juan Pérez"}}}'"#;

const MESSAGES: &str =
    "SELECT occurred_at, direction, type, body, status FROM messages ORDER BY occurred_at DESC LIMIT 10";

pub(crate) fn text(configured: &Configured) -> String {
    let mut text = String::from("\nIt runs. In another terminal, in this directory:\n\n");
    text.push_str("  # a webhook as Kapso sends it\n  ");
    text.push_str(BODY);
    text.push('\n');
    let url = configured.webhook_url();
    let json = "-H 'Content-Type: application/json'";
    text.push_str(&match secret(&configured.secret_at) {
        Some(secret) => format!(
            "  SIGNATURE=$(printf %s \"$BODY\" | openssl dgst -sha256 -hmac {secret} | sed 's/.* //')\n  \
             curl -i {url} {json} -H \"X-Kapso-Signature: $SIGNATURE\" -d \"$BODY\"\n"
        ),
        None => format!("  curl -i {url} {json} -d \"$BODY\"\n"),
    });
    if let Some(sim) = configured.simulator {
        text.push_str(&format!(
            "\n  # or let somebody write to the simulated Kapso, and see the reply and the mark-as-read\n  \
             curl http://{sim}/sim/inbound -d '{{\"from\":\"+56912345678\",\"text\":\"Hola, necesito ayuda\"}}'\n  \
             curl http://{sim}/sim/replies\n  \
             curl http://{sim}/sim/marks\n"
        ));
    }
    text.push_str("\n  # let this shell find the programs and what runs here; is all well?\n  . .run/env\n  worker doctor\n");
    text.push_str(&format!("\n  # what is stored\n  psql \"$DATABASE_URL\" -c \"{MESSAGES}\"\n"));
    text.push_str("\n  # the logs\n  tail -f .run/log/*.log\n");
    text
}

/// How the shell gets at the secret; none when there is none.
fn secret(at: &SecretAt) -> Option<&'static str> {
    match at {
        SecretAt::Checkout => Some("\"$(cat .run/webhook-secret)\""),
        SecretAt::Environment => Some("\"$KAPSO_WEBHOOK_SECRET\""),
        SecretAt::File => Some("'YOUR WEBHOOK SECRET'"),
        SecretAt::Nowhere => None,
    }
}
