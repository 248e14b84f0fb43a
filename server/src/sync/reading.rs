//! Reading online: lists, one record with provenance, its history, and the two inboxes.
//!
//! A record that the reader may not see looks exactly like one that does not exist.

use super::blobs::{self, Count};
use super::command::{read_journal, seal_view};
use super::desk::{LEFT_SCOPE, read_record};
use super::{rights, titles};
use crate::fault::planted;
use crate::problem::ApiError;
use crate::state::AppState;
use serde::Serialize;
use serde_json::{Value, json, value::RawValue};
use std::collections::{BTreeMap, BTreeSet};
use storage::{ChangeRow, ListFilter, QuarantineFilter, QuarantineState, RecordRow, Tx, Via};
use sync_protocol::clock::{Instant, UnixMillis};
use sync_protocol::form::Role;
use sync_protocol::id::{Bucket, ChangeId, DeviceId, RecordId, RecordType, Seq, Tenant, UserId};
use sync_protocol::value::hash_text;
use sync_protocol::view::View;

const NO_RECORD: ApiError = ApiError::NotFound { kind: "record" };
/// The flags that keep a record out of lists that ask for no flag.
const HIDING_FLAGS: [&str; 2] = ["deleted", "delete_conflict"];
/// The flags by which a record is in the inbox of conflicts.
const INBOX_FLAGS: [&str; 3] = ["conflict", "late", LEFT_SCOPE];

/// A record in a list.
#[derive(Clone, Debug, Serialize)]
pub struct Listed {
    rec: RecordId,
    #[serde(rename = "type")]
    kind: RecordType,
    about: Option<RecordId>,
    rv: Seq,
    title: Option<String>,
    status: Option<String>,
    flags: Vec<String>,
    created_at: Instant,
    updated_at: Instant,
    created_by: UserId,
    media: Count,
}

impl Listed {
    fn of(row: RecordRow, media: Count) -> Self {
        Self {
            rec: row.rec,
            kind: row.type_,
            about: row.about,
            rv: row.rv,
            title: row.title,
            status: row.status,
            flags: row.flags.split_whitespace().map(str::to_owned).collect(),
            created_at: Instant(row.created_at),
            updated_at: Instant(row.updated_at),
            created_by: row.created_by,
            media,
        }
    }
}

/// What a reader may see, in one snapshot.
struct Desk {
    tx: Tx,
    readable: BTreeSet<Bucket>,
    supervised: Vec<Bucket>,
}

async fn open(state: &AppState, tenant: &Tenant, user: UserId) -> Result<Desk, ApiError> {
    let now = state.clock.now();
    let mut tx = state.store.read().await?;
    let grants = tx.grants().of_users(tenant, &[user]).await?;
    let readable = rights::readable(&grants, now);
    let is_supervisor = |bucket: &Bucket| {
        rights::has_role(&grants, &BTreeSet::from([bucket.clone()]), &[Role::Supervisor], now)
    };
    let supervised = readable.iter().filter(|bucket| is_supervisor(bucket)).cloned().collect();
    Ok(Desk { tx, readable, supervised })
}

/// Lists records; deleted ones, also with unseen edits, only when a flag is asked for.
pub async fn list(
    state: &AppState,
    tenant: &Tenant,
    user: UserId,
    mut filter: ListFilter,
) -> Result<(Vec<Listed>, Option<Seq>), ApiError> {
    let book = state.sync.library.book(&state.store, tenant, state.clock.now()).await?;
    let Desk { mut tx, readable, .. } = open(state, tenant, user).await?;
    filter.buckets = match filter.buckets.first() {
        Some(asked) if !readable.contains(asked) => return Ok((Vec::new(), None)),
        Some(_) => filter.buckets,
        None => readable.iter().cloned().collect(),
    };
    let asked = filter.flag.clone();
    let mut rows = tx.records().list(tenant, &filter).await?;
    titles::resolve(&mut tx, tenant, &book, &readable, &mut rows).await?;
    let full = rows.len() >= usize::try_from(filter.limit).unwrap_or(usize::MAX);
    let next = rows.last().filter(|_| full).map(|row| row.rv);
    let is_shown = |row: &Listed| {
        asked.is_some() || !row.flags.iter().any(|flag| HIDING_FLAGS.contains(&flag.as_str()))
    };
    let media = blobs::counts(&mut tx, tenant, &rows).await?;
    let listed = rows.into_iter().map(|row| {
        let media = media.get(&row.rec).copied().unwrap_or_default();
        Listed::of(row, media)
    });
    Ok((listed.filter(is_shown).collect(), next))
}

