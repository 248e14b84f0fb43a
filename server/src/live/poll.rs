//! The long-polling twin of the socket, for networks that let no WebSocket through.

use super::{Kind, Standing, standing};
use crate::extract::TabletCaller;
use crate::problem::ApiError;
use crate::state::AppState;
use std::time::Duration;
use sync_protocol::id::Seq;
use tokio::time::Instant;

/// How long a call waits for news.
pub const WAIT: Duration = Duration::from_secs(25);

/// Waits, at most as long as `patience`, until a held bucket has a pointer above `after` or other buckets are held, and gives the head; `None` when
/// there was no news, or when the device has asked again.
pub async fn wait(
    state: &AppState,
    caller: &TabletCaller,
    after: Seq,
    patience: Duration,
) -> Result<Option<Seq>, ApiError> {
    let TabletCaller { tenant, device, user, .. } = caller;
    let Standing::Holds(held) = standing(state, tenant, *device, *user).await? else {
        return Err(ApiError::Unauthorised);
    };
    let mut listening = state.pokes.listen(tenant, *device, *user, Kind::Poll, held.clone());
    let held: Vec<_> = held.into_iter().collect();
    let mut tx = state.store.read().await?;
    let news = tx.pointers().after(tenant, &held, after, 1).await?;
    let end = tx.head().read(tenant).await?.seq;
    drop(tx);
    if !news.is_empty() {
        return Ok(Some(end));
    }
    let until = Instant::now() + patience;
    let mut rechecked = 0;
    loop {
        let signal = tokio::select! {
            () = state.stop.cancelled() => return Err(ApiError::NotReady),
            () = tokio::time::sleep_until(until) => return Ok(None),
            signal = listening.changed() => signal,
        };
        if signal.replaced {
            return Ok(None);
        }
        if signal.seq > after {
            return Ok(Some(signal.seq));
        }
        if signal.recheck != rechecked {
            rechecked = signal.recheck;
            match standing(state, tenant, *device, *user).await? {
                Standing::Gone => return Err(ApiError::Unauthorised),
                Standing::Holds(held) => {
                    if listening.hold(held) {
                        return Ok(Some(end.max(after)));
                    }
                }
            }
        }
    }
}
