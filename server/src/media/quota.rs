//! How much one device, or one person at the console, may send.

use super::sender::Sender;
use crate::problem::ApiError;
use storage::Tx;
use sync_protocol::clock::UnixMillis;

/// Uploads of one device that are open at once.
pub const OPEN_MAX: i64 = 16;
/// Bytes that one device may send in a day: 20 GiB.
pub const DAY_BYTES_MAX: i64 = 20 * 1024 * 1024 * 1024;
/// Uploads that one device may begin in a day.
pub const DAY_UPLOADS_MAX: i64 = 10_000;
/// A day, in milliseconds.
const DAY_MS: i64 = 24 * 3_600 * 1_000;
/// What a device with too many open uploads is told to wait, in milliseconds.
const OPEN_RETRY_MS: u64 = 60_000;

/// Refuses one more upload of so many bytes when it would be too much.
pub(super) async fn admit(
    tx: &mut Tx,
    sender: &Sender,
    bytes: i64,
    now: UnixMillis,
) -> Result<(), ApiError> {
    let since = now.plus(-DAY_MS);
    let under_way =
        tx.uploads().under_way(&sender.tenant, sender.user, sender.device, since).await?;
    if under_way.open >= OPEN_MAX {
        let what = "too many uploads are open: finish or end one";
        return Err(ApiError::UploadQuota { what, retry_after_ms: OPEN_RETRY_MS });
    }
    if under_way.begun >= DAY_UPLOADS_MAX || under_way.bytes.saturating_add(bytes) > DAY_BYTES_MAX {
        let what = "too much was sent within a day";
        let until = under_way.oldest.map_or(DAY_MS, |oldest| oldest.since(since));
        let retry_after_ms = u64::try_from(until.max(1_000)).unwrap_or_default();
        return Err(ApiError::UploadQuota { what, retry_after_ms });
    }
    Ok(())
}
