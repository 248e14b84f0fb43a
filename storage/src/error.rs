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
    /// The store is busy: a lock, a statement or a connection took too long. Try again later.
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
    /// A setting that durability rests on is not in force.
    #[error("unsafe setting: {0}")]
    Unsafe(String),
    /// A stored row cannot be what was written.
    #[error("damaged row: {0}")]
    Damaged(String),
}

/// SQLSTATEs and SQLite result codes that mean "later": lock, statement and idle timeouts, deadlock,
/// serialisation, too many connections, busy, locked.
const BUSY_CODES: [&str; 12] =
    ["55P03", "57014", "25P03", "40P01", "40001", "53300", "57P03", "5", "6", "261", "517", "262"];

impl From<sqlx::Error> for StorageError {
    fn from(error: sqlx::Error) -> Self {
        if matches!(error, sqlx::Error::PoolTimedOut) {
            return Self::Busy(error);
        }
        if let sqlx::Error::ColumnDecode { index, .. } = &error {
            return Self::Damaged(index.clone());
        }
        let Some(cause) = error.as_database_error() else { return Self::Database(error) };
        if cause.code().is_some_and(|code| BUSY_CODES.contains(&code.as_ref())) {
            return Self::Busy(error);
        }
        if cause.kind() == ErrorKind::UniqueViolation {
            return Self::AlreadyStored(cause.constraint().unwrap_or(cause.message()).to_owned());
        }
        Self::Database(error)
    }
}
