//! Opening a desk: what a group touches is read and locked, each set sorted, in few statements.

use super::{Desk, File, Known, KnownState, SeqRef, damaged};
use crate::fault::planted;
use crate::problem::ApiError;
use crate::sync::forms::FormBook;
use crate::sync::incoming::Incoming;
use crate::sync::rights::Stay;
use std::collections::{BTreeMap, BTreeSet};
use storage::{Outcome, Quarantined, RecordRow, Stored, Tx};
use sync_protocol::change::{Code, Home, Op};
use sync_protocol::clock::UnixMillis;
use sync_protocol::id::{ChangeId, RecordId, RecordType, Tenant, UserId};
use sync_protocol::record::{Meta, Record, RecordBody};

/// How far down the changes that wait for other changes are followed.
const WAITING_DEPTH_MAX: usize = 8;
/// Flags that are not computed from the state.
const STICKY: [&str; 2] = [super::LEFT_SCOPE, super::CLOCK_SUSPECT];

/// How far back the fault `window-deduplication` remembers: a day.
const WINDOW_MS: i64 = 24 * 3_600 * 1_000;

/// What a group needs on the desk.
#[derive(Debug, Default)]
pub(crate) struct Wanted<'a> {
    /// The changes that will be taken.
    pub(crate) incoming: Vec<&'a Incoming>,
    /// Changes whose outcome is asked for.
    pub(crate) asked: Vec<ChangeId>,
    /// Records beyond those of the changes.
    pub(crate) records: BTreeSet<RecordId>,
    /// Users beyond the authors of the changes.
    pub(crate) users: BTreeSet<UserId>,
    /// Quarantined changes that will be released.
    pub(crate) waiting: Vec<Quarantined>,
}

impl<'a> Desk<'a> {
    /// Reads and locks what is wanted.
    pub(crate) async fn open(
        tx: &mut Tx,
        tenant: &'a Tenant,
        book: &'a FormBook,
        now: UnixMillis,
        wanted: Wanted<'_>,
    ) -> Result<Self, ApiError> {
        let ids: BTreeSet<ChangeId> = wanted
            .incoming
            .iter()
            .map(|incoming| incoming.id)
            .chain(wanted.asked.iter().copied())
            .collect();
        let mut known = known(tx, tenant, ids).await?;
        if planted("window-deduplication") {
            let oldest = now.plus(-WINDOW_MS);
            known.retain(|_, all| all.iter().any(|known| known.t_eff >= oldest));
        }
        let mut records = wanted.records;
        let mut born = BTreeSet::new();
        let mut users = wanted.users;
        for incoming in wanted.incoming.iter().filter(|incoming| !known.contains_key(&incoming.id))
        {
            note(&mut records, &mut born, &mut users, incoming);
        }
        let mut waiting = wanted.waiting;
        for row in &waiting {
            note_waiting(&mut records, &mut born, &mut users, row);
        }
        let followed = follow(tx, tenant, &mut records, &mut born, &mut users).await?;
        waiting.extend(followed);
        waiting.sort_by_key(|row| row.seq);
        waiting.dedup_by_key(|row| row.q);

        let to_reserve: Vec<RecordId> = born.iter().copied().collect();
        if !to_reserve.is_empty() {
            tx.records().reserve(tenant, &to_reserve, now).await?;
        }
        let all: Vec<RecordId> = records.iter().copied().collect();
        let mut files: BTreeMap<RecordId, File> = BTreeMap::new();
        if !all.is_empty() {
            for row in tx.records().lock(tenant, &all).await? {
                if row.rv.0 > 0 {
                    files.insert(row.rec, File::read(row)?);
                }
            }
            for placement in tx.placements().of_records(tenant, &all).await? {
                if let Some(file) = files.get_mut(&placement.rec) {
                    file.stays.push(Stay::from(&placement));
                    if placement.to_at.is_none() {
                        file.buckets.insert(placement.bucket);
                    }
                }
            }
        }
        let reserved = born.into_iter().filter(|rec| !files.contains_key(rec)).collect();
        let users: Vec<UserId> = users.into_iter().collect();
        let mut grants = BTreeMap::new();
        if !users.is_empty() {
            for grant in tx.grants().of_users(tenant, &users).await? {
                grants.entry(grant.user).or_insert_with(Vec::new).push(grant);
            }
        }
        let in_journal = named_in_journal(tx, tenant, &files, &wanted.incoming, &waiting).await?;
        Ok(Self {
            tenant,
            book,
            now,
            files,
            grants,
            known,
            in_journal,
            waiting,
            taken: Vec::new(),
            released: Vec::new(),
            reserved,
        })
    }
}

async fn known(
    tx: &mut Tx,
    tenant: &Tenant,
    ids: BTreeSet<ChangeId>,
) -> Result<BTreeMap<ChangeId, Vec<Known>>, ApiError> {
    let ids: Vec<ChangeId> = ids.into_iter().collect();
    let mut known: BTreeMap<ChangeId, Vec<Known>> = BTreeMap::new();
    if ids.is_empty() {
        return Ok(known);
    }
    for stored in tx.journal().outcomes(tenant, &ids).await? {
        known.entry(stored.id).or_default().push(Known::from(stored));
    }
    Ok(known)
}

