//! Sync: what tablets push is taken in, and what their users may hold is sent; commands go through the same desk.
//!
//! One request goes: `envelope` reads it → `writer` groups it → `ingest` judges it on a `desk` and commits → `pull`
//! compares holdings with grants in one read snapshot → `answer` writes the text. `rights` has the rules of access.

mod answer;
pub mod command;
mod cursor;
mod desk;
mod envelope;
mod forms;
mod incoming;
mod ingest;
mod pull;
pub mod reading;
pub mod rights;
mod writer;

pub use command::{Command, Done};
pub use desk::read_record;
pub use forms::{FormBook, Library};
pub use writer::{Means, Writers};

use crate::auth::access::Scope;
use crate::extract::TabletCaller;
use crate::problem::ApiError;
use crate::state::AppState;
use cursor::Notary;
use envelope::Envelope;
use std::sync::Arc;
use storage::Store;
use sync_protocol::clock::UnixMillis;
use sync_protocol::id::{ChangeId, EpochId, RecordType, Tenant};

/// The name of the secret of cursors in the store.
const CURSOR_SECRET: &str = "cursor";

/// The sync of one server.
#[derive(Debug)]
pub struct Service {
    /// The forms.
    pub library: Arc<Library>,
    notary: Notary,
    writers: Writers,
}

impl Service {
    /// Opens the service: reads or makes the secret of its cursors.
    pub async fn open(means: Means) -> Result<Self, storage::StorageError> {
        let secret: [u8; 32] = means.random.bytes();
        let mut tx = means.store.write().await?;
        let secret = tx.secrets().get_or_insert(CURSOR_SECRET, &secret).await?;
        tx.commit().await?;
        Ok(Self {
            library: Arc::clone(&means.library),
            notary: Notary::new(&secret),
            writers: Writers::new(means),
        })
    }

    /// Carries out a command of a person.
    pub async fn command(&self, tenant: &Tenant, command: Command) -> Result<Done, ApiError> {
        self.writers.command(tenant, command).await
    }

    /// Takes note that a form was published: what waited for it is judged again.
    pub async fn form_published(
        &self,
        means: (&Store, UnixMillis),
        tenant: &Tenant,
        kind: RecordType,
    ) -> Result<(), ApiError> {
        let (store, now) = means;
        self.library.reload(store, tenant, now).await?;
        self.writers.command(tenant, Command::FormPublished { kind }).await?;
        Ok(())
    }
}

/// Answers one `POST /v1/sync`: `text` is the request, the answer is the text of the wire.
pub async fn sync(state: &AppState, caller: &TabletCaller, text: &str) -> Result<String, ApiError> {
    let service = &state.sync;
    let now = state.clock.now();
    let envelope = Envelope::read(text)?;
    let cursor = match &envelope.cursor {
        Some(text) => {
            Some(service.notary.read_cursor(caller.device, text).ok_or(ApiError::BadCursor)?)
        }
        None => None,
    };
    if let Some(cursor) =
        cursor.filter(|cursor| envelope.epoch.is_some_and(|epoch| epoch != cursor.epoch))
    {
        tracing::debug!("a cursor of epoch {} in a request of another", cursor.epoch);
        return Err(ApiError::EpochChanged { epoch: present_epoch(state, caller).await? });
    }
    let push = envelope.push(caller, cursor.as_ref(), now);
    let taken = service.writers.push(&caller.tenant, push).await;
    let receipt = match taken {
        Err(ApiError::EpochChanged { epoch }) if envelope.epoch == Some(epoch) => {
            // The cursor was above the head: the store was set back without a word.
            return Err(begin_epoch(state, caller, epoch).await?);
        }
        taken => taken?,
    };
    let book = service.library.book(&state.store, &caller.tenant, now).await?;
    if caller.scope == Scope::Deposit {
        let cursor = envelope.cursor.as_deref().unwrap_or_default();
        return Ok(answer::deposit(&receipt, cursor, &book, now));
    }
    let holdings = envelope.holdings(caller, cursor);
    let mut tx = state.store.read().await?;
    match pull::pull(&mut tx, &caller.tenant, &service.notary, &holdings, now).await? {
        pull::Pull::Answer(pulled) => Ok(answer::full(&receipt, pulled, &book, now)),
        pull::Pull::RolledBack => {
            drop(tx);
            Err(begin_epoch(state, caller, receipt.epoch).await?)
        }
    }
}

async fn present_epoch(state: &AppState, caller: &TabletCaller) -> Result<EpochId, ApiError> {
    Ok(state.store.read().await?.head().read(&caller.tenant).await?.epoch)
}

async fn begin_epoch(
    state: &AppState,
    caller: &TabletCaller,
    ends: EpochId,
) -> Result<ApiError, ApiError> {
    tracing::error!("a cursor proves that the store was set back: a new epoch begins");
    state.sync.command(&caller.tenant, Command::NewEpoch { ends }).await?;
    Ok(ApiError::EpochChanged { epoch: present_epoch(state, caller).await? })
}

/// The id of a command whose caller gave none.
pub fn command_id(state: &AppState, given: Option<ChangeId>) -> ChangeId {
    given.unwrap_or_else(|| ChangeId(state.random.uuid_v7(state.clock.now())))
}
