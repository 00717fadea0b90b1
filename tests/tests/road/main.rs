//! The whole road, with nothing of it replaced but Kapso: ingest, `RabbitMQ`, worker, Postgres, and back.

mod configuration;
mod databases;
mod dialects;
mod dispatcher;
mod guide;
mod lanes;
mod limits;
mod logs;
mod outages;
mod redelivery;
mod reply;
mod rules;
mod scene;
mod slow_lane;
mod stop;
mod worker_away;
