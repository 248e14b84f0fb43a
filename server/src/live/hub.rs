//! The hub: which listeners of this process hear of which buckets.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use sync_protocol::id::{Bucket, DeviceId, Seq, Tenant, UserId};
use tokio::sync::watch;

/// Sockets that one device may have open.
pub const SOCKETS_PER_DEVICE_MAX: usize = 2;
/// Calls of one device that may wait at once.
pub const POLLS_PER_DEVICE_MAX: usize = 1;

/// What a listener is told; only the last word counts, so a slow listener costs nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Signal {
    /// The greatest seq of which there is news.
    pub seq: Seq,
    /// Grows when the listener must ask again what it may hear.
    pub recheck: u64,
    /// The device has opened another one in its place.
    pub replaced: bool,
}

/// How a listener waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// By a WebSocket.
    Socket,
    /// By a call that waits.
    Poll,
}

impl Kind {
    const fn per_device_max(self) -> usize {
        match self {
            Self::Socket => SOCKETS_PER_DEVICE_MAX,
            Self::Poll => POLLS_PER_DEVICE_MAX,
        }
    }
}

/// The hub of one process.
#[derive(Clone, Debug, Default)]
pub struct Pokes(Arc<Mutex<Rooms>>);

#[derive(Debug, Default)]
struct Rooms {
    last_id: u64,
    of: BTreeMap<Tenant, Room>,
}

#[derive(Debug, Default)]
struct Room {
    listeners: BTreeMap<u64, Listener>,
    by_bucket: BTreeMap<Bucket, BTreeSet<u64>>,
    by_device: BTreeMap<DeviceId, BTreeSet<u64>>,
}

#[derive(Debug)]
struct Listener {
    device: DeviceId,
    user: UserId,
    kind: Kind,
    held: BTreeSet<Bucket>,
    signal: watch::Sender<Signal>,
}

impl Pokes {
    /// Tells everybody who holds one of `buckets` that there is news up to `seq`. Call it after the commit.
    pub fn poke<'a>(
        &self,
        tenant: &Tenant,
        seq: Seq,
        buckets: impl IntoIterator<Item = &'a Bucket>,
    ) {
        let rooms = self.lock();
        let Some(room) = rooms.of.get(tenant) else { return };
        let heard: BTreeSet<u64> = buckets
            .into_iter()
            .filter_map(|bucket| room.by_bucket.get(bucket))
            .flatten()
            .copied()
            .collect();
        for listener in heard.iter().filter_map(|id| room.listeners.get(id)) {
            listener.signal.send_if_modified(|signal| {
                let news = seq > signal.seq;
                signal.seq = signal.seq.max(seq);
                news
            });
        }
    }

    /// Has the listeners of a device ask again what they may hear.
    pub fn recheck_device(&self, tenant: &Tenant, device: DeviceId) {
        self.recheck(tenant, |listener| listener.device == device);
    }

    /// Has the listeners of a user ask again what they may hear.
    pub fn recheck_user(&self, tenant: &Tenant, user: UserId) {
        self.recheck(tenant, |listener| listener.user == user);
    }

    fn recheck(&self, tenant: &Tenant, which: impl Fn(&Listener) -> bool) {
        let rooms = self.lock();
        let Some(room) = rooms.of.get(tenant) else { return };
        for listener in room.listeners.values().filter(|listener| which(listener)) {
            listener.signal.send_modify(|signal| signal.recheck += 1);
        }
    }

    /// Begins to listen. Beyond what a device may have, its oldest listener of the kind is told that it is replaced.
    pub fn listen(
        &self,
        tenant: &Tenant,
        device: DeviceId,
        user: UserId,
        kind: Kind,
        held: BTreeSet<Bucket>,
    ) -> Listening {
        let (signal, heard) = watch::channel(Signal::default());
        let mut rooms = self.lock();
        rooms.last_id += 1;
        let id = rooms.last_id;
        let room = rooms.of.entry(tenant.clone()).or_default();
        let of_device = room.by_device.entry(device).or_default();
        let same = of_device.iter().filter_map(|id| room.listeners.get(id));
        let same: Vec<&Listener> =
            same.filter(|other| other.kind == kind && !other.signal.borrow().replaced).collect();
        let surplus = (same.len() + 1).saturating_sub(kind.per_device_max());
        for oldest in same.iter().take(surplus) {
            oldest.signal.send_modify(|signal| signal.replaced = true);
        }
        of_device.insert(id);
        for bucket in &held {
            room.by_bucket.entry(bucket.clone()).or_default().insert(id);
        }
        room.listeners.insert(id, Listener { device, user, kind, held, signal });
        drop(rooms);
        Listening { hub: self.clone(), tenant: tenant.clone(), id, heard }
    }

    /// Which devices and users of which tenants listen now, with what they hold.
    pub(super) fn listening(&self) -> BTreeMap<Tenant, Vec<(DeviceId, UserId, BTreeSet<Bucket>)>> {
        let rooms = self.lock();
        let of_room = |room: &Room| {
            room.listeners.values().map(|one| (one.device, one.user, one.held.clone())).collect()
        };
        rooms.of.iter().map(|(tenant, room)| (tenant.clone(), of_room(room))).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Rooms> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One who listens, until dropped.
#[derive(Debug)]
pub struct Listening {
    hub: Pokes,
    tenant: Tenant,
    id: u64,
    heard: watch::Receiver<Signal>,
}

impl Listening {
    /// Waits for another word than the last that was seen.
    pub async fn changed(&mut self) -> Signal {
        if self.heard.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
        *self.heard.borrow_and_update()
    }

    /// Changes what is heard of; true if it is another set than before.
    pub fn hold(&self, held: BTreeSet<Bucket>) -> bool {
        let mut rooms = self.hub.lock();
        let Some(room) = rooms.of.get_mut(&self.tenant) else { return false };
        let Some(listener) = room.listeners.get_mut(&self.id) else { return false };
        let before = std::mem::replace(&mut listener.held, held);
        let now = listener.held.clone();
        leave(&mut room.by_bucket, before.difference(&now), self.id);
        for bucket in now.difference(&before) {
            room.by_bucket.entry(bucket.clone()).or_default().insert(self.id);
        }
        before != now
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        let mut rooms = self.hub.lock();
        let Some(room) = rooms.of.get_mut(&self.tenant) else { return };
        let Some(listener) = room.listeners.remove(&self.id) else { return };
        leave(&mut room.by_bucket, listener.held.iter(), self.id);
        leave(&mut room.by_device, std::iter::once(&listener.device), self.id);
        if room.listeners.is_empty() {
            rooms.of.remove(&self.tenant);
        }
    }
}

fn leave<'a, K: Ord + 'a>(
    index: &mut BTreeMap<K, BTreeSet<u64>>,
    keys: impl Iterator<Item = &'a K>,
    id: u64,
) {
    for key in keys {
        let empty = index.get_mut(key).is_some_and(|ids| {
            ids.remove(&id);
            ids.is_empty()
        });
        if empty {
            index.remove(key);
        }
    }
}

#[cfg(test)]
#[path = "hub_tests.rs"]
mod tests;
