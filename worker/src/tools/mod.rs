//! The subcommands, one file each.

pub mod backfill;
pub mod conversations;
pub mod database;
pub mod dead_letters;
pub mod effects;
pub mod migrate;
pub mod replay;
pub mod screen;
pub mod table;
pub mod when;

/// The exit code of what Ctrl-C or SIGTERM ended, as a shell would report the first: 128 + SIGINT.
pub const EXIT_INTERRUPTED: u8 = 130;
