//! For tests, and in debug builds alone: a webhook that kills the worker outright.

use std::{env, process, sync::LazyLock};

/// The text in a body that kills; none where the variable is not set.
static ABORT_ON: LazyLock<Option<String>> =
    LazyLock::new(|| env::var("BUZON_TEST_ABORT_ON").ok().filter(|text| !text.is_empty()));

/// Ends the process like a fault that nobody can catch, if the body is a killer's.
pub(crate) fn strike(body: &[u8]) {
    if let Some(text) = &*ABORT_ON
        && body.windows(text.len()).any(|found| found == text.as_bytes())
    {
        process::abort();
    }
}
