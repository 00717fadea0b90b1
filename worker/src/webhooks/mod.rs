//! Our webhook as it is registered with Kapso: what it should be, and what is wrong with it.
//! Asked for by `worker webhook` and by the alarms.

mod diagnosis;
mod events;

pub(crate) use diagnosis::is_meta;
pub(crate) use diagnosis::{ANSWER_BY_PROXY, META_UNANSWERED};
pub use diagnosis::{Finding, Severity, Wanted, diagnose, ours};
pub use events::{EVENTS, REQUIRED, unsupported};
