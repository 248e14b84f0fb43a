//! A server of one tenant in memory: just enough of the protocol's other side, kept as plain as can be.

use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use sync_protocol::blob::{BlobHash, BlobRef};
use sync_protocol::change::{Change, Home, Op};
use sync_protocol::clock::{Instant, UnixMillis};
use sync_protocol::id::{AttemptId, Bucket, ChangeId, EpochId, LeaseId, RecordId, ReplicaId, Seq};
use sync_protocol::record::{Around, Record, Stamped};
use sync_protocol::wire::{
    Blobs, BucketSum, ChangeResult, Enter, Known, Leave, Limits, SnapToken, Status, SyncAnswer,
    SyncRequest, WireRecord, bucket_sum,
};
use uuid::Uuid;

/// A value that this server puts into quarantine, and one that makes it fail.
pub(crate) const FORBIDDEN: &str = "forbidden";
pub(crate) const POISON: &str = "poison";

#[derive(Clone, Debug)]
pub(crate) struct Kept {
    pub(crate) text: String,
    pub(crate) result: ChangeResult,
    first_seq: i64,
    pub(crate) device: usize,
}

#[derive(Clone, Debug, Default)]
struct Incarnation {
    lease: Option<LeaseId>,
    lease_prev: Option<LeaseId>,
    attempt_prev: Option<AttemptId>,
    received: BTreeMap<i64, ChangeId>,
}

#[derive(Clone, Copy, Debug)]
struct Pointer {
    seq: i64,
    since: i64,
    live: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) record: Record,
    pub(crate) rv: i64,
    pub(crate) bucket: Bucket,
}

#[derive(Clone, Debug)]
pub(crate) struct Server {
    pub(crate) epoch: EpochId,
    pub(crate) seq: i64,
    pub(crate) kept: BTreeMap<ChangeId, Kept>,
    replicas: BTreeMap<ReplicaId, Incarnation>,
    pub(crate) records: BTreeMap<RecordId, Stored>,
    pointers: BTreeMap<(Bucket, RecordId), Pointer>,
    /// By device.
    pub(crate) granted: BTreeMap<usize, BTreeSet<Bucket>>,
    pub(crate) purged: Vec<Bucket>,
    pub(crate) page: usize,
    pub(crate) limits: Limits,
    pub(crate) backup_seq: Option<i64>,
    pub(crate) pull_fails: bool,
    /// Whose bytes have been seen whole, by device.
    pub(crate) shown: BTreeSet<(usize, BlobHash)>,
    pub(crate) knows_blobs: bool,
    poisoned: BTreeMap<ChangeId, u32>,
    ids: u128,
}

pub(crate) type Reply = (u16, Vec<u8>);

fn problem(status: u16, name: &str, more: Value) -> Reply {
    let mut body = json!({ "type": format!("/problems/{name}"), "status": status });
    if let (Some(body), Some(more)) = (body.as_object_mut(), more.as_object()) {
        body.extend(more.clone());
    }
    (status, body.to_string().into_bytes())
}

impl Server {
    pub(crate) fn new(page: usize) -> Self {
        Self {
            epoch: EpochId(Uuid::from_u128(1)),
            seq: 0,
            kept: BTreeMap::new(),
            replicas: BTreeMap::new(),
            records: BTreeMap::new(),
            pointers: BTreeMap::new(),
            granted: BTreeMap::new(),
            purged: Vec::new(),
            page,
            limits: Limits { max_body: 64 * 1024, max_change: 32 * 1024, max_push: 4 },
            backup_seq: None,
            pull_fails: false,
            shown: BTreeSet::new(),
            knows_blobs: true,
            poisoned: BTreeMap::new(),
            ids: 1 << 64,
        }
    }

    fn id(&mut self) -> Uuid {
        self.ids += 1;
        Uuid::from_u128(self.ids)
    }

    fn next_seq(&mut self) -> i64 {
        self.seq += 1;
        self.seq
    }

