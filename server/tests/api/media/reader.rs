//! Somebody who reads: records that name blobs, and what comes back for them.

use super::scene::{Scene, hex, sha256};
use crate::support::TestResult;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::BodyExt as _;
use storage::{BlobReference, PointerTouch};
use sync_protocol::blob::BlobHash;
use sync_protocol::id::{Bucket, ChangeId, RecordId, Seq, Tenant, UserId};
use uuid::Uuid;

/// What came back for a reader.
pub(super) struct Read {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    /// The body, unless it broke off.
    pub(super) body: Option<Vec<u8>>,
}

impl Read {
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// Status, range and body.
    pub(super) fn told(&self) -> (u16, &str, &[u8]) {
        let body = self.body.as_deref().unwrap_or_default();
        (self.status.as_u16(), self.header("content-range"), body)
    }

    /// Status and body, the same for all of whom nothing is told.
    pub(super) fn text(&self) -> (u16, String) {
        let body = self.body.as_deref().unwrap_or_default();
        (self.status.as_u16(), String::from_utf8_lossy(body).into_owned())
    }
}

/// A record by number.
pub(super) const fn rec(n: u128) -> RecordId {
    RecordId(Uuid::from_u128(n))
}

/// Where a record shows bytes.
pub(super) fn shown_at(rec: RecordId, bytes: &[u8]) -> String {
    format!("/v1/records/{rec}/media/{}", hex(sha256(bytes)))
}

impl Scene {
    /// Puts a record into a bucket.
    pub(super) async fn put_record(
        &self,
        tenant: &Tenant,
        rec: RecordId,
        bucket: Bucket,
    ) -> TestResult {
        let mut tx = self.world.base.store.write().await?;
        let touch = PointerTouch { bucket, rec, seq: Seq(1), since: None, live: true };
        tx.pointers().touch(tenant, &[touch]).await?;
        Ok(tx.commit().await?)
    }

    /// Has an applied change of a record name bytes, as ingest does it.
    pub(super) async fn name(
        &self,
        tenant: &Tenant,
        rec: RecordId,
        author: UserId,
        bytes: &[u8],
    ) -> TestResult {
        let hash = BlobHash(sha256(bytes));
        let mut tx = self.world.base.store.write().await?;
        tx.blob_refs().lock(tenant, &[hash].into()).await?;
        let reference = BlobReference {
            rec,
            sha256: hash,
            change: ChangeId(rec.0),
            author,
            clock_offset_ms: None,
            applied: true,
        };
        tx.blob_refs().append(tenant, &[reference]).await?;
        Ok(tx.commit().await?)
    }

    /// Uploads a photo and names it in a record that everyone sees; gives its address.
    pub(super) async fn shown(&self, bytes: &[u8]) -> TestResult<String> {
        self.upload(bytes).await;
        self.put_record(&self.tenant, rec(1), Bucket::everyone()).await?;
        self.name(&self.tenant, rec(1), self.user, bytes).await?;
        Ok(shown_at(rec(1), bytes))
    }

    /// Reads with these headers.
    pub(super) async fn read_as(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Read {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::AUTHORIZATION, format!("Bearer {}", self.token));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::empty()).expect("a request");
        let Ok(response) = tower::ServiceExt::oneshot(self.world.app.clone(), request).await;
        let (parts, body) = response.into_parts();
        let body = body.collect().await.ok().map(|whole| whole.to_bytes().to_vec());
        Read { status: parts.status, headers: parts.headers, body }
    }

    /// Reads with GET.
    pub(super) async fn read(&self, path: &str, headers: &[(&str, &str)]) -> Read {
        self.read_as(Method::GET, path, headers).await
    }
}
