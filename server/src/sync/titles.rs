//! Titles: where a form's title is a reference, people read the title of the record that it names, if they may.

use super::forms::FormBook;
use crate::problem::ApiError;
use std::collections::{BTreeMap, BTreeSet};
use storage::{RecordRow, Tx};
use sync_protocol::form::Kind;
use sync_protocol::id::{Bucket, RecordId, RecordType, Tenant};

/// Puts titles in the place of references, for one page in one statement.
///
/// What the reader may not see, and what has itself only a reference for a title, leaves none.
pub(super) async fn resolve(
    tx: &mut Tx,
    tenant: &Tenant,
    book: &FormBook,
    readable: &BTreeSet<Bucket>,
    rows: &mut [RecordRow],
) -> Result<(), ApiError> {
    let named: BTreeSet<RecordId> =
        rows.iter().filter(|row| is_reference(book, &row.type_)).filter_map(named).collect();
    let named: Vec<RecordId> = named.into_iter().collect();
    let mut titles = BTreeMap::new();
    if !named.is_empty() {
        let buckets: Vec<Bucket> = readable.iter().cloned().collect();
        let found = tx.records().titles(tenant, &named, &buckets).await?;
        let plain = found.into_iter().filter(|titled| !is_reference(book, &titled.type_));
        titles.extend(plain.map(|titled| (titled.rec, titled.title)));
    }
    for row in rows.iter_mut().filter(|row| is_reference(book, &row.type_)) {
        row.title = named_title(row, &titles);
    }
    Ok(())
}

fn named(row: &RecordRow) -> Option<RecordId> {
    row.title.as_deref()?.parse().ok()
}

fn named_title(row: &RecordRow, titles: &BTreeMap<RecordId, Option<String>>) -> Option<String> {
    titles.get(&named(row)?).cloned().flatten()
}

/// Whether the title of this kind of record is a reference.
fn is_reference(book: &FormBook, kind: &RecordType) -> bool {
    let Some(form) = book.form(kind) else { return false };
    let field = form.title.as_deref().and_then(|path| form.field(path));
    field.is_some_and(|field| field.kind == Kind::Ref)
}
