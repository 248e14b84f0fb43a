//! Moves: a record goes to other buckets, and what is about it goes along.

use super::{
    Done, finish, open_for, repeated, require_readable, require_role, server_change,
    take_server_change,
};
use crate::problem::ApiError;
use crate::sync::desk::{Desk, Wanted};
use crate::sync::ingest::Room;
use crate::sync::rights;
use std::collections::BTreeSet;
use storage::Tx;
use sync_protocol::change::Op;
use sync_protocol::form::Role;
use sync_protocol::id::{Bucket, ChangeId, Dot, RecordId, UserId};

/// The most records that one move takes along.
pub(super) const MOVED_MAX: usize = 10_000;
/// The most buckets in which a record may lie.
pub(super) const BUCKETS_OF_RECORD_MAX: usize = 16;
const NEEDED: &str = "the role supervisor where the record lies, and where it goes";

pub(super) async fn relocate(
    tx: &mut Tx,
    room: Room<'_>,
    user: UserId,
    rec: RecordId,
    id: ChangeId,
    to: BTreeSet<Bucket>,
) -> Result<Done, ApiError> {
    if to.is_empty() || to.len() > BUCKETS_OF_RECORD_MAX {
        let detail = format!("1 to {BUCKETS_OF_RECORD_MAX} buckets");
        return Err(ApiError::unprocessable("buckets", detail));
    }
    let moved = with_followers(tx, room, rec).await?;
    if moved.len() == 1 {
        let desk = open_for(tx, room, user, rec, id).await?;
        return place_all(tx, room, user, rec, id, to, desk).await;
    }
    let wanted = Wanted {
        asked: vec![id],
        records: moved,
        users: BTreeSet::from([user]),
        ..Wanted::default()
    };
    let desk = Desk::open(tx, room.tenant, room.book, room.now, wanted).await?;
    require_readable(&desk, room, user, rec)?;
    place_all(tx, room, user, rec, id, to, desk).await
}

async fn place_all(
    tx: &mut Tx,
    room: Room<'_>,
    user: UserId,
    rec: RecordId,
    id: ChangeId,
    to: BTreeSet<Bucket>,
    mut desk: Desk<'_>,
) -> Result<Done, ApiError> {
    require_role(&desk, room, user, rec, &[Role::Supervisor], NEEDED)?;
    let grants = desk.grants.get(&user).map(Vec::as_slice).unwrap_or_default();
    for bucket in &to {
        if !rights::has_role(
            grants,
            &BTreeSet::from([bucket.clone()]),
            &[Role::Supervisor],
            room.now,
        ) {
            return Err(ApiError::Forbidden { reason: NEEDED });
        }
    }
    let subject = desk.record(rec).ok_or(ApiError::NotFound { kind: "record" })?;
    let op = Op::Place { buckets: to.iter().cloned().collect(), x: Vec::new() };
    let asked = server_change(room, user, rec, &subject.kind, id, op);
    if let Some(receipt) = repeated(tx, room, &desk, &asked).await? {
        return finish(tx, desk, vec![(id, receipt)]).await;
    }
    let from = desk.files.get(&rec).map(|file| file.buckets.clone()).unwrap_or_default();
    let going: Vec<RecordId> = desk
        .files
        .iter()
        .filter(|(other, file)| **other == rec || file.buckets == from)
        .map(|(rec, _)| *rec)
        .collect();
    let mut made = Vec::with_capacity(going.len());
    for going in going {
        let Some(record) = desk.record(going) else { continue };
        let x: Vec<Dot> = record.homes.keys().copied().collect();
        let kind = record.kind.clone();
        let change_id = if going == rec { id } else { ChangeId(room.random.uuid_v7(room.now)) };
        let op = Op::Place { buckets: to.iter().cloned().collect(), x };
        let change = server_change(room, user, going, &kind, change_id, op);
        made.push((change_id, take_server_change(&mut desk, room, &change)?));
    }
    finish(tx, desk, made).await
}

/// The record and all that is about it, and so on downwards.
async fn with_followers(
    tx: &mut Tx,
    room: Room<'_>,
    rec: RecordId,
) -> Result<BTreeSet<RecordId>, ApiError> {
    let mut all = BTreeSet::from([rec]);
    let mut next = vec![rec];
    while !next.is_empty() {
        let limit = u32::try_from(MOVED_MAX + 1).unwrap_or(u32::MAX);
        let found = tx.records().followers(room.tenant, &next, limit).await?;
        next = found.into_iter().filter(|rec| all.insert(*rec)).collect();
        if all.len() > MOVED_MAX {
            let detail =
                format!("more than {MOVED_MAX} records would move: move parts of them first");
            return Err(ApiError::unprocessable("too-many", detail));
        }
    }
    Ok(all)
}
