//! Tenants, their backups and their histories.

use super::{Actor, note, text};
use crate::config::is_time_zone;
use crate::problem::ApiError;
use crate::state::AppState;
use storage::{TenantRow, Tx};
use sync_protocol::id::{EpochId, Seq, Tenant};

/// The longest name, in characters.
const NAME_CHARS_MAX: usize = 80;

/// Makes a tenant.
pub async fn create(
    state: &AppState,
    id: Tenant,
    name_ja: &str,
    name_en: &str,
    time_zone: &str,
) -> Result<TenantRow, ApiError> {
    if !is_time_zone(time_zone) {
        return Err(ApiError::unprocessable("bad_time_zone", "write one like Asia/Tokyo"));
    }
    let now = state.clock.now();
    let row = TenantRow {
        id: id.clone(),
        name_ja: text(name_ja, NAME_CHARS_MAX, "bad_name")?,
        name_en: text(name_en, NAME_CHARS_MAX, "bad_name")?,
        time_zone: time_zone.to_owned(),
        created_at: now,
    };
    let mut tx = state.store.write().await?;
    if tx.tenants().find(&id).await?.is_some() {
        return Err(ApiError::Conflict { what: "the tenant is there" });
    }
    tx.tenants().insert(&row, EpochId(state.random.uuid_v7(now))).await?;
    let actor = Actor { tenant: id, user: None };
    note(state, &mut tx, &actor, "tenant.create", format!("tenant:{}", row.id), String::new())
        .await?;
    tx.commit().await?;
    Ok(row)
}

/// Refuses a tenant that nobody made.
pub(super) async fn is_there(tx: &mut Tx, tenant: &Tenant) -> Result<(), ApiError> {
    let found = tx.tenants().find(tenant).await?;
    found.map(drop).ok_or(ApiError::NotFound { kind: "tenant" })
}

/// Notes that a backup holds everything up to `seq`: tablets may then let go of what they keep.
pub async fn backup_done(state: &AppState, actor: &Actor, seq: Seq) -> Result<(), ApiError> {
    let mut tx = state.store.write().await?;
    let head = tx.head().find(&actor.tenant).await?.ok_or(ApiError::NotFound { kind: "tenant" })?;
    if seq > head.seq || seq < Seq(0) {
        let told = format!("the journal ends at {}", head.seq);
        return Err(ApiError::unprocessable("beyond_head", told));
    }
    tx.head().backup_done(&actor.tenant, seq).await?;
    note(state, &mut tx, actor, "backup.done", format!("seq:{seq}"), String::new()).await?;
    tx.commit().await?;
    Ok(())
}

/// Begins another history, after a restore: all leases are void and every tablet offers again what is not durable.
pub async fn new_epoch(state: &AppState, actor: &Actor) -> Result<EpochId, ApiError> {
    let epoch = EpochId(state.random.uuid_v7(state.clock.now()));
    let mut tx = state.store.write().await?;
    is_there(&mut tx, &actor.tenant).await?;
    tx.replicas().void_all(&actor.tenant).await?;
    tx.head().new_epoch(&actor.tenant, epoch).await?;
    note(state, &mut tx, actor, "epoch.new", format!("epoch:{epoch}"), String::new()).await?;
    tx.commit().await?;
    Ok(epoch)
}
