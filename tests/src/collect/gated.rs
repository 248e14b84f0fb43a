//! An object store whose calls stop before and after they take effect, until somebody goes on with them.

use async_trait::async_trait;
use futures_util::stream::{self, BoxStream, StreamExt as _};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, ObjectStoreExt as _, PutMultipartOptions, PutOptions, PutPayload, PutResult,
    Result,
};
use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::{fmt, io};
use tokio::sync::{Notify, oneshot};

/// Where actors stop. Only one goes on at a time, so whoever stops is the one that was told to go on.
#[derive(Debug, Default)]
pub(super) struct Gate {
    /// Whether anybody stops here.
    shut: AtomicBool,
    waiting: Mutex<Waiting>,
    stopped: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    /// Who goes on.
    current: usize,
    /// Who has stopped; told whether it may go on or fails where it stands.
    stopped: BTreeMap<usize, oneshot::Sender<bool>>,
}

/// What an actor does, from stop to stop.
pub(super) type Actor<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

impl Gate {
    /// Has everybody stop from now on, or nobody.
    pub(super) fn shut(&self, shut: bool) {
        self.shut.store(shut, Ordering::SeqCst);
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stops whoever goes on, until it goes on again; false when it must fail here.
    pub(super) async fn stop(&self) -> bool {
        if !self.shut.load(Ordering::SeqCst) {
            return true;
        }
        let (go, told) = oneshot::channel();
        {
            let mut waiting = self.waiting();
            let current = waiting.current;
            waiting.stopped.insert(current, go);
        }
        self.stopped.notify_one();
        told.await.unwrap_or_default()
    }

    /// Has the actor of this number go on to its next stop, well or failing; gives what came of it when it has ended.
    pub(super) async fn go_on<T>(
        &self,
        number: usize,
        well: bool,
        actor: &mut Actor<'_, T>,
    ) -> Option<T> {
        let told = {
            let mut waiting = self.waiting();
            waiting.current = number;
            waiting.stopped.remove(&number)
        };
        // Who is gone needs not be told.
        let _gone = told.map(|told| told.send(well));
        tokio::select! {
            biased;
            outcome = actor => Some(outcome),
            () = self.stopped.notified() => None,
        }
    }
}

/// What a call fails with that must fail.
fn lost() -> Error {
    let source = Box::new(io::Error::from(io::ErrorKind::ConnectionReset));
    Error::Generic { store: "gated", source }
}

/// The store, in memory.
#[derive(Debug, Default)]
pub(super) struct Gated {
    inner: Arc<InMemory>,
    pub(super) gate: Arc<Gate>,
}

impl fmt::Display for Gated {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("gated")
    }
}

#[async_trait]
impl ObjectStore for Gated {
    async fn put_opts(&self, at: &Path, bytes: PutPayload, how: PutOptions) -> Result<PutResult> {
        if !self.gate.stop().await {
            return Err(lost());
        }
        let put = self.inner.put_opts(at, bytes, how).await;
        if self.gate.stop().await { put } else { Err(lost()) }
    }

    async fn put_multipart_opts(
        &self,
        at: &Path,
        how: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(at, how).await
    }

    async fn get_opts(&self, at: &Path, how: GetOptions) -> Result<GetResult> {
        self.inner.get_opts(at, how).await
    }

    fn delete_stream(
        &self,
        keys: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let (inner, gate) = (Arc::clone(&self.inner), Arc::clone(&self.gate));
        let delete = move |key: Result<Path>| {
            let (inner, gate) = (Arc::clone(&inner), Arc::clone(&gate));
            async move {
                let key = key?;
                gate.stop().await;
                inner.delete(&key).await?;
                Ok(key)
            }
        };
        keys.then(delete).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let (inner, gate, prefix) =
            (Arc::clone(&self.inner), Arc::clone(&self.gate), prefix.cloned());
        let listed = async move {
            gate.stop().await;
            let listed = inner.list(prefix.as_ref());
            gate.stop().await;
            listed
        };
        stream::once(listed).flatten().boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, how: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, how).await
    }
}
