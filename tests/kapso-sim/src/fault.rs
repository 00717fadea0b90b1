//! What goes wrong, and how often: a plan of outcomes that calls run into.

use std::time::Duration;

use rand::{RngExt as _, rngs::StdRng};
use serde::{Deserialize, Serialize};

use crate::{
    reply::Reply,
    story::{MessageError, Status},
};

/// A kind of call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Sends a message.
    Send,
    /// Marks a message as read.
    Mark,
    /// Lists something.
    List,
    /// Anything else.
    Other,
}

/// One thing that goes wrong.
#[derive(Clone, Debug)]
pub struct Fault {
    /// Which calls; none: any.
    pub on: Option<Action>,
    /// Only calls that name this conversation id, number or message id; a listing, also anything in its path or query.
    pub about: Option<String>,
    /// What happens to them.
    pub outcome: Outcome,
    /// How often.
    pub times: Times,
}

/// How often a fault strikes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Times {
    /// The next so many matching calls, then never again.
    Next(u32),
    /// Every matching call with this probability (0 to 1), from the simulator's seed.
    Chance(f64),
}

/// What happens to a call that a fault strikes.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// It has no effect and is answered so.
    Answer(Reply),
    /// It has its effect at once, and its own answer comes this much later.
    Delay(Duration),
    /// It has its effect, and is answered so all the same (a gateway that lost patience).
    AcceptThenAnswer(Reply),
    /// It has its effect, no answer comes for this long, then the connection is cut.
    AcceptThenHang(Duration),
    /// It has its effect, and the connection is cut without a byte of answer.
    AcceptThenCut,
    /// It has its effect and its answer, but the message fails later.
    AcceptThenFail(MessageError),
    /// It has its effect; the proxy's answer says that Meta holds the message to assess its quality.
    AcceptHeld,
    /// It has no effect; no answer comes for this long, then the connection is cut.
    Hang(Duration),
    /// It has no effect, and the connection is cut without a byte of answer.
    Cut,
}

impl Outcome {
    /// Its name in records.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Answer(_) => "answer",
            Self::Delay(_) => "delay",
            Self::AcceptThenAnswer(_) => "accept_then_answer",
            Self::AcceptThenHang(_) => "accept_then_hang",
            Self::AcceptThenCut => "accept_then_cut",
            Self::AcceptThenFail(_) => "accept_then_fail",
            Self::AcceptHeld => "accept_held",
            Self::Hang(_) => "hang",
            Self::Cut => "cut",
        }
    }

    /// A failure as it arrives late, as a status: code 131047, the closed 24-hour window.
    #[must_use]
    pub fn fail_late() -> Self {
        Self::AcceptThenFail(MessageError {
            code: 131_047,
            title: "Re-engagement message".to_owned(),
            details: "More than 24 hours have passed since the customer last replied.".to_owned(),
        })
    }

    /// The status with which a message that ran into this ends.
    pub(crate) fn last_status(&self) -> Option<(Status, &MessageError)> {
        match self {
            Self::AcceptThenFail(error) => Some((Status::Failed, error)),
            _ => None,
        }
    }
}

impl Fault {
    /// The next send runs into `outcome`.
    #[must_use]
    pub fn next_send(outcome: Outcome) -> Self {
        Self { on: Some(Action::Send), about: None, outcome, times: Times::Next(1) }
    }

    /// The next mark-as-read runs into `outcome`.
    #[must_use]
    pub fn next_mark(outcome: Outcome) -> Self {
        Self { on: Some(Action::Mark), about: None, outcome, times: Times::Next(1) }
    }

    /// The next listing runs into `outcome`.
    #[must_use]
    pub fn next_list(outcome: Outcome) -> Self {
        Self { on: Some(Action::List), about: None, outcome, times: Times::Next(1) }
    }

    /// The next call of any kind runs into `outcome`.
    #[must_use]
    pub fn next_call(outcome: Outcome) -> Self {
        Self { on: None, about: None, outcome, times: Times::Next(1) }
    }

