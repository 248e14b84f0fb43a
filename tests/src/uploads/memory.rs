//! What one large upload costs the server in memory.

use super::camera::Shot;
use super::client::{Checksum, Patched};
use super::ward::Ward;
use crate::bench::process::{forget_peak, status_kib};
use anyhow::{Result, ensure};
use std::path::Path;
use sync_protocol::blob::MediaType;

/// Bytes of the upload: eight parts, twice what it may cost.
const LARGE_BYTES: usize = 64 * 1024 * 1024;
/// Bytes of an upload before it, which warms the server.
const WARM_BYTES: usize = 1024 * 1024;

/// The growth of the resident memory of a server, at its peak during one large upload, in KiB. Files lie in `folder`.
pub async fn of_one_upload(folder: &Path) -> Result<u64> {
    let ward = Ward::open(folder).await?;
    let process = ward.launch.start_whole(&ward.http).await?;
    let mut before = 0;
    for (seed, bytes) in (1..).zip([WARM_BYTES, LARGE_BYTES]) {
        let shot = Shot::new(MediaType::Mp4, bytes, seed);
        let path = ward.create(&process, &shot).await?;
        before = status_kib(process.pid(), "VmRSS")?;
        forget_peak(process.pid())?;
        let whole = Patched::Taken(shot.blob.bytes);
        let sent = ward.uploader.patch(&process.url, &path, 0, shot.bytes, Checksum::None).await;
        ensure!(sent == whole, "{sent:?}");
    }
    Ok(status_kib(process.pid(), "VmHWM")?.saturating_sub(before))
}
