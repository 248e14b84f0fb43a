//! Two servers over one database write to one record at once, by push and by command.

use super::acks::Acks;
use super::line::Line;
use super::node::Node;
use super::site::{Person, Site, station};
use super::tablet::{Tablet, set};
use super::{judge, look};
use anyhow::{Context as _, Result};
use axum::http::Method;
use serde_json::{Value, json};
use server::clock::{Clock as _, SystemClock};
use std::path::Path;
use std::sync::Arc;
use storage::{Options, Store};
use sync_protocol::id::RecordId;

/// Edits on each side.
const EDITS: u128 = 60;

/// Says what is wrong after both sides have edited one record: every edit goes through and none loses a sibling.
pub async fn run(options: &Options, folder: &Path) -> Result<Vec<String>> {
    let store = Store::open(options).await?;
    let site = Arc::new(Site::make(&store, 2, SystemClock.now()).await?);
    let one = Node::open(options, Arc::new(SystemClock), 1).await?;
    let other = Node::open(options, Arc::new(SystemClock), 2).await?;
    let acks = Arc::new(Acks::begin(&folder.join("acknowledged"))?);
    let supervisor = *site.people.first().context("a supervisor")?;
    let inspector = *site.people.get(1).context("an inspector")?;
    let mut tablet = Tablet::new(inspector, 1, SystemClock.now());
    let (rec, _) = tablet.begin(&station("a"), "題")?;
    tablet.exchange(&site, &one.line(), &acks, SystemClock.now()).await?;

    let online = {
        let (site, line) = (Arc::clone(&site), one.line());
        tokio::spawn(async move { edit_online(&site, &line, supervisor, rec).await })
    };
    let pushing = {
        let (site, line, acks) = (Arc::clone(&site), other.line(), Arc::clone(&acks));
        tokio::spawn(async move {
            let mut wrongs = Vec::new();
            for n in 0..EDITS {
                tablet.author(rec, vec![set("place", json!(n.to_string()))])?;
                let status = tablet.exchange(&site, &line, &acks, SystemClock.now()).await?;
                if status != Some(200) {
                    wrongs.push(format!("a push was answered {status:?}"));
                }
            }
            anyhow::Ok(wrongs)
        })
    };
    let mut wrongs = online.await??;
    wrongs.extend(pushing.await??);
    let found = look::look(&options.url).await?;
    wrongs.extend(judge::wrongs(&found, &acks.all()));
    wrongs.extend(judge::wrong_states(&found)?);
    if wrongs.is_empty() {
        let state: Value = serde_json::from_slice(&found.records.first().context("it")?.state)?;
        let siblings = state.pointer("/fields/grade").and_then(Value::as_array).map_or(0, Vec::len);
        if u128::try_from(siblings)? != EDITS {
            wrongs.push(format!("{EDITS} people answered, {siblings} answers are left"));
        }
    }
    for node in [one, other] {
        node.state.store.close().await;
    }
    store.close().await;
    Ok(wrongs)
}

/// Edits by people none of whom has seen another's edit.
async fn edit_online(site: &Site, line: &Line, who: Person, rec: RecordId) -> Result<Vec<String>> {
    let mut wrongs = Vec::new();
    for n in 0..EDITS {
        let id = uuid::Builder::from_random_bytes((n + 1).to_be_bytes()).into_uuid();
        let ops = json!([{ "o": "set", "f": "grade", "v": n.to_string(), "x": [] }]);
        let body = json!({ "id": id, "ops": ops }).to_string();
        let token = site.token(who, SystemClock.now());
        let path = format!("/v1/records/{rec}/changes");
        let reply = line.call(Method::POST, &path, &token, Some(body)).await;
        let status = reply.map(|reply| reply.status);
        if status != Some(200) {
            wrongs.push(format!("an edit was answered {status:?}"));
        }
    }
    Ok(wrongs)
}
