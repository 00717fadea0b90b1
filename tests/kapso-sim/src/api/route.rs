//! Which call a method and a path are.

use serde_json::Value;

use super::Request;
use crate::fault::Action;

/// A call of either style, by its path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// Conversation API: send in a conversation.
    SendInConversation(String),
    /// Conversation API: send to a number, finding or opening its conversation.
    SendToNumber,
    /// Conversation API: mark a message as read.
    MarkAsRead(String),
    /// Conversation API: conversations.
    Conversations,
    /// Conversation API: one conversation.
    Conversation(String),
    /// Conversation API: messages of a conversation.
    ConversationMessages(String),
    /// Conversation API: the business numbers.
    Configs,
    /// Conversation API: close or reopen a conversation.
    UpdateConversation(String),
    /// Meta proxy: send or mark as read, as the body says.
    ProxyMessage(String),
    /// Meta proxy: messages of a number.
    ProxyMessages(String),
    /// Meta proxy: one message of a number.
    ProxyOneMessage(String, String),
    /// Meta proxy: conversations of a number.
    ProxyConversations(String),
    /// Platform API: the webhooks, of this number where one is named.
    PlatformWebhooks(Option<String>),
    /// Platform API: one webhook.
    PlatformWebhook(String),
    /// Platform API: register a webhook, for this number where one is named.
    CreateWebhook(Option<String>),
    /// Platform API: change or resume a webhook.
    UpdateWebhook(String),
    /// Platform API: remove a webhook.
    DeleteWebhook(String),
    /// Platform API: send a test event by a webhook.
    TestWebhook(String),
    /// Platform API: how well a number is.
    PlatformHealth(String),
    /// Platform API: what became of webhooks.
    PlatformDeliveries,
    /// Platform API: messages.
    PlatformMessages,
    /// Platform API: one message.
    PlatformMessage(String),
    /// Platform API: the business numbers.
    PlatformNumbers,
    /// Platform API: one business number.
    PlatformNumber(String),
}

impl Route {
    pub(super) fn of(request: &Request) -> Option<Self> {
        let segments: Vec<&str> = request.path.split('/').filter(|segment| !segment.is_empty()).collect();
        let method = request.method.as_str();
        match segments.as_slice() {
            ["api", "v1", rest @ ..] => Self::of_conversation_api(method, rest),
            ["platform", "v1", rest @ ..] => Self::of_platform(method, rest),
            ["meta", "whatsapp", version, rest @ ..] if is_version(version) => Self::of_proxy(method, rest),
            ["meta", "whatsapp", rest @ ..] => Self::of_proxy(method, rest),
            _ => None,
        }
    }

    fn of_conversation_api(method: &str, path: &[&str]) -> Option<Self> {
        Some(match (method, path) {
            ("POST", ["whatsapp_conversations", id, "whatsapp_messages"]) => {
                Self::SendInConversation((*id).to_owned())
            }
            ("POST", ["whatsapp_messages"]) => Self::SendToNumber,
            ("PATCH", ["whatsapp_messages", id, "mark_as_read"]) => Self::MarkAsRead((*id).to_owned()),
            ("GET", ["whatsapp_conversations"]) => Self::Conversations,
            ("GET", ["whatsapp_conversations", id]) => Self::Conversation((*id).to_owned()),
            ("GET", ["whatsapp_conversations", id, "whatsapp_messages"]) => {
                Self::ConversationMessages((*id).to_owned())
            }
            ("GET", ["whatsapp_configs"]) => Self::Configs,
            ("PATCH", ["whatsapp_conversations", id]) => Self::UpdateConversation((*id).to_owned()),
            _ => return None,
        })
    }

    fn of_proxy(method: &str, path: &[&str]) -> Option<Self> {
        Some(match (method, path) {
            ("POST", [number, "messages"]) => Self::ProxyMessage((*number).to_owned()),
            ("GET", [number, "messages"]) => Self::ProxyMessages((*number).to_owned()),
            ("GET", [number, "messages", wamid]) => {
                Self::ProxyOneMessage((*number).to_owned(), unescaped(wamid))
            }
            ("GET", [number, "conversations"]) => Self::ProxyConversations((*number).to_owned()),
            _ => return None,
        })
    }

