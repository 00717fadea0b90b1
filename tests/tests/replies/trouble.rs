//! What Kapso does to calls while the storm lasts. All of it together strikes about one call in five.

use std::time::Duration;

use kapso_sim::{Action, Fault, Outcome, Reply, Sim, Times};

/// Longer than a request waits, shorter than two.
const TOO_LONG: Duration = Duration::from_secs(14);

/// Every call from now on may run into one of these.
pub(crate) fn plan(sim: &Sim) {
    for (on, chance, outcome) in troubles() {
        sim.fault(Fault { on: Some(on), about: None, outcome, times: Times::Chance(chance) });
    }
}

fn troubles() -> Vec<(Action, f64, Outcome)> {
    use Action::{List, Mark, Send};
    vec![
        // It certainly did not happen.
        (Send, 0.02, Outcome::Answer(Reply::in_flight())),
        (Send, 0.005, Outcome::Answer(Reply::rate_limited(1))),
        (Send, 0.02, Outcome::Answer(Reply::server_error(500))),
        (Send, 0.01, Outcome::Answer(Reply::server_error(503))),
        (Mark, 0.02, Outcome::Answer(Reply::server_error(503))),
        // It never will.
        (Send, 0.005, Outcome::Answer(Reply::window_closed())),
        // Nobody can tell: it did.
        (Send, 0.02, Outcome::AcceptThenCut),
        (Send, 0.01, Outcome::AcceptThenAnswer(Reply::cloudflare(502))),
        (Send, 0.005, Outcome::AcceptThenAnswer(Reply::cloudflare(504))),
        (Send, 0.005, Outcome::AcceptThenHang(TOO_LONG)),
        (Mark, 0.01, Outcome::AcceptThenCut),
        // Nobody can tell: it did not.
        (Send, 0.02, Outcome::Cut),
        (Send, 0.01, Outcome::Answer(Reply::cloudflare(502))),
        (Send, 0.005, Outcome::Hang(TOO_LONG)),
        // It is slow.
        (Send, 0.05, Outcome::Delay(Duration::from_millis(700))),
        // Who asks what became of it is not better off.
        (List, 0.05, Outcome::Answer(Reply::server_error(500))),
        (List, 0.05, Outcome::Cut),
    ]
}
