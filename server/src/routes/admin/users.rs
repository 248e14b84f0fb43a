//! `/v1/admin/users`.

use crate::admin::users::{self, NewUser};
use crate::auth::admit::Access;
use crate::extract::{AdminCaller, Json, Segment};
use crate::problem::ApiError;
use crate::routes::Route;
use crate::state::AppState;
use axum::Json as Answer;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use storage::User;
use sync_protocol::id::UserId;
use utoipa::ToSchema;

pub(super) fn routes() -> Vec<Route> {
    const ALL: &str = "/v1/admin/users";
    const ONE: &str = "/v1/admin/users/{id}";
    const PASSWORD: &str = "/v1/admin/users/{id}/password";
    const OFF: &str = "/v1/admin/users/{id}/deactivate";
    const ON: &str = "/v1/admin/users/{id}/activate";
    vec![
        Route::get(ALL, Access::Admin, "Lists the users by login.", list).answers::<UserList>(200),
        Route::post(ALL, Access::Admin, "Makes a user.", create)
            .takes::<UserRequest>()
            .answers::<UserBody>(201),
        Route::get(ONE, Access::Admin, "Shows a user.", show).answers::<UserBody>(200),
        Route::put(PASSWORD, Access::Admin, "Sets a password and ends the sessions.", password)
            .takes::<PasswordRequest>()
            .empty(204),
        Route::post(OFF, Access::Admin, "Says that a user no longer works here.", deactivate)
            .empty(204),
        Route::post(ON, Access::Admin, "Says that a user works here again.", activate).empty(204),
    ]
}

/// A user.
#[derive(Debug, Serialize, ToSchema)]
struct UserBody {
    #[schema(value_type = String)]
    id: UserId,
    login: String,
    name: String,
    admin: bool,
    active: bool,
    /// Whether the user signs in at the console.
    has_password: bool,
}

impl From<User> for UserBody {
    fn from(user: User) -> Self {
        Self {
            id: user.id,
            login: user.login,
            name: user.name,
            admin: user.admin,
            active: user.active,
            has_password: user.password_hash.is_some(),
        }
    }
}

/// Users by login.
#[derive(Debug, Serialize, ToSchema)]
struct UserList {
    users: Vec<UserBody>,
}

/// A new user.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct UserRequest {
    /// 1 to 128 bytes of letters, digits and . - _ @ +
    login: String,
    /// 1 to 80 characters.
    name: String,
    #[serde(default)]
    admin: bool,
    /// At least 12 characters; left out for those who only carry a tablet.
    password: Option<String>,
}

/// A new password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PasswordRequest {
    /// At least 12 characters.
    password: String,
}

async fn list(
    State(state): State<AppState>,
    caller: AdminCaller,
) -> Result<Answer<UserList>, ApiError> {
    let users = state.store.read().await?.users().list(&caller.tenant).await?;
    Ok(Answer(UserList { users: users.into_iter().map(UserBody::from).collect() }))
}

async fn create(
    State(state): State<AppState>,
    caller: AdminCaller,
    Json(body): Json<UserRequest>,
) -> Result<(StatusCode, Answer<UserBody>), ApiError> {
    let UserRequest { login, name, admin, password } = body;
    let new = NewUser { login, name, admin, password };
    let user = users::create(&state, &caller.into(), new).await?;
    Ok((StatusCode::CREATED, Answer(user.into())))
}

async fn show(
    State(state): State<AppState>,
    caller: AdminCaller,
    Segment(id): Segment<UserId>,
) -> Result<Answer<UserBody>, ApiError> {
    let mut tx = state.store.read().await?;
    Ok(Answer(users::found(&mut tx, &caller.tenant, id).await?.into()))
}

async fn password(
    State(state): State<AppState>,
    caller: AdminCaller,
    Segment(id): Segment<UserId>,
    Json(body): Json<PasswordRequest>,
) -> Result<StatusCode, ApiError> {
    users::set_password(&state, &caller.into(), id, body.password).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn deactivate(
    State(state): State<AppState>,
    caller: AdminCaller,
    Segment(id): Segment<UserId>,
) -> Result<StatusCode, ApiError> {
    users::set_active(&state, &caller.into(), id, false).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn activate(
    State(state): State<AppState>,
    caller: AdminCaller,
    Segment(id): Segment<UserId>,
) -> Result<StatusCode, ApiError> {
    users::set_active(&state, &caller.into(), id, true).await?;
    Ok(StatusCode::NO_CONTENT)
}
