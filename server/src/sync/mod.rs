//! Sync: what tablets push is taken in, and what their users may hold is sent; commands go through the same desk.
//!
//! One request goes: `envelope` reads it → `writer` groups it → `ingest` judges it on a `desk` and commits → `pull`
//! compares holdings with grants in one read snapshot → `answer` writes the text. `rights` has the rules of access.

mod answer;
mod blobs;
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
mod titles;
mod writer;

pub use command::{Command, Done};
pub use desk::read_record;
pub use forms::{FormBook, Library};
pub use writer::{Means, Writers};

use crate::auth::access::Scope;
use crate::extract::TabletCaller;
use crate::fault::crash_point;
use crate::problem::ApiError;
use crate::state::AppState;
use cursor::{Cursor, Notary};
use envelope::Envelope;
use pull::{Holdings, Pull, Pulled};
use std::sync::Arc;
use storage::Store;
use sync_protocol::clock::UnixMillis;
use sync_protocol::id::{ChangeId, EpochId, RecordType, Seq, Tenant};

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

    /// Takes note that a form was published: what waited for it is judged again, piece by piece, so that tablets sync
    /// in between.
    pub async fn form_published(
        &self,
        means: (&Store, UnixMillis),
        tenant: &Tenant,
        kind: RecordType,
    ) -> Result<(), ApiError> {
        let (store, now) = means;
        self.library.reload(store, tenant, now).await?;
        let mut next = Some(Seq(0));
        while let Some(after) = next {
            let command = Command::FormPublished { kind: kind.clone(), after };
            next = self.writers.command(tenant, command).await?.next;
        }
        Ok(())
    }
}

/// Answers one `POST /v1/sync`: `text` is the request, the answer is the text of the wire.
pub async fn sync(
    state: &AppState,
    caller: &TabletCaller,
    text: &str,
) -> Result<Vec<u8>, ApiError> {
    let service = &state.sync;
    let now = state.clock.now();
    let envelope = Envelope::read(text)?;
    let cursor = match &envelope.cursor {
        Some(text) => match service.notary.read_cursor(caller.device, text) {
            None => return Err(unreadable_cursor(state, caller, &envelope).await?),
            readable @ Some(_) => readable,
        },
        None => None,
    };
    let push = envelope.push(caller, cursor, now);
    let holdings = envelope.holdings(caller, cursor);
    let is_deposit = caller.scope == Scope::Deposit;
    let brings_nothing = push.changes.is_empty();
    let pushing = service.writers.push(&caller.tenant, push);
    let pull = || pull_now(state, caller, &holdings, now);
    let (taken, pulled) = if brings_nothing && !is_deposit {
        // What is pulled does not depend on such a push: the lease is written meanwhile.
        let (taken, pulled) = tokio::join!(biased; pushing, pull());
        (taken, Some(pulled))
    } else {
        (pushing.await, None)
    };
    let receipt = match taken {
        Err(ApiError::EpochChanged { epoch })
            if envelope.epoch.is_none_or(|known| known == epoch)
                && cursor.is_some_and(|cursor| cursor.epoch == epoch) =>
        {
            // The cursor was above the head: the store was set back without a word.
            return Err(begin_epoch(state, caller, epoch).await?);
        }
        taken => taken?,
    };
    let book = service.library.book(&state.store, &caller.tenant, now).await?;
    if is_deposit {
        let cursor = cursor.unwrap_or(Cursor::start(receipt.epoch));
        let cursor = service.notary.write_cursor(caller.device, &cursor);
        return answer::write(&receipt, &Pulled { cursor, ..Pulled::default() }, &book, now);
    }
    let pulled = match pulled {
        Some(pulled) => pulled?,
        None => pull().await?,
    };
    match pulled {
        Pull::Answer(pulled) => {
            crash_point("pull.before_answer");
            answer::write(&receipt, &pulled, &book, now)
        }
        Pull::RolledBack => Err(begin_epoch(state, caller, receipt.epoch).await?),
    }
}

async fn pull_now(
    state: &AppState,
    caller: &TabletCaller,
    holdings: &Holdings,
    now: UnixMillis,
) -> Result<Pull, ApiError> {
    let mut tx = state.store.read().await?;
    pull::pull(&mut tx, &caller.tenant, &state.sync.notary, holdings, now).await
}

/// The epoch is checked before anything else, also before a cursor that cannot be read.
async fn unreadable_cursor(
    state: &AppState,
    caller: &TabletCaller,
    envelope: &Envelope<'_>,
) -> Result<ApiError, ApiError> {
    let epoch = present_epoch(state, caller).await?;
    let is_present = envelope.epoch.is_none_or(|known| known == epoch);
    Ok(if is_present { ApiError::BadCursor } else { ApiError::EpochChanged { epoch } })
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
