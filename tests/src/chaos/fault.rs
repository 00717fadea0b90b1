//! The kinds of faults.

use std::fmt;

/// Something that goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// `kill -9`. Programs are started again at once, servers after the hold.
    Kill(Target),
    /// SIGTERM to a program, which is started again.
    Terminate(Target),
    /// A server is stopped in good order, and started after the hold.
    Stop(Target),
    /// `RabbitMQ`'s memory alarm: it reads nothing more from whoever publishes.
    Block,
    /// Ingest is killed in the middle of an outage of `RabbitMQ`.
    KillIngestWithoutRabbitMq,
    /// Connections are closed with whatever is under way, some times in a row.
    Cut(Link),
    /// Connections stay open, and nothing passes.
    Stall(Link),
    /// The queue is deleted once all that was answered 200 is stored; the load goes on in the same moment.
    DeleteQueue,
    /// The spool's disk is full while `RabbitMQ` is away.
    FillDisk,
    /// Kapso answers 500.
    KapsoFails,
    /// Kapso takes its time.
    KapsoIsSlow,
    /// Everything is stopped in good order and started again.
    RestartEverything,
}

/// What is killed or stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The door.
    Ingest,
    /// One of the two workers.
    Worker(usize),
    /// Both workers.
    Workers,
    /// The database.
    Postgres,
    /// The broker.
    RabbitMq,
}

/// A connection that leads through a proxy. The first named is who connects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// What confirms come over.
    IngestToRabbitMq,
    /// What deliveries come over.
    WorkerToRabbitMq,
    /// What commits go over.
    WorkerToPostgres,
    /// What effects go over.
    WorkerToKapso,
}

impl Link {
    /// All of them.
    pub(super) const ALL: [Self; 4] =
        [Self::IngestToRabbitMq, Self::WorkerToRabbitMq, Self::WorkerToPostgres, Self::WorkerToKapso];
}

impl Fault {
    /// Each kind, and what is most likely to be got wrong more than once.
    pub(super) fn all() -> Vec<Self> {
        use Target::{Ingest, Postgres, RabbitMq, Worker, Workers};
        let mut all = vec![
            Self::Kill(Ingest),
            Self::Kill(Worker(0)),
            Self::Kill(Worker(1)),
            Self::Kill(Workers),
            Self::Kill(Postgres),
            Self::Kill(RabbitMq),
            Self::Terminate(Ingest),
            Self::Terminate(Workers),
            Self::Stop(Postgres),
            Self::Stop(RabbitMq),
            Self::Block,
            Self::KillIngestWithoutRabbitMq,
            Self::DeleteQueue,
            Self::FillDisk,
            Self::KapsoFails,
            Self::KapsoIsSlow,
            Self::RestartEverything,
        ];
        all.extend(Link::ALL.map(Self::Cut));
        all.extend(Link::ALL.map(Self::Stall));
        all
    }

    /// The shortest and the longest time that it lasts in a long run, in seconds.
    pub(super) fn holds(self) -> (u64, u64) {
        match self {
            Self::Kill(Target::Postgres | Target::RabbitMq) => (0, 3),
            Self::Stop(_) => (3, 15),
            Self::Block => (2, 8),
            Self::KillIngestWithoutRabbitMq | Self::FillDisk => (3, 8),
            // Longer than a request to Kapso may take, now and then.
            Self::Stall(Link::WorkerToKapso) => (2, 14),
            Self::Stall(_) => (2, 8),
            Self::Cut(_) | Self::KapsoFails | Self::KapsoIsSlow => (1, 4),
            Self::Kill(_) | Self::Terminate(_) | Self::DeleteQueue | Self::RestartEverything => (0, 0),
        }
    }

    /// Whether ingest itself is away for a moment: nobody answers then.
    pub(super) fn strikes_ingest(self) -> bool {
        matches!(
            self,
            Self::Kill(Target::Ingest)
                | Self::Terminate(Target::Ingest)
                | Self::KillIngestWithoutRabbitMq
                | Self::RestartEverything
        )
    }

    /// Whether a request to Kapso can be under way that nobody sees the end of: its process, its connection, or the
    /// database that its outcome would be recorded in is struck.
    pub(super) fn hides_outcomes(self) -> bool {
        match self {
            Self::Kill(target) | Self::Stop(target) => !matches!(target, Target::Ingest | Target::RabbitMq),
            Self::Cut(link) | Self::Stall(link) => {
                matches!(link, Link::WorkerToPostgres | Link::WorkerToKapso)
            }
            _ => false,
        }
    }
}

/// The name of its row.
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kill(target) => write!(f, "{target} killed"),
            Self::Terminate(target) => write!(f, "{target} restarted"),
            Self::Stop(target) => write!(f, "{target} stopped"),
            Self::Block => f.write_str("RabbitMQ blocked by its memory alarm"),
            Self::KillIngestWithoutRabbitMq => f.write_str("ingest killed, RabbitMQ stopped"),
            Self::Cut(link) => write!(f, "{link} cut"),
            Self::Stall(link) => write!(f, "{link} stalled"),
            Self::DeleteQueue => f.write_str("queue deleted"),
            Self::FillDisk => f.write_str("spool's disk full, RabbitMQ stopped"),
            Self::KapsoFails => f.write_str("Kapso answers 500"),
            Self::KapsoIsSlow => f.write_str("Kapso slow"),
            Self::RestartEverything => f.write_str("everything restarted"),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ingest => "ingest",
            Self::Worker(_) => "one worker",
            Self::Workers => "both workers",
            Self::Postgres => "Postgres",
            Self::RabbitMq => "RabbitMQ",
        })
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::IngestToRabbitMq => "ingest to RabbitMQ",
            Self::WorkerToRabbitMq => "worker to RabbitMQ",
            Self::WorkerToPostgres => "worker to Postgres",
            Self::WorkerToKapso => "worker to Kapso",
        })
    }
}
