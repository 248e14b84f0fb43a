//! What can be done with an upload: begin it, send to it, ask how far it is, end it.

use super::inflow::Inflow;
use super::intake::Intake;
use super::metadata::Declared;
use super::sender::Sender;
use super::tus::{self, Checksum};
use super::{lease, quota};
use crate::problem::ApiError;
use crate::state::AppState;
use axum::body::Body;
use axum::http::HeaderMap;
use storage::{Upload, UploadState};
use sync_protocol::id::UploadId;
use uuid::Uuid;

const NO_UPLOAD: ApiError = ApiError::NotFound { kind: "upload" };

/// Begins an upload, and takes in what came with the call.
pub async fn begin(
    state: &AppState,
    sender: &Sender,
    headers: &HeaderMap,
    body: Body,
) -> Result<Upload, ApiError> {
    let mut inflow = Inflow::new(body);
    let begun = match announced(state, sender, headers) {
        Ok((row, checksum)) => send_first(state, sender, row, checksum, headers, &mut inflow).await,
        Err(why) => Err(why),
    };
    lingering(begun, inflow).await
}

/// What the headers of a creation say.
fn announced(
    state: &AppState,
    sender: &Sender,
    headers: &HeaderMap,
) -> Result<(Upload, Option<Checksum>), ApiError> {
    if tus::one(headers, "Upload-Concat")?.is_some() {
        return Err(ApiError::bad_parameter("Upload-Concat", "uploads are not put together here"));
    }
    if tus::one(headers, "Upload-Defer-Length")?.is_some() {
        return Err(ApiError::bad_parameter("Upload-Defer-Length", "say Upload-Length at once"));
    }
    let bytes =
        tus::bytes(headers, "Upload-Length")?.filter(|bytes| *bytes > 0).ok_or_else(|| {
            ApiError::bad_parameter("Upload-Length", "the number of all bytes, 1 or more")
        })?;
    let declared = Declared::read(tus::one(headers, "Upload-Metadata")?)?;
    let max_bytes = i64::try_from(declared.kind.bytes_max()).unwrap_or(i64::MAX);
    if bytes > max_bytes {
        return Err(ApiError::MediaTooLarge { max_bytes });
    }
    let now = state.clock.now();
    let id = uuid::Builder::from_random_bytes(state.random.bytes()).into_uuid();
    let row = Upload {
        id: UploadId(id),
        user: sender.user,
        device: sender.device,
        sha256: declared.sha256,
        bytes,
        mime: declared.kind.mime().to_owned(),
        metadata: declared.text,
        state: UploadState::Open,
        received: 0,
        hash_state: None,
        created_at: now,
        expires_at: tus::expiry(now, 0),
        lease: None,
        closed_at: None,
        swept: false,
    };
    Ok((row, Checksum::read(headers)?))
}

async fn send_first(
    state: &AppState,
    sender: &Sender,
    row: Upload,
    checksum: Option<Checksum>,
    headers: &HeaderMap,
    inflow: &mut Inflow,
) -> Result<Upload, ApiError> {
    if !tus::is_offset_stream(headers)? {
        if !inflow.is_empty().await {
            return Err(ApiError::UnsupportedMediaType);
        }
        let now = state.clock.now();
        let mut tx = state.store.write().await?;
        quota::admit(&mut tx, sender, row.bytes, now).await?;
        tx.uploads().insert(&sender.tenant, &row).await?;
        tx.commit().await?;
        return Ok(row);
    }
    fits(&row, headers)?;
    let owner = fresh_owner(state);
    let id = row.id;
    let mut intake = Intake::fresh(state, sender, owner, row, checksum);
    let sent = intake.run(inflow).await;
    if sent.is_err() && intake.has_begun() {
        // Nobody learns the address of an upload whose first call was refused.
        let mut tx = state.store.write().await?;
        tx.uploads().close(&sender.tenant, id, UploadState::Ended, state.clock.now()).await?;
        tx.commit().await?;
    }
    sent
}

