//! Bytes on the wire for one changed field.

use super::author::Author;
use super::client::{Tablet, http};
use super::process::Server;
use super::push::Engine;
use super::scene::{Scene, now};
use super::table::{Line, Target};
use anyhow::{Context as _, Result};
use serde_json::value::RawValue;
use storage::testing::Folder;

/// Calls of which the largest counts.
const CALLS: usize = 20;

/// Measures.
pub async fn run() -> Result<Vec<Line>> {
    let folder = Folder::new("bench")?;
    let database = Engine::Sqlite.database(&folder, "genba.db").await?;
    let scene = Scene::prepare(&database, 1, |_| ("station:fs-south".to_owned(), true)).await?;
    let server = Server::start(folder.path(), &database, &http()?).await?;
    let person = scene.people.first().context("somebody")?;
    let mut tablet = Tablet::new(&scene, person, &server.url)?;
    tablet.enter().await?;
    let mut author = Author::new(person.clone(), 3, now());
    let (new, mut record) = author.create_large(4_096);
    tablet.call(&[RawValue::from_string(new.freeze().text().to_owned())?]).await?;
    let (mut sent, mut received, mut text) = (0, 0, 0);
    for _ in 0..CALLS {
        let frozen = author.edit_one(&mut record).freeze();
        text = text.max(frozen.text().len());
        let answer = tablet.call(&[RawValue::from_string(frozen.text().to_owned())?]).await?;
        sent = sent.max(answer.sent_bytes);
        received = received.max(answer.received_bytes);
    }
    server.stop()?;
    let bytes = |count: usize| u32::try_from(count).map(f64::from);
    Ok(vec![
        Line::new("one changed field, request", bytes(sent)?, "bytes")
            .against(bytes(text)?)
            .target(Target::AtMost(700.0)),
        Line::new("one changed field, answer", bytes(received)?, "bytes")
            .target(Target::AtMost(600.0)),
    ])
}
