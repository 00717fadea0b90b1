//! What became of every question, by what the simulator took.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use anyhow::{Result, ensure};
use kapso_sim::{SentIds, Sim};
use sqlx::{FromRow, PgPool};

/// How many of each sort of complaint are told.
const TOLD: usize = 10;

/// Of a hundred replies, so many may end with nobody knowing what became of them.
const UNKNOWN_PERCENT: usize = 2;

/// One question, and the answer that no other question of its conversation has.
pub(crate) struct Question {
    pub(crate) ids: SentIds,
    pub(crate) answer: String,
}

/// A reply as the outbox has it.
#[derive(FromRow)]
struct Reply {
    id: i64,
    message_id: String,
    state: String,
    attempts: i32,
    outcome: Option<String>,
}

/// How many replies ended how, and what is wrong.
#[derive(Default)]
pub(crate) struct Verdict {
    asked: usize,
    by_state: BTreeMap<String, usize>,
    by_outcome: BTreeMap<String, usize>,
    doubled: Vec<String>,
    missing: Vec<String>,
    out_of_order: Vec<String>,
    marked_twice: Vec<String>,
}

impl Verdict {
    pub(crate) async fn of(asked: &[Question], sim: &Sim, pool: &PgPool) -> Result<Self> {
        let replies: Vec<Reply> = sqlx::query_as(
            "SELECT id, message_id, state, attempts, outcome FROM effects WHERE kind = 'send_text'",
        )
        .fetch_all(pool)
        .await?;
        let replies: HashMap<&str, &Reply> =
            replies.iter().map(|reply| (reply.message_id.as_str(), reply)).collect();
        let mut taken: HashMap<(String, String), usize> = HashMap::new();
        let mut by_conversation: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for send in sim.accepted_sends() {
            let text = send.text.unwrap_or_default();
            *taken.entry((send.conversation_id.clone(), text.clone())).or_default() += 1;
            by_conversation.entry(send.conversation_id).or_default().push(text);
        }
        let mut verdict = Self { asked: asked.len(), ..Self::default() };
        let mut ids = HashMap::new();
        for question in asked {
            let name = (question.ids.conversation_id.clone(), question.answer.clone());
            let times = taken.get(&name).copied().unwrap_or_default();
            let reply = [&question.ids.wamid, &question.ids.message_id]
                .into_iter()
                .find_map(|name| replies.get(name.as_str()).copied());
            verdict.judge(question, times, reply);
            if let Some(reply) = reply {
                ids.insert(name, reply.id);
            }
        }
        for (conversation, texts) in by_conversation {
            let order: Vec<Option<i64>> =
                texts.into_iter().map(|text| ids.get(&(conversation.clone(), text)).copied()).collect();
            if !order.is_sorted() {
                verdict.out_of_order.push(format!("{conversation}: {order:?}"));
            }
        }
        let mut marks: HashMap<String, usize> = HashMap::new();
        sim.accepted_marks().into_iter().for_each(|mark| *marks.entry(mark.message).or_default() += 1);
        verdict.marked_twice = marks.into_iter().filter(|(_, times)| *times > 1).map(|(of, _)| of).collect();
        Ok(verdict)
    }

    fn judge(&mut self, question: &Question, times: usize, reply: Option<&Reply>) {
        let state = reply.map_or("none", |reply| &reply.state);
        *self.by_state.entry(state.to_owned()).or_default() += 1;
        let told = || {
            let (attempts, outcome) =
                reply.map_or((0, None), |reply| (reply.attempts, reply.outcome.as_deref()));
            format!(
                "{}: {state} after {attempts} attempts ({outcome:?}), taken {times} times",
                question.ids.wamid
            )
        };
        if let Some(outcome) = reply.and_then(|reply| reply.outcome.as_deref()) {
            *self.by_outcome.entry(outcome.to_owned()).or_default() += 1;
        }
        if times > 1 {
            self.doubled.push(told());
        }
        let as_it_should = match state {
            "done" => times == 1,
            "discarded" => times == 0,
            "unknown" => true,
            _ => false,
        };
        if !as_it_should {
            self.missing.push(told());
        }
    }

    /// # Errors
    ///
    /// When it is not.
    pub(crate) fn is_as_promised(&self) -> Result<()> {
        for (what, which) in [
            ("doubled", &self.doubled),
            ("not what the outbox says", &self.missing),
            ("out of order", &self.out_of_order),
            ("marked twice", &self.marked_twice),
        ] {
            let told = which.get(..TOLD).unwrap_or(which);
            ensure!(which.is_empty(), "{what}: {} ({})", which.len(), told.join("; "));
        }
        let unknown = self.by_state.get("unknown").copied().unwrap_or_default();
        ensure!(unknown * 100 <= self.asked * UNKNOWN_PERCENT, "unknown: {unknown} of {}", self.asked);
        // What a storm does not reach, it does not test.
        let done = self.by_state.get("done").copied().unwrap_or_default();
        ensure!(done * 10 >= self.asked * 9, "only {done} of {} are done", self.asked);
        Ok(())
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}; doubled {}, missing {}", self.by_state, self.doubled.len(), self.missing.len())?;
        write!(f, "; by outcome {:#?}", self.by_outcome)
    }
}
