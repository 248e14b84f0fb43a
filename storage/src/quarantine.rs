//! Quarantine: changes that were received and not applied, kept until a person looks.

use crate::{Hash, StorageError, Tx, Via};
use sync_protocol::{
    clock::UnixMillis,
    id::{Bucket, ChangeId, DeviceId, QuarantineId, RecordId, RecordType, Seq, Tenant, UserId},
};

/// Where a quarantined change stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuarantineState {
    /// Waits for a person.
    Open,
    /// Was applied after all.
    Released,
    /// Was looked at and not taken.
    Closed,
}

/// One quarantined change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quarantined {
    /// Its id in quarantine.
    pub q: QuarantineId,
    /// The seq of its receipt.
    pub seq: Seq,
    /// Its own id, if it could be read.
    pub id: Option<ChangeId>,
    /// The SHA-256 of `body`.
    pub hash: Hash,
    /// The bytes as they came.
    pub body: Vec<u8>,
    /// The record that it names.
    pub rec: Option<RecordId>,
    /// The subject that its `new` names.
    pub about: Option<RecordId>,
    /// The kind that it names.
    pub type_: Option<RecordType>,
    /// The bucket that its `new` claims.
    pub claims: Option<Bucket>,
    /// How it came.
    pub via: Via,
    /// Its author.
    pub by: UserId,
    /// The device that it came from.
    pub device: Option<DeviceId>,
    /// When it was received.
    pub t_recv: UnixMillis,
    /// Its effective time.
    pub t_eff: UnixMillis,
    /// Why it is here.
    pub code: String,
    /// Where it stands.
    pub state: QuarantineState,
    /// Who settled it.
    pub closed_by: Option<UserId>,
    /// When it was settled.
    pub closed_at: Option<UnixMillis>,
    /// What the person who settled it wrote.
    pub why: Option<String>,
}

/// What a list of the quarantine shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QuarantineFilter {
    /// Only what a supervisor of one of these buckets looks after: the record's buckets, else the claimed one, else `inbox:unplaced`. `None` shows all.
    pub buckets: Option<Vec<Bucket>>,
    /// In this state.
    pub state: Option<QuarantineState>,
    /// Received before this seq: the last of the page before.
    pub before: Option<Seq>,
    /// At most so many.
    pub limit: u32,
}

impl Tx {
    /// Quarantine: changes that were received and not applied, kept until a person looks.
    pub fn quarantine(&mut self) -> Quarantine<'_> {
        Quarantine(self)
    }
}

/// Quarantine: changes that were received and not applied, kept until a person looks.
#[derive(Debug)]
pub struct Quarantine<'tx>(&'tx mut Tx);

impl Quarantine<'_> {
    /// Stores quarantined changes.
    pub async fn append(
        &mut self,
        tenant: &Tenant,
        rows: &[Quarantined],
    ) -> Result<(), StorageError> {
        _ = (tenant, rows);
        todo!()
    }

    /// Lists the open ones that name one of these records, as record or as subject, in seq order.
    pub async fn open_for(
        &mut self,
        tenant: &Tenant,
        recs: &[RecordId],
    ) -> Result<Vec<Quarantined>, StorageError> {
        _ = (tenant, recs);
        todo!()
    }

    /// Finds one.
    pub async fn find(
        &mut self,
        tenant: &Tenant,
        q: QuarantineId,
    ) -> Result<Option<Quarantined>, StorageError> {
        _ = (tenant, q);
        todo!()
    }

    /// Lists the open ones of an author on a record, in seq order.
    pub async fn of_author_and_record(
        &mut self,
        tenant: &Tenant,
        by: UserId,
        rec: RecordId,
    ) -> Result<Vec<Quarantined>, StorageError> {
        _ = (tenant, by, rec);
        todo!()
    }

    /// Lists the open ones of a type, in seq order, for the day its form is published.
    pub async fn open_of_type(
        &mut self,
        tenant: &Tenant,
        type_: &RecordType,
        limit: u32,
    ) -> Result<Vec<Quarantined>, StorageError> {
        _ = (tenant, type_, limit);
        todo!()
    }

    /// Lists quarantined changes, newest first.
    pub async fn list(
        &mut self,
        tenant: &Tenant,
        filter: &QuarantineFilter,
    ) -> Result<Vec<Quarantined>, StorageError> {
        _ = (tenant, filter);
        todo!()
    }

    /// Settles an open one; [`StorageError::Stale`] if it is not open.
    pub async fn settle(
        &mut self,
        tenant: &Tenant,
        q: QuarantineId,
        state: QuarantineState,
        by: Option<UserId>,
        at: UnixMillis,
        why: Option<&str>,
    ) -> Result<(), StorageError> {
        _ = (tenant, q, state, by, at, why);
        todo!()
    }

    /// Adds up the bytes of the open ones of a device.
    pub async fn bytes_of_device(
        &mut self,
        tenant: &Tenant,
        device: DeviceId,
    ) -> Result<i64, StorageError> {
        _ = (tenant, device);
        todo!()
    }

    /// Counts the open ones.
    pub async fn count_open(&mut self, tenant: &Tenant) -> Result<i64, StorageError> {
        _ = (tenant,);
        todo!()
    }
}
