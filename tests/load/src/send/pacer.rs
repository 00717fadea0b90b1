//! Opens the gate when a request is due. A thread of its own: the runtime's timers are as coarse as a millisecond,
//! which is longer than many an answer takes.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::sync::Semaphore;

use crate::schedule::Schedule;

/// How often the gate is looked after at the most. Requests leave late by up to this, and their times tell it.
const TICK: Duration = Duration::from_micros(200);

/// Lets `total` requests through by the schedule, and then wakes everybody to see that this was all.
pub(super) fn start(
    schedule: Schedule,
    gate: Arc<Semaphore>,
    start: Instant,
    total: u64,
    senders: usize,
) -> Result<()> {
    thread::Builder::new().name("pacer".to_owned()).spawn(move || {
        let mut released = 0;
        while released < total {
            let due = schedule.due(start.elapsed()).min(total);
            gate.add_permits(usize::try_from(due - released).unwrap_or_default());
            released = due;
            thread::sleep(schedule.intended(released).saturating_sub(start.elapsed()).max(TICK));
        }
        gate.add_permits(senders);
    })?;
    Ok(())
}
