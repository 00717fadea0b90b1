//! The subcommands, one file each.

pub mod database;
pub mod dead_letters;
pub mod migrate;
pub mod replay;
pub mod screen;
pub mod table;
pub mod when;