    /// The same fault as often as `times` says.
    #[must_use]
    pub fn times(mut self, times: Times) -> Self {
        self.times = times;
        self
    }

    /// The same fault for calls that name this conversation id, number or message id only.
    #[must_use]
    pub fn about(mut self, name: impl Into<String>) -> Self {
        self.about = Some(name.into());
        self
    }
}

/// Faults in the order in which they were planned: the first that matches a call and strikes is taken.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    faults: Vec<Fault>,
}

impl Plan {
    pub(crate) fn add(&mut self, fault: Fault) {
        self.faults.push(fault);
    }

    pub(crate) fn clear(&mut self) {
        self.faults.clear();
    }

    pub(crate) fn pending(&self) -> Vec<Fault> {
        self.faults.clone()
    }

    /// The outcome that a call of this kind, naming these things, runs into.
    pub(crate) fn strike(&mut self, action: Action, names: &[String], rng: &mut StdRng) -> Option<Outcome> {
        for (at, fault) in self.faults.iter_mut().enumerate() {
            let on = fault.on.is_none_or(|on| on == action);
            let about = fault.about.as_deref().is_none_or(|about| names.iter().any(|name| name == about));
            if !(on && about) {
                continue;
            }
            match &mut fault.times {
                Times::Next(0) => {}
                Times::Next(left) => {
                    *left -= 1;
                    let outcome = fault.outcome.clone();
                    if *left == 0 {
                        self.faults.remove(at);
                    }
                    return Some(outcome);
                }
                Times::Chance(chance) => {
                    if rng.random_bool(chance.clamp(0.0, 1.0)) {
                        return Some(fault.outcome.clone());
                    }
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;

    use super::*;

    fn strikes(plan: &mut Plan, action: Action, names: &[&str]) -> Option<&'static str> {
        let mut rng = StdRng::seed_from_u64(7);
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        plan.strike(action, &names, &mut rng).map(|outcome| outcome.name())
    }

    #[test]
    fn the_next_two_and_no_more() {
        let mut plan = Plan::default();
        plan.add(Fault::next_send(Outcome::Cut).times(Times::Next(2)));
        assert_eq!(strikes(&mut plan, Action::Mark, &[]), None);
        assert_eq!(strikes(&mut plan, Action::Send, &[]), Some("cut"));
        assert_eq!(strikes(&mut plan, Action::Send, &[]), Some("cut"));
        assert_eq!(strikes(&mut plan, Action::Send, &[]), None);
        assert!(plan.pending().is_empty());
    }

    #[test]
    fn only_what_it_is_about() {
        let mut plan = Plan::default();
        plan.add(Fault::next_send(Outcome::AcceptThenCut).about("conv-1"));
        assert_eq!(strikes(&mut plan, Action::Send, &["conv-2"]), None);
        assert_eq!(strikes(&mut plan, Action::Send, &["conv-1"]), Some("accept_then_cut"));
    }

    #[test]
    fn in_the_order_planned() {
        let mut plan = Plan::default();
        plan.add(Fault::next_call(Outcome::Cut));
        plan.add(Fault::next_call(Outcome::Answer(Reply::in_flight())));
        assert_eq!(strikes(&mut plan, Action::Send, &[]), Some("cut"));
        assert_eq!(strikes(&mut plan, Action::List, &[]), Some("answer"));
    }

    #[test]
    fn chance_stays_and_is_seeded() {
        let draw = || {
            let mut plan = Plan::default();
            plan.add(Fault::next_call(Outcome::Cut).times(Times::Chance(0.5)));
            let mut rng = StdRng::seed_from_u64(1);
            (0..32).map(|_| plan.strike(Action::Send, &[], &mut rng).is_some()).collect::<Vec<_>>()
        };
        assert_eq!(draw(), draw());
        assert!(draw().contains(&true) && draw().contains(&false));
    }
}
