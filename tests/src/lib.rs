//! Drives the product from outside: private servers, real processes, a network that can be cut.
//!
//! [`servers`] starts a Postgres and a RabbitMQ that belong to nobody else; [`product`] runs the real binaries;
//! [`stage`] puts a fresh database, a fresh vhost and the product together for one test; [`chaos`]
//! strikes all of it. The binary `buzon-dev` uses the same parts for `make run` and `make test`, `buzon-chaos` for
//! `make chaos`.

pub mod chaos;
pub mod ports;
pub mod process;
pub mod product;
pub mod proxy;
pub mod scratch;
pub mod servers;
pub mod sign;
pub mod stage;
pub mod wait;
