#![doc = include_str!("../README.md")]

mod account;
mod act;
mod api;
mod call;
mod clock;
mod config;
mod control;
mod delivery;
pub mod dialect;
mod fault;
mod http;
mod ids;
mod limit;
mod reply;
mod sign;
mod sim;
mod store;
pub mod story;
mod subscription;
mod world;

pub use self::{
    account::{MessageStatus, MessagingHealth, NumberState},
    act::RawWebhook,
    call::{AcceptedMark, AcceptedSend, Call},
    clock::{iso, now},
    config::{Buffering, SimConfig, Statuses},
    delivery::{Attempt, Delivery, DeliveryState},
    dialect::Dialect,
    fault::{Action, Fault, Outcome, Times},
    ids::{uuid, wamid},
    reply::{Reply, ReplyBody},
    sign::{digest, sign},
    sim::Sim,
    story::{CallProgress, Content, InboundMessage, PersonsMessage, PhoneCall, SentIds},
};
