//! The door against a real broker: the real binary, its answers, and what lies in the queue afterwards.

mod envelope;
mod guide;
mod load;
mod outages;
mod queue;
mod refusals;
mod signatures;
mod spool;
mod stage;
mod start_and_stop;
mod unread_log;
