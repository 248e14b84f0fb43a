//! Closing a desk: the head row is locked, seqs are given, and the rows go in few statements.

use super::{Desk, File, Marked, Place, SeqRef, Taken, damaged, quarantine_row};
use crate::fault::{crash_point, planted};
use crate::problem::ApiError;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use storage::{ChangeRow, PointerTouch, QuarantineState, RecordRow, Tx};
use sync_protocol::change::Change;
use sync_protocol::form::Form;
use sync_protocol::id::{Bucket, ChangeId, RecordId, Seq, Tenant};
use sync_protocol::record::Record;
use sync_protocol::view;

/// The longest title that lists show, in characters.
const TITLE_CHARS_MAX: usize = 200;

/// What a closed desk tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Closed {
    base: Seq,
    /// The head after it.
    pub(crate) head: Seq,
    /// The buckets that have news.
    pub(crate) buckets: BTreeSet<Bucket>,
}

impl Closed {
    /// The seq that a reference became.
    pub(crate) fn seq(&self, reference: SeqRef) -> Seq {
        match reference {
            SeqRef::Stored(seq) => seq,
            SeqRef::Taken(index) => seq_of(self.base, index),
        }
    }
}

fn seq_of(base: Seq, index: usize) -> Seq {
    Seq(base.0 + 1 + i64::try_from(index).unwrap_or(i64::MAX >> 1))
}

impl Desk<'_> {
    /// Writes everything; the transaction is still open.
    pub(crate) async fn close(mut self, tx: &mut Tx) -> Result<Closed, ApiError> {
        self.supply_bases(tx).await?;
        self.write_blob_refs(tx).await?;
        let count = i64::try_from(self.taken.len()).unwrap_or(i64::MAX);
        let head = if count == 0 {
            tx.head().read(self.tenant).await?.seq
        } else if planted("plain-sequence") {
            plain_sequence(tx, self.tenant, count).await?
        } else {
            tx.head().advance(self.tenant, count).await?.seq
        };
        crash_point("write.head_advanced");
        let base = Seq(head.0 - count);
        let mut buckets = BTreeSet::new();
        if count > 0 {
            self.write_journal(tx, base).await?;
            crash_point("write.journal_written");
            self.write_records(tx, base, &mut buckets).await?;
            crash_point("write.records_written");
        }
        for (q, by, why) in &self.released {
            let state = QuarantineState::Released;
            tx.quarantine().settle(self.tenant, *q, state, *by, self.now, why.as_deref()).await?;
        }
        let unborn: Vec<RecordId> = self
            .reserved
            .iter()
            .filter(|rec| self.files.get(rec).is_none_or(|file| file.record.is_none()))
            .copied()
            .collect();
        if !unborn.is_empty() {
            tx.records().drop_placeholders(self.tenant, &unborn).await?;
        }
        Ok(Closed { base, head, buckets })
    }

    /// Narratives whose siblings name a version that is not at hand get it from the journal.
    async fn supply_bases(&mut self, tx: &mut Tx) -> Result<(), ApiError> {
        let mut missing: BTreeSet<ChangeId> = BTreeSet::new();
        for file in self.files.values().filter(|file| !file.marks.is_empty()) {
            missing
                .extend(file.record.iter().flat_map(Record::missing_bases).map(|dot| dot.change));
        }
        if missing.is_empty() {
            return Ok(());
        }
        let here: Vec<Change> = self
            .taken
            .iter()
            .filter(|taken| {
                missing.contains(&taken.incoming.id) && matches!(taken.place, Place::Journal { .. })
            })
            .filter_map(|taken| {
                taken.incoming.read.as_ref().ok().map(|change| Change::clone(change))
            })
            .collect();
        let ids: Vec<ChangeId> = missing.into_iter().collect();
        let mut changes = here;
        for (_, body) in tx.journal().bodies(self.tenant, &ids).await? {
            let text = String::from_utf8(body).map_err(damaged)?;
            changes.extend(Change::parse(&text));
        }
        for change in changes {
            if let Some(record) =
                self.files.get_mut(&change.rec).and_then(|file| file.record.as_mut())
            {
                record.supply_bases(&change);
            }
        }
        Ok(())
    }

    async fn write_journal(&mut self, tx: &mut Tx, base: Seq) -> Result<(), ApiError> {
        let (mut changes, mut quarantined) = (Vec::new(), Vec::new());
        for (index, taken) in self.taken.iter().enumerate() {
            let seq = seq_of(base, index);
            match &taken.place {
                Place::Journal { rec, late } => {
                    changes.push(change_row(
                        taken,
                        *rec,
                        late.map(|late| late.as_str().to_owned()),
                        seq,
                    ));
                }
                Place::Quarantine { q, code } => {
                    quarantined.push(quarantine_row(taken, *q, *code, seq));
                }
            }
        }
        if !changes.is_empty() {
            tx.journal().append(self.tenant, &changes).await?;
        }
        if !quarantined.is_empty() {
            tx.quarantine().append(self.tenant, &quarantined).await?;
        }
        Ok(())
    }

    async fn write_records(
        &mut self,
        tx: &mut Tx,
        base: Seq,
        buckets: &mut BTreeSet<Bucket>,
    ) -> Result<(), ApiError> {
        let (mut rows, mut touches) = (Vec::new(), Vec::new());
        let (mut entered, mut left) = (Vec::new(), Vec::new());
        for (rec, file) in &mut self.files {
            let Some(index) = file.marks.iter().map(|(_, index)| *index).max() else { continue };
            let rv = seq_of(base, index);
            let form = file.record.as_ref().and_then(|record| self.book.form(&record.kind));
            let Some(form) = form else { continue };
            rows.push(file.row(*rec, rv, base, form, self.now)?);
            for bucket in &file.buckets {
                let since = file.entered.contains(bucket).then_some(rv);
                touches.push(PointerTouch {
                    bucket: bucket.clone(),
                    rec: *rec,
                    seq: rv,
                    since,
                    live: true,
                });
            }
            for bucket in file.left.difference(&file.buckets) {
                touches.push(PointerTouch {
                    bucket: bucket.clone(),
                    rec: *rec,
                    seq: rv,
                    since: None,
                    live: false,
                });
                left.push((*rec, bucket.clone()));
            }
            entered.extend(
                file.entered.intersection(&file.buckets).map(|bucket| (*rec, bucket.clone())),
            );
            buckets.extend(file.buckets.iter().cloned());
            buckets.extend(file.left.iter().cloned());
        }
        if !left.is_empty() {
            tx.placements().close(self.tenant, &left, self.now).await?;
        }
        if !entered.is_empty() {
            tx.placements().open(self.tenant, &entered, self.now).await?;
        }
        if !rows.is_empty() {
            tx.records().save(self.tenant, &rows).await?;
            tx.pointers().touch(self.tenant, &touches).await?;
        }
        Ok(())
    }
}

