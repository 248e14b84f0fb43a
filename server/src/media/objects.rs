//! The object store: every object is written once under a fresh name, read by ranges, and removed.
//!
//! A name is `<tenant key>/<upload>/<random>`. The tenant key is an HMAC, so that names tell nothing of who is served and
//! no tenant's name can be made from another's.

use crate::problem::ApiError;
use crate::random::Random;
use aws_lc_rs::hmac;
use axum::body::Bytes;
use futures_util::{Stream, StreamExt as _, TryStreamExt as _};
use object_store::path::Path;
use object_store::{Error as StoreError, ObjectStore, ObjectStoreExt as _, PutPayload};
use std::error::Error;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;
use storage::{StorageError, Store};
use sync_protocol::clock::UnixMillis;
use sync_protocol::id::{Tenant, UploadId};

/// How long one operation of the object store may take.
const OPERATION_MAX: Duration = Duration::from_mins(1);
const SECRET: &str = "objects";

/// Why the object store did not do it.
#[derive(Debug, thiserror::Error)]
pub enum ObjectError {
    /// There is no such object.
    #[error("the object is gone")]
    Gone,
    /// What was read is not what had been proven.
    #[error("the object is damaged")]
    Damaged,
    /// There is no room.
    #[error("the object store is full")]
    Full,
    /// It cannot be reached, or fails.
    #[error("the object store is unavailable")]
    Unavailable(#[source] Arc<dyn Error + Send + Sync>),
}

impl From<StoreError> for ObjectError {
    fn from(error: StoreError) -> Self {
        if matches!(error, StoreError::NotFound { .. }) {
            return Self::Gone;
        }
        if is_full(&error) { Self::Full } else { Self::Unavailable(Arc::new(error)) }
    }
}

/// Whether a disk or a quota is full, somewhere in the chain of causes.
fn is_full(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        let kind = error.downcast_ref::<io::Error>().map(io::Error::kind);
        if matches!(
            kind,
            Some(
                io::ErrorKind::StorageFull
                    | io::ErrorKind::QuotaExceeded
                    | io::ErrorKind::FileTooLarge
            )
        ) {
            return true;
        }
        next = error.source();
    }
    false
}

impl From<ObjectError> for ApiError {
    fn from(error: ObjectError) -> Self {
        match error {
            ObjectError::Full => {
                tracing::error!(alarm = "store_full", "the object store is full");
                Self::StoreFull
            }
            ObjectError::Gone | ObjectError::Damaged => Self::MediaLost,
            ObjectError::Unavailable(cause) => {
                tracing::warn!(%cause, "the object store is unavailable");
                Self::StoreUnavailable
            }
        }
    }
}

/// An object that lies in the store.
#[derive(Clone, Debug)]
pub struct Found {
    /// Its name.
    pub key: String,
    /// The upload that its name names.
    pub upload: Option<UploadId>,
    /// When it was written, by the clock of the store.
    pub written_at: UnixMillis,
}

/// The object store with the secret of its names.
#[derive(Clone, Debug)]
pub struct Objects {
    store: Arc<dyn ObjectStore>,
    secret: hmac::Key,
}

impl Objects {
    /// Reads or makes the secret of the names.
    pub async fn open(
        database: &Store,
        store: Arc<dyn ObjectStore>,
        random: &dyn Random,
    ) -> Result<Self, StorageError> {
        let mut tx = database.write().await?;
        let secret = tx.secrets().get_or_insert(SECRET, &random.bytes::<32>()).await?;
        tx.commit().await?;
        Ok(Self { store, secret: hmac::Key::new(hmac::HMAC_SHA256, &secret) })
    }

    /// What the names of all objects of an upload begin with.
    pub fn prefix(&self, tenant: &Tenant, upload: UploadId) -> String {
        format!("{}/{}", self.tenant_key(tenant), upload.0.simple())
    }

    fn tenant_key(&self, tenant: &Tenant) -> String {
        let tag = hmac::sign(&self.secret, tenant.as_str().as_bytes());
        hex(tag.as_ref().get(..16).unwrap_or_default())
    }

    /// A fresh name among the objects of an upload.
    pub fn fresh(&self, tenant: &Tenant, upload: UploadId, random: &dyn Random) -> String {
        format!("{}/{}", self.prefix(tenant, upload), hex(&random.bytes::<16>()))
    }

    /// Writes an object; when this returns, it survives a power cut.
    pub async fn put(&self, key: &str, bytes: Bytes) -> Result<(), ObjectError> {
        let path = Path::from(key);
        bounded(self.store.put(&path, PutPayload::from(bytes))).await?;
        Ok(())
    }

    /// Reads a range of an object whole.
    pub async fn read(&self, key: &str, range: Range<u64>) -> Result<Bytes, ObjectError> {
        let wanted = range.end - range.start;
        let bytes = bounded(self.store.get_range(&Path::from(key), range)).await?;
        // A store that answers less than it was asked for must not shorten a blob.
        let whole = u64::try_from(bytes.len()).is_ok_and(|bytes| bytes == wanted);
        if whole { Ok(bytes) } else { Err(ObjectError::Gone) }
    }

    /// The names of all objects of an upload.
    pub async fn list(
        &self,
        tenant: &Tenant,
        upload: UploadId,
    ) -> Result<Vec<String>, ObjectError> {
        let prefix = Path::from(self.prefix(tenant, upload));
        let found = self.store.list(Some(&prefix)).map_ok(|meta| meta.location.to_string());
        bounded(found.try_collect()).await
    }

    /// All objects of a tenant, as they are found.
    pub fn all(&self, tenant: &Tenant) -> impl Stream<Item = Result<Found, ObjectError>> + use<> {
        let prefix = Path::from(self.tenant_key(tenant));
        self.store.list(Some(&prefix)).map(|found| {
            let meta = found?;
            let upload = meta.location.parts().nth(1);
            let upload = upload.and_then(|part| uuid::Uuid::try_parse(part.as_ref()).ok());
            Ok(Found {
                key: meta.location.to_string(),
                upload: upload.map(UploadId),
                written_at: UnixMillis(meta.last_modified.timestamp_millis()),
            })
        })
    }

    /// Removes an object; one that is not there is removed already.
    pub async fn remove(&self, key: &str) -> Result<(), ObjectError> {
        match bounded(self.store.delete(&Path::from(key))).await {
            Ok(()) | Err(ObjectError::Gone) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

async fn bounded<T>(
    operation: impl Future<Output = object_store::Result<T>>,
) -> Result<T, ObjectError> {
    match tokio::time::timeout(OPERATION_MAX, operation).await {
        Ok(done) => Ok(done?),
        Err(slow) => Err(ObjectError::Unavailable(Arc::new(slow))),
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        _ = write!(text, "{byte:02x}");
        text
    })
}

/// A store in memory: for tests, for simulated worlds, and for commands that touch no bytes.
pub fn in_memory() -> Arc<dyn ObjectStore> {
    Arc::new(object_store::memory::InMemory::new())
}
