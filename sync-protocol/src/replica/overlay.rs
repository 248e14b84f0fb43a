//! What is displayed: the server's state joined with the tablet's own pending changes.

use super::{Phase, Replica};
use crate::change::Home;
use crate::id::{Bucket, RecordId, RecordType, Seq};
use crate::record::{Around, Record, Stamped};
use std::collections::BTreeSet;

/// How far a pending record's subjects are followed.
const SUBJECTS_MAX: usize = 8;

impl Replica {
    /// The records that are shown, without those of buckets that are being left.
    pub fn records(&self) -> impl Iterator<Item = RecordId> + '_ {
        let known: BTreeSet<RecordId> =
            self.held.keys().chain(self.index.shown.keys()).copied().collect();
        known.into_iter().filter(|rec| self.is_shown(*rec))
    }

    /// A record as it is displayed.
    pub fn displayed(&self, rec: RecordId) -> Option<Record> {
        if !self.is_shown(rec) {
            return None;
        }
        let mut record = match self.held.get(&rec) {
            Some(held) => held.record.clone(),
            None => Record::new(self.pending_kind(rec)?.clone()),
        };
        // The server's state has dropped what was replaced, so a named put that is not live there is gone.
        let around = Around { keeps_bases: &|_, _| true, applied: &|_| true };
        for order in self.index.shown.get(&rec).into_iter().flatten() {
            let Some(own) = self.own.get(order) else { continue };
            if let Some(change) = &own.change {
                let stamped = Stamped { change, t_eff: own.meta.t_eff };
                record.apply(stamped, around).ok()?;
            }
        }
        Some(record)
    }

    /// A record as the server last sent it; also of a bucket that is being left.
    pub fn received(&self, rec: RecordId) -> Option<&Record> {
        self.held.get(&rec).map(|held| &held.record)
    }

    /// The seq of the last change of a record that the server sent in this epoch.
    pub fn rv(&self, rec: RecordId) -> Option<Seq> {
        self.held.get(&rec).filter(|held| Some(held.epoch) == self.state.epoch).map(|held| held.rv)
    }

    /// The server's flags of a record.
    pub fn flags(&self, rec: RecordId) -> &[String] {
        self.held.get(&rec).map_or(&[], |held| &held.flags)
    }

    /// The buckets by which the tablet holds a record.
    pub fn buckets_of(&self, rec: RecordId) -> impl Iterator<Item = &Bucket> {
        self.held.get(&rec).into_iter().flat_map(|held| held.buckets.keys())
    }

    /// How many records of a bucket have come since it was last entered, and how many were announced.
    pub fn progress(&self, bucket: &Bucket) -> Option<(usize, i64)> {
        let place = self.places.get(bucket)?;
        let come = |rec: &RecordId| {
            let sent = self.held.get(rec).and_then(|held| held.buckets.get(bucket));
            sent.is_some_and(|sent| *sent == place.entering)
        };
        Some((self.members(bucket).filter(come).count(), place.expected))
    }

    /// Where each bucket stands.
    pub fn buckets(&self) -> impl Iterator<Item = (&Bucket, &Phase)> {
        self.places.iter().map(|(bucket, place)| (bucket, &place.phase))
    }

    fn pending_kind(&self, rec: RecordId) -> Option<&RecordType> {
        let order = self.index.shown.get(&rec)?.first()?;
        self.own.get(order)?.change.as_ref().map(|change| &change.kind)
    }

    /// Whether anything of this record may be shown.
    pub(super) fn is_shown(&self, rec: RecordId) -> bool {
        let mut rec = rec;
        for _ in 0..SUBJECTS_MAX {
            if let Some(held) = self.held.get(&rec) {
                return held.buckets.keys().any(|bucket| self.is_open(bucket));
            }
            match self.pending_home(rec) {
                None => return false,
                Some(Home::In(bucket)) => return !self.is_leaving(bucket),
                Some(Home::About(subject)) if !self.is_known(*subject) => return true,
                Some(Home::About(subject)) => rec = *subject,
            }
        }
        false
    }

    /// Whether a record is held and yet not to be shown.
    pub(super) fn is_hidden(&self, rec: RecordId) -> bool {
        let known = self.is_known(rec);
        known && !self.is_shown(rec)
    }

    fn is_known(&self, rec: RecordId) -> bool {
        self.held.contains_key(&rec) || self.index.shown.contains_key(&rec)
    }

    fn pending_home(&self, rec: RecordId) -> Option<&Home> {
        let orders = self.index.shown.get(&rec)?;
        orders.iter().find_map(|order| self.own.get(order)?.change.as_ref()?.home())
    }

    fn is_open(&self, bucket: &Bucket) -> bool {
        self.places.get(bucket).is_some_and(|place| match place.phase {
            Phase::Held | Phase::Paging { .. } | Phase::Anew => true,
            Phase::Leaving => false,
        })
    }

    fn is_leaving(&self, bucket: &Bucket) -> bool {
        self.places.get(bucket).is_some_and(|place| place.phase == Phase::Leaving)
    }
}
