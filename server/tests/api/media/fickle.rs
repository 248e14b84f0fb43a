//! An object store that is down, full or slow when a test says so.

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, Extensions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use std::fmt;
use std::io::ErrorKind;
use std::sync::Mutex;
use std::time::Duration;
use tokio::sync::Semaphore;

/// How the store is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    Well,
    Down,
    Full,
    /// Writing waits until the test lets it go on.
    Slow,
    /// What is written is not there.
    Forgets,
    /// What is written is other bytes.
    Mixes,
    /// What is removed is still there.
    Keeps,
}

#[derive(Debug)]
pub(crate) struct Fickle {
    inner: InMemory,
    mood: Mutex<Mood>,
    /// Writes that may go on while the store is slow.
    pub(crate) writes: Semaphore,
}

impl Default for Fickle {
    fn default() -> Self {
        Self { inner: InMemory::new(), mood: Mutex::new(Mood::Well), writes: Semaphore::new(0) }
    }
}

impl Fickle {
    pub(crate) fn be(&self, mood: Mood) {
        *self.mood.lock().expect("nobody panicked") = mood;
    }

    fn check(&self) -> Result<Mood> {
        let mood = *self.mood.lock().expect("nobody panicked");
        let kind = match mood {
            Mood::Well | Mood::Slow | Mood::Forgets | Mood::Mixes | Mood::Keeps => return Ok(mood),
            Mood::Down => ErrorKind::ConnectionRefused,
            Mood::Full => ErrorKind::StorageFull,
        };
        Err(Error::Generic { store: "fickle", source: Box::new(std::io::Error::from(kind)) })
    }
}

impl fmt::Display for Fickle {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("fickle")
    }
}

#[async_trait]
impl ObjectStore for Fickle {
    async fn put_opts(&self, at: &Path, bytes: PutPayload, how: PutOptions) -> Result<PutResult> {
        match self.check()? {
            Mood::Slow => {
                let go = tokio::time::timeout(Duration::from_secs(50), self.writes.acquire()).await;
                go.expect("the test lets it go on").expect("open").forget();
            }
            Mood::Forgets => {
                return Ok(PutResult {
                    e_tag: None,
                    version: None,
                    extensions: Extensions::default(),
                });
            }
            Mood::Mixes => {
                return self.inner.put_opts(at, vec![7; bytes.content_length()].into(), how).await;
            }
            Mood::Well | Mood::Down | Mood::Full | Mood::Keeps => {}
        }
        self.inner.put_opts(at, bytes, how).await
    }

    async fn put_multipart_opts(
        &self,
        at: &Path,
        how: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.check()?;
        self.inner.put_multipart_opts(at, how).await
    }

    async fn get_opts(&self, at: &Path, how: GetOptions) -> Result<GetResult> {
        self.check()?;
        self.inner.get_opts(at, how).await
    }

    fn delete_stream(
        &self,
        keys: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        match self.check() {
            Ok(Mood::Keeps) => keys,
            Ok(_) | Err(_) => self.inner.delete_stream(keys),
        }
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, how: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, how).await
    }
}
