//! The pull: what the tablet holds is compared with what its user may hold now, in one read snapshot.

use super::cursor::{Cursor, Notary, PageToken};
use super::desk::read_record;
use super::rights;
use crate::fault::{crash_point, planted};
use crate::problem::ApiError;
use std::collections::{BTreeMap, BTreeSet};
use storage::{Pointer, RecordRow, Tx};
use sync_protocol::clock::UnixMillis;
use sync_protocol::id::{Bucket, ChangeId, DeviceId, EpochId, RecordId, Seq, Tenant, UserId};
use sync_protocol::wire::{BucketSum, Enter, Leave, SnapToken, bucket_sum};
use uuid::Uuid;

/// Rows read for one page of pointers, or of a snapshot.
const PAGE_ROWS: u32 = 1_000;
/// Records read at once while a page is being filled.
const LOAD_ROWS: usize = 64;

/// What a tablet says of its holdings.
#[derive(Clone, Debug)]
pub(crate) struct Holdings {
    /// Its user.
    pub(crate) user: UserId,
    /// The device.
    pub(crate) device: DeviceId,
    /// Its cursor; `None` to begin.
    pub(crate) cursor: Option<Cursor>,
    /// Buckets that it holds completely.
    pub(crate) have: Vec<Bucket>,
    /// Buckets that are being paged.
    pub(crate) snap: Vec<SnapToken>,
    /// Bytes of records for this answer.
    pub(crate) bytes_max: usize,
    /// Whether it wants sums.
    pub(crate) sums: bool,
}

/// What the tablet is sent.
#[derive(Debug)]
pub(crate) struct Pulled {
    /// What it may no longer hold.
    pub(crate) leave: Vec<Leave>,
    /// What it is to hold.
    pub(crate) enter: Vec<Enter>,
    /// Records, as JSON texts of the wire.
    pub(crate) records: Vec<String>,
    /// Where paging stands.
    pub(crate) snap: Vec<SnapToken>,
    /// Where the next pull goes on.
    pub(crate) cursor: String,
    /// Whether another page is ready.
    pub(crate) more: bool,
    /// Sums of the held buckets.
    pub(crate) sums: Option<Vec<BucketSum>>,
}

/// A pull, or the news that the history was rolled back.
#[derive(Debug)]
pub(crate) enum Pull {
    /// The answer.
    Answer(Pulled),
    /// The cursor proves that the store was set back: a new epoch must begin.
    RolledBack,
}

/// Evaluates the pull of one tablet.
pub(crate) async fn pull(
    tx: &mut Tx,
    tenant: &Tenant,
    notary: &Notary,
    holdings: &Holdings,
    now: UnixMillis,
) -> Result<Pull, ApiError> {
    let head = tx.head().read(tenant).await?;
    if let Some(cursor) = &holdings.cursor {
        let known =
            cursor.at.0 == 0 || tx.journal().id_at(tenant, cursor.at).await? == Some(cursor.id);
        if cursor.at > head.seq || !known {
            return Ok(Pull::RolledBack);
        }
    }
    let grants = tx.grants().of_users(tenant, &[holdings.user]).await?;
    crash_point("pull.snapshot_taken");
    let round = Round::new(holdings, notary, head.epoch, head.seq, &rights::held(&grants, now));
    let page = round.fill(tx, tenant, holdings.bytes_max).await?;
    let mut enter = Vec::with_capacity(round.entering.len());
    for bucket in &round.entering {
        let token = PageToken {
            epoch: head.epoch,
            bucket: bucket.clone(),
            began_at: head.seq,
            last: RecordId(Uuid::nil()),
        };
        enter.push(Enter {
            bucket: bucket.clone(),
            token: notary.write_page(holdings.device, &token),
            records: tx.pointers().count_live(tenant, bucket).await?,
        });
    }
    let mut sums = None;
    if holdings.sums {
        let mut all = Vec::new();
        for bucket in &round.have {
            all.push(bucket_sum(bucket.clone(), tx.pointers().sums(tenant, bucket).await?));
        }
        sums = Some(all);
    }
    let floor = if page.at == head.seq && page.complete { head.seq } else { round.floor };
    let id = if page.at.0 == 0 { None } else { tx.journal().id_at(tenant, page.at).await? };
    let id = id.unwrap_or(ChangeId(Uuid::nil()));
    let cursor = Cursor { epoch: head.epoch, floor, at: page.at, id };
    let more =
        !page.complete || !enter.is_empty() || page.snap.iter().any(|snap| snap.token.is_some());
    let gone =
        round.gone.iter().map(|bucket| Leave { bucket: bucket.clone(), rec: None, at: None });
    Ok(Pull::Answer(Pulled {
        leave: gone.chain(page.leave).collect(),
        enter,
        records: page.records,
        snap: page.snap,
        cursor: notary.write_cursor(holdings.device, &cursor),
        more,
        sums,
    }))
}

