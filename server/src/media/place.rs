//! Where photos and video lie: a folder, or a bucket of an S3 service. Opened and tried before the server serves.

use crate::config::{Config, ConfigError, Objects as Settings, Secret};
use crate::fault::planted;
use crate::random::Random;
use futures_util::TryStreamExt as _;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::client::ClientOptions;
use object_store::local::LocalFileSystem;
use object_store::path::Path as Key;
use object_store::{
    BackoffConfig, Error as StoreError, ObjectStore, ObjectStoreExt as _, RetryConfig,
};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// How often an operation on a bucket is tried again, and for how long.
const RETRIES_MAX: usize = 2;
const RETRY_MAX: Duration = Duration::from_secs(10);
/// How long a bucket may take to accept a connection, and to answer.
const CONNECT_MAX: Duration = Duration::from_secs(5);
const ANSWER_MAX: Duration = Duration::from_secs(55);
/// How long a try of the place may take.
const TRY_MAX: Duration = Duration::from_secs(20);

/// Where photos and video lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A folder of this machine.
    Folder(PathBuf),
    /// A bucket of an S3 service.
    Bucket {
        /// Its name.
        bucket: String,
        /// The address of the service, where it is not Amazon's.
        endpoint: Option<String>,
    },
}

/// Why a place cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
    /// The settings do not name one.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The folder cannot be made.
    #[error("cannot make the folder {path} for photos and video: name another with objects.url")]
    NoFolder {
        /// The folder.
        path: PathBuf,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// The store cannot be set up.
    #[error("the settings of [objects] do not make a store")]
    Unusable(#[source] StoreError),
    /// The folder or bucket does not do what is needed.
    #[error(
        "{place} does not hold photos and video ({step}): make it writable with room left, or name another with \
         objects.url"
    )]
    Fails {
        /// The place in words.
        place: String,
        /// Which step of the try failed.
        step: &'static str,
        /// Why.
        #[source]
        cause: Option<StoreError>,
    },
}

impl Place {
    /// The place that the settings name.
    pub fn of(config: &Config) -> Result<Self, ConfigError> {
        let settings = &config.objects;
        match settings.url.as_deref() {
            None => beside(&config.database.url).map(Self::Folder).ok_or(ConfigError::NoPlace),
            Some(url) => match url.split_once(':') {
                Some(("folder", path)) if !path.is_empty() => Ok(Self::Folder(path.into())),
                Some(("s3", bucket)) if is_bucket(bucket) => Self::bucket(bucket, settings),
                Some(_) | None => Err(ConfigError::NoPlace),
            },
        }
    }

    fn bucket(bucket: &str, settings: &Settings) -> Result<Self, ConfigError> {
        if settings.key_id.is_none() || settings.secret.is_none() {
            return Err(ConfigError::NoKey);
        }
        let endpoint = settings.endpoint.clone();
        if let Some(endpoint) = &endpoint
            && !endpoint.starts_with("https://")
            && !is_loopback(endpoint)
            && !settings.insecure
        {
            return Err(ConfigError::ClearEndpoint(endpoint.clone()));
        }
        Ok(Self::Bucket { bucket: bucket.to_owned(), endpoint })
    }

    fn words(&self) -> String {
        match self {
            Self::Folder(path) => format!("the folder {}", path.display()),
            Self::Bucket { bucket, endpoint } => {
                let at = endpoint.as_deref().unwrap_or("Amazon S3");
                format!("the bucket {bucket} at {at}")
            }
        }
    }
}

/// The folder beside the file of SQLite: `genba.db` has `genba-objects`.
fn beside(database: &str) -> Option<PathBuf> {
    let path = database.strip_prefix("sqlite:")?;
    let path = Path::new(path.split('?').next().unwrap_or(path));
    let stem = path.file_stem()?.to_str()?;
    Some(path.with_file_name(format!("{stem}-objects")))
}

fn is_bucket(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-');
    (3..=63).contains(&name.len()) && name.bytes().all(plain)
}

fn is_loopback(endpoint: &str) -> bool {
    let host = endpoint.strip_prefix("http://").unwrap_or_default();
    let host = host.split('/').next().unwrap_or_default();
    let bare = host.rsplit_once(':').map_or(host, |(host, _)| host);
    matches!(bare, "127.0.0.1" | "localhost" | "[::1]")
}

