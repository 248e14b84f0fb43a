//! What can go wrong in the store, named by what the caller can do about it.

use sqlx::error::ErrorKind;

/// A failure of the store. After one, drop the [`Tx`](crate::Tx): PostgreSQL has spent it.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// The row is no longer as the caller saw it.
    #[error("the stored row has changed since it was seen")]
    Stale,
    /// A row with this identity is stored already; the text names the constraint or column.
    #[error("already stored: {0}")]
    AlreadyStored(String),
    /// The store cannot serve just now: a lock, a statement or a connection took too long, the server went
    /// away, the disk is full. Nothing is wrong with what was asked: try again later.
    #[error("the store is busy")]
    Busy(#[source] sqlx::Error),
    /// The database failed.
    #[error("the database failed")]
    Database(#[source] sqlx::Error),
    /// The schema could not be brought up to date.
    #[error("the schema could not be migrated")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    /// The address names no database that is supported.
    #[error("the database address begins neither with sqlite: nor with postgres:")]
    UnsupportedUrl,
    /// There is no file at the address, and none was to be made.
    #[error("there is no database at {0}")]
    NoDatabase(String),
    /// A setting that durability rests on is not in force.
    #[error("unsafe setting: {0}")]
    Unsafe(String),
    /// A stored row cannot be what was written.
    #[error("damaged row: {0}")]
    Damaged(String),
}

/// The beginnings of SQLSTATEs that mean "later": connection, rollback of a deadlock or of a conflict, resources,
/// operator, system; idle in transaction; lock not available.
const LATER_STATES: [&str; 7] = ["08", "40", "53", "57", "58", "25P03", "55P03"];
/// The primary result codes of SQLite that mean "later": busy, locked, input or output, full.
const LATER_CODES: [u32; 4] = [5, 6, 10, 13];

/// Whether a failure with this code passes by itself.
fn passes(code: &str) -> bool {
    match code.parse::<u32>() {
        Ok(extended) if code.len() < 5 => LATER_CODES.contains(&(extended & 0xff)),
        _ => LATER_STATES.iter().any(|state| code.starts_with(state)),
    }
}

/// The beginnings of SQLSTATEs of a connection that is gone: connection, operator's intervention.
const LOST_STATES: [&str; 2] = ["08", "57P"];

/// Whether the connection is gone on which this happened.
pub(crate) fn is_lost(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    matches!(error, sqlx::Error::Io(_))
        || code.is_some_and(|code| LOST_STATES.iter().any(|state| code.starts_with(state)))
}

impl From<sqlx::Error> for StorageError {
    fn from(error: sqlx::Error) -> Self {
        if let sqlx::Error::ColumnDecode { index, .. } = &error {
            return Self::Damaged(index.clone());
        }
        if matches!(error, sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::Io(_))
        {
            return Self::Busy(error);
        }
        let Some(cause) = error.as_database_error() else { return Self::Database(error) };
        if cause.code().is_some_and(|code| passes(&code)) {
            return Self::Busy(error);
        }
        if cause.kind() == ErrorKind::UniqueViolation {
            return Self::AlreadyStored(cause.constraint().unwrap_or(cause.message()).to_owned());
        }
        Self::Database(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_by_itself_is_told_from_what_does_not() {
        for (code, later) in [
            ("5", true),
            ("517", true),
            ("6", true),
            ("778", true),
            ("13", true),
            ("14", false),
            ("2067", false),
            ("787", false),
            ("08006", true),
            ("40P01", true),
            ("53100", true),
            ("53300", true),
            ("55P03", true),
            ("57014", true),
            ("57P01", true),
            ("25P03", true),
            ("25P02", false),
            ("23505", false),
            ("42601", false),
            ("", false),
        ] {
            assert_eq!(passes(code), later, "{code}");
        }
    }
}
