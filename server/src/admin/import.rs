//! Files of the office: ledgers come in as rows of JSON, and importing the same file twice changes nothing.
//!
//! A row names its record by the office's key: the id of the record is UUIDv5 of tenant and `type:key`, the id of its
//! change is UUIDv5 of that and the hash of the row. A known change is passed over; a new row of a known record sets
//! what differs. A record that a file no longer names is listed, never deleted.

mod draught;
mod row;

pub use row::{ImportFile, Row, record_id};

use super::{Actor, note};
use crate::problem::ApiError;
use crate::state::AppState;
use crate::sync::{Command, FormBook, read_record};
use draught::{Draught, draught};
use std::collections::{BTreeMap, BTreeSet};
use storage::{ListFilter, Tx};
use sync_protocol::change::{Change, Home};
use sync_protocol::id::{Bucket, ChangeId, RecordId, RecordType, Seq, UserId};
use sync_protocol::record::Record;

/// The most rows that are judged in one transaction.
const ROWS_MAX: usize = 500;
/// Records in a page of what the file does not name.
const PAGE: u32 = 500;

/// What an import did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// Changes that were made.
    pub made: Vec<ChangeId>,
    /// Rows that changed nothing: known, or saying what the record says.
    pub passed: usize,
    /// Changes that went to quarantine; a person looks at them there.
    pub quarantined: usize,
    /// Records of the kinds and buckets of the file that it does not name.
    pub vanished: Vec<RecordId>,
}

/// Imports rows in their order, each in the name of its author.
pub async fn import(state: &AppState, actor: &Actor, rows: &[Row]) -> Result<Imported, ApiError> {
    let book = state.sync.library.book(&state.store, &actor.tenant, state.clock.now()).await?;
    let logins = logins(state, actor).await?;
    let mut imported = Imported::default();
    let mut rest = rows;
    while !rest.is_empty() {
        let (batch, after) = rest.split_at(one_row_each(rest));
        rest = after;
        take(state, actor, (&book, &logins), batch, &mut imported).await?;
    }
    let mut tx = state.store.write().await?;
    let told = format!("{} changes of {} rows", imported.made.len(), rows.len());
    note(state, &mut tx, actor, "import", "records".to_owned(), told).await?;
    tx.commit().await?;
    imported.vanished = vanished(state, actor, rows).await?;
    Ok(imported)
}

/// How many rows from the beginning name each record once, so that each is compared with what the one before left.
fn one_row_each(rows: &[Row]) -> usize {
    let mut seen = BTreeSet::new();
    let firsts = rows.iter().take(ROWS_MAX).take_while(|row| seen.insert(row.name()));
    firsts.count()
}

async fn logins(state: &AppState, actor: &Actor) -> Result<BTreeMap<String, UserId>, ApiError> {
    let users = state.store.read().await?.users().list(&actor.tenant).await?;
    Ok(users.into_iter().map(|user| (user.login, user.id)).collect())
}

async fn take(
    state: &AppState,
    actor: &Actor,
    (book, logins): (&FormBook, &BTreeMap<String, UserId>),
    rows: &[Row],
    imported: &mut Imported,
) -> Result<(), ApiError> {
    let ids: Vec<RecordId> = rows.iter().map(|row| record_id(&actor.tenant, &row.name())).collect();
    let changes: Vec<ChangeId> =
        rows.iter().zip(&ids).map(|(row, rec)| row.change_id(*rec)).collect();
    let mut tx = state.store.read().await?;
    let known = tx.journal().outcomes(&actor.tenant, &changes).await?;
    let known: BTreeSet<ChangeId> = known.into_iter().map(|stored| stored.id).collect();
    let there = records(&mut tx, actor, &ids).await?;
    drop(tx);
    let mut texts = Vec::new();
    let mut made = Vec::new();
    for ((row, rec), id) in rows.iter().zip(&ids).zip(&changes) {
        if known.contains(id) {
            imported.passed += 1;
            continue;
        }
        let by = logins.get(&row.by).copied();
        let by = by.ok_or_else(|| bad_row(row, &format!("nobody is called {}", row.by)))?;
        let kind: RecordType = row.kind.parse().map_err(|_| bad_row(row, "no such type"))?;
        let form = book.form(&kind).ok_or_else(|| bad_row(row, "no form describes its type"))?;
        let record = there.get(rec);
        let home = home(actor, row)?;
        let said = Draught { tenant: &actor.tenant, id: *id, record, home, row };
        let ops = draught(&said).map_err(|why| bad_row(row, &why))?;
        if ops.is_empty() {
            imported.passed += 1;
            continue;
        }
        let ss = record.map(Record::seal_ids).unwrap_or_default();
        let at = row.at.map_or_else(|| state.clock.now(), |at| at.0);
        let (rec, sv) = (*rec, form.version);
        let change = Change { id: *id, rec, kind, sv, at, mono: None, boot: None, by, ss, ops };
        texts.push(change.freeze().text().to_owned());
        made.push(*id);
    }
    if !texts.is_empty() {
        let command = Command::Import { user: actor.id(), texts };
        imported.quarantined += state.sync.command(&actor.tenant, command).await?.quarantined;
        imported.made.extend(made);
    }
    Ok(())
}

async fn records(
    tx: &mut Tx,
    actor: &Actor,
    ids: &[RecordId],
) -> Result<BTreeMap<RecordId, Record>, ApiError> {
    let rows = tx.records().load(&actor.tenant, ids).await?;
    rows.iter().map(|row| Ok((row.rec, read_record(row)?))).collect()
}

fn home(actor: &Actor, row: &Row) -> Result<Option<Home>, ApiError> {
    match (&row.bucket, &row.about) {
        (Some(bucket), None) => Ok(Some(Home::In(bucket.clone()))),
        (None, Some(subject)) => Ok(Some(Home::About(record_id(&actor.tenant, subject)))),
        (None, None) => Ok(None),
        (Some(_), Some(_)) => {
            Err(bad_row(row, "it lies in a bucket or is about a record, not both"))
        }
    }
}

fn bad_row(row: &Row, why: &str) -> ApiError {
    ApiError::unprocessable("bad_row", format!("{}: {why}", row.name()))
}

/// The records of the kinds and buckets of the rows that no row names.
async fn vanished(
    state: &AppState,
    actor: &Actor,
    rows: &[Row],
) -> Result<Vec<RecordId>, ApiError> {
    let named: BTreeSet<RecordId> =
        rows.iter().map(|row| record_id(&actor.tenant, &row.name())).collect();
    let buckets: BTreeSet<Bucket> = rows.iter().filter_map(|row| row.bucket.clone()).collect();
    let kinds: BTreeSet<&str> = rows.iter().map(|row| row.kind.as_str()).collect();
    let mut tx = state.store.read().await?;
    let mut vanished = Vec::new();
    for kind in kinds {
        let Ok(kind) = kind.parse::<RecordType>() else { continue };
        let mut before_rv: Option<Seq> = None;
        loop {
            let filter = ListFilter {
                type_: Some(kind.clone()),
                buckets: buckets.iter().cloned().collect(),
                before_rv,
                limit: PAGE,
                ..ListFilter::default()
            };
            let page = tx.records().list(&actor.tenant, &filter).await?;
            let Some(last) = page.last() else { break };
            before_rv = Some(last.rv);
            vanished.extend(page.iter().map(|row| row.rec).filter(|rec| !named.contains(rec)));
        }
    }
    Ok(vanished)
}
