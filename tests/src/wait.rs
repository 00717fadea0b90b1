//! Waiting for a state, never for an amount of time.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// Between two looks: short enough not to be felt, long enough not to be load.
const BETWEEN_LOOKS: Duration = Duration::from_millis(20);

/// What a look at the world can say: nothing yet, or the thing that was waited for.
pub trait Look {
    /// What is there once the wait is over.
    type Found;

    /// The thing, or why it is not there yet (empty when there is nothing to say).
    fn found(self) -> Result<Self::Found, String>;
}

impl Look for bool {
    type Found = ();

    fn found(self) -> Result<(), String> {
        if self { Ok(()) } else { Err(String::new()) }
    }
}

impl<T> Look for Option<T> {
    type Found = T;

    fn found(self) -> Result<T, String> {
        self.ok_or_else(String::new)
    }
}

/// An error is a reason to look again, and is told when time is up.
impl<L: Look> Look for Result<L> {
    type Found = L::Found;

    fn found(self) -> Result<L::Found, String> {
        match self {
            Ok(look) => look.found(),
            Err(error) => Err(format!("{error:#}")),
        }
    }
}

/// Looks until the thing is there; after `deadline`, fails saying what was waited for and what was seen last.
///
/// # Errors
///
/// When the deadline passes first.
pub async fn until<L: Look>(
    what: &str,
    deadline: Duration,
    mut look: impl AsyncFnMut() -> L,
) -> Result<L::Found> {
    let start = Instant::now();
    let mut looks = 0_u32;
    let mut last = String::new();
    loop {
        let left = deadline.saturating_sub(start.elapsed());
        looks += 1;
        match tokio::time::timeout(left, look()).await {
            Ok(look) => match look.found() {
                Ok(found) => return Ok(found),
                Err(why) => last = why,
            },
            Err(_) if last.is_empty() => last = "the last look did not come back".to_owned(),
            Err(_) => {}
        }
        if start.elapsed() >= deadline {
            let seen = if last.is_empty() { "not there".to_owned() } else { last };
            bail!("waited {:.1} s for {what} ({looks} looks): {seen}", deadline.as_secs_f64());
        }
        tokio::time::sleep(BETWEEN_LOOKS).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::anyhow;

    #[tokio::test]
    async fn returns_what_it_waited_for() -> Result<()> {
        let mut looks = 0;
        let found = until("the third look", Duration::from_secs(5), async || {
            looks += 1;
            (looks == 3).then_some("here")
        })
        .await?;
        assert_eq!(found, "here");
        Ok(())
    }

    #[tokio::test]
    async fn says_what_it_waited_for_and_what_it_saw_last() {
        let error = until("three rows", Duration::from_millis(50), async || -> Result<bool> {
            Err(anyhow!("2 rows"))
        })
        .await
        .map_or_else(|error| error.to_string(), |()| String::new());
        assert!(error.starts_with("waited 0.1 s for three rows ("), "{error}");
        assert!(error.ends_with("looks): 2 rows"), "{error}");
    }

    #[tokio::test]
    async fn a_look_that_hangs_is_cut_off_by_the_deadline() {
        let start = Instant::now();
        let error =
            until("an answer", Duration::from_millis(50), async || std::future::pending::<bool>().await)
                .await;
        assert!(error.is_err());
        assert!(start.elapsed() < Duration::from_secs(2));
    }
}
