//! The worker: the memory and the hands.
//!
//! In the order in which data walks through it: [`consume`] takes deliveries, [`decode`] makes
//! events of them, [`store`] runs the one transaction that archives ([`archive`]), projects
//! ([`project`]) and owes ([`effects`]); beside it the dispatcher of [`effects`] calls
//! [`kapso`], [`gaps`] asks it for what never reached us, [`webhooks`] looks after how it is
//! told of us, [`numbers`] says what is wrong with one of ours, and [`alarms`] call a person.

pub mod alarms;
pub mod archive;
pub mod consume;
pub mod decode;
pub mod effects;
pub mod event;
pub mod fault;
mod figures;
pub mod gaps;
pub mod ingest_url;
pub mod kapso;
#[cfg(debug_assertions)]
mod killer;
mod numbers;
pub mod outage;
pub mod project;
pub mod rules_file;
pub mod run;
pub mod schema;
pub mod settings;
pub mod statistics;
pub mod store;
pub mod tools;
pub mod wake;
pub mod webhooks;
