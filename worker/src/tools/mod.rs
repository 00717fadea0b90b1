//! The subcommands, one module each.

pub mod backfill;
pub mod conversations;
pub mod database;
pub mod dead_letters;
pub mod doctor;
pub mod effects;
pub mod migrate;
pub mod post;
pub mod replay;
pub mod screen;
pub mod send_test;
pub mod table;
pub mod webhook;
pub mod when;

/// The exit code of what Ctrl-C or SIGTERM ended, as a shell would report the first: 128 + SIGINT.
pub const EXIT_INTERRUPTED: u8 = 130;
