//! The quarantine: a person releases or closes, and a new form lets what waited for it be judged again.

use super::Done;
use crate::problem::ApiError;
use crate::sync::desk::{Desk, Wanted};
use crate::sync::ingest::Room;
use crate::sync::rights;
use std::collections::BTreeSet;
use storage::{QuarantineState, Quarantined, Tx};
use sync_protocol::form::Role;
use sync_protocol::id::{Bucket, QuarantineId, RecordType, Seq, UserId};

/// Where quarantined changes go that name no bucket.
pub(super) const UNPLACED: &str = "inbox:unplaced";
/// How many changes of one kind are judged again in one transaction: as many as one push may hold.
const AGAIN_PIECE: u32 = 200;
const NOT_FOUND: ApiError = ApiError::NotFound { kind: "quarantined change" };

/// The buckets whose supervisors answer for a quarantined change.
pub(super) async fn buckets_of(
    tx: &mut Tx,
    room: Room<'_>,
    row: &Quarantined,
) -> Result<BTreeSet<Bucket>, ApiError> {
    for rec in [row.rec, row.about].into_iter().flatten() {
        let pointers = tx.pointers().buckets_of(room.tenant, &[rec]).await?;
        let live: BTreeSet<Bucket> =
            pointers.into_iter().filter(|p| p.live).map(|p| p.bucket).collect();
        if !live.is_empty() {
            return Ok(live);
        }
    }
    let unplaced = || UNPLACED.parse().map_err(ApiError::caused);
    let bucket = row.claims.clone().map_or_else(unplaced, Ok)?;
    Ok(BTreeSet::from([bucket]))
}

async fn find_for(
    tx: &mut Tx,
    room: Room<'_>,
    user: UserId,
    q: QuarantineId,
) -> Result<Quarantined, ApiError> {
    let row = tx.quarantine().find(room.tenant, q).await?.ok_or(NOT_FOUND)?;
    let buckets = buckets_of(tx, room, &row).await?;
    let grants = tx.grants().of_users(room.tenant, &[user]).await?;
    if rights::has_role(&grants, &buckets, &[Role::Supervisor], room.now) {
        Ok(row)
    } else {
        Err(NOT_FOUND)
    }
}

pub(super) async fn release(
    tx: &mut Tx,
    room: Room<'_>,
    user: UserId,
    q: QuarantineId,
    why: Option<String>,
) -> Result<Done, ApiError> {
    let row = find_for(tx, room, user, q).await?;
    match row.state {
        QuarantineState::Open => {}
        QuarantineState::Released => return unchanged(tx, room).await,
        QuarantineState::Closed => return Err(ApiError::Conflict { what: "it was closed" }),
    }
    let mut waiting = match row.rec {
        Some(rec) => tx.quarantine().of_author_and_record(room.tenant, row.by, rec).await?,
        None => Vec::new(),
    };
    if !waiting.iter().any(|other| other.q == q) {
        waiting.push(row);
    }
    let wanted = Wanted { waiting, users: BTreeSet::from([user]), ..Wanted::default() };
    let mut desk = Desk::open(tx, room.tenant, room.book, room.now, wanted).await?;
    if !desk.release_by(q, user, why) {
        let detail = "it cannot be applied as it stands: its record or its form is missing, its id is taken, or it is unreadable";
        return Err(ApiError::unprocessable("still-refused", detail));
    }
    close_desk(tx, desk).await
}

pub(super) async fn close(
    tx: &mut Tx,
    room: Room<'_>,
    user: UserId,
    q: QuarantineId,
    why: String,
) -> Result<Done, ApiError> {
    let row = find_for(tx, room, user, q).await?;
    match row.state {
        QuarantineState::Open => {
            tx.quarantine()
                .settle(room.tenant, q, QuarantineState::Closed, Some(user), room.now, Some(&why))
                .await?;
        }
        QuarantineState::Closed => {}
        QuarantineState::Released => return Err(ApiError::Conflict { what: "it was released" }),
    }
    let buckets = buckets_of(tx, room, &row).await?;
    Ok(Done { buckets, ..unchanged(tx, room).await? })
}

/// Judges the next piece of what waits of a kind; [`Done::next`] tells where the piece after it begins.
pub(super) async fn judge_kind_again(
    tx: &mut Tx,
    room: Room<'_>,
    kind: &RecordType,
    after: Seq,
) -> Result<Done, ApiError> {
    let waiting = tx.quarantine().open_of_type(room.tenant, kind, after, AGAIN_PIECE).await?;
    let is_full = waiting.len() >= AGAIN_PIECE as usize;
    let next = waiting.last().map(|row| row.seq).filter(|_| is_full);
    let wanted = Wanted { waiting, ..Wanted::default() };
    let mut desk = Desk::open(tx, room.tenant, room.book, room.now, wanted).await?;
    desk.judge_all_waiting();
    Ok(Done { next, ..close_desk(tx, desk).await? })
}

async fn close_desk(tx: &mut Tx, desk: Desk<'_>) -> Result<Done, ApiError> {
    let fresh = desk.taken();
    let closed = desk.close(tx).await?;
    Ok(Done { fresh, head: closed.head, buckets: closed.buckets, ..Done::default() })
}

async fn unchanged(tx: &mut Tx, room: Room<'_>) -> Result<Done, ApiError> {
    Ok(Done { head: tx.head().read(room.tenant).await?.seq, ..Done::default() })
}