/// Takes in bytes from `offset` on.
pub async fn send(
    state: &AppState,
    sender: &Sender,
    id: UploadId,
    headers: &HeaderMap,
    body: Body,
) -> Result<Upload, ApiError> {
    let mut inflow = Inflow::new(body);
    let sent = send_on(state, sender, id, headers, &mut inflow).await;
    lingering(sent, inflow).await
}

async fn send_on(
    state: &AppState,
    sender: &Sender,
    id: UploadId,
    headers: &HeaderMap,
    inflow: &mut Inflow,
) -> Result<Upload, ApiError> {
    let offset = tus::bytes(headers, "Upload-Offset")?
        .ok_or_else(|| ApiError::bad_parameter("Upload-Offset", "where these bytes begin"))?;
    if !tus::is_offset_stream(headers)? {
        return Err(ApiError::UnsupportedMediaType);
    }
    let checksum = Checksum::read(headers)?;
    let found = find(state, sender, id).await?;
    if found.state == UploadState::Finished {
        // The last answer may have been lost: who is at the end is told so again.
        return match (offset == found.bytes, inflow.is_empty().await) {
            (true, true) => Ok(found),
            (true, false) => Err(ApiError::MediaTooLarge { max_bytes: found.bytes }),
            (false, _) => Err(ApiError::UploadOffset { upload_offset: found.received }),
        };
    }
    let owner = fresh_owner(state);
    let taken = lease::take(state, &sender.tenant, id, owner).await?;
    let Some(row) = taken else {
        // It was closed while this call waited.
        return match find(state, sender, id).await? {
            finished if finished.received != offset => {
                Err(ApiError::UploadOffset { upload_offset: finished.received })
            }
            finished => Ok(finished),
        };
    };
    let sent = async {
        if row.received != offset {
            return Err(ApiError::UploadOffset { upload_offset: row.received });
        }
        fits(&row, headers)?;
        Intake::resumed(state, sender, owner, row, checksum).await?.run(inflow).await
    };
    let sent = sent.await;
    if sent.is_err() {
        let mut tx = state.store.write().await?;
        tx.uploads().release(&sender.tenant, id, owner).await?;
        tx.commit().await?;
    }
    sent
}

/// The upload of a sender; that of another person is unknown, and one whose time is over is gone.
pub async fn find(state: &AppState, sender: &Sender, id: UploadId) -> Result<Upload, ApiError> {
    let mut tx = state.store.read().await?;
    let found = tx.uploads().find(&sender.tenant, id).await?;
    let upload = found.filter(|upload| upload.user == sender.user).ok_or(NO_UPLOAD)?;
    let over = upload.expires_at <= state.clock.now();
    match upload.state {
        UploadState::Open | UploadState::Finished if !over => Ok(upload),
        UploadState::Open | UploadState::Finished | UploadState::Failed | UploadState::Ended => {
            Err(ApiError::UploadGone)
        }
    }
}

/// Ends an upload. What was finished stays where records name it; only its address is gone.
pub async fn end(state: &AppState, sender: &Sender, id: UploadId) -> Result<(), ApiError> {
    find(state, sender, id).await?;
    let now = state.clock.now();
    let mut tx = state.store.write().await?;
    if !tx.uploads().close(&sender.tenant, id, UploadState::Ended, now).await? {
        tx.uploads().forget(&sender.tenant, id, now).await?;
    }
    tx.commit().await?;
    Ok(())
}

fn fresh_owner(state: &AppState) -> Uuid {
    uuid::Builder::from_random_bytes(state.random.bytes()).into_uuid()
}

/// Refuses a body that says itself that it goes beyond the end.
fn fits(row: &Upload, headers: &HeaderMap) -> Result<(), ApiError> {
    let length = tus::content_length(headers).unwrap_or_default();
    if row.received.saturating_add(length) > row.bytes {
        return Err(ApiError::MediaTooLarge { max_bytes: row.bytes });
    }
    Ok(())
}

/// Lets who was refused hear of it before the connection closes on what it still sends.
async fn lingering<T>(outcome: Result<T, ApiError>, inflow: Inflow) -> Result<T, ApiError> {
    if outcome.is_err() {
        inflow.linger().await;
    }
    outcome
}
