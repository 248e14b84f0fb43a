//! Records: the state that the changes have made, and what lists show of it.

use crate::{StorageError, Tx};
use sync_protocol::{
    clock::UnixMillis,
    id::{Bucket, RecordId, RecordType, Seq, Tenant, UserId},
};

/// One record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordRow {
    /// Its id.
    pub rec: RecordId,
    /// Its kind.
    pub type_: RecordType,
    /// Its subject.
    pub about: Option<RecordId>,
    /// The seq of its last change.
    pub rv: Seq,
    /// The merge state, as the protocol writes it.
    pub state: Vec<u8>,
    /// What the server keeps beside the state: seqs per field and the like.
    pub meta: Vec<u8>,
    /// Words with one space between: `conflict sealed`.
    pub flags: String,
    /// Its status, for lists.
    pub status: Option<String>,
    /// Its title, for lists.
    pub title: Option<String>,
    /// When its `new` was received.
    pub created_at: UnixMillis,
    /// When its last change was received.
    pub updated_at: UnixMillis,
    /// The author of its `new`.
    pub created_by: UserId,
}

/// What a list of records shows; `None` does not narrow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListFilter {
    /// Of this kind.
    pub type_: Option<RecordType>,
    /// Live in at least one of these buckets; none of them shows nothing.
    pub buckets: Vec<Bucket>,
    /// About this subject.
    pub about: Option<RecordId>,
    /// With this status.
    pub status: Option<String>,
    /// With this word among its flags.
    pub flag: Option<String>,
    /// Changed after this seq.
    pub since: Option<Seq>,
    /// Changed before this seq: the last `rv` of the page before.
    pub before_rv: Option<Seq>,
    /// At most so many.
    pub limit: u32,
}

impl Tx {
    /// Records: the state that the changes have made, and what lists show of it.
    pub fn records(&mut self) -> Records<'_> {
        Records(self)
    }
}

/// Records: the state that the changes have made, and what lists show of it.
#[derive(Debug)]
pub struct Records<'tx>(&'tx mut Tx);

impl Records<'_> {
    /// Reserves the ids of records that may be created, so that their lock exists. Reserve before you lock; save or drop what was reserved.
    pub async fn reserve(
        &mut self,
        tenant: &Tenant,
        recs: &[RecordId],
        now: UnixMillis,
    ) -> Result<(), StorageError> {
        _ = (tenant, recs, now);
        todo!()
    }

    /// Reads these records, by id, and keeps other writers off them and off reserved ones until commit. What is only reserved is absent.
    pub async fn lock(
        &mut self,
        tenant: &Tenant,
        recs: &[RecordId],
    ) -> Result<Vec<RecordRow>, StorageError> {
        _ = (tenant, recs);
        todo!()
    }

    /// Reads these records, by id; unknown and reserved ones are absent.
    pub async fn load(
        &mut self,
        tenant: &Tenant,
        recs: &[RecordId],
    ) -> Result<Vec<RecordRow>, StorageError> {
        _ = (tenant, recs);
        todo!()
    }

    /// Writes records, each once, new or known.
    pub async fn save(
        &mut self,
        tenant: &Tenant,
        records: &[RecordRow],
    ) -> Result<(), StorageError> {
        _ = (tenant, records);
        todo!()
    }

    /// Gives back reserved ids that no record was created for.
    pub async fn drop_placeholders(
        &mut self,
        tenant: &Tenant,
        recs: &[RecordId],
    ) -> Result<(), StorageError> {
        _ = (tenant, recs);
        todo!()
    }

    /// Lists up to `limit` records whose subject is one of these, by id.
    pub async fn followers(
        &mut self,
        tenant: &Tenant,
        recs: &[RecordId],
        limit: u32,
    ) -> Result<Vec<RecordId>, StorageError> {
        _ = (tenant, recs, limit);
        todo!()
    }

    /// Lists records, newest `rv` first.
    pub async fn list(
        &mut self,
        tenant: &Tenant,
        filter: &ListFilter,
    ) -> Result<Vec<RecordRow>, StorageError> {
        _ = (tenant, filter);
        todo!()
    }

    /// Counts the records that are live in a bucket.
    pub async fn count_in_bucket(
        &mut self,
        tenant: &Tenant,
        bucket: &Bucket,
    ) -> Result<i64, StorageError> {
        _ = (tenant, bucket);
        todo!()
    }
}
