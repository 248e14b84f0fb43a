//! A server with somebody who sends.

use crate::support::{Answer, Tablet, TestResult, World};
use aws_lc_rs::digest;
use axum::body::Body;
use axum::http::{Method, Request, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::TryStreamExt as _;
use serde_json::json;
use server::admin::grants::{self, NewGrant};
use server::admin::{Actor, forms};
use storage::{Blob, Upload, UploadPart};
use sync_protocol::blob::BlobHash;
use sync_protocol::clock::UnixMillis;
use sync_protocol::form::Role;
use sync_protocol::id::{DeviceId, Tenant, UploadId, UserId};

/// Makes of each case `async fn name(scene: Scene) -> TestResult` the tests `sqlite::name` and `postgres::name`.
macro_rules! on_both {
    ($($case:ident),+ $(,)?) => {
        mod sqlite {
            $(
                #[tokio::test]
                async fn $case() -> crate::support::TestResult {
                    let world = crate::support::World::new().await?;
                    super::$case(crate::media::scene::Scene::of(world).await?).await
                }
            )+
        }
        mod postgres {
            $(
                #[tokio::test]
                async fn $case() -> crate::support::TestResult {
                    let world = crate::support::World::on_postgres().await?;
                    super::$case(crate::media::scene::Scene::of(world).await?).await
                }
            )+
        }
    };
}
pub(super) use on_both;

const FORM: &str = r#"{
  "type": "visit", "version": 1, "ja": "訪問", "en": "Visit",
  "home": {"bucket": ["station"]}, "write": ["inspector"], "title": "title",
  "sections": [{"code": "A", "ja": "概要", "en": "Summary"}],
  "fields": [
    {"path": "title", "section": "A", "kind": "text", "ja": "題", "en": "Title"},
    {"path": "photos", "section": "A", "kind": "photos", "ja": "写真", "en": "Photos"}]}"#;

/// A server, and a tablet of `fire` with its token.
pub(crate) struct Scene {
    pub(crate) world: World,
    pub(crate) token: String,
    pub(crate) tenant: Tenant,
    pub(crate) user: UserId,
    pub(crate) device: DeviceId,
    pub(crate) tablet: Tablet,
}

/// A JPEG in name: the right beginning and then noise of a seed.
pub(crate) fn photo(bytes: usize, seed: u32) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
    let noise = (0..bytes.saturating_sub(4)).map(|_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    });
    [0xff, 0xd8, 0xff, 0xe1].into_iter().chain(noise).take(bytes).collect()
}

pub(crate) fn sha256(bytes: &[u8]) -> storage::Hash {
    let hash = digest::digest(&digest::SHA256, bytes);
    hash.as_ref().try_into().expect("32 bytes")
}

pub(crate) fn hex(hash: storage::Hash) -> String {
    BlobHash(hash).to_string()
}

/// What is said of bytes when their upload begins.
pub(crate) fn metadata(bytes: &[u8], mime: &str) -> String {
    let pair = |key: &str, value: &str| format!("{key} {}", STANDARD.encode(value));
    format!("{},{}", pair("sha256", &hex(sha256(bytes))), pair("mime", mime))
}

/// `Upload-Checksum` of a body.
pub(crate) fn checksum(name: &str, bytes: &[u8]) -> String {
    let algorithm = match name {
        "sha1" => &digest::SHA1_FOR_LEGACY_USE_ONLY,
        _ => &digest::SHA256,
    };
    format!("{name} {}", STANDARD.encode(digest::digest(algorithm, bytes)))
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// Status and offset.
    pub(crate) fn at(&self) -> (u16, &str) {
        (self.status.as_u16(), self.header("upload-offset"))
    }

    /// Status and name of the problem.
    pub(crate) fn refused(&self) -> (u16, String) {
        (self.status.as_u16(), self.problem())
    }
}

impl Scene {
    pub(crate) async fn new() -> TestResult<Self> {
        Self::of(World::new().await?).await
    }

