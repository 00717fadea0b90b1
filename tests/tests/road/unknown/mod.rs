//! Replies whose outcome nobody saw: settled by evidence, sent again only where there is none, and never twice.
//! Counted by what the simulator accepted.

mod absent;
mod claimed;
mod echoed;
mod restarted;
mod scene;
mod seen;
