//! The push: leases, numbering and the outcome of every change, for a group of tablets in one transaction.

use super::cursor::Cursor;
use super::desk::{Closed, Desk, KnownState, Receipt, SeqRef, Stamp, Wanted};
use super::forms::FormBook;
use super::incoming::{Incoming, Source};
use crate::fault::{crash_point, planted};
use crate::problem::ApiError;
use crate::random::Random;
use std::collections::{BTreeMap, BTreeSet};
use storage::{Head, PurgeReceipt, Received, Replica, Tx, Via};
use sync_protocol::change::Code;
use sync_protocol::clock::{Authored, CLOCK_SUSPECT_MS, ClockReading, UnixMillis, effective_time};
use sync_protocol::id::{
    AttemptId, Bucket, ChangeId, DeviceId, EpochId, LeaseId, QuarantineId, ReplicaId, Seq, Tenant,
    UserId,
};
use sync_protocol::wire::{ChangeResult, Known, Purged, Status};

/// The most bytes that a revoked device may deposit: 50 MiB.
pub(crate) const DEPOSIT_BYTES_MAX: i64 = 50 * 1024 * 1024;
/// How long a device waits that has deposited too much.
const DEPOSIT_RETRY_MS: u64 = 3_600_000;

/// The push of one request, read and not yet judged.
#[derive(Clone, Debug)]
pub(crate) struct Push {
    /// The user of the device.
    pub(crate) user: UserId,
    /// The device.
    pub(crate) device: DeviceId,
    /// Whether the device may only deposit.
    pub(crate) deposit: bool,
    /// When the device was enrolled.
    pub(crate) enrolled_at: UnixMillis,
    /// When the request was received.
    pub(crate) received_at: UnixMillis,
    /// The incarnation of the tablet's database.
    pub(crate) replica: ReplicaId,
    /// The attempt.
    pub(crate) attempt: AttemptId,
    /// The lease that the tablet shows.
    pub(crate) lease: Option<LeaseId>,
    /// The tablet's clocks.
    pub(crate) clock: ClockReading,
    /// The history that the tablet knows.
    pub(crate) epoch: Option<EpochId>,
    /// Its cursor.
    pub(crate) cursor: Option<Cursor>,
    /// The n of the first change.
    pub(crate) from: i64,
    /// The changes.
    pub(crate) changes: Vec<Incoming>,
    /// Effective times given earlier.
    pub(crate) stamps: BTreeMap<ChangeId, UnixMillis>,
    /// Quarantined changes that the tablet asks about.
    pub(crate) open: Vec<ChangeId>,
    /// Buckets that it erased.
    pub(crate) purged: Vec<Purged>,
}

/// What a push became.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PushReceipt {
    /// What the next new attempt must show.
    pub(crate) lease: LeaseId,
    /// The largest n received without a gap.
    pub(crate) known: Known,
    /// The largest n inside the last backup.
    pub(crate) durable: Option<i64>,
    /// The outcomes.
    pub(crate) results: Vec<ChangeResult>,
    /// The server's history.
    pub(crate) epoch: EpochId,
}

/// What a group of pushes became.
#[derive(Debug)]
pub(crate) struct Ingested {
    /// By push, in their order.
    pub(crate) receipts: Vec<Result<PushReceipt, ApiError>>,
    /// The head after it.
    pub(crate) head: Seq,
    /// The buckets that have news.
    pub(crate) buckets: BTreeSet<Bucket>,
}

/// Where a group is taken in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room<'a> {
    /// The tenant.
    pub(crate) tenant: &'a Tenant,
    /// Its forms.
    pub(crate) book: &'a FormBook,
    /// Chance.
    pub(crate) random: &'a dyn Random,
    /// Now.
    pub(crate) now: UnixMillis,
}

impl Room<'_> {
    /// A new quarantine id.
    pub(crate) fn quarantine_id(&self) -> QuarantineId {
        QuarantineId(self.random.uuid_v7(self.now))
    }
}

