//! A tablet's own changes: numbered, offered until each has its own result, kept until they are durable.

use super::{Chance, Notice, Replica};
use crate::change::{Change, Code};
use crate::clock::UnixMillis;
use crate::id::{ChangeId, QuarantineId, RecordId, ReplicaId, Seq};
use crate::wire::{ChangeResult, Known, Status};
use serde::{Deserialize, Serialize};

/// What became of a change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// `ok`, `late`, `quarantined` or `closed`.
    pub status: Status,
    /// Its seq.
    pub seq: Option<Seq>,
    /// Why it is late.
    pub why: Option<String>,
    /// Its place in quarantine.
    pub q: Option<QuarantineId>,
    /// Why it is in quarantine.
    pub code: Option<Code>,
}

impl Outcome {
    /// Whether the server has applied it.
    pub const fn is_applied(&self) -> bool {
        matches!(self.status, Status::Ok | Status::Late)
    }
}

#[expect(
    clippy::struct_excessive_bools,
    reason = "four independent facts about one change, stored as they are"
)]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct OwnMeta {
    pub(super) id: ChangeId,
    pub(super) rec: RecordId,
    /// Its number under the present replica; none when its text is gone.
    pub(super) n: Option<i64>,
    /// Whether its own result has come under the present replica.
    pub(super) answered: bool,
    /// Whether it is part of what is displayed, over the server's state.
    pub(super) shown: bool,
    pub(super) outcome: Option<Outcome>,
    /// The tablet's estimate, then the server's stamp.
    pub(super) t_eff: UnixMillis,
    pub(super) stamped: bool,
    /// When the result came, in the server's time.
    pub(super) answered_at: Option<UnixMillis>,
    /// Whether its record was erased: the text goes as soon as it is durable.
    pub(super) sealed: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Own {
    pub(super) meta: OwnMeta,
    pub(super) text: Option<String>,
    pub(super) change: Option<Change>,
}

impl Replica {
    /// The changes that the server holds in quarantine and no human has closed.
    pub(super) fn open_quarantined(&self) -> impl Iterator<Item = ChangeId> + '_ {
        let open = |own: &&Own| {
            own.meta.answered
                && own.meta.outcome.as_ref().is_some_and(|o| o.status == Status::Quarantined)
        };
        self.own.values().filter(open).map(|own| own.meta.id)
    }

    pub(super) fn own_by_id(&self, id: ChangeId) -> Option<&Own> {
        self.index.order_of.get(&id).and_then(|order| self.own.get(order))
    }

    /// The smallest n without a result, or the next n.
    pub(super) fn first_unanswered(&self) -> i64 {
        self.index.unanswered.first().copied().unwrap_or(self.state.next_n)
    }

    pub(super) fn append(&mut self, change: Change, text: String, t_eff: UnixMillis) {
        let order = self.state.next_order;
        let n = self.state.next_n;
        self.state.next_order += 1;
        self.state.next_n += 1;
        self.dirty.state = true;
        self.dirty.texts.insert(order);
        self.dirty.own.insert(order);
        self.index.order_of.insert(change.id, order);
        self.index.order_at.insert(n, order);
        self.index.unanswered.insert(n);
        self.index.shown.entry(change.rec).or_default().insert(order);
        self.changed.insert(change.rec);
        let meta = OwnMeta {
            id: change.id,
            rec: change.rec,
            n: Some(n),
            answered: false,
            shown: true,
            outcome: None,
            t_eff,
            stamped: false,
            answered_at: None,
            sealed: false,
        };
        self.own.insert(order, Own { meta, text: Some(text), change: Some(change) });
        self.name_blobs(order);
    }

    /// Takes one result: a change of the push, or one asked about in `open`.
    pub(super) fn take_result(&mut self, result: &ChangeResult, server_now: UnixMillis) {
        let by_n = || result.n.and_then(|n| self.index.order_at.get(&n));
        let order = match result.id {
            Some(id) => self.index.order_of.get(&id),
            None => by_n(),
        };
        let Some(order) = order.copied() else { return };
        let Some(own) = self.own.get_mut(&order) else { return };
        let meta = &mut own.meta;
        let was_quarantined =
            meta.outcome.as_ref().is_some_and(|o| o.status == Status::Quarantined);
        let outcome = Outcome {
            status: result.present(),
            seq: result.seq,
            why: result.why.clone(),
            q: result.q,
            code: result.code,
        };
        if result.n.is_some() {
            meta.answered = true;
            meta.answered_at.get_or_insert(server_now);
            if let Some(n) = meta.n {
                self.index.unanswered.remove(&n);
            }
        }
        if let Some(t_eff) = result.t_eff {
            meta.t_eff = t_eff;
            meta.stamped = true;
        }
        let (id, rec, status) = (meta.id, meta.rec, outcome.status);
        if let Some(seq) = outcome.seq {
            self.state.head = self.state.head.max(seq);
        }
        meta.outcome = Some(outcome);
        self.dirty.own.insert(order);
        self.blobs_received(order);
        match status {
            Status::Quarantined | Status::Closed => self.hide(order),
            Status::Ok | Status::Late | Status::Dup => {}
        }
        if status == Status::Quarantined && !was_quarantined {
            self.notice(Notice::Quarantined(id));
        } else if status != Status::Quarantined && was_quarantined {
            self.notice(Notice::Settled(id));
        }
        self.changed.insert(rec);
    }

    /// Takes a change out of what is displayed.
    pub(super) fn hide(&mut self, order: u64) {
        let Some(own) = self.own.get_mut(&order) else { return };
        if !own.meta.shown {
            return;
        }
        own.meta.shown = false;
        let rec = own.meta.rec;
        self.dirty.own.insert(order);
        self.changed.insert(rec);
        if let Some(orders) = self.index.shown.get_mut(&rec) {
            orders.remove(&order);
            if orders.is_empty() {
                self.index.shown.remove(&rec);
            }
        }
    }

    /// Changes with a result leave the overlay when their record has arrived, all of them when nothing more waits.
    pub(super) fn settle_overlay(&mut self, more: bool) {
        let done = |order: &&u64| {
            let Some(meta) = self.own.get(order).map(|own| &own.meta) else { return true };
            let Some(outcome) = &meta.outcome else { return false };
            let arrived =
                outcome.seq.is_some_and(|seq| self.rv(meta.rec).is_some_and(|rv| rv >= seq));
            meta.answered && (!more || arrived)
        };
        let orders: Vec<u64> = self.index.shown.values().flatten().filter(done).copied().collect();
        for order in orders {
            self.hide(order);
        }
    }

    /// A new replica: every kept change is offered again, unaltered, from n = 1.
    pub(super) fn new_replica(&mut self, chance: &mut dyn Chance) {
        self.state.replica = ReplicaId(chance.uuid());
        self.state.lease = None;
        self.state.known = Known::default();
        self.state.durable = None;
        self.state.push_max = self.state.limits.max_push;
        self.attempt = None;
        self.dirty.state = true;
        self.dirty.attempt = true;
        self.index.order_at.clear();
        self.index.unanswered.clear();
        let mut n = 0;
        for (order, own) in &mut self.own {
            own.meta.answered = false;
            own.meta.n = None;
            if own.text.is_some() {
                n += 1;
                own.meta.n = Some(n);
                self.index.order_at.insert(n, *order);
                self.index.unanswered.insert(n);
            } else {
                own.meta.answered = true;
            }
            self.dirty.own.insert(*order);
        }
        self.state.next_n = n + 1;
        self.unlearn_blobs();
    }

    /// This database was copied or restored.
    pub(super) fn fork(&mut self, chance: &mut dyn Chance) {
        self.new_replica(chance);
        self.notice(Notice::Forked);
    }

    /// What the server was told after its backup is pending again.
    pub(super) fn unlearn_outcomes(&mut self) {
        let offered: Vec<u64> =
            self.own.iter().filter(|(_, own)| own.text.is_some()).map(|(o, _)| *o).collect();
        for order in offered {
            let Some(own) = self.own.get_mut(&order) else { continue };
            own.meta.answered_at = None;
            if own.meta.outcome.as_ref().is_some_and(Outcome::is_applied) {
                own.meta.outcome = None;
                own.meta.shown = true;
                self.index.shown.entry(own.meta.rec).or_default().insert(order);
                self.changed.insert(own.meta.rec);
            }
            self.dirty.own.insert(order);
        }
    }
}
