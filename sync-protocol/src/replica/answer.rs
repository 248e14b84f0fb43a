//! Reading an answer: a 200 moves lease, attempt and known; everything else says how to try again.

use super::state::Attempt;
use super::{Chance, Notice, Replica};
use crate::clock::ClockReading;
use crate::id::{EpochId, LeaseId};
use crate::wire::{Limits, SyncAnswer, VERSION};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

#[derive(Debug)]
pub(super) struct Reply<'a> {
    pub(super) status: u16,
    pub(super) retry_after_ms: Option<i64>,
    pub(super) body: &'a [u8],
}

/// The members of a problem that a tablet acts on.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Problem {
    #[serde(rename = "type")]
    kind: String,
    epoch: Option<EpochId>,
    limits: Option<Limits>,
    retry_after_ms: Option<i64>,
}

impl Problem {
    fn read(body: &[u8]) -> Self {
        serde_json::from_slice(body).unwrap_or_default()
    }

    /// The last segment of its type, with hyphens.
    fn name(&self) -> String {
        self.kind.rsplit('/').next().unwrap_or_default().replace('_', "-")
    }
}

/// An answer, and whether its pull can be read.
struct Readable {
    answer: SyncAnswer,
    pull: bool,
}

/// Reads an answer; results are taken even where the rest of it cannot be read.
fn read(body: &[u8]) -> Result<Readable, String> {
    let whole = match serde_json::from_slice::<SyncAnswer>(body) {
        Ok(answer) => return checked(Readable { answer, pull: true }),
        Err(whole) => whole.to_string(),
    };
    let mut value: Value = serde_json::from_slice(body).map_err(|e| e.to_string())?;
    let Some(members) = value.as_object_mut() else { return Err("not an object".to_owned()) };
    if members.get("lease").is_some_and(Value::is_null) {
        members.insert("lease".to_owned(), json!(LeaseId(Uuid::nil())));
        if let Ok(answer) = SyncAnswer::deserialize(&*members) {
            return checked(Readable { answer, pull: true });
        }
    }
    for list in ["records", "leave", "enter", "snap"] {
        members.insert(list.to_owned(), json!([]));
    }
    members.insert("sums".to_owned(), Value::Null);
    members.insert("blobs".to_owned(), json!({ "need": [], "have": [] }));
    members.insert("cursor".to_owned(), json!(""));
    let answer = SyncAnswer::deserialize(&*members).map_err(|_| whole)?;
    checked(Readable { answer, pull: false })
}

fn checked(readable: Readable) -> Result<Readable, String> {
    match readable.answer.v {
        VERSION => Ok(readable),
        other => Err(format!("the version {other} of the answer is not {VERSION}")),
    }
}

impl Replica {
    pub(super) fn answered(
        &mut self,
        reply: &Reply<'_>,
        clock: &ClockReading,
        chance: &mut dyn Chance,
    ) {
        if reply.status == 200 {
            match read(reply.body) {
                Ok(readable) => self.apply_answer(&readable, clock, chance),
                Err(why) => self.failed(200, &why, reply.retry_after_ms, clock, chance),
            }
            return;
        }
        let problem = Problem::read(reply.body);
        let name = problem.name();
        if let Some(limits) = problem.limits {
            self.state.limits = limits;
            self.dirty.state = true;
        }
        match (reply.status, name.as_str()) {
            (409, "epoch-changed") => match problem.epoch {
                Some(epoch) if Some(epoch) != self.state.epoch => self.new_epoch(epoch, chance),
                Some(_) | None => {}
            },
            // A gap means that the server has lost what this replica numbered: offering again from 1 fills it.
            (409, "replica-forked" | "gap") => self.fork(chance),
            (400, "bad-cursor") => self.restart_pull(),
            (400 | 413 | 422 | 500, _) => self.halve(),
            _ => {}
        }
        let retry_after = reply.retry_after_ms.or(problem.retry_after_ms);
        self.failed(reply.status, &name, retry_after, clock, chance);
    }

    pub(super) fn failed(
        &mut self,
        status: u16,
        why: &str,
        retry_after_ms: Option<i64>,
        clock: &ClockReading,
        chance: &mut dyn Chance,
    ) {
        self.notice(Notice::Failed { status, why: why.to_owned() });
        self.back_off(retry_after_ms, clock, chance);
    }

    /// The server was restored: nothing that it said of revisions and leases holds, and what is not durable is offered.
    fn new_epoch(&mut self, epoch: EpochId, chance: &mut dyn Chance) {
        self.state.epoch = Some(epoch);
        self.state.cursor = None;
        self.state.head = crate::id::Seq(0);
        self.unlearn_outcomes();
        self.new_replica(chance);
        self.notice(Notice::EpochChanged);
    }

    fn apply_answer(&mut self, readable: &Readable, clock: &ClockReading, chance: &mut dyn Chance) {
        let answer = &readable.answer;
        if self.state.epoch.is_some_and(|epoch| epoch != answer.epoch) {
            self.new_epoch(answer.epoch, chance);
            self.failed(200, "epoch-changed", None, clock, chance);
            return;
        }
        let Some(attempt) = self.attempt.take() else { return };
        self.dirty.attempt = true;
        self.dirty.state = true;
        let forked = self.is_forked(answer, &attempt);
        self.state.epoch = Some(answer.epoch);
        self.state.lease = Some(answer.lease).filter(|lease| !lease.0.is_nil());
        self.state.known = answer.known;
        self.state.durable = answer.durable;
        self.state.limits = answer.limits;
        self.state.push_max =
            self.state.push_max.saturating_mul(2).clamp(1, answer.limits.max_push.max(1));
        self.state.server_now = Some(answer.now.0);
        self.state.offset_ms = answer.now.0.since(clock.now.0);
        self.state.bundle.clone_from(&answer.bundle);
        self.state.purged.retain(|purged| !attempt.purged.contains(purged));
        self.want_bundle();
        for result in &answer.results {
            self.take_result(result, answer.now.0);
        }
        self.drop_closed();
        let mut anew = false;
        if readable.pull {
            anew = self.take_pull(answer, &attempt);
            self.settle_overlay(answer.more);
            self.take_blobs(&answer.blobs, &attempt, answer.now.0);
        }
        if forked {
            self.fork(chance);
        } else {
            self.drop_durable();
        }
        let brings =
            !answer.records.is_empty() || !answer.leave.is_empty() || !answer.enter.is_empty();
        self.run.wanted |= answer.more || !readable.pull;
        let moved = readable.pull
            && !anew
            && (brings
                || !answer.results.is_empty()
                || !answer.snap.is_empty()
                || !self.calls_for_sync());
        self.notice(Notice::Synced { more: answer.more });
        self.went_through(moved, answer.retry_after, clock, chance);
    }

    /// Whether another incarnation has used this replica's numbers.
    fn is_forked(&self, answer: &SyncAnswer, attempt: &Attempt) -> bool {
        let known = answer.known;
        if known.n > attempt.top {
            return true;
        }
        let ours = match self.index.order_at.get(&known.n).and_then(|order| self.own.get(order)) {
            Some(own) => Some(own.meta.id),
            None if known.n == self.state.known.n => self.state.known.id,
            None => None,
        };
        ours.zip(known.id).is_some_and(|(ours, theirs)| ours != theirs)
    }
}
