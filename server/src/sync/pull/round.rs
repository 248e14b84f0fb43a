//! One answer within a round of pages: what the tablet holds against what it may hold, and what it is sent of it.

use super::Holdings;
use super::page::Page;
use crate::fault::{crash_point, planted};
use crate::problem::ApiError;
use crate::sync::cursor::{Notary, PageToken};
use crate::sync::desk::read_state;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use storage::{Pointer, RecordCopy, Tx};
use sync_protocol::id::{Bucket, DeviceId, EpochId, RecordId, RecordType, Seq, Tenant};
use sync_protocol::wire::{Leave, SnapToken};
use uuid::Uuid;

/// Rows read for one page of pointers.
const PAGE_ROWS: u32 = 1_000;
/// Seqs whose records are read at once.
const SEQS_AT_ONCE: usize = 64;

/// One answer within a round of pages.
#[derive(Debug)]
pub(super) struct Round<'a> {
    notary: &'a Notary,
    device: DeviceId,
    pub(super) floor: Seq,
    at: Seq,
    head: Seq,
    /// Held completely, and still granted.
    pub(super) have: BTreeSet<Bucket>,
    /// Being paged, and still granted, in the order of the request.
    paging: Vec<PageToken>,
    /// Named by the tablet and no longer granted.
    pub(super) gone: BTreeSet<Bucket>,
    /// Granted and not named by the tablet.
    pub(super) entering: BTreeSet<Bucket>,
}

/// What stands before the body of a record on the wire.
#[derive(Serialize)]
struct Before<'a> {
    rec: RecordId,
    #[serde(rename = "type")]
    kind: &'a RecordType,
    rv: Seq,
    #[serde(rename = "in")]
    buckets: Vec<&'a Bucket>,
    about: Option<RecordId>,
    full: bool,
}

impl<'a> Round<'a> {
    pub(super) fn new(
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

    pub(super) async fn fill(
        &self,
        tx: &mut Tx,
        tenant: &Tenant,
        bytes_max: usize,
    ) -> Result<Page, ApiError> {
        let mut page = Page::new(self.at, bytes_max);
        self.fill_from_pointers(tx, tenant, &mut page).await?;
        if page.complete {
            page.at = self.head;
            self.fill_from_snapshots(tx, tenant, &mut page).await?;
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
        page: &mut Page,
    ) -> Result<(), ApiError> {
        let paged = self.paging.iter().map(|token| &token.bucket);
        let buckets: Vec<Bucket> = self.have.iter().chain(paged).cloned().collect();
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
        for group in seqs.chunks(SEQS_AT_ONCE) {
            let copies = self.copies(tx, tenant, live(group.iter().copied().flatten())).await?;
            for rows in group {
                let recs = live(rows.iter());
                if !page.takes(self, recs.iter().filter_map(|rec| copies.get(rec)))? {
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
        page: &mut Page,
    ) -> Result<(), ApiError> {
        let mut full = false;
        for token in &self.paging {
            let mut token = token.clone();
            let mut ended = false;
            while !full && !ended {
                let after = (token.last.0 != Uuid::nil()).then_some(token.last);
                let rows = page.rows_next();
                let limit = u32::try_from(rows).unwrap_or(u32::MAX);
                crash_point("pull.page");
                let copies = tx.copies().page(tenant, &token.bucket, after, limit).await?;
                ended = copies.len() < rows;
                for mut copy in copies {
                    self.keep_named(&mut copy);
                    if !page.takes(self, [&copy])? {
                        (full, ended) = (true, false);
                        break;
                    }
                    token.last = copy.rec;
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

    /// Reads those of these records that the tablet gets by some bucket.
    async fn copies(
        &self,
        tx: &mut Tx,
        tenant: &Tenant,
        recs: BTreeSet<RecordId>,
    ) -> Result<BTreeMap<RecordId, RecordCopy>, ApiError> {
        if recs.is_empty() {
            return Ok(BTreeMap::new());
        }
        let recs: Vec<RecordId> = recs.into_iter().collect();
        let mut copies = tx.copies().of(tenant, &recs).await?;
        for copy in &mut copies {
            self.keep_named(copy);
        }
        copies.retain(|copy| !copy.lies_in.is_empty());
        Ok(copies.into_iter().map(|copy| (copy.rec, copy)).collect())
    }

    /// Leaves of the buckets of a record those by which this tablet gets it.
    fn keep_named(&self, copy: &mut RecordCopy) {
        copy.lies_in.retain(|(bucket, _)| {
            self.have.contains(bucket)
                || self.entering.contains(bucket)
                || self.paging.iter().any(|token| token.bucket == *bucket)
        });
    }

    /// Writes a record for the wire: whole, or what changed since the floor.
    pub(super) fn write(&self, copy: &RecordCopy, out: &mut Vec<u8>) -> Result<(), ApiError> {
        let by = &copy.lies_in;
        let is_whole =
            by.iter().all(|(_, since)| *since > self.floor && !planted("since-forgotten"))
                || by.iter().any(|(bucket, _)| !self.have.contains(bucket));
        let part = copy.meta.as_deref().filter(|_| !is_whole);
        let before = Before {
            rec: copy.rec,
            kind: &copy.type_,
            rv: copy.rv,
            buckets: by.iter().map(|(bucket, _)| bucket).collect(),
            about: copy.about,
            full: part.is_none(),
        };
        serde_json::to_writer(&mut *out, &before).map_err(ApiError::caused)?;
        // Two objects become one: the end of the first goes, and the beginning of the second becomes a comma.
        out.pop();
        let joint = out.len();
        match part {
            None => out.extend_from_slice(&copy.state),
            Some(meta) => {
                let (record, flags) =
                    read_state(copy.type_.clone(), copy.about, &copy.state, meta)?;
                let against = if planted("deltas-against-at") { self.at } else { self.floor };
                serde_json::to_writer(&mut *out, &record.body(Some(against), flags))
                    .map_err(ApiError::caused)?;
            }
        }
        if let Some(brace) = out.get_mut(joint) {
            *brace = b',';
        }
        Ok(())
    }
}

/// The records of those pointers that are live.
fn live<'a>(pointers: impl Iterator<Item = &'a Pointer>) -> BTreeSet<RecordId> {
    pointers.filter(|pointer| pointer.live).map(|pointer| pointer.rec).collect()
}
