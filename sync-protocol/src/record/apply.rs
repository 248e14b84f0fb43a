//! Applying a change: a union, one op after the other.

use super::{
    Around, Deletion, EARLY_GONE_MAX, Placing, Record, Register, Seal, Sibling, Slot, Stamp,
    Stamped, TooManyEarly, slot,
};
use crate::change::{Change, Home, Op, Path, RowPath, op_index};
use crate::fault::planted;
use crate::id::{ChangeId, Dot};
use serde_json::Value;
use std::collections::BTreeSet;

impl Record {
    /// The changes that `change` names and whose puts are not live here: gone already, or not arrived.
    pub fn not_live<'c>(&self, change: &'c Change) -> impl Iterator<Item = ChangeId> + use<'_, 'c> {
        pairs(change)
            .filter(|(slot, dot)| dot.change != change.id && !self.is_live(slot, *dot))
            .map(|(_, dot)| dot.change)
    }

    /// Applies one accepted change: a union, so the order of changes makes no difference to any view.
    ///
    /// Returns the top-level fields that it touched. Nothing is changed on an error.
    pub fn apply(
        &mut self,
        stamped: Stamped<'_>,
        around: Around<'_>,
    ) -> Result<BTreeSet<String>, TooManyEarly> {
        let change = stamped.change;
        let (own, early): (BTreeSet<_>, BTreeSet<_>) = pairs(change)
            .filter(|(slot, dot)| {
                dot.change == change.id
                    || (!self.is_live(slot, *dot) && !(around.applied)(dot.change))
            })
            .partition(|(_, dot)| dot.change == change.id);
        let waiting = self.early_gone.union(&early).filter(|(_, dot)| dot.change != change.id);
        if waiting.count() > EARLY_GONE_MAX {
            return Err(TooManyEarly);
        }
        self.early_gone.extend(own);
        if !planted("early-gone-forgotten") {
            self.early_gone.extend(early);
        }
        self.stamps.insert(change.id, Stamp { t_eff: stamped.t_eff, by: change.by });
        let touched = self.make_places(change);
        for (index, op) in change.ops.iter().enumerate() {
            self.apply_op(change.id, index, op, around);
        }
        self.early_gone.retain(|(_, dot)| dot.change != change.id);
        Ok(touched)
    }

    /// Makes the fields, rows and cells that a change stands at, empty where they were not there.
    ///
    /// The state then does not depend on whether a put came before or after what replaced it, and a delta can say
    /// that a field became empty although the change that filled it is in no view. Returns the top-level fields.
    pub fn make_places(&mut self, change: &Change) -> BTreeSet<String> {
        for op in &change.ops {
            match op {
                Op::Set { path, .. } => {
                    self.register_mut(path);
                }
                Op::Add { at, .. } | Op::Rem { at, .. } | Op::Pos { at, .. } => {
                    self.row_mut(at);
                }
                Op::New { .. }
                | Op::Del { .. }
                | Op::Undel { .. }
                | Op::Place { .. }
                | Op::Seal { .. }
                | Op::Unseal { .. }
                | Op::Accept { .. }
                | Op::Aside { .. } => {}
            }
        }
        change.ops.iter().filter_map(slot::top_field).map(str::to_owned).collect()
    }

    fn apply_op(&mut self, id: ChangeId, index: usize, op: &Op, around: Around<'_>) {
        let dot = Dot::put(id, op_index(index));
        for (slot, named) in slot::named_pairs(op) {
            if planted("time-before-causality") && self.is_later(named, id) {
                continue;
            }
            self.take_out(&slot, named);
            if planted("op-removes-another-path") {
                self.take_out_everywhere(named);
            }
        }
        if let Some(at) = op.touched_row() {
            let presence = Dot::presence(id, dot.op);
            if !self.was_gone(&Slot::Row(at.clone()), presence) {
                self.row_mut(at).presences.insert(presence);
            }
        }
        match op {
            Op::New { home } => {
                if let Home::About(subject) = home {
                    self.about = Some(*subject);
                }
                let placing = match home {
                    Home::In(bucket) => Placing::In(vec![bucket.clone()]),
                    Home::About(subject) => Placing::About(*subject),
                };
                self.put_home(dot, placing);
            }
            Op::Place { buckets, .. } => self.put_home(dot, Placing::In(buckets.clone())),
            Op::Set { path, value, x, .. } => self.put_value(path, dot, value, x, around),
            Op::Add { at, pos, value, .. } => {
                if let Some(value) = value
                    && !self.was_gone(&Slot::Payload(at.clone()), dot)
                {
                    self.row_mut(at).payloads.insert(dot, value.clone());
                }
                if let Some(pos) = pos {
                    self.put_position(at, dot, pos);
                }
            }
            Op::Pos { at, pos, .. } => self.put_position(at, dot, pos),
            Op::Rem { at, why, .. } => {
                if !self.was_gone(&Slot::Row(at.clone()), dot) {
                    self.row_mut(at).removals.insert(dot, why.clone());
                }
            }
            Op::Del { seen, why } => {
                if !self.was_gone(&Slot::Deletion, dot) {
                    let seen = seen.iter().copied().collect();
                    self.deletions.insert(dot, Deletion { seen, why: why.clone() });
                }
            }
            Op::Seal { rv, view_hash, .. } => {
                if !self.was_gone(&Slot::Seal, dot) {
                    self.seals.insert(dot, Seal { rv: *rv, view_hash: view_hash.clone() });
                }
            }
            Op::Accept { change, .. } => self.put_verdict(*change, dot, true),
            Op::Aside { change, .. } => self.put_verdict(*change, dot, false),
            Op::Undel { .. } | Op::Unseal { .. } => {}
        }
    }

    fn put_home(&mut self, dot: Dot, placing: Placing) {
        if !self.was_gone(&Slot::Home, dot) {
            self.homes.insert(dot, placing);
        }
    }

    fn put_verdict(&mut self, change: ChangeId, dot: Dot, accept: bool) {
        if !self.was_gone(&Slot::Verdict(change), dot) {
            self.verdicts.entry(change).or_default().insert(dot, accept);
        }
    }

    fn put_position(&mut self, at: &RowPath, dot: Dot, pos: &str) {
        if !self.was_gone(&Slot::Position(at.clone()), dot) {
            self.row_mut(at).positions.insert(dot, pos.to_owned());
        }
    }

    fn put_value(&mut self, path: &Path, dot: Dot, value: &Value, x: &[Dot], around: Around<'_>) {
        let slot = Slot::of_value(path);
        let gone = self.was_gone(&slot, dot);
        let keeps = (around.keeps_bases)(path.field(), path.cell());
        let register = self.register_mut(path);
        if gone {
            if let Some(base @ None) = register.bases.get_mut(&dot) {
                *base = Some(value.clone());
            }
            register.drop_unused_bases();
            return;
        }
        let replaced: Vec<Dot> =
            if keeps { BTreeSet::from_iter(x).into_iter().copied().collect() } else { Vec::new() };
        for base in &replaced {
            register.bases.entry(*base).or_insert(None);
        }
        register.live.insert(dot, Sibling { value: value.clone(), replaced });
        register.drop_unused_bases();
    }

    /// Whether a put that arrives now has been named already.
    fn was_gone(&self, slot: &Slot, dot: Dot) -> bool {
        !self.early_gone.is_empty() && self.early_gone.contains(&(slot.clone(), dot))
    }

    /// A wrong rule of [`planted`]: the clock decides whether what was seen is replaced.
    fn is_later(&self, named: Dot, by: ChangeId) -> bool {
        let at = |id| self.stamps.get(&id).map(|stamp| stamp.t_eff);
        at(named.change) > at(by)
    }

    /// A wrong rule of [`planted`]: a name removes the put wherever it stands.
    fn take_out_everywhere(&mut self, dot: Dot) {
        self.fields.values_mut().for_each(|register| register.take_out(dot));
        self.seals.remove(&dot);
    }

    fn take_out(&mut self, slot: &Slot, dot: Dot) {
        match slot {
            Slot::Field(field) => {
                if let Some(register) = self.fields.get_mut(field) {
                    register.take_out(dot);
                }
            }
            Slot::Cell(at, cell) => {
                if let Some(register) = self.row_opt_mut(at).and_then(|row| row.cells.get_mut(cell))
                {
                    register.take_out(dot);
                }
            }
            Slot::Payload(at) => {
                if let Some(row) = self.row_opt_mut(at) {
                    row.payloads.remove(&dot);
                }
            }
            Slot::Position(at) => {
                if let Some(row) = self.row_opt_mut(at) {
                    row.positions.remove(&dot);
                }
            }
            Slot::Row(at) => {
                if let Some(row) = self.row_opt_mut(at) {
                    row.presences.remove(&dot);
                    row.removals.remove(&dot);
                }
            }
            Slot::Deletion => {
                self.deletions.remove(&dot);
            }
            Slot::Seal => {
                self.seals.remove(&dot);
            }
            Slot::Home => {
                self.homes.remove(&dot);
            }
            Slot::Verdict(change) => {
                if let Some(verdicts) = self.verdicts.get_mut(change) {
                    verdicts.remove(&dot);
                    if verdicts.is_empty() {
                        self.verdicts.remove(change);
                    }
                }
            }
        }
    }

    fn is_live(&self, slot: &Slot, dot: Dot) -> bool {
        let row = |at: &RowPath| self.lists.get(&at.field).and_then(|rows| rows.get(&at.row));
        match slot {
            Slot::Field(field) => {
                self.fields.get(field).is_some_and(|register| register.live.contains_key(&dot))
            }
            Slot::Cell(at, cell) => row(at)
                .and_then(|row| row.cells.get(cell))
                .is_some_and(|register| register.live.contains_key(&dot)),
            Slot::Payload(at) => row(at).is_some_and(|row| row.payloads.contains_key(&dot)),
            Slot::Position(at) => row(at).is_some_and(|row| row.positions.contains_key(&dot)),
            Slot::Row(at) => row(at)
                .is_some_and(|row| row.presences.contains(&dot) || row.removals.contains_key(&dot)),
            Slot::Deletion => self.deletions.contains_key(&dot),
            Slot::Seal => self.seals.contains_key(&dot),
            Slot::Home => self.homes.contains_key(&dot),
            Slot::Verdict(change) => {
                self.verdicts.get(change).is_some_and(|live| live.contains_key(&dot))
            }
        }
    }
}

impl Register {
    fn take_out(&mut self, dot: Dot) {
        if let Some(sibling) = self.live.remove(&dot) {
            // It stays while a live sibling names it as its base; `put_value` drops it otherwise.
            self.bases.insert(dot, Some(sibling.value));
        }
    }

    fn drop_unused_bases(&mut self) {
        if self.bases.is_empty() {
            return;
        }
        let named: BTreeSet<Dot> =
            self.live.values().flat_map(|sibling| sibling.replaced.iter().copied()).collect();
        self.bases.retain(|dot, _| named.contains(dot));
    }
}

/// Every pair (slot, dot) that a change makes gone.
fn pairs(change: &Change) -> impl Iterator<Item = (Slot, Dot)> {
    change.ops.iter().flat_map(slot::named_pairs)
}
