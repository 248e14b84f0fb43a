//! Fills a database with records as the server would have written them, without its help.

use super::author::{Author, Written};
use super::scene::{KIND, Person, Scene, now, open_volatile};
use anyhow::{Context as _, Result};
use storage::{ChangeRow, PointerTouch, RecordRow, Via};
use sync_protocol::change::Change;
use sync_protocol::clock::UnixMillis;
use sync_protocol::id::{Bucket, Seq};
use sync_protocol::record::{Around, Record, Stamped};

/// Records in a commit.
const GROUP: usize = 2_000;
/// Records that the caller gets to know, for editing them.
const KNOWN: usize = 1_000;

/// What was written.
#[derive(Debug)]
pub struct Seeded {
    /// Some of the records.
    pub written: Vec<Written>,
    /// Bytes of state of a record, on average.
    pub state_bytes: usize,
}

/// Stores `count` records of about `bytes` of state each, all by one author in one bucket.
pub async fn seed(
    database: &str,
    scene: &Scene,
    author: &Person,
    count: usize,
    bytes: usize,
) -> Result<Seeded> {
    let store = open_volatile(database).await?;
    let tenant = &scene.tenant;
    let at = now();
    let mut source = Author::new(author.clone(), 4_711, at.plus(-3_600_000));
    let mut seeded = Seeded { written: Vec::new(), state_bytes: 0 };
    for group in 0..count.div_ceil(GROUP) {
        let size = GROUP.min(count - group * GROUP);
        let mut tx = store.write().await?;
        let head = tx.head().advance(tenant, i64::try_from(size)?).await?;
        let first = head.seq.0 - i64::try_from(size)? + 1;
        let (mut changes, mut records) = (Vec::new(), Vec::new());
        for seq in (first..).map(Seq).take(size) {
            let (change, written) = source.create_large(bytes);
            let (change, record) = rows(&change, author, seq, at)?;
            seeded.state_bytes += record.state.len();
            if seeded.written.len() < KNOWN {
                seeded.written.push(written);
            }
            changes.push(change);
            records.push(record);
        }
        let stays: Vec<_> = records.iter().map(|row| (row.rec, author.bucket.clone())).collect();
        let touches: Vec<_> = records.iter().map(|row| entered(row, &author.bucket)).collect();
        tx.journal().append(tenant, &changes).await?;
        tx.placements().open(tenant, &stays, at).await?;
        tx.records().save(tenant, &records).await?;
        tx.pointers().touch(tenant, &touches).await?;
        tx.commit().await?;
    }
    store.close().await;
    seeded.state_bytes /= count.max(1);
    Ok(seeded)
}

fn entered(row: &RecordRow, bucket: &Bucket) -> PointerTouch {
    PointerTouch {
        bucket: bucket.clone(),
        rec: row.rec,
        seq: row.rv,
        since: Some(row.rv),
        live: true,
    }
}

/// The journal's row of a `new`, and the record that it makes.
fn rows(
    change: &Change,
    author: &Person,
    seq: Seq,
    at: UnixMillis,
) -> Result<(ChangeRow, RecordRow)> {
    let mut record = Record::new(KIND.parse()?);
    let around = Around { keeps_bases: &|_, _| false, applied: &|_| false };
    let touched = record
        .apply(Stamped { change, t_eff: change.at }, around)
        .context("a first change applies")?;
    record.mark(touched, seq);
    let frozen = change.freeze();
    let row = RecordRow {
        rec: change.rec,
        type_: record.kind.clone(),
        about: None,
        rv: seq,
        state: serde_json::to_vec(&record.body(None, Vec::new()))?,
        meta: serde_json::to_vec(&record.meta())?,
        flags: String::new(),
        status: None,
        title: None,
        created_at: at,
        updated_at: at,
        created_by: author.user,
    };
    let change = ChangeRow {
        seq,
        id: change.id,
        rec: change.rec,
        hash: *frozen.hash(),
        body: frozen.text().as_bytes().to_vec(),
        via: Via::Tablet,
        by: author.user,
        device: Some(author.device),
        t_recv: at,
        t_eff: change.at,
        late: None,
        flags: String::new(),
    };
    Ok((change, row))
}
