//! What must hold when everything has healed: nothing waits, everybody agrees, nobody holds too much.

use super::eye::{Eye, Stored};
use super::house::{self, LATE_FORM};
use super::office::read;
use super::oracle::canaries_in;
use super::world::World;
use anyhow::{Context as _, Result, ensure};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;
use sync_protocol::change::{Change, Op, Path};
use sync_protocol::form::{Form, ViewKind};
use sync_protocol::id::{Bucket, Dot, RecordId, Seq};
use sync_protocol::record::{Record, RecordBody, Register};
use sync_protocol::replica::{Phase, Replica, Table};
use sync_protocol::seal::{self, Applied};
use sync_protocol::view::{self, View};
use sync_protocol::wire::Status;

static FORMS: LazyLock<BTreeMap<String, Form>> = LazyLock::new(|| {
    let all = [include_str!("visit.json"), include_str!("note.json"), LATE_FORM];
    let forms = all.map(|text| Form::parse(text).expect("the forms of the worlds"));
    forms.into_iter().map(|form| (form.kind.as_str().to_owned(), form)).collect()
});

/// The form of a kind.
pub(super) fn form_of(kind: &str) -> Option<&'static Form> {
    FORMS.get(kind)
}

/// Whether a form keeps what siblings of a place replaced.
pub(super) fn keeps_bases(form: &Form) -> impl Fn(&str, Option<&str>) -> bool {
    |field, cell| {
        matches!(form.policy(field, cell).view, ViewKind::KeepBoth { .. } | ViewKind::Status { .. })
    }
}

/// The journal of a record, as the rules of seals read it.
pub(super) async fn journal(eye: &mut Eye, rec: RecordId) -> Result<Vec<Applied>> {
    let rows = eye.journal_of(rec).await?;
    rows.into_iter()
        .map(|(seq, text, t_eff)| {
            let change = Change::parse(&text)?;
            Ok(Applied { ops: change.ops_json(), change, t_eff, seq })
        })
        .collect()
}

impl World {
    /// Invariant 14: every outbox is empty in bounded time.
    pub(super) fn check_live(&self) -> Result<()> {
        for (at, tablet) in self.tablets.iter().enumerate() {
            ensure!(tablet.replica.is_some(), "tablet {at} is off");
            ensure!(tablet.outbox() == 0, "STUCK: tablet {at} keeps {} changes", tablet.outbox());
        }
        Ok(())
    }

    /// Everything that must hold at quiescence.
    pub(super) async fn check_settled(&mut self) -> Result<()> {
        self.eye.look().await?;
        for id in self.oracle.authored.keys() {
            ensure!(self.eye.has.contains_key(id), "the change {id} never reached the server");
        }
        let records = self.eye.records().await?;
        for stored in &records {
            self.check_record(stored).await.with_context(|| format!("record {}", stored.rec))?;
        }
        self.check_pointers(&records).await?;
        let by_id: BTreeMap<RecordId, &Stored> =
            records.iter().map(|stored| (stored.rec, stored)).collect();
        for at in 0..self.tablets.len() {
            self.check_agrees(at, &by_id).await.with_context(|| format!("tablet {at}"))?;
        }
        let sealed = self.eye.sealed().await?;
        for (seal, text) in &self.oracle.sealed {
            ensure!(sealed.get(seal) == Some(text), "the sealed text of {seal} changed");
        }
        let open = self.eye.quarantined().await?;
        self.tally.quarantined += open.len() as u64;
        if self.oracle.late_form && !self.oracle.grants_changed {
            let again = self.judge_late_again().await?;
            ensure!(again == 0, "{again} changes of the late form were left behind");
        }
        Ok(())
    }

    /// The stored record is what its journal makes, and a seal shows what was sealed.
    async fn check_record(&mut self, stored: &Stored) -> Result<()> {
        let form = form_of(&stored.kind).context("a form")?;
        let journal = journal(&mut self.eye, stored.rec).await?;
        let rebuilt = seal::rebuild(&stored.kind.parse()?, &journal, &keeps_bases(form))?;
        let record = read(stored)?;
        let (ours, theirs) = (rebuilt.body(None, Vec::new()), record.body(None, Vec::new()));
        ensure!(ours == theirs, "the journal makes {ours:?}, stored is {theirs:?}");
        if let Some(book) = live_by_the_book(&journal) {
            let live = live_of(&record);
            ensure!(book == live, "by the book {book:?} is live, stored is {live:?}");
        }
        let last = journal.last().map(|applied| applied.seq);
        ensure!(last == Some(stored.rv), "its revision is {}, its last change {last:?}", stored.rv);
        if let Some((_, sealed)) = record.seals.last_key_value() {
            let view = View::of(&record, form);
            let now = view::snapshot(stored.rec, &record.kind, form.version, &view).view_hash;
            ensure!(now == sealed.view_hash, "the sealed view is another one");
        }
        Ok(())
    }