/// One answer within a round of pages.
#[derive(Debug)]
struct Round<'a> {
    notary: &'a Notary,
    device: DeviceId,
    floor: Seq,
    at: Seq,
    head: Seq,
    /// Held completely, and still granted.
    have: BTreeSet<Bucket>,
    /// Being paged, and still granted, in the order of the request.
    paging: Vec<PageToken>,
    /// Named by the tablet and no longer granted.
    gone: BTreeSet<Bucket>,
    /// Granted and not named by the tablet.
    entering: BTreeSet<Bucket>,
}

/// What fitted into one answer.
#[derive(Debug, Default)]
struct Page {
    records: Vec<String>,
    sent: BTreeSet<RecordId>,
    bytes: usize,
    leave: Vec<Leave>,
    snap: Vec<SnapToken>,
    at: Seq,
    complete: bool,
}

impl<'a> Round<'a> {
    fn new(
        holdings: &Holdings,
        notary: &'a Notary,
        epoch: EpochId,
        head: Seq,
        granted: &BTreeSet<Bucket>,
    ) -> Self {
        let (mut have, mut paging, mut gone) = (BTreeSet::new(), Vec::new(), BTreeSet::new());
        for bucket in &holdings.have {
            if !granted.contains(bucket) {
                gone.insert(bucket.clone());
            } else if holdings.cursor.is_some() {
                have.insert(bucket.clone());
            }
        }
        for snap in &holdings.snap {
            if !granted.contains(&snap.bucket) {
                gone.insert(snap.bucket.clone());
                continue;
            }
            let token =
                snap.token.as_deref().and_then(|text| notary.read_page(holdings.device, text));
            let token = token.filter(|token| token.bucket == snap.bucket && token.epoch == epoch);
            let is_new = !have.contains(&snap.bucket)
                && !paging.iter().any(|known: &PageToken| known.bucket == snap.bucket);
            paging.extend(token.filter(|_| is_new && holdings.cursor.is_some()));
        }
        let named = |bucket: &Bucket| {
            have.contains(bucket) || paging.iter().any(|token| token.bucket == *bucket)
        };
        let entering = granted.iter().filter(|bucket| !named(bucket)).cloned().collect();
        let (floor, at) =
            holdings.cursor.as_ref().map_or((head, head), |cursor| (cursor.floor, cursor.at));
        Self { notary, device: holdings.device, floor, at, head, have, paging, gone, entering }
    }

    /// From which seq on a bucket's pointers matter: for one being paged, from the beginning of its paging.
    fn since(&self, bucket: &Bucket) -> Seq {
        let paging = self.paging.iter().find(|token| token.bucket == *bucket);
        paging.map_or(self.at, |token| token.began_at.max(self.at))
    }

    async fn fill(&self, tx: &mut Tx, tenant: &Tenant, bytes_max: usize) -> Result<Page, ApiError> {
        let mut page = Page { at: self.at, ..Page::default() };
        self.fill_from_pointers(tx, tenant, bytes_max, &mut page).await?;
        if page.complete {
            page.at = self.head;
            self.fill_from_snapshots(tx, tenant, bytes_max, &mut page).await?;
        } else {
            page.snap = self.paging.iter().map(|token| self.snap_token(token)).collect();
        }
        Ok(page)
    }

    fn snap_token(&self, token: &PageToken) -> SnapToken {
        SnapToken {
            bucket: token.bucket.clone(),
            token: Some(self.notary.write_page(self.device, token)),
        }
    }

    async fn fill_from_pointers(
        &self,
        tx: &mut Tx,
        tenant: &Tenant,
        bytes_max: usize,
        page: &mut Page,
    ) -> Result<(), ApiError> {
        let buckets: Vec<Bucket> = self
            .have
            .iter()
            .chain(self.paging.iter().map(|token| &token.bucket))
            .cloned()
            .collect();
        if buckets.is_empty() || self.at >= self.head {
            page.complete = true;
            return Ok(());
        }
        // The rows of one seq come together, so a page never cuts inside one.
        let mut rows = tx.pointers().after(tenant, &buckets, self.at, PAGE_ROWS).await?;
        let cut = rows.len() >= usize::try_from(PAGE_ROWS).unwrap_or(usize::MAX);
        let read_to = rows.last().map(|row| row.seq);
        rows.retain(|row| row.seq > self.since(&row.bucket));
        let seqs: Vec<&[Pointer]> = rows.chunk_by(|a, b| a.seq == b.seq).collect();
        for group in seqs.chunks(LOAD_ROWS) {
            let recs: BTreeSet<RecordId> =
                group.iter().copied().flatten().filter(|row| row.live).map(|row| row.rec).collect();
            let loaded = self.load(tx, tenant, recs).await?;
            for rows in group {
                let mut texts = Vec::new();
                let recs: BTreeSet<RecordId> =
                    rows.iter().filter(|row| row.live).map(|row| row.rec).collect();
                for rec in recs.into_iter().filter(|rec| !page.sent.contains(rec)) {
                    if let Some(found) = loaded.get(&rec) {
                        texts.push((rec, self.record_text(found)?));
                    }
                }
                if !page.takes(texts, bytes_max) {
                    return Ok(());
                }
                page.leave.extend(rows.iter().filter(|row| !row.live).map(|row| Leave {
                    bucket: row.bucket.clone(),
                    rec: Some(row.rec),
                    at: Some(row.seq),
                }));
                page.at = rows.first().map_or(page.at, |row| row.seq);
            }
        }
        if cut {
            page.at = read_to.unwrap_or(page.at).max(page.at);
        } else {
            page.complete = true;
        }
        Ok(())
    }

