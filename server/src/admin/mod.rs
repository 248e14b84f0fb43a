//! What administrators do, the same from the console and from the command line.
//!
//! Every change writes its audit entry in the same transaction. Nothing here sees the content of records.

pub mod devices;
pub mod forms;
pub mod grants;
pub mod import;
pub mod tenants;
pub mod users;

use crate::problem::ApiError;
use crate::state::AppState;
use storage::{AuditEntry, Tx};
use sync_protocol::id::{Tenant, UserId};

/// Who does it, and where.
#[derive(Clone, Debug)]
pub struct Actor {
    /// The tenant.
    pub tenant: Tenant,
    /// The administrator; `None` for the operator at the machine.
    pub user: Option<UserId>,
}

impl Actor {
    /// The id that rows keep: the nil UUID for the operator.
    pub fn id(&self) -> UserId {
        self.user.unwrap_or(UserId(uuid::Uuid::nil()))
    }
}

/// Notes in the trail what is done in `tx`.
pub(crate) async fn note(
    state: &AppState,
    tx: &mut Tx,
    actor: &Actor,
    action: &str,
    object: String,
    detail: String,
) -> Result<(), ApiError> {
    let at = state.clock.now();
    let id = state.random.uuid_v7(at);
    let entry = AuditEntry {
        id,
        at,
        actor: actor.user,
        device: None,
        action: action.to_owned(),
        object,
        detail,
    };
    Ok(tx.audit().append(&actor.tenant, &[entry]).await?)
}

/// A text that a person wrote, trimmed and within `chars_max` characters.
pub(crate) fn text(
    written: &str,
    chars_max: usize,
    reason: &'static str,
) -> Result<String, ApiError> {
    let text = written.trim();
    let good =
        (1..=chars_max).contains(&text.chars().count()) && !text.chars().any(char::is_control);
    let bounds = || format!("1 to {chars_max} characters, no control characters");
    if good { Ok(text.to_owned()) } else { Err(ApiError::unprocessable(reason, bounds())) }
}