    /// Takes the place of a lost server: an older copy of it, in a new history.
    pub(crate) fn restored(&self, now: &Self) -> Self {
        let mut restored = self.clone();
        restored.ids = now.ids + 1;
        restored.epoch = EpochId(restored.id());
        restored.replicas.clear();
        restored.granted.clone_from(&now.granted);
        restored
    }

    pub(crate) fn move_record(&mut self, rec: RecordId, to: &Bucket) {
        let seq = self.next_seq();
        let Some(stored) = self.records.get_mut(&rec) else { return };
        let from = std::mem::replace(&mut stored.bucket, to.clone());
        stored.rv = seq;
        if from != *to {
            if let Some(pointer) = self.pointers.get_mut(&(from, rec)) {
                *pointer = Pointer { seq, live: false, ..*pointer };
            }
            self.pointers.insert((to.clone(), rec), Pointer { seq, since: seq, live: true });
        } else if let Some(pointer) = self.pointers.get_mut(&(from, rec)) {
            pointer.seq = seq;
        }
    }

    /// What a tablet of this device is to show.
    pub(crate) fn scope(&self, device: usize) -> BTreeMap<RecordId, &Stored> {
        let granted = self.granted.get(&device);
        let seen =
            |stored: &Stored| granted.is_some_and(|granted| granted.contains(&stored.bucket));
        self.records
            .iter()
            .filter(|(_, stored)| seen(stored))
            .map(|(rec, stored)| (*rec, stored))
            .collect()
    }

    pub(crate) fn sync(&mut self, device: usize, body: &str, now: UnixMillis) -> Reply {
        if body.len() > self.limits.max_body {
            return problem(413, "too-large", json!({ "limits": self.limits }));
        }
        let request: SyncRequest<'_> =
            serde_json::from_str(body).expect("a tablet sends what the wire has");
        if request.epoch.is_some_and(|epoch| epoch != self.epoch) {
            return problem(409, "epoch-changed", json!({ "epoch": self.epoch }));
        }
        let mut incarnation = self.replicas.get(&request.replica).cloned().unwrap_or_default();
        if request.lease != incarnation.lease {
            let again = request.lease == incarnation.lease_prev
                && Some(request.attempt) == incarnation.attempt_prev;
            if !again {
                return problem(409, "replica-forked", json!({}));
            }
        }
        let texts: Vec<&str> = request.push.changes.iter().map(|raw| raw.get()).collect();
        let known = known_n(&incarnation);
        if request.push.from > known + 1 {
            return problem(409, "gap", json!({ "known": { "n": known, "id": null } }));
        }
        let changes: Vec<Change> =
            texts.iter().map(|text| Change::parse(text).expect("a frozen text")).collect();
        for (n, change) in (request.push.from..).zip(&changes) {
            if incarnation.received.get(&n).is_some_and(|id| *id != change.id) {
                return problem(409, "replica-forked", json!({}));
            }
        }
        if let Some(poison) =
            changes.iter().find(|change| is_poison(change) && !self.kept.contains_key(&change.id))
        {
            if changes.len() > 1 {
                return problem(500, "internal", json!({}));
            }
            let tries = self.poisoned.entry(poison.id).or_default();
            *tries += 1;
            if *tries < 3 {
                return problem(500, "internal", json!({}));
            }
        }
        let mut results = Vec::new();
        for ((n, change), text) in (request.push.from..).zip(&changes).zip(texts) {
            results.push(self.ingest(device, n, change, text, now));
            incarnation.received.insert(n, change.id);
        }
        self.purged.extend(request.purged.iter().map(|purged| purged.bucket.clone()));
        if incarnation.lease == request.lease {
            incarnation.lease_prev = incarnation.lease;
            incarnation.attempt_prev = Some(request.attempt);
            incarnation.lease = Some(LeaseId(self.id()));
        }
        let known = known_n(&incarnation);
        let durable = self.backup_seq.map(|backup| self.durable_n(&incarnation, backup));
        let mut answer = SyncAnswer {
            v: 1,
            epoch: self.epoch,
            now: Instant(now),
            lease: incarnation.lease.expect("given above"),
            known: Known { n: known, id: incarnation.received.get(&known).copied() },
            durable,
            results,
            leave: Vec::new(),
            enter: Vec::new(),
            records: Vec::new(),
            snap: Vec::new(),
            cursor: String::new(),
            more: false,
            sums: None,
            bundle: String::new(),
            blobs: self.blobs(device, &request.blobs),
            limits: self.limits,
            retry_after: 0,
        };
        self.replicas.insert(request.replica, incarnation);
        for id in &request.open {
            if let Some(kept) =
                self.kept.get(id).filter(|kept| kept.result.st != Status::Quarantined)
            {
                answer.results.push(ChangeResult { n: None, ..kept.result.clone() });
            }
        }
        if let Err(refused) = self.pull(device, &request, &mut answer) {
            return refused;
        }
        let mut body = serde_json::to_value(&answer).expect("an answer");
        if self.pull_fails {
            body["records"] = json!("not a list");
        }
        (200, body.to_string().into_bytes())
    }

