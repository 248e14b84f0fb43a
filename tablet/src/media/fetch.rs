//! Fetching a photo or a video of a record: from the folder when it is here, else from the server.

use crate::error::TabletError;
use crate::http;
use crate::tablet::Tablet;
use aws_lc_rs::digest::{Context, SHA256};
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;
use sync_protocol::blob::{BlobRef, VIDEO_BYTES_MAX};
use sync_protocol::id::RecordId;
use sync_protocol::view::blobs;

/// How long fetching the largest video may take.
const FETCH_TIMEOUT: Duration = Duration::from_hours(1);

/// In which size a photo is fetched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Size {
    /// As it was taken.
    #[default]
    Original,
    /// For a screen.
    Screen,
    /// For a list.
    Thumb,
}

impl Size {
    const fn query(self) -> &'static str {
        match self {
            Self::Original => "",
            Self::Screen => "?size=screen",
            Self::Thumb => "?size=thumb",
        }
    }
}

impl Tablet {
    /// The photos and videos that a record shows, with the field and the row of each.
    pub fn media_of(&self, rec: RecordId) -> Vec<(String, String, BlobRef)> {
        let Some(record) = self.replica().displayed(rec) else { return Vec::new() };
        let shown = blobs(&record);
        shown.map(|shown| (shown.list.to_owned(), shown.element.to_owned(), shown.blob)).collect()
    }

    /// Writes a photo or a video of a record into a file; tells how many bytes it has. What is there is replaced when
    /// all bytes have come; an original must have the hash that the record names.
    pub async fn fetch_media(
        &self,
        rec: RecordId,
        blob: &BlobRef,
        size: Size,
        to: &Path,
    ) -> Result<u64, TabletError> {
        let draft = draft_of(to);
        let fetched = if size == Size::Original && self.media.has(blob) {
            std::fs::copy(self.media.path(blob), &draft).map_err(TabletError::file(&draft))
        } else {
            self.download(rec, blob, size, &draft).await
        };
        let kept = fetched.and_then(|bytes| {
            std::fs::rename(&draft, to).map_err(TabletError::file(to)).map(|()| bytes)
        });
        if kept.is_err() {
            drop(std::fs::remove_file(&draft));
        }
        kept
    }

    async fn download(
        &self,
        rec: RecordId,
        blob: &BlobRef,
        size: Size,
        draft: &Path,
    ) -> Result<u64, TabletError> {
        let sha256 = blob.sha256;
        let url = self.api.url(&format!("/v1/records/{rec}/media/{sha256}{}", size.query()));
        let request = |client: &reqwest::Client| client.get(&url).timeout(FETCH_TIMEOUT);
        let now = self.clock().read().now.0;
        let mut response = self.api.authorised_response(request, now).await?;
        if response.status() != reqwest::StatusCode::OK {
            return Err(http::problem(&http::reply_of(response).await?));
        }
        let mut file = File::create(draft).map_err(TabletError::file(draft))?;
        let mut hash = Context::new(&SHA256);
        let mut bytes = 0;
        while let Some(piece) = response.chunk().await.map_err(TabletError::Unreachable)? {
            bytes += piece.len() as u64;
            if bytes > VIDEO_BYTES_MAX {
                return Err(TabletError::Unreadable("it is larger than any video".to_owned()));
            }
            hash.update(&piece);
            file.write_all(&piece).map_err(TabletError::file(draft))?;
        }
        if size == Size::Original && hash.finish().as_ref() != sha256.0 {
            let what = "the bytes are not those that the record names";
            return Err(TabletError::Unreadable(what.to_owned()));
        }
        Ok(bytes)
    }
}

fn draft_of(to: &Path) -> PathBuf {
    let mut name = to.as_os_str().to_owned();
    name.push(".part");
    PathBuf::from(name)
}