/// Takes in a group of pushes in one transaction, which is still open afterwards.
///
/// With `unread` the changes are stored in quarantine as they are: the server has failed on them before.
pub(crate) async fn ingest(
    tx: &mut Tx,
    room: Room<'_>,
    pushes: &[Push],
    unread: bool,
) -> Result<Ingested, ApiError> {
    let head = tx.head().read(room.tenant).await?;
    let ids: BTreeSet<ReplicaId> = pushes.iter().map(|push| push.replica).collect();
    let ids: Vec<ReplicaId> = ids.into_iter().collect();
    if planted("head-row-not-last") {
        tx.head().advance(room.tenant, 0).await?;
    }
    let locked = tx.replicas().lock(room.tenant, &ids).await?;
    let mut replicas: BTreeMap<ReplicaId, Replica> =
        locked.into_iter().map(|row| (row.replica, row)).collect();

    let mut admitted: Vec<Result<(), ApiError>> = Vec::with_capacity(pushes.len());
    for push in pushes {
        let admission = admit(tx, room, push, &head, &mut replicas).await;
        admitted.push(admission);
    }

    let wanted = Wanted {
        incoming: pushes
            .iter()
            .zip(&admitted)
            .filter(|(_, a)| a.is_ok())
            .flat_map(|(push, _)| &push.changes)
            .collect(),
        asked: pushes.iter().flat_map(|push| push.open.iter().copied()).collect(),
        users: pushes.iter().map(|push| push.user).collect(),
        ..Wanted::default()
    };
    let mut desk = Desk::open(tx, room.tenant, room.book, room.now, wanted).await?;
    crash_point("push.records_locked");
    let mut outcomes = Vec::with_capacity(pushes.len());
    let mut rows = Vec::new();
    for (push, admission) in pushes.iter().zip(admitted) {
        outcomes.push(match admission {
            Ok(()) => Ok(take_push(&mut desk, room, push, unread, &mut rows)),
            Err(problem) => Err(problem),
        });
    }
    let asked: Vec<Vec<(ChangeId, Receipt)>> =
        pushes.iter().map(|push| asked(&desk, push)).collect();
    for outcome in outcomes.iter_mut().flatten().flatten() {
        // A change that came before what it waited for may have been applied since.
        let hash = outcome.receipt.known.hash;
        if let Some(known) = desk.known(outcome.id, Some(&hash)) {
            outcome.receipt.known = known.clone();
        }
    }
    let closed = desk.close(tx).await?;

    number(tx, room, &rows, &closed, &mut replicas).await?;
    let moved: BTreeSet<ReplicaId> = pushes
        .iter()
        .zip(&outcomes)
        .filter(|(_, outcome)| outcome.is_ok())
        .map(|(push, _)| push.replica)
        .collect();
    let moved: Vec<Replica> = moved.iter().filter_map(|id| replicas.get(id).cloned()).collect();
    if !moved.is_empty() {
        tx.replicas().save(room.tenant, &moved).await?;
    }
    crash_point("push.after_lease_update");
    note_contacts(tx, room, pushes, &outcomes, closed.head).await?;

    let durable = match head.backup_seq {
        Some(seq) if !moved.is_empty() => {
            Some(tx.received().durable(room.tenant, &ids, seq).await?)
        }
        Some(_) | None => None,
    };
    let mut receipts = Vec::with_capacity(pushes.len());
    for ((push, outcome), asked) in pushes.iter().zip(outcomes).zip(asked) {
        receipts.push(match (outcome, replicas.get(&push.replica)) {
            (Err(problem), _) => Err(problem),
            (Ok(_), None) => Err(ApiError::internal("a replica got lost")),
            (Ok(outcome), Some(replica)) => {
                let seq_of = |reference| closed.seq(reference);
                let of_push = outcome.iter().map(|Outcome { n, id, readable, receipt }| {
                    result(Some(*n), readable.then_some(*id), receipt, seq_of)
                });
                let asked =
                    asked.iter().map(|(id, receipt)| result(None, Some(*id), receipt, seq_of));
                Ok(PushReceipt {
                    lease: replica.lease_cur,
                    known: Known { n: replica.known_n, id: replica.known_id },
                    durable: durable.as_ref().and_then(|all| all.get(&push.replica)).copied(),
                    results: of_push.chain(asked).collect(),
                    epoch: head.epoch,
                })
            }
        });
    }
    Ok(Ingested { receipts, head: closed.head, buckets: closed.buckets })
}

/// Notes the numbers that were received, and the largest without a gap.
async fn number(
    tx: &mut Tx,
    room: Room<'_>,
    rows: &[ReceivedRef],
    closed: &Closed,
    replicas: &mut BTreeMap<ReplicaId, Replica>,
) -> Result<(), ApiError> {
    let mut received = Vec::with_capacity(rows.len());
    for row in rows {
        let Some(replica) =
            replicas.get_mut(&row.replica).filter(|replica| row.n > replica.known_n)
        else {
            continue;
        };
        replica.known_n = row.n;
        replica.known_id = row.readable.then_some(row.id);
        let seq = closed.seq(row.seq);
        received.push(Received { replica: row.replica, n: row.n, id: row.id, hash: row.hash, seq });
    }
    if !received.is_empty() {
        tx.received().append(room.tenant, &received).await?;
    }
    crash_point("push.numbers_received");
    Ok(())
}