    /// Of what is asked about, only blobs that a received change of the asker names are spoken of.
    fn blobs(&self, device: usize, asked: &[BlobHash]) -> Blobs {
        if !self.knows_blobs {
            return Blobs::default();
        }
        let named: BTreeSet<BlobHash> = (self.kept.values())
            .filter(|kept| kept.device == device)
            .flat_map(|kept| named(&kept.text))
            .collect();
        let asked = asked.iter().copied().filter(|sha256| named.contains(sha256));
        let (have, need) = asked.partition(|sha256| self.shown.contains(&(device, *sha256)));
        Blobs { need, have }
    }

    fn durable_n(&self, incarnation: &Incarnation, backup: i64) -> i64 {
        let covered =
            |id: &ChangeId| self.kept.get(id).is_some_and(|kept| kept.first_seq <= backup);
        (1..).take_while(|n| incarnation.received.get(n).is_some_and(covered)).last().unwrap_or(0)
    }

    fn ingest(
        &mut self,
        device: usize,
        n: i64,
        change: &Change,
        text: &str,
        now: UnixMillis,
    ) -> ChangeResult {
        if let Some(kept) = self.kept.get(&change.id) {
            assert_eq!(kept.text, text, "a change was altered");
            let was = Some(kept.result.st);
            return ChangeResult { n: Some(n), st: Status::Dup, was, ..kept.result.clone() };
        }
        let seq = self.next_seq();
        let mut result = ChangeResult {
            n: Some(n),
            id: Some(change.id),
            st: Status::Ok,
            was: None,
            seq: Some(Seq(seq)),
            t_eff: Some(now),
            why: None,
            q: None,
            code: None,
        };
        if self.may(device, change) {
            self.apply(change, seq, now);
        } else {
            result.st = Status::Quarantined;
            result.seq = None;
        }
        self.kept.insert(
            change.id,
            Kept { text: text.to_owned(), result: result.clone(), first_seq: seq, device },
        );
        result
    }

    /// A human releases everything that quarantine holds.
    pub(crate) fn release_all(&mut self, now: UnixMillis) {
        let open: Vec<Change> = (self.kept.values())
            .filter(|kept| kept.result.st == Status::Quarantined)
            .map(|kept| Change::parse(&kept.text).expect("a frozen text"))
            .collect();
        for change in open {
            let exists = self.records.contains_key(&change.rec);
            let st = if exists == change.home().is_some() {
                Status::Closed
            } else {
                let seq = self.next_seq();
                self.apply(&change, seq, now);
                self.kept.get_mut(&change.id).expect("it was open").result.seq = Some(Seq(seq));
                Status::Ok
            };
            self.kept.get_mut(&change.id).expect("it was open").result.st = st;
        }
    }

