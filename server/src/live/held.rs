//! What a device may hear of now.

use crate::problem::ApiError;
use crate::state::AppState;
use std::collections::BTreeSet;
use storage::{Device, DeviceState, Grant, User};
use sync_protocol::clock::UnixMillis;
use sync_protocol::id::{Bucket, DeviceId, Tenant, UserId};

/// Whether a device may listen, and to what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It holds these buckets.
    Holds(BTreeSet<Bucket>),
    /// It is revoked or stolen, or its user no longer works here.
    Gone,
}

impl Standing {
    /// Judges by the stored rows.
    pub fn of<'a>(
        device: Option<&Device>,
        user: Option<&User>,
        grants: impl IntoIterator<Item = &'a Grant>,
        now: UnixMillis,
    ) -> Self {
        let active = device.is_some_and(|device| device.state == DeviceState::Active)
            && user.is_some_and(|user| user.active);
        if active { Self::Holds(held(grants, now)) } else { Self::Gone }
    }
}

/// The buckets that tablets of a user with these grants hold at `now`.
fn held<'a>(grants: impl IntoIterator<Item = &'a Grant>, now: UnixMillis) -> BTreeSet<Bucket> {
    let runs = |grant: &&Grant| {
        grant.hold && grant.from_at <= now && grant.to_at.is_none_or(|to_at| now < to_at)
    };
    let granted = grants.into_iter().filter(runs).map(|grant| grant.bucket.clone());
    granted.chain([Bucket::everyone()]).collect()
}

/// Reads how a device stands now.
pub async fn standing(
    state: &AppState,
    tenant: &Tenant,
    device: DeviceId,
    user: UserId,
) -> Result<Standing, ApiError> {
    let mut tx = state.store.read().await?;
    let device = tx.devices().find(tenant, device).await?;
    let owner = tx.users().find(tenant, user).await?;
    let grants = tx.grants().of_users(tenant, &[user]).await?;
    Ok(Standing::of(device.as_ref(), owner.as_ref(), &grants, state.clock.now()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn grant(bucket: &str, from_at: i64, to_at: Option<i64>, hold: bool) -> Grant {
        Grant {
            id: Uuid::nil(),
            user: UserId(Uuid::nil()),
            bucket: bucket.parse().expect("a bucket"),
            role: "inspector".to_owned(),
            from_at: UnixMillis(from_at),
            to_at: to_at.map(UnixMillis),
            hold,
            granted_by: UserId(Uuid::nil()),
            granted_at: UnixMillis(0),
        }
    }

    #[test]
    fn a_grant_holds_from_its_first_instant_until_before_its_last() {
        let grants = [
            grant("station:a", 10, Some(20), true),
            grant("station:b", 20, None, true),
            grant("station:c", 0, None, false),
        ];
        let names = |now| -> Vec<String> {
            held(&grants, UnixMillis(now)).iter().map(ToString::to_string).collect()
        };
        assert_eq!(names(9), ["everyone"]);
        assert_eq!(names(10), ["everyone", "station:a"]);
        assert_eq!(names(19), ["everyone", "station:a"]);
        assert_eq!(names(20), ["everyone", "station:b"]);
    }
}
