//! What has been started, in order.

use std::time::Duration;

use anyhow::{Error, Result, anyhow};
use harness::process::Process;
use harness::product::Product;
use harness::servers::{Postgres, RabbitMq};

use crate::progress::step;

/// Longer than the product's own deadline for a stop.
const STOP_DEADLINE: Duration = Duration::from_secs(40);

/// How often the processes are looked after.
const BETWEEN_LOOKS: Duration = Duration::from_millis(200);

/// One thing that runs.
pub(crate) enum Service {
    Postgres(Postgres),
    RabbitMq(RabbitMq),
    Program(Product),
}

impl Service {
    fn process(&mut self) -> Option<&mut Process> {
        match self {
            Self::Postgres(postgres) => postgres.process(),
            Self::RabbitMq(rabbitmq) => rabbitmq.process(),
            Self::Program(program) => Some(program.process()),
        }
    }

    async fn stop(&mut self) -> Result<()> {
        match self {
            Self::Postgres(postgres) => postgres.stop().await,
            Self::RabbitMq(rabbitmq) => rabbitmq.stop().await,
            Self::Program(program) => program.terminate(STOP_DEADLINE).await.map(drop),
        }
    }
}

/// Everything that was started, the first first. Dropped, it is killed.
#[derive(Default)]
pub(crate) struct Running(Vec<Service>);

impl Running {
    pub(crate) fn add(&mut self, service: Service) {
        self.0.push(service);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Waits until one of them ends by itself, and says which and why.
    pub(crate) async fn first_to_end(&mut self) -> Error {
        loop {
            for process in self.0.iter_mut().filter_map(Service::process) {
                match process.ended() {
                    Ok(None) => {}
                    Ok(Some(status)) => {
                        return anyhow!("{} ended ({status}); {}", process.name(), process.log_tail());
                    }
                    Err(error) => return error,
                }
            }
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
    }

    /// Stops them, the last first. What does not stop is killed.
    pub(crate) async fn stop(&mut self) {
        while let Some(service) = self.0.last_mut() {
            let name =
                service.process().map_or_else(|| "a server".to_owned(), |process| process.name().to_owned());
            if let Err(error) = step(&name, service.stop()).await {
                eprintln!("{error:#}");
            }
            self.0.pop();
        }
    }
}