    fn may(&self, device: usize, change: &Change) -> bool {
        let granted = |bucket: &Bucket| {
            self.granted.get(&device).is_some_and(|granted| granted.contains(bucket))
        };
        let clean = !change.ops.iter().any(|op| holds(op, FORBIDDEN) || holds(op, POISON));
        let place = match (change.home(), self.records.get(&change.rec)) {
            (Some(Home::In(bucket)), None) => granted(bucket),
            (None, Some(stored)) => granted(&stored.bucket),
            _ => false,
        };
        clean && place
    }

    fn apply(&mut self, change: &Change, seq: i64, now: UnixMillis) {
        let bucket = match change.home() {
            Some(Home::In(bucket)) => bucket.clone(),
            Some(Home::About(_)) => panic!("this server knows no subjects"),
            None => self.records[&change.rec].bucket.clone(),
        };
        let stored = self.records.entry(change.rec).or_insert_with(|| Stored {
            record: Record::new(change.kind.clone()),
            rv: 0,
            bucket: bucket.clone(),
        });
        let kept = &self.kept;
        let around = Around {
            keeps_bases: &|_, _| false,
            applied: &|id| kept.get(&id).is_some_and(applied),
        };
        let touched =
            stored.record.apply(Stamped { change, t_eff: now }, around).expect("few early pairs");
        stored.record.mark(touched, Seq(seq));
        stored.rv = seq;
        let pointer = Pointer { seq, since: seq, live: true };
        self.pointers
            .entry((bucket, change.rec))
            .and_modify(|pointer| pointer.seq = seq)
            .or_insert(pointer);
    }

    fn pull(
        &self,
        device: usize,
        request: &SyncRequest<'_>,
        answer: &mut SyncAnswer,
    ) -> Result<(), Reply> {
        let none = BTreeSet::new();
        let granted = self.granted.get(&device).unwrap_or(&none);
        let (mut floor, mut at) = (self.seq, self.seq);
        let (mut have, mut snap): (BTreeSet<&Bucket>, BTreeMap<&Bucket, (i64, String)>) =
            Default::default();
        if let Some(cursor) = &request.cursor {
            let bad = || problem(400, "bad-cursor", json!({}));
            let (f, a) = cursor.split_once(':').ok_or_else(bad)?;
            (floor, at) = (f.parse().map_err(|_| bad())?, a.parse().map_err(|_| bad())?);
            have = request.have.iter().collect();
            for page in &request.snap {
                let token = page.token.as_deref().expect("a tablet names where it stands");
                let (s0, last) = token.split_once('/').expect("our own token");
                snap.insert(&page.bucket, (s0.parse().expect("our own token"), last.to_owned()));
            }
        }
        for bucket in have.iter().chain(snap.keys()).filter(|bucket| !granted.contains(**bucket)) {
            answer.leave.push(Leave { bucket: (*bucket).clone(), rec: None, at: None });
        }
        have.retain(|bucket| granted.contains(*bucket));
        snap.retain(|bucket, _| granted.contains(*bucket));
        for bucket in
            granted.iter().filter(|bucket| !have.contains(bucket) && !snap.contains_key(bucket))
        {
            let live = self
                .pointers
                .iter()
                .filter(|((b, _), pointer)| b == bucket && pointer.live)
                .count();
            let token = format!("{}/", self.seq);
            answer.enter.push(Enter {
                bucket: bucket.clone(),
                token,
                records: i64::try_from(live).unwrap(),
            });
            answer.more = true;
        }
        let mut rows: Vec<(i64, &Bucket, RecordId, bool)> = (self.pointers.iter())
            .filter(|((bucket, _), pointer)| {
                let after = snap
                    .get(bucket)
                    .map(|(s0, _)| at.max(*s0))
                    .or(have.contains(bucket).then_some(at));
                after.is_some_and(|after| pointer.seq > after)
            })
            .map(|((bucket, rec), pointer)| (pointer.seq, bucket, *rec, pointer.live))
            .collect();
        rows.sort();
        let mut room = self.page;
        let mut cut = false;
        let mut last_seq = at;
        for (seq, bucket, rec, live) in rows {
            if room == 0 && seq != last_seq {
                cut = true;
                break;
            }
            last_seq = seq;
            room = room.saturating_sub(1);
            if live {
                self.send(rec, floor, &have, &snap, answer);
            } else {
                answer.leave.push(Leave {
                    bucket: bucket.clone(),
                    rec: Some(rec),
                    at: Some(Seq(seq)),
                });
            }
        }
        if cut {
            answer.cursor = format!("{floor}:{last_seq}");
            answer.more = true;
            return Ok(());
        }
        for (bucket, (s0, last)) in &snap {
            let mut token = None;
            let mut last = last.clone();
            let live = (self.pointers.iter())
                .filter(|((b, rec), p)| b == *bucket && p.live && rec.to_string() > last);
            let pending: Vec<RecordId> = live.map(|((_, rec), _)| *rec).collect();
            for rec in pending {
                if room == 0 {
                    token = Some(format!("{s0}/{last}"));
                    answer.more = true;
                    break;
                }
                room -= 1;
                last = rec.to_string();
                self.send(rec, floor, &have, &snap, answer);
            }
            answer.snap.push(SnapToken { bucket: (*bucket).clone(), token });
        }
        answer.cursor = format!("{0}:{0}", self.seq);
        if request.want.sums {
            answer.sums = Some(have.iter().map(|bucket| self.sum(bucket)).collect());
        }
        Ok(())
    }