    async fn fill_from_snapshots(
        &self,
        tx: &mut Tx,
        tenant: &Tenant,
        bytes_max: usize,
        page: &mut Page,
    ) -> Result<(), ApiError> {
        let mut full = false;
        for token in &self.paging {
            let mut token = token.clone();
            let mut ended = false;
            while !full && !ended {
                let after = (token.last.0 != Uuid::nil()).then_some(token.last);
                let limit = u32::try_from(LOAD_ROWS).unwrap_or(u32::MAX);
                crash_point("pull.page");
                let rows = tx.pointers().page(tenant, &token.bucket, after, limit).await?;
                ended = rows.len() < LOAD_ROWS;
                let loaded =
                    self.load(tx, tenant, rows.iter().map(|row| row.rec).collect()).await?;
                for row in &rows {
                    let found = loaded.get(&row.rec).filter(|_| !page.sent.contains(&row.rec));
                    let text = found.map(|found| self.record_text(found)).transpose()?;
                    if !page
                        .takes(text.map(|text| (row.rec, text)).into_iter().collect(), bytes_max)
                    {
                        (full, ended) = (true, false);
                        break;
                    }
                    token.last = row.rec;
                }
            }
            page.snap.push(if ended {
                SnapToken { bucket: token.bucket, token: None }
            } else {
                self.snap_token(&token)
            });
        }
        Ok(())
    }

    /// Reads records with the pointers by which this tablet gets them.
    async fn load(
        &self,
        tx: &mut Tx,
        tenant: &Tenant,
        recs: BTreeSet<RecordId>,
    ) -> Result<BTreeMap<RecordId, Found>, ApiError> {
        let recs: Vec<RecordId> = recs.into_iter().collect();
        if recs.is_empty() {
            return Ok(BTreeMap::new());
        }
        let mut pointers: BTreeMap<RecordId, Vec<Pointer>> = BTreeMap::new();
        for pointer in tx.pointers().buckets_of(tenant, &recs).await? {
            let named = self.have.contains(&pointer.bucket)
                || self.entering.contains(&pointer.bucket)
                || self.paging.iter().any(|token| token.bucket == pointer.bucket);
            if pointer.live && named {
                pointers.entry(pointer.rec).or_default().push(pointer);
            }
        }
        let rows = tx.records().load(tenant, &recs).await?;
        let found = rows.into_iter().filter_map(|row| {
            let by = pointers.remove(&row.rec)?;
            Some((row.rec, Found { row, by }))
        });
        Ok(found.collect())
    }

    /// The record for the wire: whole, or what changed since the floor.
    fn record_text(&self, found: &Found) -> Result<String, ApiError> {
        let Found { row, by } = found;
        let is_whole =
            by.iter().all(|pointer| pointer.since > self.floor && !planted("since-forgotten"))
                || by.iter().any(|pointer| !self.have.contains(&pointer.bucket));
        let against = if planted("deltas-against-at") { self.at } else { self.floor };
        let body = if is_whole {
            String::from_utf8(row.state.clone()).map_err(ApiError::caused)?
        } else {
            let record = read_record(row)?;
            let flags = row.flags.split_whitespace().map(str::to_owned).collect();
            serde_json::to_string(&record.body(Some(against), flags)).map_err(ApiError::caused)?
        };
        let mut text = String::with_capacity(body.len() + 256);
        let buckets: Vec<&Bucket> = by.iter().map(|pointer| &pointer.bucket).collect();
        let head = serde_json::json!({
            "rec": row.rec, "type": row.type_, "rv": row.rv, "in": buckets, "about": row.about, "full": is_whole,
        });
        text.push_str(&head.to_string());
        text.pop();
        text.push(',');
        text.push_str(body.get(1..).unwrap_or("}"));
        Ok(text)
    }
}

/// A record, and the live pointers by which the tablet gets it.
#[derive(Debug)]
struct Found {
    row: RecordRow,
    by: Vec<Pointer>,
}

impl Page {
    /// Takes records that belong together, if they fit; the first always do.
    fn takes(&mut self, texts: Vec<(RecordId, String)>, bytes_max: usize) -> bool {
        let bytes: usize = texts.iter().map(|(_, text)| text.len()).sum();
        if !self.records.is_empty() && bytes > 0 && self.bytes + bytes > bytes_max {
            return false;
        }
        self.bytes += bytes;
        for (rec, text) in texts {
            self.sent.insert(rec);
            self.records.push(text);
        }
        true
    }
}
