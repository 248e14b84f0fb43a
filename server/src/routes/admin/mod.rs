//! Administration: users, grants, devices, codes, forms, backups, the trail. Never the content of records.

mod devices;
mod forms;
mod grants;
mod tenants;
mod users;

use super::Route;
use crate::admin::Actor;
use crate::extract::AdminCaller;

pub(super) fn routes() -> Vec<Route> {
    [users::routes(), grants::routes(), devices::routes(), forms::routes(), tenants::routes()]
        .into_iter()
        .flatten()
        .collect()
}

impl From<AdminCaller> for Actor {
    fn from(caller: AdminCaller) -> Self {
        Self { tenant: caller.tenant, user: Some(caller.user) }
    }
}
