//! The whole road, with nothing of it replaced but Kapso: ingest, `RabbitMQ`, worker, Postgres, and back.

mod ahead;
mod configuration;
mod databases;
mod dialects;
mod dispatcher;
mod give_back;
mod guide;
mod hold;
mod killer;
mod lanes;
mod limits;
mod logs;
mod outages;
mod redelivery;
mod refusals;
mod reply;
mod rules;
mod scene;
mod slots;
mod slow_lane;
mod statistics;
mod stop;
mod takeover;
mod topology;
mod unknown;
mod worker_away;