    pub(crate) async fn of(world: World) -> TestResult<Self> {
        let tablet = world.tablet("fire", "mori").await?;
        let token = world.token(&tablet).await;
        let (user, device) = (tablet.user, tablet.device.parse()?);
        Ok(Self { world, token, tenant: "fire".parse()?, user, device, tablet })
    }

    /// The same with a token of now.
    pub(crate) async fn anew(mut self) -> TestResult<Self> {
        self.token = self.world.token(&self.tablet).await;
        Ok(self)
    }

    /// A call with these headers beside `Tus-Resumable` and the credentials.
    pub(crate) async fn call(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> Answer {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::AUTHORIZATION, format!("Bearer {}", self.token))
            .header("tus-resumable", "1.0.0");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.world.send(request.body(body.into()).expect("a request")).await
    }

    /// Begins the upload of a photo without bytes.
    pub(crate) async fn create(&self, bytes: &[u8]) -> Answer {
        let (length, metadata) = (bytes.len().to_string(), metadata(bytes, "image/jpeg"));
        let headers = [("upload-length", &*length), ("upload-metadata", &*metadata)];
        self.call(Method::POST, "/v1/uploads", &headers, Body::empty()).await
    }

    /// Begins the upload of a photo and gives its address.
    pub(crate) async fn begin(&self, bytes: &[u8]) -> String {
        let answer = self.create(bytes).await;
        assert_eq!(answer.status.as_u16(), 201, "{}", answer.text);
        answer.header("location").to_owned()
    }

    /// Begins the upload of a photo with its first bytes.
    pub(crate) async fn create_with(
        &self,
        bytes: &[u8],
        first: impl Into<Body>,
        more: &[(&str, &str)],
    ) -> Answer {
        let (length, metadata) = (bytes.len().to_string(), metadata(bytes, "image/jpeg"));
        let headers = [
            ("upload-length", &*length),
            ("upload-metadata", &*metadata),
            ("content-type", "application/offset+octet-stream"),
        ];
        let headers: Vec<_> = headers.into_iter().chain(more.iter().copied()).collect();
        self.call(Method::POST, "/v1/uploads", &headers, first).await
    }

    /// Sends bytes from an offset on.
    pub(crate) async fn patch(
        &self,
        place: &str,
        offset: usize,
        body: impl Into<Body>,
        more: &[(&str, &str)],
    ) -> Answer {
        let offset = offset.to_string();
        let headers =
            [("upload-offset", &*offset), ("content-type", "application/offset+octet-stream")];
        let headers: Vec<_> = headers.into_iter().chain(more.iter().copied()).collect();
        self.call(Method::PATCH, place, &headers, body).await
    }

    pub(crate) async fn head(&self, place: &str) -> Answer {
        self.call(Method::HEAD, place, &[], Body::empty()).await
    }

    pub(crate) async fn end(&self, place: &str) -> Answer {
        self.call(Method::DELETE, place, &[], Body::empty()).await
    }

    /// A record in `station:south` of the tablet's user whose photos are these bytes; gives its id.
    pub(crate) async fn record(&self, n: u8, photos: &[&[u8]]) -> TestResult<String> {
        let rec = format!("01990000-0000-7000-8000-0000000000{n:02x}");
        let mut ops = vec![json!({ "o": "new", "in": "station:south" })];
        for (at, bytes) in photos.iter().enumerate() {
            let photo = json!({ "sha256": hex(sha256(bytes)), "bytes": bytes.len(),
                "mime": "image/jpeg", "taken_at": "2026-11-22T14:00:00.000Z" });
            ops.push(json!({ "o": "add", "f": "photos", "e": format!("p-{at}"), "v": photo }));
        }
        let change = format!("01990000-0000-7000-8000-0000000001{n:02x}");
        let edit = json!({ "id": change, "type": "visit", "ops": ops });
        let path = format!("/v1/records/{rec}/changes");
        let answer = self.world.post(&path, &self.token, edit).await;
        assert_eq!(answer.status.as_u16(), 200, "{}", answer.text);
        Ok(rec)
    }

