//! What never reached us: `worker backfill` and the gap detector, against real servers and the simulator in both of its
//! API styles.

mod detector;
mod gaps;
mod names;
mod paging;
mod rebuild;
mod scene;
mod statuses;
mod trouble;
