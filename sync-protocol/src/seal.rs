//! Seals: which changes an approver's seal covers, and which stand beside it.
//!
//! While a seal is live the view is what the seal covers. A change that came while a seal was live that does not cover
//! it stands beside: `amendment` if its author had seen the seal, `late` otherwise. It joins the view when an approver
//! has accepted it and the record is sealed again or unsealed; a change set aside joins none.

use crate::change::{Change, Op};
use crate::clock::UnixMillis;
use crate::id::{ChangeId, RecordType, Seq};
use crate::record::{Around, Beside, Record, SealClass, Stamped, TooManyEarly, Verdict};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// An applied change of a record, as the journal has it.
#[derive(Clone, Debug)]
pub struct Applied {
    /// The change.
    pub change: Change,
    /// Its ops as authored.
    pub ops: Value,
    /// Its effective time.
    pub t_eff: UnixMillis,
    /// Its place in the journal.
    pub seq: Seq,
}

/// The class of a change that arrives now; `None` when it joins the view.
pub fn class(record: &Record, change: &Change) -> Option<SealClass> {
    if record.seals.is_empty() || change.is_server_only() {
        return None;
    }
    let seen = record.seals.keys().any(|dot| change.ss.contains(&dot.change));
    Some(if seen { SealClass::Amendment } else { SealClass::Late })
}

/// Puts a change of this class beside the view; tells the top-level fields where it stands.
pub fn set_beside(record: &mut Record, applied: &Applied, class: SealClass) -> BTreeSet<String> {
    let touched = record.make_places(&applied.change);
    record.early_gone.retain(|(_, dot)| dot.change != applied.change.id);
    note_beside(record, applied, class);
    touched
}

fn note_beside(record: &mut Record, applied: &Applied, class: SealClass) {
    record.beside.push(Beside {
        id: applied.change.id,
        class,
        t_eff: applied.t_eff,
        by: applied.change.by,
        verdict: record.verdict(applied.change.id),
        ops: applied.ops.clone(),
    });
}

/// What the applied changes of a record say of its seals.
#[derive(Debug, Default)]
struct Judged {
    /// What the live seal covers; `None` when there is none.
    sealed: Option<BTreeSet<ChangeId>>,
    /// Changes that came while a seal was live that did not cover them, and that no seal has covered since.
    beside: BTreeMap<ChangeId, SealClass>,
}

/// The changes that a seal made now covers, in order of receipt: neither set aside nor beside without acceptance.
///
/// `changes` are all applied changes of the record in order of receipt.
pub fn covers(kind: &RecordType, changes: &[Applied]) -> Vec<ChangeId> {
    let commands = commands_of(kind, changes);
    let beside = judged(changes).beside;
    let joins = |id: &ChangeId| match commands.verdict(*id) {
        Verdict::Accepted => true,
        Verdict::Open => !beside.contains_key(id),
        Verdict::Aside => false,
    };
    changes
        .iter()
        .filter(|applied| !applied.change.is_server_only())
        .map(|applied| applied.change.id)
        .filter(joins)
        .collect()
}

/// Builds the record from its journal: what is shown, what stands beside, which seal is live.
///
/// `changes` are all applied changes of the record in order of receipt.
pub fn rebuild(
    kind: &RecordType,
    changes: &[Applied],
    keeps_bases: &dyn Fn(&str, Option<&str>) -> bool,
) -> Result<Record, TooManyEarly> {
    let judged = judged(changes);
    let shown = judged.sealed.unwrap_or_else(|| covers(kind, changes).into_iter().collect());
    let mut record = show(kind, changes, &shown, keeps_bases)?;
    for applied in changes {
        if let Some(class) =
            judged.beside.get(&applied.change.id).filter(|_| !shown.contains(&applied.change.id))
        {
            note_beside(&mut record, applied, *class);
        }
    }
    Ok(record)
}

/// The record as only the changes in `shown`, and every command, make it.
pub fn show(
    kind: &RecordType,
    changes: &[Applied],
    shown: &BTreeSet<ChangeId>,
    keeps_bases: &dyn Fn(&str, Option<&str>) -> bool,
) -> Result<Record, TooManyEarly> {
    let in_view =
        |applied: &&Applied| shown.contains(&applied.change.id) || applied.change.is_server_only();
    let mut pending: BTreeSet<ChangeId> =
        changes.iter().filter(in_view).map(|a| a.change.id).collect();
    let in_journal: BTreeSet<ChangeId> = changes.iter().map(|applied| applied.change.id).collect();
    let mut record = Record::new(kind.clone());
    for applied in changes {
        if !in_view(&applied) {
            let touched = record.make_places(&applied.change);
            record.mark(touched, applied.seq);
            continue;
        }
        let applied_before = |id: ChangeId| in_journal.contains(&id) && !pending.contains(&id);
        let stamped = Stamped { change: &applied.change, t_eff: applied.t_eff };
        let touched = record.apply(stamped, Around { keeps_bases, applied: &applied_before })?;
        record.mark(touched, applied.seq);
        if applied
            .change
            .ops
            .iter()
            .any(|op| op.is_server_only() && !matches!(op, Op::Place { .. }))
        {
            record.mark_all(applied.seq);
        }
        pending.remove(&applied.change.id);
    }
    let missing: BTreeSet<ChangeId> = record.missing_bases().iter().map(|dot| dot.change).collect();
    for applied in changes.iter().filter(|applied| missing.contains(&applied.change.id)) {
        record.supply_bases(&applied.change);
    }
    Ok(record)
}

/// A record to which only the commands were applied: it tells the live verdicts.
fn commands_of(kind: &RecordType, changes: &[Applied]) -> Record {
    show(kind, changes, &BTreeSet::new(), &|_, _| false)
        .unwrap_or_else(|TooManyEarly| Record::new(kind.clone()))
}

fn judged(changes: &[Applied]) -> Judged {
    let mut judged = Judged::default();
    let mut seals: BTreeMap<ChangeId, BTreeSet<ChangeId>> = BTreeMap::new();
    for Applied { change, .. } in changes {
        let came_beside = !seals.is_empty() && !change.is_server_only();
        if came_beside {
            let seen = change.ss.iter().any(|seal| seals.contains_key(seal));
            judged
                .beside
                .insert(change.id, if seen { SealClass::Amendment } else { SealClass::Late });
        }
        for op in &change.ops {
            match op {
                Op::Seal { covers, x, .. } => {
                    seals.retain(|seal, _| x.iter().all(|dot| dot.change != *seal));
                    for id in covers {
                        judged.beside.remove(id);
                    }
                    seals.insert(change.id, covers.iter().copied().collect());
                }
                Op::Unseal { x, .. } => {
                    seals.retain(|seal, _| x.iter().all(|dot| dot.change != *seal));
                }

                Op::New { .. }
                | Op::Set { .. }
                | Op::Add { .. }
                | Op::Rem { .. }
                | Op::Pos { .. }
                | Op::Del { .. }
                | Op::Undel { .. }
                | Op::Place { .. }
                | Op::Accept { .. }
                | Op::Aside { .. } => {}
            }
        }
    }
    judged.sealed = seals.pop_last().map(|(_, covers)| covers);
    judged
}
