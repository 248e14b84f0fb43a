//! The pull: what the tablet holds is compared with what its user may hold now, in one read snapshot.

mod page;
mod round;

pub(crate) use page::RecordTexts;

use super::cursor::{Cursor, Notary, PageToken};
use super::rights;
use crate::fault::crash_point;
use crate::problem::ApiError;
use round::Round;
use storage::Tx;
use sync_protocol::blob::BlobHash;
use sync_protocol::clock::UnixMillis;
use sync_protocol::id::{Bucket, ChangeId, DeviceId, RecordId, Seq, Tenant, UserId};
use sync_protocol::wire::{Blobs, BucketSum, Enter, Leave, SnapToken, bucket_sum};
use uuid::Uuid;

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
    /// Blobs that it asks about.
    pub(crate) blobs: Vec<BlobHash>,
}

/// What the tablet is sent.
#[derive(Debug, Default)]
pub(crate) struct Pulled {
    /// What it may no longer hold.
    pub(crate) leave: Vec<Leave>,
    /// What it is to hold.
    pub(crate) enter: Vec<Enter>,
    /// Records, as JSON texts of the wire.
    pub(crate) records: RecordTexts,
    /// Where paging stands.
    pub(crate) snap: Vec<SnapToken>,
    /// Where the next pull goes on.
    pub(crate) cursor: String,
    /// Whether another page is ready.
    pub(crate) more: bool,
    /// Sums of the held buckets.
    pub(crate) sums: Option<Vec<BucketSum>>,
    /// How the blobs stand that it asks about.
    pub(crate) blobs: Blobs,
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
    let asked = holdings.cursor.map_or(Seq(0), |cursor| cursor.at);
    let standing = tx.head().stand(tenant, asked).await?;
    let head = standing.head;
    if let Some(cursor) = &holdings.cursor {
        let known = cursor.at.0 == 0 || standing.asked == Some(cursor.id);
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
    let blobs = if holdings.blobs.is_empty() {
        Blobs::default()
    } else {
        tx.blob_refs().standing(tenant, holdings.user, &holdings.blobs).await?
    };
    let floor = if page.at == head.seq && page.complete { head.seq } else { round.floor };
    let id = if page.at == head.seq {
        standing.last
    } else if page.at == asked {
        standing.asked
    } else {
        tx.journal().id_at(tenant, page.at).await?
    };
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
        blobs,
    }))
}