async fn find(
    desk: &mut Desk,
    tenant: &Tenant,
    rec: RecordId,
) -> Result<(RecordRow, Vec<Bucket>), ApiError> {
    let pointers = desk.tx.pointers().buckets_of(tenant, &[rec]).await?;
    let buckets: Vec<Bucket> = pointers.into_iter().filter(|p| p.live).map(|p| p.bucket).collect();
    let readable = buckets.iter().any(|bucket| desk.readable.contains(bucket));
    if !readable && !planted("read-scope-unchecked") {
        return Err(NO_RECORD);
    }
    let row = desk.tx.records().load(tenant, &[rec]).await?.pop().ok_or(NO_RECORD)?;
    Ok((row, buckets.into_iter().filter(|bucket| desk.readable.contains(bucket)).collect()))
}

/// Shows one record: its view with provenance, its state with the dots that an edit names, and what a seal would freeze.
pub async fn show(
    state: &AppState,
    tenant: &Tenant,
    user: UserId,
    rec: RecordId,
) -> Result<Value, ApiError> {
    let book = state.sync.library.book(&state.store, tenant, state.clock.now()).await?;
    let mut desk = open(state, tenant, user).await?;
    let (mut row, buckets) = find(&mut desk, tenant, rec).await?;
    let rows = std::slice::from_mut(&mut row);
    titles::resolve(&mut desk.tx, tenant, &book, &desk.readable, rows).await?;
    let form =
        book.form(&row.type_).ok_or_else(|| ApiError::internal("a record without a form"))?;
    let record = read_record(&row)?;
    let view = View::of(&record, form);
    let now = state.clock.now();
    let journal = read_journal(desk.tx.journal().of_record(tenant, rec).await?)?;
    let references = desk.tx.blob_refs().of_record(tenant, rec).await?;
    let to_seal = seal_view(&book, rec, &row.type_, &journal, &blobs::held(&references), now)?;
    let problems = form.problems(&view, now);
    let body: Value = serde_json::from_slice(&row.state).map_err(ApiError::caused)?;
    Ok(json!({
        "rec": rec,
        "type": row.type_,
        "about": row.about,
        "rv": row.rv,
        "in": buckets,
        "title": row.title,
        "status": row.status,
        "form_version": form.version,
        "created_at": Instant(row.created_at),
        "created_by": row.created_by,
        "updated_at": Instant(row.updated_at),
        "view": view,
        "conflicts": view.conflicts(),
        "problems": problems,
        "media": blobs::media(&record, references)?,
        "to_seal": {
            "rv": row.rv,
            "view_hash": to_seal.snapshot.view_hash,
            "covers": to_seal.covers.len(),
            "problems": to_seal.problems,
        },
        "state": body,
    }))
}

/// A page of the changes of a record.
#[derive(Debug, Serialize)]
pub struct History {
    changes: Vec<Told>,
    next: Option<Seq>,
}

/// One applied change; its text is told byte for byte, so that `hash` can be checked.
#[derive(Debug, Serialize)]
struct Told {
    seq: Seq,
    id: ChangeId,
    by: UserId,
    device: Option<DeviceId>,
    via: &'static str,
    t_recv: UnixMillis,
    t_eff: UnixMillis,
    late: Option<String>,
    flags: Vec<String>,
    hash: String,
    change: Box<RawValue>,
}

impl Told {
    fn read(row: ChangeRow) -> Result<Self, ApiError> {
        let text = String::from_utf8(row.body).map_err(ApiError::caused)?;
        Ok(Self {
            seq: row.seq,
            id: row.id,
            by: row.by,
            device: row.device,
            via: match row.via {
                Via::Tablet => "tablet",
                Via::Console => "console",
                Via::Server => "server",
                Via::Import => "import",
            },
            t_recv: row.t_recv,
            t_eff: row.t_eff,
            late: row.late,
            flags: row.flags.split_whitespace().map(str::to_owned).collect(),
            hash: hash_text(&row.hash),
            change: RawValue::from_string(text).map_err(ApiError::caused)?,
        })
    }
}