    /// Invariant 32: one pointer for a bucket and a record, and it tells the record's revision.
    async fn check_pointers(&mut self, records: &[Stored]) -> Result<()> {
        let pointers = self.eye.pointers().await?;
        for (bucket, records_there) in &pointers {
            for (rec, seq) in records_there {
                let stored = records.iter().find(|stored| stored.rec == *rec);
                let rv = stored.context("a pointer to no record")?.rv;
                ensure!(rv == *seq, "the pointer of {rec} in {bucket} is at {seq}, not {rv}");
            }
        }
        for stored in records {
            let lies = pointers.values().any(|there| there.contains_key(&stored.rec));
            ensure!(lies, "the record {} lies nowhere", stored.rec);
        }
        Ok(())
    }

    /// Invariants 7, 21, 22, 23, 25, 26 and 35: a tablet shows what its user may hold now, all of it and no more.
    async fn check_agrees(
        &mut self,
        at: usize,
        records: &BTreeMap<RecordId, &Stored>,
    ) -> Result<()> {
        let tablet = self.tablets.get(at).context("a tablet")?;
        if tablet.revoked {
            return Ok(());
        }
        let (user, device) = (tablet.user, house::device(tablet.person));
        let held = self.eye.held(user, self.now).await?;
        let scope = self.scope_of(device).await?;
        let open = self.eye.open_ids().await?;
        let tablet = self.tablets.get(at).context("a tablet")?;
        let replica = tablet.replica.as_ref().context("it is off")?;
        let places: BTreeSet<&Bucket> = replica.buckets().map(|(bucket, _)| bucket).collect();
        ensure!(places == held.iter().collect(), "it holds {places:?}, granted is {held:?}");
        let complete = replica.buckets().all(|(_, phase)| *phase == Phase::Held);
        ensure!(complete, "not all is complete: {:?}", replica.buckets().collect::<Vec<_>>());
        let shown: BTreeSet<RecordId> = replica.records().collect();
        let granted: BTreeSet<RecordId> = scope.keys().copied().collect();
        ensure!(shown == granted, "DIVERGED: it shows {shown:?}, granted are {granted:?}");
        for (rec, rv) in &scope {
            let stored = records.get(rec).context("a record")?;
            same(replica, *rec, *rv, stored).with_context(|| format!("DIVERGED: record {rec}"))?;
        }
        for own in replica.own_changes() {
            let Some(outcome) = own.outcome else { continue };
            let applied = self.eye.applied.contains(&own.id);
            let told = (outcome.is_applied(), outcome.status == Status::Quarantined);
            let ours = self.oracle.authored.get(&own.id).map(|hash| (own.id, *hash));
            let is = (applied, !applied && ours.is_some_and(|ours| open.contains(&ours)));
            ensure!(told == is, "{} was told to be {:?}", own.id, outcome.status);
        }
        for ((table, key), value) in &tablet.rows {
            if *table == Table::Text {
                continue;
            }
            for token in canaries_in(value) {
                let rec = self.oracle.canaries.get(token);
                let erased = rec.is_none_or(|rec| granted.contains(rec));
                ensure!(erased, "NOT ERASED: {table:?} {key} holds {token}");
            }
        }
        Ok(())
    }
}

/// Whether a tablet shows a record as the server has it.
fn same(replica: &Replica, rec: RecordId, rv: Seq, stored: &Stored) -> Result<()> {
    ensure!(replica.rv(rec) == Some(rv), "its revision is {:?}, not {rv}", replica.rv(rec));
    let server: RecordBody = serde_json::from_slice(&stored.state)?;
    let flags = replica.flags(rec).to_vec();
    let shown = replica.displayed(rec).context("it is listed and not shown")?.body(None, flags);
    ensure!(shown == server, "shown is {shown:?}, stored is {server:?}");
    Ok(())
}

/// Which puts of which places are live: those that no accepted change names at their place. None for a record with
/// seals or verdicts, which keep changes out of the view.
fn live_by_the_book(journal: &[Applied]) -> Option<BTreeMap<String, BTreeSet<Dot>>> {
    let ops = || journal.iter().flat_map(|applied| applied.change.ops.iter());
    if ops().any(|op| op.is_server_only() && !matches!(op, Op::Place { .. })) {
        return None;
    }
    let gone: BTreeSet<(&Path, Dot)> = ops()
        .filter_map(|op| if let Op::Set { path, x, .. } = op { Some((path, x)) } else { None })
        .flat_map(|(path, x)| x.iter().map(move |dot| (path, *dot)))
        .collect();
    let mut live: BTreeMap<String, BTreeSet<Dot>> = BTreeMap::new();
    for applied in journal {
        for (index, op) in applied.change.ops.iter().enumerate() {
            let Op::Set { path, .. } = op else { continue };
            let dot = applied.change.dot(index);
            if !gone.contains(&(path, dot)) {
                live.entry(path.to_string()).or_default().insert(dot);
            }
        }
    }
    Some(live)
}

fn live_of(record: &Record) -> BTreeMap<String, BTreeSet<Dot>> {
    let mut live = BTreeMap::new();
    let mut note = |path: String, register: &Register| {
        if !register.live.is_empty() {
            live.insert(path, register.live.keys().copied().collect());
        }
    };
    for (field, register) in &record.fields {
        note(field.clone(), register);
    }
    for (list, rows) in &record.lists {
        for (id, row) in rows {
            for (cell, register) in &row.cells {
                note(format!("{list}/{id}/{cell}"), register);
            }
        }
    }
    live
}
