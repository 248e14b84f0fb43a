//! The head row of a tenant: where its journal ends. Its lock is the last one before commit.

use crate::{StorageError, Tx};
use sync_protocol::id::{EpochId, Seq, Tenant};

/// Where a journal ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The seq of the last row.
    pub seq: Seq,
    /// The unbroken history that it belongs to.
    pub epoch: EpochId,
    /// The last seq that a reported backup holds.
    pub backup_seq: Option<Seq>,
}

impl Tx {
    /// The head row of a tenant: where its journal ends. Its lock is the last one before commit.
    pub fn head(&mut self) -> HeadRow<'_> {
        HeadRow(self)
    }
}

/// The head row of a tenant: where its journal ends. Its lock is the last one before commit.
#[derive(Debug)]
pub struct HeadRow<'tx>(&'tx mut Tx);

impl HeadRow<'_> {
    /// Reads the head; `None` if there is no such tenant.
    pub async fn find(&mut self, tenant: &Tenant) -> Result<Option<Head>, StorageError> {
        _ = (tenant,);
        todo!()
    }

    /// Reads the head of a tenant that exists; [`StorageError::Damaged`] if it has none.
    pub async fn read(&mut self, tenant: &Tenant) -> Result<Head, StorageError> {
        _ = (tenant,);
        todo!()
    }

    /// Takes the next `count` seqs and gives the head after them: they end at its `seq`. Take it last before commit.
    pub async fn advance(&mut self, tenant: &Tenant, count: i64) -> Result<Head, StorageError> {
        _ = (tenant, count);
        todo!()
    }

    /// Begins another history, after a restore or a rollback.
    pub async fn new_epoch(&mut self, tenant: &Tenant, epoch: EpochId) -> Result<(), StorageError> {
        _ = (tenant, epoch);
        todo!()
    }

    /// Notes that a backup holds everything up to `seq`; a smaller one than before changes nothing.
    pub async fn backup_done(&mut self, tenant: &Tenant, seq: Seq) -> Result<(), StorageError> {
        _ = (tenant, seq);
        todo!()
    }
}
