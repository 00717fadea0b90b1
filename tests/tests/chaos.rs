//! A minute of chaos, with servers of its own: what `make chaos` does for an hour.

use anyhow::{Result, ensure};
use harness::chaos::{Options, Run, plan::Plan};
use harness::scratch;
use tokio_util::sync::CancellationToken;

/// The same faults in the same order in every run; another is tried by `make chaos`.
const SEED: u64 = 20_261_125;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_and_nothing_happens_twice() -> Result<()> {
    let plan = Plan::short(SEED);
    let faults = plan.0.len();
    let run = Run::new(Options { seed: SEED, rate: 40.0, retry_scale: 0.1, plan }, CancellationToken::new());
    let dir = scratch::dir()?;
    let complaints = run.go(&dir, Box::new(note)).await?;
    note(&run.table());
    ensure!(
        complaints.is_empty(),
        "logs are in {}, first timeline.log\n{}\n{}",
        dir.display(),
        complaints.join("\n"),
        run.table()
    );
    ensure!(run.faults() == faults, "{} of {faults} faults", run.faults());
    Ok(())
}

/// Tells a person who looks (`--nocapture`).
#[expect(clippy::print_stdout, reason = "a test's report goes to whoever runs it")]
fn note(line: &str) {
    println!("{line}");
}
