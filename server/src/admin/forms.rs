//! Forms: published in versions that never change.

use super::tenants::is_there;
use super::{Actor, note};
use crate::problem::ApiError;
use crate::state::AppState;
use sha2::{Digest as _, Sha256};
use storage::FormRow;
use sync_protocol::form::Form;

/// Publishes a form; its JSON is stored as it came, and what waited for it is judged again.
///
/// The same text again changes nothing, but goes on with a judgement that was broken off.
pub async fn publish(state: &AppState, actor: &Actor, json: &str) -> Result<FormRow, ApiError> {
    let form =
        Form::parse(json).map_err(|bad| ApiError::unprocessable("bad_form", bad.to_string()))?;
    let row = FormRow {
        type_: form.kind,
        version: i64::from(form.version),
        body: json.as_bytes().to_vec(),
        hash: Sha256::digest(json).into(),
        published_at: state.clock.now(),
    };
    let mut tx = state.store.write().await?;
    is_there(&mut tx, &actor.tenant).await?;
    let there = tx.forms().find(&actor.tenant, &row.type_, row.version).await?;
    if there.as_ref().is_some_and(|there| there.hash != row.hash) {
        let what = "this version is published with another text: raise the version";
        return Err(ApiError::Conflict { what });
    }
    if there.is_none() {
        tx.forms().publish(&actor.tenant, &row).await?;
        let object = format!("form:{}/{}", row.type_, row.version);
        note(state, &mut tx, actor, "form.publish", object, String::new()).await?;
    }
    tx.commit().await?;
    let means = (&state.store, state.clock.now());
    state.sync.form_published(means, &actor.tenant, row.type_.clone()).await?;
    Ok(there.unwrap_or(row))
}
