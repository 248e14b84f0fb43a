//! Signing in at the console, and out again.

use super::Route;
use crate::auth::admit::Access;
use crate::auth::password;
use crate::auth::session::{self, COOKIE, LOGIN_BYTES_MAX};
use crate::bulkhead::Gate;
use crate::extract::{ConsoleCaller, Json, Peer};
use crate::problem::ApiError;
use crate::state::AppState;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json as Answer};
use serde::{Deserialize, Serialize};
use sync_protocol::clock::Instant;
use sync_protocol::id::{Tenant, UserId};
use utoipa::ToSchema;

pub(super) fn routes() -> Vec<Route> {
    const WHY: Access = Access::Open("the password in the body is the credential");
    vec![
        Route::post("/v1/sessions", WHY, "Signs a person in.", create)
            .gate(Gate::Auth)
            .takes::<SignIn>()
            .answers::<SignedIn>(201),
        Route::get("/v1/sessions/current", Access::Console, "Shows who is signed in.", show)
            .answers::<Who>(200),
        Route::delete("/v1/sessions/current", Access::Console, "Signs the person out.", remove)
            .empty(204),
    ]
}

/// Who signs in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SignIn {
    /// The tenant.
    #[schema(value_type = String)]
    tenant: Tenant,
    /// The login.
    user: String,
    /// The password.
    password: String,
}

/// A session.
#[derive(Serialize, ToSchema)]
struct SignedIn {
    /// The token, as a bearer for programs; browsers use the cookie.
    token: String,
    /// Until when at most; 15 minutes without use end it too.
    #[schema(value_type = String)]
    expires_at: Instant,
    /// Who signed in.
    who: Who,
}

/// Who is signed in.
#[derive(Debug, Serialize, ToSchema)]
struct Who {
    /// The tenant.
    #[schema(value_type = String)]
    tenant: Tenant,
    /// The user.
    #[schema(value_type = String)]
    user: UserId,
    /// The user's name.
    name: String,
    /// Whether the user administers the tenant.
    admin: bool,
}

async fn create(
    State(state): State<AppState>,
    peer: Option<Extension<Peer>>,
    Json(body): Json<SignIn>,
) -> Result<Response, ApiError> {
    if body.user.len() > LOGIN_BYTES_MAX || body.password.len() > password::BYTES_MAX {
        return Err(ApiError::Unauthorised);
    }
    let peer = peer.map(|Extension(Peer(address))| address);
    let begun = session::begin(&state, &body.tenant, &body.user, body.password, peer).await?;
    let cookie = format!("{COOKIE}={}; Path=/; Secure; HttpOnly; SameSite=Strict", begun.token);
    let who = Who {
        tenant: body.tenant,
        user: begun.user.id,
        name: begun.user.name,
        admin: begun.user.admin,
    };
    let answer = SignedIn { token: begun.token, expires_at: Instant(begun.expires_at), who };
    Ok((StatusCode::CREATED, [(header::SET_COOKIE, cookie)], Answer(answer)).into_response())
}

async fn show(
    State(state): State<AppState>,
    caller: ConsoleCaller,
) -> Result<Answer<Who>, ApiError> {
    let mut tx = state.store.read().await?;
    let user = tx.users().find(&caller.tenant, caller.user).await?;
    let user = user.ok_or(ApiError::Unauthorised)?;
    Ok(Answer(Who { tenant: caller.tenant, user: user.id, name: user.name, admin: user.admin }))
}

async fn remove(
    State(state): State<AppState>,
    caller: ConsoleCaller,
) -> Result<Response, ApiError> {
    session::end(&state, &caller.session).await?;
    let gone = format!("{COOKIE}=; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=0");
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, gone)]).into_response())
}
