//! Received: which change came under which n of a replica.

use crate::{Hash, StorageError, Tx};
use sync_protocol::id::{ChangeId, ReplicaId, Seq, Tenant};

/// One received n of a replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    /// The replica.
    pub replica: ReplicaId,
    /// Its number, from 1 without gaps.
    pub n: i64,
    /// The change; of one whose id could not be read, its quarantine id.
    pub id: ChangeId,
    /// The SHA-256 of its frozen bytes.
    pub hash: Hash,
    /// The seq of its first receipt, by whatever replica.
    pub seq: Seq,
}

impl Tx {
    /// Received: which change came under which n of a replica.
    pub fn received(&mut self) -> ReceivedRows<'_> {
        ReceivedRows(self)
    }
}

/// Received: which change came under which n of a replica.
#[derive(Debug)]
pub struct ReceivedRows<'tx>(&'tx mut Tx);

impl ReceivedRows<'_> {
    /// Lists what came under `from_n` to `to_n`, both included, in order.
    pub async fn range(
        &mut self,
        tenant: &Tenant,
        replica: ReplicaId,
        from_n: i64,
        to_n: i64,
    ) -> Result<Vec<Received>, StorageError> {
        _ = (tenant, replica, from_n, to_n);
        todo!()
    }

    /// Notes what came.
    pub async fn append(&mut self, tenant: &Tenant, rows: &[Received]) -> Result<(), StorageError> {
        _ = (tenant, rows);
        todo!()
    }

    /// Gives the largest n with 1…n all first received at or before `backup_seq`; 0 for none.
    pub async fn durable_n(
        &mut self,
        tenant: &Tenant,
        replica: ReplicaId,
        backup_seq: Seq,
    ) -> Result<i64, StorageError> {
        _ = (tenant, replica, backup_seq);
        todo!()
    }
}
