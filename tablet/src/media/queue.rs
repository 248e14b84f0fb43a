//! The queue of uploads: how far each blob has come, and when it may be tried again. It survives a restart.

use crate::database::Database;
use crate::error::TabletError;
use sqlx::Row as _;
use std::collections::BTreeMap;
use sync_protocol::blob::BlobHash;
use sync_protocol::clock::UnixMillis;

/// How far an upload has come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Queued {
    /// The address of the upload on the server; none before it is created.
    pub(crate) upload: Option<String>,
    /// How many bytes the server was last heard to have.
    pub(crate) offset: u64,
    /// Failures since something last moved.
    pub(crate) attempts: u32,
    /// How often all bytes were uploaded.
    pub(crate) finished: u32,
    /// Before this it is not tried again, by the tablet's wall clock.
    pub(crate) next_try: UnixMillis,
    /// Why it is not tried again at all.
    pub(crate) stopped: Option<String>,
}

/// The rows of the queue, in memory and in the database.
#[derive(Debug, Default)]
pub(crate) struct Queue(BTreeMap<BlobHash, Queued>);

impl Queue {
    pub(crate) async fn open(database: &mut Database) -> Result<Self, TabletError> {
        Ok(Self(database.queued().await?))
    }

    pub(crate) fn get(&self, sha256: BlobHash) -> Queued {
        self.0.get(&sha256).cloned().unwrap_or_default()
    }

    /// Keeps a row; it is on disk when this returns.
    pub(crate) async fn put(
        &mut self,
        database: &mut Database,
        sha256: BlobHash,
        row: Queued,
    ) -> Result<(), TabletError> {
        database.put_queued(sha256, &row).await?;
        self.0.insert(sha256, row);
        Ok(())
    }

    pub(crate) async fn remove(
        &mut self,
        database: &mut Database,
        sha256: BlobHash,
    ) -> Result<(), TabletError> {
        if self.0.remove(&sha256).is_some() {
            database.remove_queued(sha256).await?;
        }
        Ok(())
    }

    /// The blobs that are not tried again by themselves.
    pub(crate) fn stopped(&self) -> Vec<BlobHash> {
        let stopped = self.0.iter().filter(|(_, row)| row.stopped.is_some());
        stopped.map(|(sha256, _)| *sha256).collect()
    }
}

impl Database {
    async fn queued(&mut self) -> Result<BTreeMap<BlobHash, Queued>, TabletError> {
        const SQL: &str = "select sha256, upload, offset, attempts, finished, next_try, stopped
                             from upload order by sha256";
        let mut queued = BTreeMap::new();
        for row in sqlx::query(SQL).fetch_all(&mut self.connection).await? {
            let sha256: String = row.try_get(0)?;
            let sha256 = sha256.parse().map_err(|_| {
                TabletError::Unsafe("a row of the upload queue is damaged".to_owned())
            })?;
            let count = |n: i64| u32::try_from(n).unwrap_or(u32::MAX);
            let read = Queued {
                upload: row.try_get(1)?,
                offset: u64::try_from(row.try_get::<i64, _>(2)?).unwrap_or(0),
                attempts: count(row.try_get(3)?),
                finished: count(row.try_get(4)?),
                next_try: UnixMillis(row.try_get(5)?),
                stopped: row.try_get(6)?,
            };
            queued.insert(sha256, read);
        }
        Ok(queued)
    }

    async fn put_queued(&mut self, sha256: BlobHash, row: &Queued) -> Result<(), TabletError> {
        const SQL: &str =
            "insert into upload (sha256, upload, offset, attempts, finished, next_try, stopped)
             values ($1, $2, $3, $4, $5, $6, $7)
             on conflict (sha256) do update set
               upload = excluded.upload, offset = excluded.offset, attempts = excluded.attempts,
               finished = excluded.finished, next_try = excluded.next_try, stopped = excluded.stopped";
        sqlx::query(SQL)
            .bind(sha256.to_string())
            .bind(row.upload.as_deref())
            .bind(i64::try_from(row.offset).unwrap_or(i64::MAX))
            .bind(i64::from(row.attempts))
            .bind(i64::from(row.finished))
            .bind(row.next_try.0)
            .bind(row.stopped.as_deref())
            .execute(&mut self.connection)
            .await?;
        Ok(())
    }

    async fn remove_queued(&mut self, sha256: BlobHash) -> Result<(), TabletError> {
        const SQL: &str = "delete from upload where sha256 = $1";
        sqlx::query(SQL).bind(sha256.to_string()).execute(&mut self.connection).await?;
        Ok(())
    }
}
