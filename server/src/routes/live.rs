//! News for tablets: a WebSocket, and its long-polling twin.

use super::Route;
use crate::auth::admit::Access;
use crate::bulkhead::Gate;
use crate::extract::{Parameters, TabletCaller};
use crate::live::socket::{
    Look, MESSAGE_BYTES_MAX, READ_BUFFER_BYTES, Surroundings, Timing, WRITE_BUFFER_BYTES_MAX, serve,
};
use crate::live::{Kind, Standing, poll, standing};
use crate::problem::ApiError;
use crate::state::AppState;
use axum::Json;
use axum::extract::State;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{WebSocket, WebSocketUpgrade};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use futures_util::{FutureExt as _, StreamExt as _};
use serde::{Deserialize, Serialize};
use sync_protocol::id::Seq;
use utoipa::ToSchema;

/// When a socket that ends with the server is told to come back, in seconds at most.
const RESTART_WAIT_S_MAX: u64 = 30;

pub(super) fn routes() -> Vec<Route> {
    const AFTER: &[(&str, &str)] = &[("after", "the seq that the tablet has seen")];
    vec![
        Route::get("/v1/live", Access::Tablet, "Opens the socket of pokes.", open)
            .gate(Gate::Free)
            .empty(101),
        Route::get("/v1/live/poll", Access::Tablet, "Waits for news, 25 seconds at most.", wait)
            .gate(Gate::Free)
            .query(AFTER)
            .answers::<Poke>(200)
            .empty(204),
    ]
}

/// There is something new.
#[derive(Debug, Serialize, ToSchema)]
struct Poke {
    /// Up to which seq.
    #[schema(value_type = i64)]
    poke: Seq,
}

async fn open(
    State(state): State<AppState>,
    caller: TabletCaller,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, ApiError> {
    let upgrade = upgrade.map_err(|_| ApiError::UpgradeRequired)?;
    let tasks = state.tasks.clone();
    let response = upgrade
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(0)
        .max_write_buffer_size(WRITE_BUFFER_BYTES_MAX)
        .max_message_size(MESSAGE_BYTES_MAX)
        .max_frame_size(MESSAGE_BYTES_MAX)
        .on_upgrade(move |socket| tasks.track_future(run(state, caller, socket)));
    Ok(response)
}

async fn run(state: AppState, caller: TabletCaller, socket: WebSocket) {
    let TabletCaller { tenant, device, user, .. } = caller;
    // Listen first and look then: what is committed in between is heard of.
    let listening =
        state.pokes.listen(&tenant, device, user, Kind::Socket, std::collections::BTreeSet::new());
    let (asked, place) = (state.clone(), tenant.clone());
    let look: Look = Box::new(move || {
        let (state, tenant) = (asked.clone(), place.clone());
        async move { standing(&state, &tenant, device, user).await.ok() }.boxed()
    });
    match look().await {
        Some(Standing::Holds(held)) => _ = listening.hold(held),
        Some(Standing::Gone) | None => return,
    }
    let Ok(mut tx) = state.store.read().await else { return };
    let Ok(head) = tx.head().read(&tenant).await else { return };
    drop(tx);
    let around = Surroundings {
        listening,
        first: head.seq,
        look,
        timing: Timing::default(),
        stop: state.stop.clone(),
        restart_wait_s: state.random.below(RESTART_WAIT_S_MAX),
    };
    let (send, receive) = socket.split();
    metrics::gauge!("genba_sockets").increment(1);
    let end = serve(send, receive, around).await;
    metrics::gauge!("genba_sockets").decrement(1);
    tracing::debug!(?end, "a socket ended");
}

/// The parameters of a waiting call.
#[derive(Debug, Deserialize)]
struct Waiting {
    after: Seq,
}

async fn wait(
    State(state): State<AppState>,
    caller: TabletCaller,
    Parameters(Waiting { after }): Parameters<Waiting>,
) -> Result<Response, ApiError> {
    Ok(match poll::wait(&state, &caller, after, poll::WAIT).await? {
        Some(poke) => Json(Poke { poke }).into_response(),
        None => StatusCode::NO_CONTENT.into_response(),
    })
}
