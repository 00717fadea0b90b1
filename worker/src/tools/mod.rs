//! The subcommands, one file each.

pub mod backfill;
pub mod migrate;
pub mod when;
