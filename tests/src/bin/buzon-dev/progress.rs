//! Short lines about what is being done and how long it took.

use std::time::Instant;

use anyhow::Result;

/// Does one piece of work, and says how long it took.
pub(crate) async fn step<T>(what: &str, work: impl Future<Output = Result<T>>) -> Result<T> {
    let start = Instant::now();
    let done = work.await;
    let seconds = start.elapsed().as_secs_f64();
    match &done {
        Ok(_) => println!("  {what:<44} {seconds:>6.1} s"),
        Err(_) => println!("  {what:<44} {seconds:>6.1} s, failed"),
    }
    done
}