/// Opens the place that the settings name and tries it.
///
/// A bucket that cannot be reached is opened all the same: text syncs without it, and it may come back.
pub async fn open(
    config: &Config,
    random: &dyn Random,
) -> Result<Arc<dyn ObjectStore>, PlaceError> {
    let place = Place::of(config)?;
    let store: Arc<dyn ObjectStore> = match &place {
        Place::Folder(path) => Arc::new(folder(path)?),
        Place::Bucket { bucket, endpoint } => {
            Arc::new(s3(bucket, endpoint.as_deref(), &config.objects)?)
        }
    };
    let tried = tokio::time::timeout(TRY_MAX, attempt(&*store, random)).await;
    let failed = match tried {
        Ok(Ok(())) => None,
        Ok(Err((step, cause))) => Some((step, cause)),
        Err(_) => Some(("no answer", None)),
    };
    if let Some((step, cause)) = failed {
        let absent = matches!(&cause, None | Some(StoreError::Generic { .. }));
        if matches!(place, Place::Folder(_)) || step == WRONG || !absent {
            return Err(PlaceError::Fails { place: place.words(), step, cause });
        }
        tracing::error!(
            alarm = "store_unavailable",
            place = place.words(),
            step,
            "photos and video cannot be stored now; everything else is served"
        );
    }
    Ok(store)
}

/// Opens a folder; what is written there survives a power cut.
pub fn folder(path: &Path) -> Result<LocalFileSystem, PlaceError> {
    let make = || std::fs::create_dir_all(path);
    make().map_err(|cause| PlaceError::NoFolder { path: path.to_owned(), cause })?;
    let store = LocalFileSystem::new_with_prefix(path).map_err(PlaceError::Unusable)?;
    let fsync = !planted("objects_unsynced");
    Ok(store.with_fsync(fsync).with_automatic_cleanup(true))
}

fn s3(bucket: &str, endpoint: Option<&str>, settings: &Settings) -> Result<AmazonS3, PlaceError> {
    let retry = RetryConfig {
        backoff: BackoffConfig { init_backoff: Duration::from_millis(200), ..Default::default() },
        max_retries: RETRIES_MAX,
        retry_timeout: RETRY_MAX,
    };
    let clear = endpoint.is_some_and(|endpoint| endpoint.starts_with("http://"));
    let client = ClientOptions::new()
        .with_connect_timeout(CONNECT_MAX)
        .with_timeout(ANSWER_MAX)
        .with_allow_http(clear);
    let secret = settings.secret.as_ref().map(|Secret(secret)| secret.as_str());
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(bucket)
        .with_region(&settings.region)
        .with_access_key_id(settings.key_id.as_deref().unwrap_or_default())
        .with_secret_access_key(secret.unwrap_or_default())
        .with_retry(retry)
        .with_client_options(client);
    if let Some(endpoint) = endpoint {
        builder = builder.with_endpoint(endpoint);
    }
    builder.build().map_err(PlaceError::Unusable)
}

/// The step that an answer belongs to which is not what was written.
const WRONG: &str = "what was written reads otherwise";

/// Writes, reads, lists and removes an object, as uploads do; tells the step that failed and why.
pub async fn attempt(
    store: &dyn ObjectStore,
    random: &dyn Random,
) -> Result<(), (&'static str, Option<StoreError>)> {
    let at = |step: &'static str| move |cause: StoreError| (step, Some(cause));
    let bytes = random.bytes::<64>();
    let name = u128::from_le_bytes(random.bytes());
    let folder = Key::from(format!("self-test/{name:032x}"));
    let key = folder.clone().join("object");
    store.put(&key, bytes.to_vec().into()).await.map_err(at("writing"))?;
    let whole = store.get(&key).await.map_err(at("reading"))?;
    let whole = whole.bytes().await.map_err(at("reading"))?;
    let range = store.get_range(&key, 16..48).await.map_err(at("reading a range"))?;
    let listed = store.list(Some(&folder)).try_collect::<Vec<_>>().await;
    let listed = listed.map_err(at("listing"))?;
    let right = whole == bytes.as_slice()
        && bytes.get(16..48).is_some_and(|wanted| range == wanted)
        && listed.iter().map(|meta| &meta.location).eq([&key]);
    store.delete(&key).await.map_err(at("removing"))?;
    match store.get(&key).await {
        Err(StoreError::NotFound { .. }) if right => Ok(()),
        Err(StoreError::NotFound { .. }) | Ok(_) => Err((WRONG, None)),
        Err(cause) => Err(("reading what was removed", Some(cause))),
    }
}
