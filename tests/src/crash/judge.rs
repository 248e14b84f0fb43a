//! What must hold of a database at every instant, and of everybody when all is quiet.

use super::look::{ChangeRow, Look};
use super::site::KIND;
use super::tablet::Tablet;
use anyhow::{Context as _, Result, anyhow};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use sync_protocol::change::Change;
use sync_protocol::clock::UnixMillis;
use sync_protocol::id::{ChangeId, RecordId, Seq};
use sync_protocol::record::{Around, Record, Stamped};
use sync_protocol::value::{Hash, hash_of};
use uuid::Uuid;

/// How many differences of one tablet are told.
const TOLD_MAX: usize = 3;

/// Says what is wrong with a database: seqs, ids, numbers and promises. Empty when nothing is.
pub fn wrongs(found: &Look, promised: &BTreeMap<ChangeId, Option<Hash>>) -> Vec<String> {
    let mut wrongs = Vec::new();
    let mut seqs: Vec<i64> = found.changes.iter().map(|row| row.seq).collect();
    seqs.extend(found.quarantine.iter().map(|row| row.seq));
    seqs.sort_unstable();
    if let Some((wanted, seq)) = (1..).zip(&seqs).find(|(wanted, seq)| wanted != *seq) {
        wrongs.push(format!("the seqs have no {wanted}: after it comes {seq}"));
    }
    if seqs.last().copied().unwrap_or(0) != found.head {
        wrongs.push(format!("the head is {}, the last seq {:?}", found.head, seqs.last()));
    }
    let mut kept: BTreeMap<Uuid, Vec<&[u8]>> = BTreeMap::new();
    for row in &found.changes {
        kept.entry(row.id).or_default().push(&row.hash);
        if hash_of(&row.body).as_slice() != row.hash {
            wrongs.push(format!("the bytes of {} are not those of its hash", row.id));
        }
    }
    for (id, hashes) in kept.iter().filter(|(_, hashes)| hashes.len() > 1) {
        wrongs.push(format!("{id} has {} effects", hashes.len()));
    }
    for row in found.quarantine.iter().filter(|row| row.state != "released") {
        if let Some(id) = row.id {
            kept.entry(id).or_default().push(&row.hash);
        }
    }
    for (id, hash) in promised {
        match kept.get(&id.0) {
            None => wrongs.push(format!("LOST: {id} was acknowledged and is not there")),
            Some(hashes) => {
                if hash.is_some_and(|hash| !hashes.contains(&hash.as_slice())) {
                    wrongs.push(format!("ALTERED: {id} was acknowledged with other bytes"));
                }
            }
        }
    }
    let mut next: BTreeMap<Uuid, i64> = BTreeMap::new();
    for row in &found.received {
        let n = next.entry(row.replica).or_default();
        *n += 1;
        if row.n != *n {
            wrongs.push(format!("the replica {} has no number {n}", row.replica));
        }
        if !kept.contains_key(&row.id) {
            wrongs.push(format!("{} was received and is not there", row.id));
        }
    }
    wrongs
}

/// Says which records are not what their changes make, each applied once, and which pointers are behind.
pub fn wrong_states(found: &Look) -> Result<Vec<String>> {
    let mut wrongs = Vec::new();
    let mut of_record: BTreeMap<Uuid, Vec<&ChangeRow>> = BTreeMap::new();
    for row in &found.changes {
        of_record.entry(row.rec).or_default().push(row);
    }
    for row in &found.records {
        let changes = of_record.remove(&row.rec).unwrap_or_default();
        let made = rebuilt(&changes)?;
        let mut stored: Value = serde_json::from_slice(&row.state)?;
        if let Some(flags) = stored.get_mut("flags") {
            *flags = Value::Array(Vec::new());
        }
        if serde_json::to_value(made.body(None, Vec::new()))? != stored {
            wrongs.push(format!("the state of {} is not what its changes make", row.rec));
        }
        let last = changes.last().map(|change| change.seq);
        if last != Some(row.rv) {
            wrongs.push(format!("{} is at {}, its last change is {last:?}", row.rec, row.rv));
        }
        let mut live = found.pointers.iter().filter(|p| p.rec == row.rec && p.live).peekable();
        if live.peek().is_none() || live.any(|pointer| pointer.seq != row.rv) {
            wrongs.push(format!("a pointer to {} is behind or missing", row.rec));
        }
    }
    wrongs.extend(of_record.keys().map(|rec| format!("{rec} has changes and is not there")));
    Ok(wrongs)
}

fn rebuilt(changes: &[&ChangeRow]) -> Result<Record> {
    let mut record = Record::new(KIND.parse()?);
    let mut before: BTreeSet<ChangeId> = BTreeSet::new();
    for row in changes {
        let change = Change::parse(std::str::from_utf8(&row.body)?)
            .map_err(|refusal| anyhow!("the journal holds what is no change: {}", refusal.why))?;
        let stamped = Stamped { change: &change, t_eff: UnixMillis(row.t_eff) };
        let applied = |id: ChangeId| before.contains(&id);
        record.apply(stamped, Around { keeps_bases: &|_, _| false, applied: &applied })?;
        before.insert(change.id);
    }
    Ok(record)
}

/// Says where tablets that may hold every station and the database differ once all is quiet.
pub fn divergences(found: &Look, tablets: &[Tablet]) -> Result<Vec<String>> {
    let mut all = Vec::new();
    let live: BTreeSet<Uuid> = found.pointers.iter().filter(|p| p.live).map(|p| p.rec).collect();
    for (n, tablet) in tablets.iter().enumerate() {
        let (replica, mut wrongs) = (&tablet.replica, Vec::new());
        if replica.outbox_len() > 0 {
            wrongs.push(format!("tablet {n} still has {} unsent changes", replica.outbox_len()));
        }
        let shown: BTreeSet<Uuid> = replica.records().map(|rec| rec.0).collect();
        if shown != live {
            let missing = live.difference(&shown).count();
            let beyond = shown.difference(&live).count();
            wrongs.push(format!("tablet {n} lacks {missing} records and has {beyond} too many"));
        }
        for row in found.records.iter().filter(|row| shown.contains(&row.rec)) {
            let rec = RecordId(row.rec);
            let ours = replica.displayed(rec).context("it was listed")?;
            let mut theirs: Value = serde_json::from_slice(&row.state)?;
            if let Some(flags) = theirs.get_mut("flags") {
                *flags = Value::Array(Vec::new());
            }
            let rv = replica.rv(rec);
            if rv != Some(Seq(row.rv))
                || serde_json::to_value(ours.body(None, Vec::new()))? != theirs
            {
                wrongs.push(format!("tablet {n} shows {rec} at {rv:?}, the server has {}", row.rv));
            }
        }
        wrongs.truncate(TOLD_MAX);
        all.extend(wrongs);
    }
    Ok(all)
}
