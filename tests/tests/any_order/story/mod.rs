//! story
pub(crate) fn began() -> time::OffsetDateTime {
    let now = time::OffsetDateTime::now_utc();
    now.replace_nanosecond(0).unwrap_or(now) - time::Duration::minutes(20)
}