    fn of_platform(method: &str, path: &[&str]) -> Option<Self> {
        Some(match (method, path) {
            ("GET", ["whatsapp", "webhooks"]) => Self::PlatformWebhooks(None),
            ("GET", ["whatsapp", "phone_numbers", number, "webhooks"]) => {
                Self::PlatformWebhooks(Some((*number).to_owned()))
            }
            ("POST", ["whatsapp", "webhooks"]) => Self::CreateWebhook(None),
            ("POST", ["whatsapp", "phone_numbers", number, "webhooks"]) => {
                Self::CreateWebhook(Some((*number).to_owned()))
            }
            ("POST", ["whatsapp", "webhooks", id, "test"]) => Self::TestWebhook((*id).to_owned()),
            ("GET", ["whatsapp", "phone_numbers", number, "health"]) => {
                Self::PlatformHealth((*number).to_owned())
            }
            ("GET", ["whatsapp", "webhooks", id]) => Self::PlatformWebhook((*id).to_owned()),
            ("PATCH", ["whatsapp", "webhooks", id]) => Self::UpdateWebhook((*id).to_owned()),
            ("DELETE", ["whatsapp", "webhooks", id]) => Self::DeleteWebhook((*id).to_owned()),
            ("GET", ["webhook_deliveries"]) => Self::PlatformDeliveries,
            ("GET", ["whatsapp", "messages"]) => Self::PlatformMessages,
            ("GET", ["whatsapp", "messages", wamid]) => Self::PlatformMessage(unescaped(wamid)),
            ("GET", ["whatsapp", "phone_numbers"]) => Self::PlatformNumbers,
            ("GET", ["whatsapp", "phone_numbers", number]) => Self::PlatformNumber((*number).to_owned()),
            _ => return None,
        })
    }

    /// What kind of call this is; the proxy's one path for two of them is told apart by the body.
    pub(super) fn action(&self, body: &Value) -> Action {
        match self {
            Self::SendInConversation(_) | Self::SendToNumber => Action::Send,
            Self::MarkAsRead(_) => Action::Mark,
            Self::ProxyMessage(_) if body.get("status").is_some() => Action::Mark,
            Self::ProxyMessage(_) => Action::Send,
            Self::UpdateConversation(_)
            | Self::CreateWebhook(_)
            | Self::TestWebhook(_)
            | Self::UpdateWebhook(_)
            | Self::DeleteWebhook(_) => Action::Other,
            Self::Conversations
            | Self::Conversation(_)
            | Self::ConversationMessages(_)
            | Self::Configs
            | Self::ProxyMessages(_)
            | Self::ProxyOneMessage(..)
            | Self::ProxyConversations(_)
            | Self::PlatformWebhooks(_)
            | Self::PlatformHealth(_)
            | Self::PlatformWebhook(_)
            | Self::PlatformDeliveries
            | Self::PlatformMessages
            | Self::PlatformMessage(_)
            | Self::PlatformNumbers
            | Self::PlatformNumber(_) => Action::List,
        }
    }
}

/// A message's name holds a slash now and then, which stays escaped while the path is cut into its parts.
fn unescaped(segment: &str) -> String {
    segment.replace("%2F", "/").replace("%2f", "/")
}

/// `v24.0`, but no phone number id.
fn is_version(segment: &str) -> bool {
    segment.strip_prefix('v').is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(method: &str, path: &str) -> Option<Route> {
        Route::of(&Request {
            method: method.to_owned(),
            path: path.to_owned(),
            query_string: String::new(),
            query: Default::default(),
            api_key: None,
            body: Vec::new(),
        })
    }

    #[test]
    fn reads_both_styles() {
        assert_eq!(
            route("POST", "/api/v1/whatsapp_conversations/c-1/whatsapp_messages"),
            Some(Route::SendInConversation("c-1".to_owned()))
        );
        assert_eq!(
            route("PATCH", "/api/v1/whatsapp_messages/m-1/mark_as_read"),
            Some(Route::MarkAsRead("m-1".to_owned()))
        );
        for path in ["/meta/whatsapp/v24.0/123/messages", "/meta/whatsapp/123/messages"] {
            assert_eq!(route("POST", path), Some(Route::ProxyMessage("123".to_owned())));
        }
        // Third-party code calls this one; the documentation does not know it.
        assert_eq!(route("POST", "/api/v1/whatsapp_messages/mark_read"), None);
    }
}