impl From<Stored> for Known {
    fn from(stored: Stored) -> Self {
        let code = |word: String| Code::parse(&word).unwrap_or(Code::BadOp);
        let state = match stored.outcome {
            Outcome::Applied => KnownState::Applied(None),
            Outcome::Late(why) => KnownState::Applied(Some(why)),
            Outcome::Quarantined { q, code: word } => KnownState::Open(q, code(word)),
            Outcome::Closed { q, code: word } => KnownState::Closed(q, code(word)),
        };
        let Stored { hash, t_eff, by, .. } = stored;
        Self { hash, seq: SeqRef::Stored(stored.seq), t_eff, by, state }
    }
}

fn note(
    records: &mut BTreeSet<RecordId>,
    born: &mut BTreeSet<RecordId>,
    users: &mut BTreeSet<UserId>,
    incoming: &Incoming,
) {
    let Ok(change) = &incoming.read else { return };
    records.insert(change.rec);
    users.insert(change.by);
    if let Some(home) = change.home() {
        born.insert(change.rec);
        if let Home::About(subject) = home {
            records.insert(*subject);
        }
    }
}

fn note_waiting(
    records: &mut BTreeSet<RecordId>,
    born: &mut BTreeSet<RecordId>,
    users: &mut BTreeSet<UserId>,
    row: &Quarantined,
) {
    records.extend(row.rec);
    records.extend(row.about);
    users.insert(row.by);
    if row.about.is_some() || row.claims.is_some() {
        born.extend(row.rec);
    }
}

/// Finds what waits in quarantine for the records that may be born, and for those that would be born then.
async fn follow(
    tx: &mut Tx,
    tenant: &Tenant,
    records: &mut BTreeSet<RecordId>,
    born: &mut BTreeSet<RecordId>,
    users: &mut BTreeSet<UserId>,
) -> Result<Vec<Quarantined>, ApiError> {
    let mut found = Vec::new();
    let mut asked = BTreeSet::new();
    for _ in 0..WAITING_DEPTH_MAX {
        let next: Vec<RecordId> = born.difference(&asked).copied().collect();
        if next.is_empty() {
            break;
        }
        let rows = tx.quarantine().open_for(tenant, &next).await?;
        asked.extend(next);
        for row in &rows {
            note_waiting(records, born, users, row);
        }
        found.extend(rows);
    }
    found.retain(|row| matches!(Code::parse(&row.code), Some(Code::Forbidden | Code::UnknownType)));
    Ok(found)
}

/// Which of the changes that the incoming ones name, and that are not live, have been applied before.
async fn named_in_journal(
    tx: &mut Tx,
    tenant: &Tenant,
    files: &BTreeMap<RecordId, File>,
    incoming: &[&Incoming],
    waiting: &[Quarantined],
) -> Result<BTreeSet<ChangeId>, ApiError> {
    let read_again =
        waiting.iter().filter_map(|row| Some(Incoming::read(str::from_utf8(&row.body).ok()?)));
    let read_again: Vec<Incoming> = read_again.collect();
    let mut named = BTreeSet::new();
    for change in incoming
        .iter()
        .copied()
        .chain(&read_again)
        .filter_map(|incoming| incoming.read.as_ref().ok())
    {
        match files.get(&change.rec).and_then(|file| file.record.as_ref()) {
            Some(record) => named.extend(record.not_live(change)),
            None => named.extend(change.ops.iter().flat_map(Op::named).map(|dot| dot.change)),
        }
    }
    let records = files.values().filter_map(|file| file.record.as_ref());
    let mut applied: BTreeSet<ChangeId> =
        records.flat_map(|record| record.stamps.keys().copied()).collect();
    let named: Vec<ChangeId> = named.difference(&applied).copied().collect();
    if !named.is_empty() {
        let stored = tx.journal().outcomes(tenant, &named).await?;
        let in_journal =
            stored.into_iter().filter(|s| matches!(s.outcome, Outcome::Applied | Outcome::Late(_)));
        applied.extend(in_journal.map(|stored| stored.id));
    }
    Ok(applied)
}

impl File {
    fn read(row: RecordRow) -> Result<Self, ApiError> {
        let record = read_record(&row)?;
        let sticky = row
            .flags
            .split_whitespace()
            .filter(|flag| STICKY.contains(flag))
            .map(str::to_owned)
            .collect();
        Ok(Self { record: Some(record), sticky, row: Some(row), ..Self::empty() })
    }
}

/// Reads the state of a stored record.
pub fn read_record(row: &RecordRow) -> Result<Record, ApiError> {
    let (record, _) = read_state(row.type_.clone(), row.about, &row.state, &row.meta)?;
    Ok(record)
}

/// Reads the stored state of a record, and the flags that stand in it.
pub(crate) fn read_state(
    kind: RecordType,
    about: Option<RecordId>,
    state: &[u8],
    meta: &[u8],
) -> Result<(Record, Vec<String>), ApiError> {
    let body: RecordBody = serde_json::from_slice(state).map_err(damaged)?;
    let meta: Meta = serde_json::from_slice(meta).map_err(damaged)?;
    let record = Record::read(kind, about, &body, meta).map_err(damaged)?;
    Ok((record, body.flags))
}