/// Lists the changes of a record, oldest first, as they were authored.
pub async fn history(
    state: &AppState,
    tenant: &Tenant,
    user: UserId,
    rec: RecordId,
    after: Seq,
    limit: u32,
) -> Result<History, ApiError> {
    let mut desk = open(state, tenant, user).await?;
    find(&mut desk, tenant, rec).await?;
    let rows = desk.tx.journal().page_of_record(tenant, rec, after, limit).await?;
    let full = rows.len() >= usize::try_from(limit).unwrap_or(usize::MAX);
    let next = rows.last().filter(|_| full).map(|row| row.seq);
    let changes = rows.into_iter().map(Told::read).collect::<Result<_, _>>()?;
    Ok(History { changes, next })
}

/// Lists the records in which a person must decide something, the newest revision first.
pub async fn conflicts(
    state: &AppState,
    tenant: &Tenant,
    user: UserId,
    after: Option<Seq>,
    limit: u32,
) -> Result<Value, ApiError> {
    let book = state.sync.library.book(&state.store, tenant, state.clock.now()).await?;
    let Desk { mut tx, readable, .. } = open(state, tenant, user).await?;
    let mut found: BTreeMap<Seq, RecordRow> = BTreeMap::new();
    for flag in INBOX_FLAGS {
        let filter = ListFilter {
            buckets: readable.iter().cloned().collect(),
            flag: Some(flag.to_owned()),
            before_rv: after,
            limit,
            ..ListFilter::default()
        };
        found
            .extend(tx.records().list(tenant, &filter).await?.into_iter().map(|row| (row.rv, row)));
    }
    let most = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut page: Vec<RecordRow> = found.into_values().rev().collect();
    let full = page.len() >= most;
    page.truncate(most);
    titles::resolve(&mut tx, tenant, &book, &readable, &mut page).await?;
    let next = page.last().filter(|_| full).map(|row| row.rv);
    let media = blobs::counts(&mut tx, tenant, &page).await?;
    let mut records = Vec::with_capacity(page.len());
    for row in page {
        let media = media.get(&row.rec).copied().unwrap_or_default();
        let record = read_record(&row)?;
        let paths = book
            .form(&row.type_)
            .map(|form| View::of(&record, form).conflicts())
            .unwrap_or_default();
        records.push(
            json!({ "record": Listed::of(row, media), "conflicts": paths, "late": record.beside }),
        );
    }
    Ok(json!({ "records": records, "next": next }))
}

/// Lists the quarantine of the buckets that the reader supervises, the newest receipt first.
pub async fn quarantine(
    state: &AppState,
    tenant: &Tenant,
    user: UserId,
    wanted: &str,
    after: Option<Seq>,
    limit: u32,
) -> Result<Value, ApiError> {
    let wanted = match wanted {
        "open" => QuarantineState::Open,
        "released" => QuarantineState::Released,
        "closed" => QuarantineState::Closed,
        _ => return Err(ApiError::bad_parameter("state", "open, released or closed")),
    };
    let Desk { mut tx, supervised, .. } = open(state, tenant, user).await?;
    let filter =
        QuarantineFilter { buckets: Some(supervised), state: Some(wanted), before: after, limit };
    let rows = tx.quarantine().list(tenant, &filter).await?;
    let full = rows.len() >= usize::try_from(limit).unwrap_or(usize::MAX);
    let next = rows.last().filter(|_| full).map(|row| row.seq);
    let changes: Vec<Value> = rows
        .into_iter()
        .map(|row| {
            json!({
                "q": row.q, "seq": row.seq, "id": row.id, "code": row.code, "why": row.why, "rec": row.rec,
                "about": row.about, "type": row.type_, "claims": row.claims, "by": row.by, "device": row.device,
                "t_recv": row.t_recv, "t_eff": row.t_eff, "hash": hash_text(&row.hash),
                "text": String::from_utf8_lossy(&row.body),
                "closed_by": row.closed_by, "closed_at": row.closed_at,
            })
        })
        .collect();
    Ok(json!({ "changes": changes, "next": next }))
}