/// A wrong rule of [`planted`]: a number is taken as from a sequence, without a lock that lasts until the commit.
async fn plain_sequence(
    tx: &mut Tx,
    tenant: &Tenant,
    count: i64,
) -> Result<Seq, storage::StorageError> {
    static LAST: AtomicI64 = AtomicI64::new(0);
    let head = tx.head().read(tenant).await?.seq;
    LAST.fetch_max(head.0, Ordering::SeqCst);
    let last = LAST.fetch_add(count, Ordering::SeqCst) + count;
    tokio::time::sleep(Duration::from_millis(u64::try_from(last % 7).unwrap_or(0))).await;
    let head = tx.head().read(tenant).await?.seq;
    if head.0 < last {
        tx.head().advance(tenant, last - head.0).await?;
    }
    Ok(Seq(last))
}

fn change_row(taken: &Taken, rec: RecordId, late: Option<String>, seq: Seq) -> ChangeRow {
    ChangeRow {
        seq,
        id: taken.incoming.id,
        rec,
        hash: taken.incoming.hash,
        body: taken.incoming.text.as_bytes().to_vec(),
        via: taken.source.via,
        by: taken.source.by,
        device: taken.source.device,
        t_recv: taken.t_recv,
        t_eff: taken.t_eff,
        late,
        flags: taken.flags.clone(),
    }
}

impl File {
    fn row(
        &mut self,
        rec: RecordId,
        rv: Seq,
        base: Seq,
        form: &Form,
        now: sync_protocol::clock::UnixMillis,
    ) -> Result<RecordRow, ApiError> {
        let record = self
            .record
            .as_mut()
            .ok_or_else(|| ApiError::internal("a marked record has no state"))?;
        for (marked, index) in &self.marks {
            let seq = seq_of(base, *index);
            match marked {
                Marked::Fields(fields) => record.mark(fields.iter().cloned(), seq),
                Marked::All => record.mark_all(seq),
            }
        }
        let mut flags = view::flags(record, form);
        flags.extend(self.sticky.iter().cloned());
        flags.sort_unstable();
        flags.dedup();
        let shown = |path: &str| view::field_view(record, form, path).map(|field| field.shown);
        let status =
            shown(view::STATUS).and_then(|value| Some(value.get("to")?.as_str()?.to_owned()));
        let title = form.title.as_deref().and_then(shown).and_then(|value| {
            let text = value.as_str().map(str::to_owned)?;
            Some(text.chars().take(TITLE_CHARS_MAX).collect())
        });
        let flag_words = flags.join(" ");
        let created_by = self.row.as_ref().map(|row| row.created_by).or(self.born);
        Ok(RecordRow {
            rec,
            type_: record.kind.clone(),
            about: record.about,
            rv,
            state: serde_json::to_vec(&record.body(None, flags)).map_err(damaged)?,
            meta: serde_json::to_vec(&record.meta()).map_err(damaged)?,
            flags: flag_words,
            status,
            title,
            created_at: self.row.as_ref().map_or(now, |row| row.created_at),
            updated_at: now,
            created_by: created_by
                .ok_or_else(|| ApiError::internal("a record without an author"))?,
        })
    }
}