    fn sum(&self, bucket: &Bucket) -> BucketSum {
        let live = self.pointers.iter().filter(|((b, _), pointer)| b == bucket && pointer.live);
        bucket_sum(bucket.clone(), live.map(|((_, rec), _)| (*rec, Seq(self.records[rec].rv))))
    }

    fn send(
        &self,
        rec: RecordId,
        floor: i64,
        have: &BTreeSet<&Bucket>,
        snap: &BTreeMap<&Bucket, (i64, String)>,
        answer: &mut SyncAnswer,
    ) {
        if answer.records.iter().any(|record| record.rec == rec) {
            return;
        }
        let stored = &self.records[&rec];
        let by: Vec<(&Bucket, &Pointer)> = (self.pointers.iter())
            .filter(|((bucket, r), p)| {
                *r == rec && p.live && (have.contains(bucket) || snap.contains_key(bucket))
            })
            .map(|((bucket, _), pointer)| (bucket, pointer))
            .collect();
        let full = by.iter().all(|(bucket, p)| p.since > floor || !have.contains(bucket))
            || by.iter().any(|(bucket, _)| snap.contains_key(bucket));
        answer.records.push(WireRecord {
            rec,
            kind: stored.record.kind.clone(),
            rv: Seq(stored.rv),
            buckets: by.into_iter().map(|(bucket, _)| bucket.clone()).collect(),
            about: None,
            full,
            body: stored.record.body((!full).then_some(Seq(floor)), Vec::new()),
        });
    }
}

fn applied(kept: &Kept) -> bool {
    kept.result.st == Status::Ok
}

/// The blobs that a frozen text names.
pub(crate) fn named(text: &str) -> Vec<BlobHash> {
    let change = Change::parse(text).expect("a frozen text");
    BlobRef::named(&change).map(|named| named.sha256).collect()
}

fn known_n(incarnation: &Incarnation) -> i64 {
    (1..).take_while(|n| incarnation.received.contains_key(n)).last().unwrap_or(0)
}

fn holds(op: &Op, word: &str) -> bool {
    matches!(op, Op::Set { value, .. } if value == word)
}

fn is_poison(change: &Change) -> bool {
    change.ops.iter().any(|op| holds(op, POISON))
}
