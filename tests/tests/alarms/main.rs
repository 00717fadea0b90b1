//! Alarms, with whoever is told of them: raised, told once, told again, and over.

mod ingest;
mod receiver;
mod watched;
mod worker;

#[path = "../road/scene.rs"]
#[expect(dead_code, reason = "the road looks at more of it")]
mod scene;
