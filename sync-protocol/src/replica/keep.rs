//! How long own changes stay on the tablet after the server has received them.

use super::outbox::Own;
use super::{KEEP_RECEIVED_MS, Output, Replica};
use crate::wire::Status;

impl Replica {
    /// Lets go of received changes that a backup holds, or that are old where no backup is ever reported.
    pub(super) fn drop_durable(&mut self) {
        let first_unanswered = self.first_unanswered();
        let now = self.state.server_now;
        let settled = |own: &Own| match self.state.durable {
            Some(durable) => own.meta.n.is_some_and(|n| n <= durable),
            None => now
                .zip(own.meta.answered_at)
                .is_some_and(|(now, at)| now.since(at) >= KEEP_RECEIVED_MS),
        };
        let orders: Vec<u64> = (self.index.order_at.range(..first_unanswered))
            .filter(|(_, order)| {
                self.own
                    .get(order)
                    .is_some_and(|own| own.meta.answered && !own.meta.shown && settled(own))
                    && self.blobs_are_durable(**order)
            })
            .map(|(_, order)| *order)
            .collect();
        for order in orders {
            self.let_go(order);
        }
    }

    fn let_go(&mut self, order: u64) {
        let Some(own) = self.own.get(&order) else { return };
        let open = own.meta.outcome.as_ref().is_some_and(|o| o.status == Status::Quarantined);
        let sealed = own.meta.sealed;
        if open && !sealed {
            return;
        }
        self.unname_blobs(order);
        let Some(own) = self.own.get_mut(&order) else { return };
        if let Some(n) = own.meta.n.take() {
            self.index.order_at.remove(&n);
        }
        self.dirty.texts.insert(order);
        self.dirty.own.insert(order);
        if open {
            own.text = None;
            own.change = None;
        } else {
            let id = own.meta.id;
            self.own.remove(&order);
            self.index.order_of.remove(&id);
        }
        if sealed {
            self.vacuum(false);
        }
    }

    /// A wrong rule of [`crate::fault`]: a change goes with its record, sent or not.
    pub(super) fn drop_unsent(&mut self, order: u64) {
        self.unname_blobs(order);
        let Some(own) = self.own.remove(&order) else { return };
        if let Some(n) = own.meta.n {
            self.index.order_at.remove(&n);
            self.index.unanswered.remove(&n);
        }
        self.index.order_of.remove(&own.meta.id);
        self.dirty.texts.insert(order);
        self.dirty.own.insert(order);
    }

    /// Lets go of a change of which only the outcome was kept, once a human has closed it.
    pub(super) fn drop_closed(&mut self) {
        let closed = |own: &Own| {
            own.text.is_none()
                && own.meta.outcome.as_ref().is_none_or(|o| o.status != Status::Quarantined)
        };
        let orders: Vec<u64> =
            self.own.iter().filter(|(_, own)| closed(own)).map(|(order, _)| *order).collect();
        for order in orders {
            if let Some(own) = self.own.remove(&order) {
                self.index.order_of.remove(&own.meta.id);
                self.dirty.own.insert(order);
                self.hide(order);
            }
        }
    }

    pub(super) fn vacuum(&mut self, reported: bool) {
        let round = self.state.round;
        // Whatever ends this round is also told to end the erasures that have not been told yet.
        let reported = reported || !self.state.erasing.is_empty();
        let asked = self.outputs.iter_mut().find_map(|output| match output {
            Output::Vacuum { round: r, reported } if *r == round => Some(reported),
            Output::Vacuum { .. }
            | Output::Send { .. }
            | Output::Wake { .. }
            | Output::FetchBundle { .. }
            | Output::DropBlob { .. }
            | Output::Notice(_) => None,
        });
        match asked {
            Some(asked) => *asked |= reported,
            None => self.outputs.push(Output::Vacuum { round, reported }),
        }
    }
}
