//! Both databases behind [`Store`] and [`Tx`]: the only crate of the server side that names sqlx.
//!
//! [`Store::open`] picks SQLite or PostgreSQL by the address; everything above it cannot tell which. A [`Tx`]
//! reaches each aggregate by its noun (`tx.journal()`, `tx.pointers()`), and each query is written once, in
//! the SQL that both accept. It knows nothing of what a change means: it keeps bytes, orders them and finds
//! them again.
//!
//! # The common dialect
//!
//! - Ids are `blob` or `uuid`, instants and seqs `integer` or `bigint`, frozen texts and states `blob` or
//!   `bytea`, flags `integer` with a check or `boolean`, enums text with a check. Tables of SQLite are strict;
//!   texts of PostgreSQL sort by their bytes (`collate "C"`), as those of SQLite do.
//! - Columns are named, never `select *` of a table: a migration would break cached plans.
//! - Many rows go in one statement (`with_rows!`): long `values` on SQLite, `unnest` on PostgreSQL. A set that is
//!   sought is one bind (`sql!` with `(each "pointer" "rec" "$2")` or `(ids "$2")`): a JSON array on SQLite, an array on
//!   PostgreSQL.
//! - A failed statement spends the transaction on PostgreSQL and not on SQLite, so an error means: drop the
//!   [`Tx`]. Where a duplicate is expected, say `on conflict do nothing`. There are no savepoints.
//! - Row locks are taken in the order of the ids, before anything is decided; the head row
//!   ([`HeadRow::advance`]) is the last lock before commit, so that seqs become visible in their order.
//!
//! # One more aggregate
//!
//! 1. `migrations/sqlite/NNNN_name.sql` and its twin in `migrations/postgres`, and a line in `migrations.rs`.
//! 2. `src/<name>.rs`: the row, `from_row!`, the noun on [`Tx`], the queries through `on_conn!`.
//! 3. `tests/store/<name>.rs` with `on_both!`, each method on a fresh database of either engine.

mod audit;
mod backend;
mod blob_refs;
mod blobs;
mod codes;
mod copies;
mod devices;
mod error;
mod fault;
mod forms;
mod grants;
mod head;
mod journal;
mod keys;
mod lists;
mod migrations;
mod nonces;
mod open;
mod placements;
mod pointers;
mod purges;
mod quarantine;
mod received;
mod records;
mod renders;
mod replicas;
mod seals;
mod secrets;
mod sessions;
mod sql;
mod tenants;
#[cfg(feature = "testing")]
#[doc(hidden)]
pub mod testing;
mod uploads;
mod users;

pub use audit::{Audit, AuditEntry};
pub use backend::{Durability, Engine, Options, Store, Tx};
pub use blob_refs::{BlobReference, BlobRefs, HeldBlob, RecordBlob};
pub use blobs::{Blob, BlobName, BlobState, Blobs, Derivative, Render};
pub use codes::{Codes, EnrolmentCode};
pub use copies::{Copies, RecordCopy};
pub use devices::{Admission, Device, DeviceState, Devices};
pub use error::StorageError;
pub use forms::{FormRow, Forms};
pub use grants::{Grant, Grants};
pub use head::{Head, HeadRow, Standing};
pub use journal::{ChangeRow, Journal, Outcome, Stored, Via};
pub use keys::{Keys, SigningKey};
pub use lists::{ListFilter, Titled};
pub use nonces::Nonces;
pub use placements::{Placement, Placements};
pub use pointers::{Pointer, PointerTouch, Pointers};
pub use purges::{PurgeReceipt, Purges};
pub use quarantine::{Quarantine, QuarantineFilter, QuarantineState, Quarantined};
pub use received::{Received, ReceivedRows};
pub use records::{RecordRow, Records};
pub use renders::{FAILURES_MAX, RenderLease, Rendering, Renders};
pub use replicas::{Replica, Replicas};
pub use seals::{SealSnapshot, Seals};
pub use secrets::Secrets;
pub use sessions::{Session, Sessions};
pub use tenants::{TenantRow, Tenants};
pub use uploads::{
    Claim, UnderWay, Upload, UploadLease, UploadName, UploadPart, UploadState, Uploads,
};
pub use users::{User, Users};

/// A SHA-256.
pub type Hash = [u8; 32];
