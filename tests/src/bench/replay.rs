//! The raw limit of a push: the rows that a server wrote go into a fresh database by the same statements, in groups of
//! the same size, one connection, no server.

use super::scene::Scene;
use anyhow::{Context as _, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;
use storage::{
    ChangeRow, Options, Placement, PointerTouch, Received, RecordRow, Replica, Store, Tx,
};
use sync_protocol::clock::UnixMillis;
use sync_protocol::id::{DeviceId, RecordId, Seq};

/// What the replay measured.
#[derive(Clone, Copy, Debug)]
pub struct Replayed {
    /// Changes a second.
    pub rate: f64,
    /// Changes in a group, on average.
    pub group: f64,
}

/// What one commit of the server wrote.
#[derive(Debug, Default)]
struct Group {
    born: Vec<RecordId>,
    changes: Vec<ChangeRow>,
    entered: Vec<Placement>,
    records: Vec<RecordRow>,
    touches: Vec<PointerTouch>,
    received: Vec<Received>,
    replicas: Vec<Replica>,
    devices: Vec<DeviceId>,
}

/// Reads what the server wrote into `served` and writes it into `fresh`; groups that begin after `from` are measured.
pub async fn run(scene: &Scene, served: &str, fresh: &str, from: Seq) -> Result<Replayed> {
    let store = Store::open(&Options::new(served)).await?;
    let rows = Rows::read(&mut store.read().await?, scene).await?;
    store.close().await;
    let groups = rows.groups();
    let store = Store::open(&Options::new(fresh)).await?;
    let (mut seconds, mut changes, mut count) = (0.0, 0, 0);
    for group in &groups {
        let began = Instant::now();
        let mut tx = store.write().await?;
        group.write(&mut tx, scene).await?;
        tx.commit().await?;
        if group.changes.first().is_some_and(|change| change.seq > from) {
            seconds += began.elapsed().as_secs_f64();
            changes += group.changes.len();
            count += 1;
        }
    }
    store.close().await;
    let changes = f64::from(u32::try_from(changes)?);
    Ok(Replayed { rate: changes / seconds, group: changes / f64::from(count) })
}

/// Everything that the server wrote.
struct Rows {
    changes: BTreeMap<Seq, ChangeRow>,
    records: BTreeMap<RecordId, RecordRow>,
    placements: BTreeMap<RecordId, Placement>,
    received: BTreeMap<Seq, Received>,
    replicas: BTreeMap<DeviceId, Replica>,
}

impl Rows {
    async fn read(tx: &mut Tx, scene: &Scene) -> Result<Self> {
        const PAGE: u32 = 10_000;
        let tenant = &scene.tenant;
        let mut rows = Self {
            changes: BTreeMap::new(),
            records: BTreeMap::new(),
            placements: BTreeMap::new(),
            received: BTreeMap::new(),
            replicas: BTreeMap::new(),
        };
        for person in &scene.people {
            let pointers = tx.pointers().page(tenant, &person.bucket, None, PAGE).await?;
            let recs: Vec<RecordId> = pointers.iter().map(|pointer| pointer.rec).collect();
            for row in tx.records().load(tenant, &recs).await? {
                rows.records.insert(row.rec, row);
            }
            for placement in tx.placements().of_records(tenant, &recs).await? {
                rows.placements.insert(placement.rec, placement);
            }
            for rec in &recs {
                let changes = tx.journal().of_record(tenant, *rec).await?;
                rows.changes.extend(changes.into_iter().map(|change| (change.seq, change)));
            }
            for replica in tx.replicas().of_device(tenant, person.device).await? {
                let all = tx.received().range(tenant, replica.replica, 1, replica.known_n).await?;
                rows.received.extend(all.into_iter().map(|row| (row.seq, row)));
                rows.replicas.insert(person.device, replica);
            }
        }
        Ok(rows)
    }

    /// The commits of the server: every request begins with new records, and the records of one commit were placed at
    /// one instant.
    fn groups(&self) -> Vec<Group> {
        let mut groups: Vec<Group> = Vec::new();
        let mut seen = BTreeSet::new();
        let mut placed_at = UnixMillis(i64::MIN);
        for change in self.changes.values() {
            let placement = self.placements.get(&change.rec);
            let is_new = seen.insert(change.rec);
            if let Some(placement) = placement.filter(|_| is_new)
                && placement.from_at != placed_at
            {
                placed_at = placement.from_at;
                groups.push(Group::default());
            }
            if let Some(group) = groups.last_mut() {
                self.add(group, change, is_new);
            }
        }
        groups
    }

    fn add(&self, group: &mut Group, change: &ChangeRow, is_new: bool) {
        let rec = change.rec;
        let placement = self.placements.get(&rec);
        group.changes.push(change.clone());
        group.received.extend(self.received.get(&change.seq));
        if is_new {
            group.born.push(rec);
            group.entered.extend(placement.cloned());
        }
        if group.records.iter().all(|row| row.rec != rec) {
            group.records.extend(self.records.get(&rec).cloned());
            group.touches.extend(placement.map(|placement| PointerTouch {
                bucket: placement.bucket.clone(),
                rec,
                seq: change.seq,
                since: is_new.then_some(change.seq),
                live: true,
            }));
        }
        if let Some(device) = change.device.filter(|device| !group.devices.contains(device)) {
            group.devices.push(device);
            group.replicas.extend(self.replicas.get(&device).cloned());
        }
    }
}

impl Group {
    /// The statements of one commit, in the order of the server.
    async fn write(&self, tx: &mut Tx, scene: &Scene) -> Result<()> {
        let tenant = &scene.tenant;
        let first = self.changes.first().context("a group has changes")?;
        let at = first.t_recv;
        tx.records().reserve(tenant, &self.born, at).await?;
        let head = tx.head().advance(tenant, i64::try_from(self.changes.len())?).await?;
        tx.journal().append(tenant, &self.changes).await?;
        let entered: Vec<_> = self
            .entered
            .iter()
            .map(|placement| (placement.rec, placement.bucket.clone()))
            .collect();
        tx.placements().open(tenant, &entered, at).await?;
        tx.records().save(tenant, &self.records).await?;
        tx.pointers().touch(tenant, &self.touches).await?;
        tx.received().append(tenant, &self.received).await?;
        tx.replicas().save(tenant, &self.replicas).await?;
        let seen: Vec<_> = self.devices.iter().map(|device| (*device, at, head.seq)).collect();
        Ok(tx.devices().seen(tenant, &seen).await?)
    }
}
