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

/// How the id of a group's lane begins.
const GROUP: &str = "group/";

impl Lane {
    /// Whether it is a group's: what anybody writes there is between all of them.
    pub(super) fn is_of_group(&self) -> bool {
        self.id.starts_with(GROUP)
    }

    /// The lane of a message.
    pub(super) fn of(
        group_id: Option<&str>,
        phone_number_id: Option<&str>,
        contact_id: Option<&str>,
        conversation_id: Option<&str>,
        message_id: &str,
    ) -> Self {
        // A lane names what its id is made of and nothing else, or its row would depend on
        // which of its messages came first. `project/merge.rs` renames ids by the same forms.
        let lane = |id| Self { id, phone_number_id: None, contact_id: None, conversation_id: None };
        if let Some(group) = group_id {
            return lane(format!("{GROUP}{group}"));
        }
        match (phone_number_id, contact_id, conversation_id) {
            (Some(number), Some(contact), _) => Self {
                phone_number_id: Some(number.to_owned()),
                contact_id: Some(contact.to_owned()),
                ..lane(format!("{number}/{contact}"))
            },
            (_, _, Some(conversation)) => Self {
                conversation_id: Some(conversation.to_owned()),
                ..lane(format!("conversation/{conversation}"))
            },
            // Nothing else is known to be of the same conversation.
            (_, _, None) => lane(format!("message/{message_id}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_that_is_known_names_the_lane() {
        let lane = |number, contact, conversation| Lane::of(None, number, contact, conversation, "m").id;
        assert_eq!(lane(Some("1"), Some("569"), Some("c")), "1/569");
        assert_eq!(lane(None, Some("569"), Some("c")), "conversation/c");
        assert_eq!(lane(Some("1"), None, None), "message/m");
        assert_eq!(Lane::of(Some("g"), Some("1"), Some("569"), Some("c"), "m").id, "group/g");
    }
}
