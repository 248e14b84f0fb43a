//! What runs beside the calls: listeners are looked up again, grants begin and end, what has expired goes.

use super::Standing;
use crate::auth::session::IDLE_MS;
use crate::problem::ApiError;
use crate::state::AppState;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use storage::Engine;
use sync_protocol::id::{Bucket, DeviceId, Seq, Tenant, UserId};

/// How often listeners are looked up again: a revocation by another process is in force within this time.
const ROUND: Duration = Duration::from_secs(4);
/// The shortest pause between two rounds.
const ROUND_MIN: Duration = Duration::from_millis(50);
/// Every how many rounds what has expired is removed.
const ROUNDS_PER_SWEEP: u32 = 15;
/// Pointers that one round reads at most.
const POINTERS_MAX: u32 = 2_000;

/// Starts the watchman; he leaves when the server stops.
pub fn start(state: &AppState) {
    let state = state.clone();
    tokio::spawn(async move {
        let mut seen = BTreeMap::new();
        for round in 0_u32.. {
            let pause = match look_around(&state, &mut seen).await {
                Ok(pause) => pause,
                Err(error) => {
                    tracing::warn!(%error, "listeners could not be looked up");
                    ROUND
                }
            };
            if round % ROUNDS_PER_SWEEP == 0
                && let Err(error) = sweep(&state).await
            {
                tracing::warn!(%error, "what has expired could not be removed");
            }
            tokio::select! {
                () = state.stop.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
        }
    });
}

type Listener = (DeviceId, UserId, BTreeSet<Bucket>);

/// One round over all listeners; gives how long to rest, so that the next boundary of a grant is met in time.
async fn look_around(
    state: &AppState,
    seen: &mut BTreeMap<Tenant, Seq>,
) -> Result<Duration, ApiError> {
    let mut pause = ROUND;
    let rooms = state.pokes.listening();
    seen.retain(|tenant, _| rooms.contains_key(tenant));
    for (tenant, listeners) in rooms {
        pause = pause.min(look_at(state, &tenant, &listeners).await?);
        if state.store.engine() == Engine::Postgres {
            hear_of_others(state, &tenant, &listeners, seen).await?;
        }
    }
    Ok(pause)
}

/// Has those listeners ask again whose device or grants are no longer what they were.
async fn look_at(
    state: &AppState,
    tenant: &Tenant,
    listeners: &[Listener],
) -> Result<Duration, ApiError> {
    let now = state.clock.now();
    let devices: Vec<DeviceId> = unique(listeners.iter().map(|(device, ..)| *device));
    let users: Vec<UserId> = unique(listeners.iter().map(|(_, user, _)| *user));
    let mut tx = state.store.read().await?;
    let devices = tx.devices().find_all(tenant, &devices).await?;
    let people = tx.users().list(tenant).await?;
    let grants = tx.grants().of_users(tenant, &users).await?;
    let boundary = tx.grants().next_boundary(tenant, now).await?;
    drop(tx);
    let devices: BTreeMap<_, _> = devices.iter().map(|device| (device.id, device)).collect();
    let people: BTreeMap<_, _> = people.iter().map(|user| (user.id, user)).collect();
    let mut grants_of: BTreeMap<UserId, Vec<_>> = BTreeMap::new();
    for grant in &grants {
        grants_of.entry(grant.user).or_default().push(grant);
    }
    for (device, user, held) in listeners {
        let grants = grants_of.get(user).into_iter().flatten().copied();
        let (row, person) = (devices.get(device).copied(), people.get(user).copied());
        if Standing::of(row, person, grants, now) != Standing::Holds(held.clone()) {
            state.pokes.recheck_device(tenant, *device);
        }
    }
    let until = boundary.and_then(|at| u64::try_from(at.since(now)).ok());
    Ok(until.map_or(ROUND, |millis| Duration::from_millis(millis).clamp(ROUND_MIN, ROUND)))
}

/// Pokes for what other nodes on the same database have committed.
async fn hear_of_others(
    state: &AppState,
    tenant: &Tenant,
    listeners: &[Listener],
    seen: &mut BTreeMap<Tenant, Seq>,
) -> Result<(), ApiError> {
    let buckets: Vec<Bucket> = unique(listeners.iter().flat_map(|(.., held)| held.clone()));
    let mut tx = state.store.read().await?;
    let head = tx.head().read(tenant).await?.seq;
    let at = *seen.entry(tenant.clone()).or_insert(head);
    if head > at {
        for pointer in tx.pointers().after(tenant, &buckets, at, POINTERS_MAX).await? {
            state.pokes.poke(tenant, pointer.seq, [&pointer.bucket]);
        }
        seen.insert(tenant.clone(), head);
    }
    Ok(())
}

fn unique<T: Ord>(items: impl Iterator<Item = T>) -> Vec<T> {
    items.collect::<BTreeSet<T>>().into_iter().collect()
}

/// Removes what has expired and takes over keys that another process made.
async fn sweep(state: &AppState) -> Result<(), ApiError> {
    let now = state.clock.now();
    let mut tx = state.store.write().await?;
    tx.nonces().expire(now).await?;
    tx.sessions().expire(now, now.plus(-IDLE_MS)).await?;
    tx.keys().remove_retired(now).await?;
    tx.commit().await?;
    state.keys.refresh(&state.store, now).await.map_err(ApiError::caused)
}
