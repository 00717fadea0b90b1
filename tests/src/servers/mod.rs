//! A Postgres and a RabbitMQ of one's own, from Debian's packages, beside whatever else the machine runs.
//!
//! Each server lives in a directory and on free ports of the loopback, is stopped by process id, and keeps its data
//! when it is started again in the same directory.

mod account;
mod disk;
pub mod packages;
mod postgres;
mod rabbitmq;

use std::time::Duration;

pub use account::reachable_home;
pub use disk::SmallDisk;
pub use postgres::Postgres;
pub(crate) use postgres::create_database;
pub use rabbitmq::{Node, RabbitMq};

/// A server on a busy, slow machine is up well within this; beyond, something is wrong.
const START_DEADLINE: Duration = Duration::from_secs(90);

/// A clean stop: flush, close, leave.
const STOP_DEADLINE: Duration = Duration::from_secs(30);