/// Checks epoch, lease and numbering; moves the lease.
async fn admit(
    tx: &mut Tx,
    room: Room<'_>,
    push: &Push,
    head: &Head,
    replicas: &mut BTreeMap<ReplicaId, Replica>,
) -> Result<(), ApiError> {
    let epoch = head.epoch;
    if push.epoch.is_some_and(|known| known != epoch) {
        return Err(ApiError::EpochChanged { epoch });
    }
    if push.cursor.is_some_and(|cursor| cursor.epoch != epoch || cursor.at > head.seq) {
        // Of another history; or above the head, which was set back without a word: the caller begins a new epoch.
        return Err(ApiError::EpochChanged { epoch });
    }
    let moved = move_lease(
        replicas.get(&push.replica),
        push,
        || LeaseId(room.random.uuid_v7(room.now)),
        room.now,
    )?;
    if push.from < 1 || push.from > moved.known_n + 1 {
        return Err(ApiError::Gap { n: moved.known_n, id: moved.known_id });
    }
    if push.from <= moved.known_n && !push.changes.is_empty() {
        let last = push.from + i64::try_from(push.changes.len()).unwrap_or_default() - 1;
        let range = tx.received().range(room.tenant, push.replica, push.from, last).await?;
        let forked = range.iter().any(|row| {
            let offset = usize::try_from(row.n - push.from).ok();
            let sent = offset.and_then(|offset| push.changes.get(offset));
            sent.is_some_and(|sent| sent.id != row.id || sent.hash != row.hash)
        });
        if forked {
            return Err(ApiError::ReplicaForked);
        }
    }
    if push.deposit && !push.changes.is_empty() {
        let stored = tx.quarantine().bytes_of_device(room.tenant, push.device).await?;
        if stored > DEPOSIT_BYTES_MAX {
            return Err(ApiError::RateLimited { retry_after_ms: DEPOSIT_RETRY_MS });
        }
    }
    replicas.insert(push.replica, moved);
    Ok(())
}

/// Judges the lease that a request shows, and gives the row as it is afterwards.
///
/// The current lease moves on; the previous one with the attempt that it was answered to is the same request again;
/// everything else is another copy of the replica.
fn move_lease(
    row: Option<&Replica>,
    push: &Push,
    new_lease: impl FnOnce() -> LeaseId,
    now: UnixMillis,
) -> Result<Replica, ApiError> {
    let Some(row) = row else {
        if push.lease.is_some() {
            return Err(ApiError::ReplicaForked);
        }
        return Ok(Replica {
            replica: push.replica,
            device: push.device,
            lease_cur: new_lease(),
            lease_prev: None,
            attempt_prev: Some(push.attempt),
            known_n: 0,
            known_id: None,
            created_at: now,
            void: false,
        });
    };
    if row.device != push.device || row.void {
        return Err(ApiError::ReplicaForked);
    }
    if push.lease == Some(row.lease_cur) {
        return Ok(Replica {
            lease_prev: Some(row.lease_cur),
            attempt_prev: Some(push.attempt),
            lease_cur: new_lease(),
            ..row.clone()
        });
    }
    let same_attempt =
        row.attempt_prev == Some(push.attempt) || planted("prev-lease-always-accepted");
    if push.lease == row.lease_prev && same_attempt {
        Ok(row.clone())
    } else {
        Err(ApiError::ReplicaForked)
    }
}

/// A number of a replica that was received, until its seq is known.
struct ReceivedRef {
    replica: ReplicaId,
    n: i64,
    id: ChangeId,
    readable: bool,
    hash: sync_protocol::value::Hash,
    seq: SeqRef,
}

/// What became of one change of a push.
struct Outcome {
    n: i64,
    id: ChangeId,
    readable: bool,
    receipt: Receipt,
}

