//! Cases from the field, and their kinds in every dialect, through the whole product: ingest, `RabbitMQ`, worker,
//! Postgres and a simulated Kapso. [`files`] holds those of `tests/fixtures/cases`, [`kinds`] their relatives.
//!
//! `BUZON_CASE` plays only the cases whose names contain its value.

mod case;
mod dialects;
mod door;
mod files;
mod kinds;
mod play;
mod road;
mod verdict;
