//! `worker doctor`, `worker send-test` and `ingest sign`: run as a person runs them, beside a product that is well,
//! and beside one with each trouble planted.

mod broker;
mod configuration;
mod database;
mod kapso;
mod middle;
mod road;
mod scene;
mod send_test;
mod well;
