//! Both databases behind [`Store`] and [`Tx`].

mod audit;
mod backend;
mod codes;
mod devices;
mod error;
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
mod replicas;
mod seals;
mod secrets;
mod sessions;
mod sql;
mod tenants;
#[cfg(feature = "testing")]
#[doc(hidden)]
pub mod testing;
mod users;

pub use audit::{Audit, AuditEntry};
pub use backend::{Durability, Engine, Options, Store, Tx};
pub use codes::{Codes, EnrolmentCode};
pub use devices::{Device, DeviceState, Devices};
pub use error::StorageError;
pub use forms::{FormRow, Forms};
pub use grants::{Grant, Grants};
pub use head::{Head, HeadRow};
pub use journal::{ChangeRow, Journal, Outcome, Stored, Via};
pub use keys::{Keys, SigningKey};
pub use lists::ListFilter;
pub use nonces::Nonces;
pub use placements::{Placement, Placements};
pub use pointers::{Pointer, PointerTouch, Pointers};
pub use purges::{PurgeReceipt, Purges};
pub use quarantine::{Quarantine, QuarantineFilter, QuarantineState, Quarantined};
pub use received::{Received, ReceivedRows};
pub use records::{RecordRow, Records};
pub use replicas::{Replica, Replicas};
pub use seals::{SealSnapshot, Seals};
pub use secrets::Secrets;
pub use sessions::{Session, Sessions};
pub use tenants::{TenantRow, Tenants};
pub use users::{User, Users};

/// A SHA-256.
pub type Hash = [u8; 32];