fn take_push(
    desk: &mut Desk<'_>,
    room: Room<'_>,
    push: &Push,
    unread: bool,
    rows: &mut Vec<ReceivedRef>,
) -> Vec<Outcome> {
    let source = Source {
        via: Via::Tablet,
        by: push.user,
        device: Some(push.device),
        deposit: push.deposit,
        clock_offset_ms: Some(push.received_at.since(push.clock.now.0)),
    };
    let mut outcomes = Vec::with_capacity(push.changes.len());
    for (n, incoming) in (push.from..).zip(&push.changes) {
        let stamp = stamp(push, incoming);
        let receipt = if unread && desk.known(incoming.id, Some(&incoming.hash)).is_none() {
            desk.set_aside(incoming.clone(), source, stamp, Code::BadOp, room.quarantine_id())
        } else {
            desk.take(incoming.clone(), source, stamp, &mut || room.quarantine_id())
        };
        rows.push(ReceivedRef {
            replica: push.replica,
            n,
            id: incoming.id,
            readable: incoming.readable_id().is_some(),
            hash: incoming.hash,
            seq: receipt.known.seq,
        });
        outcomes.push(Outcome {
            n,
            id: incoming.id,
            readable: incoming.readable_id().is_some(),
            receipt,
        });
    }
    outcomes
}

/// The times of a change: a stamp given earlier holds, when it is not in the future.
fn stamp(push: &Push, incoming: &Incoming) -> Stamp {
    let given = push.stamps.get(&incoming.id).copied().filter(|given| *given <= push.received_at);
    let estimate = || {
        let change = incoming.read.as_ref().ok();
        let authored = Authored {
            at: incoming.at().unwrap_or(push.received_at),
            mono: change.and_then(|change| change.mono),
            boot: change.and_then(|change| change.boot.as_deref()),
        };
        effective_time(authored, &push.clock, push.enrolled_at, push.received_at)
    };
    Stamp {
        t_eff: given.unwrap_or_else(estimate),
        t_recv: push.received_at,
        clock_suspect: push.received_at.since(push.clock.now.0).saturating_abs() > CLOCK_SUSPECT_MS,
    }
}

/// Those of the asker's changes that are no longer open; of others' changes nothing is told.
fn asked(desk: &Desk<'_>, push: &Push) -> Vec<(ChangeId, Receipt)> {
    let settled = push.open.iter().filter_map(|id| {
        let known = desk.settled(*id, push.user)?.clone();
        Some((*id, Receipt { repeated: false, known }))
    });
    settled.collect()
}

fn result(
    n: Option<i64>,
    id: Option<ChangeId>,
    receipt: &Receipt,
    seq: impl FnOnce(SeqRef) -> Seq,
) -> ChangeResult {
    let known = &receipt.known;
    let (present, why, q, code) = match &known.state {
        KnownState::Applied(None) => (Status::Ok, None, None, None),
        KnownState::Applied(Some(why)) => (Status::Late, Some(why.clone()), None, None),
        KnownState::Open(q, code) => (Status::Quarantined, None, Some(*q), Some(*code)),
        KnownState::Closed(q, code) => (Status::Closed, None, Some(*q), Some(*code)),
    };
    let unreadable = code == Some(Code::BadOp);
    ChangeResult {
        n,
        id,
        st: if receipt.repeated { Status::Dup } else { present },
        was: receipt.repeated.then_some(if planted("dup-hides-quarantine") {
            Status::Ok
        } else {
            present
        }),
        seq: Some(seq(known.seq)),
        t_eff: (!unreadable).then_some(known.t_eff),
        why,
        q,
        code,
    }
}

/// Notes when each device was last here, and what it erased.
async fn note_contacts(
    tx: &mut Tx,
    room: Room<'_>,
    pushes: &[Push],
    outcomes: &[Result<Vec<Outcome>, ApiError>],
    head: Seq,
) -> Result<(), ApiError> {
    let accepted =
        || pushes.iter().zip(outcomes).filter(|(_, outcome)| outcome.is_ok()).map(|(push, _)| push);
    let devices: BTreeMap<DeviceId, UnixMillis> =
        accepted().map(|push| (push.device, push.received_at)).collect();
    let calls: Vec<(DeviceId, UnixMillis, Seq)> =
        devices.into_iter().map(|(id, at)| (id, at, head)).collect();
    if !calls.is_empty() {
        tx.devices().seen(room.tenant, &calls).await?;
    }
    let purges: Vec<PurgeReceipt> = accepted()
        .flat_map(|push| {
            push.purged.iter().map(|purged| PurgeReceipt {
                device: push.device,
                bucket: purged.bucket.clone(),
                at_seq: purged.at,
                received_at: push.received_at,
            })
        })
        .collect();
    if !purges.is_empty() {
        tx.purges().insert(room.tenant, &purges).await?;
    }
    Ok(())
}
