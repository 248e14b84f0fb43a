//! Who sends bytes: admitted when the call began, and looked up again while it lasts.

use crate::auth::admit::still;
use crate::extract::Caller;
use crate::problem::ApiError;
use crate::state::AppState;
use sync_protocol::clock::UnixMillis;
use sync_protocol::id::{DeviceId, Tenant, UserId};

/// Who sends bytes.
#[derive(Clone, Debug)]
pub struct Sender {
    /// The tenant.
    pub tenant: Tenant,
    /// The person.
    pub user: UserId,
    /// The tablet, where it is one.
    pub device: Option<DeviceId>,
    caller: Caller,
    since: UnixMillis,
}

impl Sender {
    /// Whoever was admitted to the call.
    pub fn of(caller: Caller, now: UnixMillis) -> Self {
        let (tenant, user, device) = match &caller {
            Caller::Tablet(tablet) => (&tablet.tenant, tablet.user, Some(tablet.device)),
            Caller::Console(console) => (&console.tenant, console.user, None),
        };
        Self { tenant: tenant.clone(), user, device, caller, since: now }
    }

    /// Refuses a sender who would no longer be admitted.
    pub(super) async fn may_go_on(&self, state: &AppState) -> Result<(), ApiError> {
        still(state, &self.caller, self.since).await
    }
}
