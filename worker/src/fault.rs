//! Whose fault a failure is: the data's, or the world's.

/// The SQLSTATE classes that are the data's fault.
const DATA_CLASSES: [&str; 4] = ["21", "22", "23", "54"];

/// What kept a webhook from being stored.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// Postgres refused what is in it; trying again changes nothing.
    #[error("the data was refused: {0}")]
    Data(String),
    /// Anything else. It is nobody's fault here, and passes.
    #[error("the database: {0}")]
    Outage(String),
}

impl From<sqlx::Error> for Fault {
    /// Only the SQLSTATE classes 21 (cardinality: two rows of a window for one), 22 (data exception), 23 (integrity constraint) and 54
    /// (program limit: an id too long for its index, 54000) are the data's fault; each fails
    /// alike however often it is tried, but for a partition that is missing (23514): the next
    /// try makes it. Source: PostgreSQL, "Appendix A. Error Codes".
    fn from(error: sqlx::Error) -> Self {
        match &error {
            // The text alone: Postgres' detail can hold the row, and so somebody's words.
            sqlx::Error::Database(refused) => match refused.code() {
                Some(code) if DATA_CLASSES.iter().any(|class| code.starts_with(class)) => {
                    Self::Data(format!("{} ({code})", refused.message()))
                }
                code => Self::Outage(format!("{} ({})", refused.message(), code.unwrap_or_default())),
            },
            _ => Self::Outage(error.to_string()),
        }
    }
}
