//! What became of the city's records before the day: edits in the name of their authors, seals and verdicts as commands.

use super::city::{RecordEntry, Step};
use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use server::admin::Actor;
use server::admin::import::{self, Row, record_id};
use server::state::AppState;
use server::sync::{Command, reading};
use std::collections::BTreeMap;
use sync_protocol::id::{ChangeId, RecordId, Tenant, UserId};

/// The people of one tenant, by login.
pub type People = BTreeMap<String, UserId>;

/// Imports the records of a bureau and lets happen what happened to them, in their order.
pub async fn tell(
    state: &AppState,
    tenant: &Tenant,
    people: &People,
    records: &[RecordEntry],
) -> Result<()> {
    let operator = Actor { tenant: tenant.clone(), user: None };
    take(state, &operator, &first_rows(records)?).await?;
    for record in records {
        let rec = record_id(tenant, &record.name());
        for step in &record.steps {
            let told = happen(state, &operator, people, record, rec, step).await;
            told.with_context(|| format!("{} at {}", record.name(), step.at))?;
        }
    }
    Ok(())
}

async fn take(state: &AppState, operator: &Actor, rows: &[Row]) -> Result<()> {
    let imported = import::import(state, operator, rows).await?;
    ensure!(imported.quarantined == 0, "{} rows went to quarantine", imported.quarantined);
    ensure!(
        imported.made.len() == rows.len(),
        "{} of {} rows were taken",
        imported.made.len(),
        rows.len()
    );
    Ok(())
}

/// The rows by which the records begin.
pub fn first_rows(records: &[RecordEntry]) -> Result<Vec<Row>> {
    records.iter().map(first_row).collect()
}

fn first_row(record: &RecordEntry) -> Result<Row> {
    Ok(serde_json::from_value(json!({
        "type": record.kind, "key": record.key, "in": record.bucket, "about": record.about, "by": record.by,
        "at": record.at, "fields": record.fields, "rows": record.rows,
    }))?)
}

async fn happen(
    state: &AppState,
    operator: &Actor,
    people: &People,
    record: &RecordEntry,
    rec: RecordId,
    step: &Step,
) -> Result<()> {
    if !step.fields.is_empty() || !step.rows.is_empty() {
        let row = json!({
            "type": record.kind, "key": record.key, "by": step.by, "at": step.at, "fields": step.fields,
            "rows": step.rows,
        });
        return take(state, operator, &[serde_json::from_value(row)?]).await;
    }
    let tenant = &operator.tenant;
    let user = *people.get(&step.by).with_context(|| format!("nobody is called {}", step.by))?;
    let shown = reading::show(state, tenant, user, rec).await?;
    let id = || ChangeId(state.random.uuid_v7(state.clock.now()));
    if step.accept {
        for change in beside(&shown)? {
            let command = Command::Judge { user, rec, id: id(), change, aside: None };
            state.sync.command(tenant, command).await?;
        }
    } else if let Some(why) = &step.unseal {
        let command = Command::Unseal { user, rec, id: id(), why: why.clone() };
        state.sync.command(tenant, command).await?;
    } else if step.seal {
        let rv = serde_json::from_value(shown["to_seal"]["rv"].clone())?;
        let view_hash = shown["to_seal"]["view_hash"].as_str().context("a hash")?.to_owned();
        let command = Command::Seal { user, rec, id: id(), rv, view_hash };
        state.sync.command(tenant, command).await?;
    }
    Ok(())
}

/// The changes that stand beside the seal and wait for a verdict.
pub fn beside(shown: &Value) -> Result<Vec<ChangeId>> {
    let late = shown["state"]["late"].as_array().map(Vec::as_slice).unwrap_or_default();
    let open =
        late.iter().filter(|beside| beside["verdict"].is_null() || beside["verdict"] == "open");
    open.map(|beside| Ok(serde_json::from_value(beside["id"].clone())?)).collect()
}
