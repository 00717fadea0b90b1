//! The door: takes a webhook, authenticates it, makes it durable, and only then answers 200.
//!
//! ```text
//! request ─► door (read, verify, peek, seal) ─► keeper ─► publisher ─► RabbitMQ
//!                     │                           │           ▲
//!                     ◄─── confirmed, or synced ──┤           │ drained
//!                                                 └► spool ───┘
//! ```
//!
//! [`door`] turns a request into an [`contract::envelope::Envelope`] and the outcome into
//! an answer; [`publish`] owns the broker's connection and says of each envelope whether
//! it is confirmed; [`spool`] stores what the broker does not take; [`keep`] chooses between
//! the two, and drains; [`serve`] puts all behind an address.
//!
//! Architecture invariants: nothing here knows a database or what a webhook means; a 200
//! leaves only after the broker's confirm or the spool's sync; nothing but [`publish`] holds an
//! AMQP channel.

pub mod alarms;
pub mod door;
pub mod figures;
mod files;
pub mod keep;
pub mod publish;
pub mod serve;
pub mod settings;
pub mod sign;
pub mod spool;
