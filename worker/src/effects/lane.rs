//! The lane that an effect goes through: our number and the contact, else the conversation.
//! Kapso opens a new conversation for each session, and Meta's events have none.

/// A lane, with what it is made of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lane {
    /// Its name in `lanes` and `effects`.
    pub id: String,
    /// Our number.
    pub phone_number_id: Option<String>,
    /// The contact.
    pub contact_id: Option<String>,
    /// The conversation, where number or contact are not known.
    pub conversation_id: Option<String>,
}

impl Lane {
    /// The lane of a message.
    pub(super) fn of(
        phone_number_id: Option<&str>,
        contact_id: Option<&str>,
        conversation_id: Option<&str>,
        message_id: &str,
    ) -> Self {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        let id = match (phone_number_id, contact_id, conversation_id) {
            // `project/merge.rs` renames it by the same form.
            (Some(number), Some(contact), _) => format!("{number}/{contact}"),
            (_, _, Some(conversation)) => {
                return Self {
                    id: format!("conversation/{conversation}"),
                    phone_number_id: None,
                    contact_id: None,
                    conversation_id: owned(conversation_id),
                };
            }
            // Nothing else is known to be of the same conversation.
            (_, _, None) => format!("message/{message_id}"),
        };
        Self {
            id,
            phone_number_id: owned(phone_number_id),
            contact_id: owned(contact_id).filter(|_| phone_number_id.is_some()),
            conversation_id: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_that_is_known_names_the_lane() {
        let lane = |number, contact, conversation| Lane::of(number, contact, conversation, "m").id;
        assert_eq!(lane(Some("1"), Some("569"), Some("c")), "1/569");
        assert_eq!(lane(None, Some("569"), Some("c")), "conversation/c");
        assert_eq!(lane(Some("1"), None, None), "message/m");
    }
}