    /// Publishes the form of records and gives the tablet's user the bucket `station:south`.
    pub(crate) async fn at_work(&self) -> TestResult {
        let actor = Actor { tenant: self.tenant.clone(), user: None };
        forms::publish(&self.world.state, &actor, FORM).await?;
        let new = NewGrant {
            user: self.user,
            bucket: "station:south".parse()?,
            role: Role::Inspector,
            from_at: None,
            to_at: None,
            hold: true,
        };
        grants::create(&self.world.state, &actor, new).await?;
        Ok(())
    }

    /// Uploads a photo in one call and gives its address.
    pub(crate) async fn upload(&self, bytes: &[u8]) -> String {
        let answer = self.create_with(bytes, bytes.to_vec(), &[]).await;
        assert_eq!(answer.status.as_u16(), 201, "{}", answer.text);
        assert_eq!(answer.header("upload-offset"), bytes.len().to_string());
        answer.header("location").to_owned()
    }

    /// The row of an upload with its parts.
    pub(crate) async fn row(&self, place: &str) -> TestResult<(Upload, Vec<UploadPart>)> {
        let id: UploadId = place.rsplit('/').next().unwrap_or_default().parse()?;
        let mut tx = self.world.base.store.read().await?;
        let upload = tx.uploads().find(&self.tenant, id).await?.ok_or("no such upload")?;
        Ok((upload, tx.uploads().parts(&self.tenant, id).await?))
    }

    /// How many uploads of the tablet's user are open.
    pub(crate) async fn open_uploads(&self) -> TestResult<i64> {
        let (mut tx, device) = (self.world.base.store.write().await?, Some(self.device));
        let since = UnixMillis(0);
        Ok(tx.uploads().under_way(&self.tenant, self.user, device, since).await?.open)
    }

    /// The names of all objects in the store.
    pub(crate) async fn objects(&self) -> TestResult<Vec<String>> {
        let found: Vec<_> = self.world.objects.list(None).try_collect().await?;
        Ok(found.into_iter().map(|meta| meta.location.to_string()).collect())
    }

    /// The row of a blob.
    pub(crate) async fn blob(&self, bytes: &[u8]) -> TestResult<Option<Blob>> {
        let mut tx = self.world.base.store.read().await?;
        Ok(tx.blobs().find(&self.tenant, &sha256(bytes)).await?)
    }

    /// The bytes of a blob as they lie in the object store.
    pub(crate) async fn stored(&self, bytes: &[u8]) -> TestResult<Vec<u8>> {
        let blob = self.blob(bytes).await?.ok_or("no such blob")?;
        let mut tx = self.world.base.store.read().await?;
        let mut all = Vec::new();
        for part in tx.uploads().parts(&self.tenant, blob.home).await? {
            let range = 0..u64::try_from(part.bytes)?;
            all.extend_from_slice(&self.world.state.objects.read(&part.key, range).await?);
        }
        Ok(all)
    }
}

/// Some of the bytes.
pub(crate) fn piece(
    bytes: &[u8],
    range: impl std::slice::SliceIndex<[u8], Output = [u8]>,
) -> Vec<u8> {
    bytes.get(range).expect("a piece").to_vec()
}

/// A body that sends these bytes and then nothing more, until it is dropped.
pub(crate) fn waiting(bytes: Vec<u8>) -> Body {
    use futures_util::StreamExt as _;
    let first = futures_util::stream::iter([Ok::<_, std::io::Error>(bytes)]);
    Body::from_stream(first.chain(futures_util::stream::pending()))
}

/// A body that sends these bytes in pieces and then breaks off.
pub(crate) fn broken(bytes: &[u8]) -> Body {
    let pieces: Vec<Result<Vec<u8>, std::io::Error>> = bytes
        .chunks(16 * 1024)
        .map(|piece| Ok(piece.to_vec()))
        .chain([Err(std::io::ErrorKind::ConnectionReset.into())])
        .collect();
    Body::from_stream(futures_util::stream::iter(pieces))
}
