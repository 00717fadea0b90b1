//! The conversation API: all conversations, and the messages of those that were active.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value, json};

use super::{OfConversation, Turner};
use crate::{
    decode::{instant, text},
    gaps::{
        GapError, Skip, Window,
        ask::Asker,
        check::{Check, Compared},
    },
    kapso::listing::{Asked, Next},
};

/// What a conversation's item says that does not change while it is talked in. The rest of
/// its snapshot would make another webhook of the same message at each listing.
const LASTING: [&str; 5] = ["id", "phone_number", "contact_name", "created_at", "whatsapp_config_id"];

/// How often the list of conversations is begun again, where it has changed meanwhile.
const PASSES: u32 = 3;

pub(super) async fn walk(
    asker: &mut Asker<'_>,
    check: &Check<'_>,
    compared: &mut Compared<'_>,
) -> Result<(), GapError> {
    let mut walk = Walk { asker, check, compared, configs: HashMap::new(), walked: HashSet::new() };
    walk.configs().await?;
    for pass in 0..PASSES {
        // One that becomes active moves to the front, maybe from a page not yet read to one
        // that has been: so the front is read again, for as long as it has something new.
        if !walk.conversations(pass > 0).await? {
            break;
        }
    }
    Ok(())
}

struct Walk<'w, 'a, 'c> {
    asker: &'w mut Asker<'a>,
    check: &'w Check<'w>,
    compared: &'w mut Compared<'c>,
    /// Our numbers, by the id that conversations give.
    configs: HashMap<String, Value>,
    /// The conversations whose messages have been read.
    walked: HashSet<String>,
}

impl Walk<'_, '_, '_> {
    /// Learns which of Kapso's ids is which of our numbers.
    async fn configs(&mut self) -> Result<(), GapError> {
        let mut turner = Turner::default();
        for page in 1.. {
            let asked = Asked::Configs(page);
            // Where there is no such list, KAPSO_PHONE_NUMBER_ID says it.
            let Some(found) = self.asker.page(&asked).await? else { break };
            self.compared.asked(self.asker.asked);
            turner.turned(asked.what(), &found.items)?;
            for config in &found.items {
                if let (Some(id), Some(number)) = (text(config, "id"), text(config, "phone_number_id")) {
                    let config = json!({ "id": id, "phone_number_id": number });
                    self.configs.insert(id, config);
                }
            }
            if found.next == Next::End {
                break;
            }
        }
        Ok(())
    }

    /// Reads the list of conversations, and the messages of each that is new; whether one was.
    /// Again: as far as the first page without a new one.
    async fn conversations(&mut self, again: bool) -> Result<bool, GapError> {
        let mut turner = Turner::default();
        let mut any = false;
        for page in 1.. {
            let asked = Asked::Conversations(page);
            let what = asked.what();
            let Some(found) = self.asker.page(&asked).await? else {
                return Err(GapError::Refused { what, why: "HTTP 404".to_owned() });
            };
            self.compared.asked(self.asker.asked);
            turner.turned(what, &found.items)?;
            let mut new = false;
            for conversation in &found.items {
                let Some(id) = text(conversation, "id") else {
                    self.compared.skip(Skip::Unreadable);
                    continue;
                };
                if was_active(conversation, self.check.window) && self.walked.insert(id.clone()) {
                    new = true;
                    self.messages(&id, conversation).await?;
                }
            }
            any |= new;
            if found.next == Next::End || (again && !new) {
                break;
            }
        }
        Ok(any)
    }

    /// Reads the messages of a conversation, the youngest first, as far as the window reaches.
    async fn messages(&mut self, id: &str, conversation: &Value) -> Result<(), GapError> {
        let mut pages = OfConversation::new(id, self.check.window.since, self.beside(conversation));
        while let Some(asked) = pages.next() {
            let Some(found) = self.asker.page(&asked).await? else {
                self.compared.asked(self.asker.asked);
                self.compared.skip(Skip::ConversationGone);
                break;
            };
            let times = self.compared.page(self.asker.asked, pages.take(found)?).await?;
            pages.written(&times);
        }
        Ok(())
    }

    /// What stands beside each message of a conversation.
    fn beside(&self, conversation: &Value) -> Map<String, Value> {
        let lasting = LASTING.iter().filter_map(|field| {
            let value = conversation.get(*field).filter(|value| !value.is_null())?;
            Some(((*field).to_owned(), value.clone()))
        });
        let config = text(conversation, "whatsapp_config_id").and_then(|id| self.configs.get(&id)).cloned();
        let ours = || self.check.phone_number_id.map(|number| json!({ "phone_number_id": number }));
        let mut beside = Map::from_iter([("conversation".to_owned(), Value::Object(lasting.collect()))]);
        beside.extend(config.or_else(ours).map(|config| ("whatsapp_config".to_owned(), config)));
        beside
    }
}

/// Whether a conversation can hold messages of the window. One that does not say can.
fn was_active(conversation: &Value, window: Window) -> bool {
    let last = instant(conversation, "last_active_at").max(instant(conversation, "updated_at"));
    last.is_none_or(|last| last >= window.since)
        && instant(conversation, "created_at").is_none_or(|begun| begun <= window.until)
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    const WINDOW: Window =
        Window { since: datetime!(2026-11-24 10:00 UTC), until: datetime!(2026-11-24 11:00 UTC) };

    #[test]
    fn only_conversations_that_were_active_are_read() {
        let active = |last: &str, begun: &str| {
            was_active(&json!({ "id": "c", "last_active_at": last, "created_at": begun }), WINDOW)
        };
        assert!(active("2026-11-24T10:00:00Z", "2026-11-01T00:00:00Z"));
        assert!(!active("2026-11-24T09:59:59Z", "2026-11-01T00:00:00Z"));
        assert!(active("2026-11-25T10:00:00Z", "2026-11-24T11:00:00Z"));
        assert!(!active("2026-11-25T10:00:00Z", "2026-11-24T11:00:01Z"));
        assert!(was_active(&json!({ "id": "c" }), WINDOW));
        let touched =
            json!({ "last_active_at": "2026-11-24T09:00:00Z", "updated_at": "2026-11-24T10:30:00Z" });
        assert!(was_active(&touched, WINDOW));
    }
}
