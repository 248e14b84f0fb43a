//! The journal: every accepted change, its bytes as they were frozen.

use crate::{Hash, QuarantineState, StorageError, Tx};
use sync_protocol::{
    clock::UnixMillis,
    id::{ChangeId, DeviceId, QuarantineId, RecordId, Seq, Tenant, UserId},
};

/// How a change came to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    /// From a tablet, in a push.
    Tablet,
    /// From a browser.
    Console,
    /// Made by the server for a command.
    Server,
    /// From a file of the office.
    Import,
}

/// What became of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// In the record.
    Applied,
    /// In the record or beside its seal, marked; the text says why.
    Late(String),
    /// Kept aside until a person looks.
    Quarantined {
        /// Its id in quarantine.
        q: QuarantineId,
        /// Why.
        code: String,
    },
    /// Kept aside, looked at, not taken.
    Closed {
        /// Its id in quarantine.
        q: QuarantineId,
        /// Why it was quarantined.
        code: String,
    },
}

/// A change that the server has received before, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its id.
    pub id: ChangeId,
    /// The SHA-256 of its frozen bytes.
    pub hash: Hash,
    /// Its seq: in the journal, or of its receipt in quarantine.
    pub seq: Seq,
    /// Its effective time.
    pub t_eff: UnixMillis,
    /// Its record, as far as it could be read.
    pub rec: Option<RecordId>,
    /// Its author.
    pub by: UserId,
    /// What became of it.
    pub outcome: Outcome,
}

/// One accepted change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeRow {
    /// Its place in the journal.
    pub seq: Seq,
    /// Its id.
    pub id: ChangeId,
    /// Its record.
    pub rec: RecordId,
    /// The SHA-256 of `body`.
    pub hash: Hash,
    /// The frozen bytes.
    pub body: Vec<u8>,
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
    /// Why it is late; `None` if it is not.
    pub late: Option<String>,
    /// Words with one space between: `clock_suspect`.
    pub flags: String,
}

impl Tx {
    /// The journal: every accepted change, its bytes as they were frozen.
    pub fn journal(&mut self) -> Journal<'_> {
        Journal(self)
    }
}

/// The journal: every accepted change, its bytes as they were frozen.
#[derive(Debug)]
pub struct Journal<'tx>(&'tx mut Tx);

impl Journal<'_> {
    /// Tells what became of these changes, by id: of journal and quarantine, a released one once, as applied. An id that was used again with other bytes appears once per hash.
    pub async fn outcomes(
        &mut self,
        tenant: &Tenant,
        ids: &[ChangeId],
    ) -> Result<Vec<Stored>, StorageError> {
        _ = (tenant, ids);
        todo!()
    }

    /// Appends changes.
    pub async fn append(
        &mut self,
        tenant: &Tenant,
        changes: &[ChangeRow],
    ) -> Result<(), StorageError> {
        _ = (tenant, changes);
        todo!()
    }

    /// Lists all changes of a record in seq order.
    pub async fn of_record(
        &mut self,
        tenant: &Tenant,
        rec: RecordId,
    ) -> Result<Vec<ChangeRow>, StorageError> {
        _ = (tenant, rec);
        todo!()
    }

    /// Lists up to `limit` changes of a record with a seq above `after`, in seq order.
    pub async fn page_of_record(
        &mut self,
        tenant: &Tenant,
        rec: RecordId,
        after: Seq,
        limit: u32,
    ) -> Result<Vec<ChangeRow>, StorageError> {
        _ = (tenant, rec, after, limit);
        todo!()
    }

    /// Reads the frozen bytes of these changes, by id; unknown ones are absent.
    pub async fn bodies(
        &mut self,
        tenant: &Tenant,
        ids: &[ChangeId],
    ) -> Result<Vec<(ChangeId, Vec<u8>)>, StorageError> {
        _ = (tenant, ids);
        todo!()
    }

    /// Names the change whose first receipt or acceptance took `seq`; one in quarantine without a readable id is named by its quarantine id.
    pub async fn id_at(
        &mut self,
        tenant: &Tenant,
        seq: Seq,
    ) -> Result<Option<ChangeId>, StorageError> {
        _ = (tenant, seq);
        todo!()
    }

    /// Marks a change late, or not late any more; [`StorageError::Stale`] if it is not stored.
    pub async fn set_late(
        &mut self,
        tenant: &Tenant,
        id: ChangeId,
        late: Option<&str>,
    ) -> Result<(), StorageError> {
        _ = (tenant, id, late);
        todo!()
    }
}
