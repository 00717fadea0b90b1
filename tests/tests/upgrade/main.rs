//! Old and new versions side by side: what an earlier version wrote, by today's programs.
//!
//! Nothing here is made by today's code: `tests/fixtures/earlier` was recorded from the version of 2026-11-24, as
//! its README says.

mod earlier;
mod envelopes;
mod migrations;
mod rows;
mod spool;
mod statements;
mod waiting;
