//! What will go wrong, in which order and for how long: all of it follows from the seed.

use std::time::Duration;

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng, seq::SliceRandom as _};

use super::fault::{Fault, Link, Target};

/// One stop of the broker in so many lasts this long, in seconds.
const LONG_STOP_EVERY: usize = 6;
const LONG_STOP: (u64, u64) = (90, 150);

/// One fault that is going to strike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Strike {
    /// What goes wrong.
    pub fault: Fault,
    /// For how long, where it lasts.
    pub hold: Duration,
    /// How long nothing more goes wrong once it has been recovered from.
    pub calm: Duration,
}

/// Faults that strike one after another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan(pub Vec<Strike>);

impl Plan {
    /// So many faults. All kinds come before one comes again, each time in another order. `RabbitMQ` is stopped for
    /// minutes the first time, and then once in a while.
    #[must_use]
    pub fn long(seed: u64, count: usize) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let (mut strikes, mut stops) = (Vec::with_capacity(count), 0);
        while strikes.len() < count {
            let mut bag = Fault::all();
            bag.shuffle(&mut random);
            for fault in bag {
                let lasts = fault == Fault::Stop(Target::RabbitMq) && stops % LONG_STOP_EVERY == 0;
                stops += usize::from(fault == Fault::Stop(Target::RabbitMq));
                let (least, most) = if lasts { LONG_STOP } else { fault.holds() };
                let hold = Duration::from_millis(random.random_range(least * 1000..=most * 1000));
                let calm = Duration::from_millis(random.random_range(200..800));
                strikes.push(Strike { fault, hold, calm });
            }
        }
        strikes.truncate(count);
        Self(strikes)
    }

    /// What fits into a minute: each thing that can be struck, once. The seed chooses the order.
    #[must_use]
    pub fn short(seed: u64) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let mut faults = vec![
            Fault::Kill(Target::Ingest),
            Fault::Kill(Target::Worker(random.random_range(0..2))),
            Fault::Kill(Target::Workers),
            Fault::Kill(Target::Postgres),
            Fault::Kill(Target::RabbitMq),
            Fault::Block,
            Fault::Cut(Link::IngestToRabbitMq),
            Fault::Cut(Link::WorkerToRabbitMq),
            Fault::Cut(Link::WorkerToPostgres),
            Fault::Cut(Link::WorkerToKapso),
            Fault::Stall(Link::IngestToRabbitMq),
            Fault::DeleteQueue,
            Fault::FillDisk,
            Fault::Terminate(Target::Workers),
        ];
        faults.shuffle(&mut random);
        let strike = |fault: Fault| Strike { fault, hold: Duration::from_secs(2), calm: Duration::ZERO };
        Self(faults.into_iter().map(strike).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_a_plan() {
        assert_eq!(Plan::long(7, 100), Plan::long(7, 100));
        assert_ne!(Plan::long(7, 100), Plan::long(8, 100));
        assert_eq!(Plan::long(7, 30).0, Plan::long(7, 100).0[..30]);
    }

    #[test]
    fn every_fault_comes_before_any_comes_again() {
        let all = Fault::all();
        let first: Vec<_> = Plan::long(1, all.len()).0.iter().map(|strike| strike.fault).collect();
        assert!(all.iter().all(|fault| first.contains(fault)));
    }

    #[test]
    fn some_stops_of_the_broker_last_minutes() {
        let stops = Plan::long(1, 300).0.into_iter().filter(|it| it.fault == Fault::Stop(Target::RabbitMq));
        assert!(stops.filter(|stop| stop.hold >= Duration::from_secs(90)).count() >= 2);
    }
}
