//! The judgement on one change, and its application: pure over what lies on the desk.

use super::{Desk, File, LEFT_SCOPE, Marked, Stamp};
use crate::sync::incoming::{Incoming, Late, Source};
use crate::sync::rights::{self, Allowed, Stay};
use std::collections::BTreeSet;
use storage::Via;
use sync_protocol::change::{Change, Code, Home, Op};
use sync_protocol::form::{Form, ViewKind};
use sync_protocol::id::{Bucket, ChangeId, RecordId, UserId};
use sync_protocol::record::{Around, Record, SealClass, Stamped};
use sync_protocol::seal::{self, Applied};

/// Whether a form keeps what live siblings of a place replaced: narratives merge against it, states are checked by it.
pub(crate) fn keeps_bases(form: &Form) -> impl Fn(&str, Option<&str>) -> bool {
    |field, cell| {
        matches!(form.policy(field, cell).view, ViewKind::KeepBoth { .. } | ViewKind::Status { .. })
    }
}

impl Desk<'_> {
    pub(super) fn judge(&self, incoming: &Incoming, source: &Source) -> Result<Option<Late>, Code> {
        if self.known.contains_key(&incoming.id) {
            return Err(Code::IdReuse);
        }
        if source.deposit {
            return Err(Code::Revoked);
        }
        self.judge_as(incoming, source, None)
    }

    /// As [`Desk::judge`], of a change that waits; a person who releases it answers for rights that it lacks.
    pub(super) fn judge_as(
        &self,
        incoming: &Incoming,
        source: &Source,
        released_by: Option<UserId>,
    ) -> Result<Option<Late>, Code> {
        let change = incoming.read.as_ref().map_err(|refusal| refusal.code)?;
        let form = self.book.form(&change.kind).ok_or(Code::UnknownType)?;
        let server_made = source.via == Via::Server;
        if change.by != source.by || (!server_made && change.ops.iter().any(Op::is_server_only)) {
            return Err(Code::Forbidden);
        }
        let stays = self.stays_for(change)?;
        let grants = |user: UserId| self.grants.get(&user).map(Vec::as_slice).unwrap_or_default();
        let late = if server_made || source.via == Via::Import {
            None
        } else {
            match rights::judge(change, form, grants(change.by), &stays, self.now) {
                Allowed::Now => None,
                Allowed::Earlier => Some(Late::LeftScope),
                Allowed::No if released_by.is_some() => None,
                Allowed::No => return Err(Code::Forbidden),
            }
        };
        // Only now: who may not begin such a record does not learn whether there is one of this id.
        let taken = self.existing(change.rec).filter(|_| change.home().is_some());
        let Some(file) = taken else { return Ok(late) };
        let sees = || !rights::readable(grants(change.by), self.now).is_disjoint(&file.buckets);
        let is_trusted = server_made || source.via == Via::Import;
        // To who may not see the record, a second `new` is told as every op on it.
        Err(if is_trusted || sees() { Code::IdReuse } else { Code::Forbidden })
    }

    fn existing(&self, rec: RecordId) -> Option<&File> {
        self.files.get(&rec).filter(|file| file.record.is_some())
    }

    /// Where the change's record has been, or where the one that it begins would lie.
    fn stays_for(&self, change: &Change) -> Result<Vec<Stay>, Code> {
        match (change.home(), self.existing(change.rec)) {
            (Some(Home::In(bucket)), _) => Ok(vec![Stay::always(bucket.clone())]),
            (Some(Home::About(subject)), _) => {
                self.existing(*subject).map(|file| file.stays.clone()).ok_or(Code::Forbidden)
            }
            (None, Some(file)) => {
                let same_kind =
                    file.record.as_ref().is_some_and(|record| record.kind == change.kind);
                if same_kind { Ok(file.stays.clone()) } else { Err(Code::Forbidden) }
            }
            (None, None) => Err(Code::Forbidden),
        }
    }

    /// Applies a judged change; the only thing that can still be in the way is a bound.
    pub(super) fn apply(
        &mut self,
        change: &Change,
        stamp: Stamp,
        late: Option<Late>,
        index: usize,
        source: Source,
    ) -> Result<(RecordId, Option<Late>), Code> {
        let rec = change.rec;
        let form = self.book.form(&change.kind).ok_or(Code::UnknownType)?;
        let home = change.home().map(|home| self.buckets_of_home(home));
        let in_journal = &self.in_journal;
        let applied = |id: ChangeId| in_journal.contains(&id);
        let file = self.files.entry(rec).or_insert_with(File::empty);
        let mut record = file.record.take().unwrap_or_else(|| Record::new(change.kind.clone()));
        let class = seal::class(&record, change);
        let outcome = if let Some(class) = class {
            let ops = change.ops_json();
            let applied = Applied {
                ops,
                t_eff: stamp.t_eff,
                seq: sync_protocol::id::Seq(0),
                change: change.clone(),
            };
            Ok(seal::set_beside(&mut record, &applied, class))
        } else {
            let keeps = keeps_bases(form);
            let around = Around { keeps_bases: &keeps, applied: &applied };
            record.apply(Stamped { change, t_eff: stamp.t_eff }, around)
        };
        let existed = file.row.is_some() || file.born.is_some();
        let Ok(touched) = outcome else {
            file.record = existed.then_some(record);
            return Err(Code::TooBig);
        };
        file.record = Some(record);
        file.marks.push((Marked::Fields(touched), index));
        if let Some(buckets) = home {
            file.born = Some(source.by);
            file.stays.extend(buckets.iter().cloned().map(|bucket| Stay {
                bucket,
                from: self.now,
                to: None,
            }));
            file.entered.extend(buckets.iter().cloned());
            file.buckets.extend(buckets);
        }
        let late = match class {
            Some(SealClass::Late) => Some(Late::Sealed),
            Some(SealClass::Amendment) => Some(Late::Amendment),
            None => late,
        };
        if late == Some(Late::LeftScope) {
            file.sticky.insert(LEFT_SCOPE.to_owned());
        }
        if stamp.clock_suspect {
            file.sticky.insert(super::CLOCK_SUSPECT.to_owned());
        }
        self.place_if_told(rec, change);
        Ok((rec, late))
    }

    fn buckets_of_home(&self, home: &Home) -> BTreeSet<Bucket> {
        match home {
            Home::In(bucket) => BTreeSet::from([bucket.clone()]),
            Home::About(subject) => {
                self.files.get(subject).map(|file| file.buckets.clone()).unwrap_or_default()
            }
        }
    }

    /// A `place` of the server moves the record.
    fn place_if_told(&mut self, rec: RecordId, change: &Change) {
        let places = change
            .ops
            .iter()
            .filter_map(|op| if let Op::Place { buckets, .. } = op { Some(buckets) } else { None });
        let Some(file) = self.files.get_mut(&rec) else { return };
        for buckets in places {
            let next: BTreeSet<Bucket> = buckets.iter().cloned().collect();
            file.left.extend(file.buckets.difference(&next).cloned());
            file.entered.extend(next.difference(&file.buckets).cloned());
            file.buckets = next;
        }
    }

    /// Puts the state that the journal makes in the place of the one on the desk: after a seal or a verdict.
    pub(crate) fn replace_record(&mut self, rec: RecordId, mut rebuilt: Record) {
        let Some(file) = self.files.get_mut(&rec) else { return };
        if let Some(before) = &file.record {
            for field in before.fields.keys() {
                rebuilt.fields.entry(field.clone()).or_default();
            }
            for list in before.lists.keys() {
                rebuilt.lists.entry(list.clone()).or_default();
            }
        }
        file.record = Some(rebuilt);
        if let Some((_, index)) = file.marks.last() {
            file.marks.push((Marked::All, *index));
        }
    }
}

impl File {
    pub(super) const fn empty() -> Self {
        Self {
            row: None,
            record: None,
            stays: Vec::new(),
            buckets: BTreeSet::new(),
            sticky: BTreeSet::new(),
            marks: Vec::new(),
            entered: BTreeSet::new(),
            left: BTreeSet::new(),
            born: None,
        }
    }
}
