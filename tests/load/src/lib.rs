//! How fast Buzón is.
//!
//! [`traffic`] says what is sent, [`send`] sends it, [`verify`] looks for every one of it in the database. [`bare`]
//! measures what the machine could do at the most, [`part`] runs generator and bare programs as processes of their
//! own, [`usage`] reads what everybody costs. [`count`] counts the instructions of the pure parts.

pub mod bare;
pub mod chart;
pub mod count;
pub mod figures;
pub mod http;
pub mod latency;
pub mod part;
pub mod place;
pub mod report;
pub mod scenario;
pub mod schedule;
pub mod send;
pub mod traffic;
pub mod usage;
pub mod verify;
