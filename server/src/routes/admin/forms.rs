//! `/v1/admin/forms`.

use crate::admin::forms;
use crate::auth::admit::Access;
use crate::extract::{AdminCaller, Text, check};
use crate::problem::ApiError;
use crate::routes::Route;
use crate::state::AppState;
use axum::Json as Answer;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use storage::FormRow;
use sync_protocol::clock::Instant;
use sync_protocol::id::RecordType;
use utoipa::ToSchema;

pub(super) fn routes() -> Vec<Route> {
    const ALL: &str = "/v1/admin/forms";
    vec![
        Route::get(ALL, Access::Admin, "Lists all versions of all forms.", list)
            .answers::<FormList>(200),
        Route::post(ALL, Access::Admin, "Publishes a form; the body is the form.", publish)
            .sync_body()
            .takes::<FormJson>()
            .answers::<FormBody>(201),
    ]
}

/// The JSON of a form, as the crate `sync-protocol` describes it.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes a body that is stored as it came")]
struct FormJson {
    /// The kind of record.
    r#type: String,
    /// 1, 2, 3 …
    version: u32,
}

/// One version of a form.
#[derive(Debug, Serialize, ToSchema)]
struct FormBody {
    #[serde(rename = "type")]
    #[schema(value_type = String)]
    type_: RecordType,
    version: i64,
    #[schema(value_type = String)]
    published_at: Instant,
}

impl From<FormRow> for FormBody {
    fn from(form: FormRow) -> Self {
        let published_at = Instant(form.published_at);
        Self { type_: form.type_, version: form.version, published_at }
    }
}

/// Forms.
#[derive(Debug, Serialize, ToSchema)]
struct FormList {
    forms: Vec<FormBody>,
}

async fn list(
    State(state): State<AppState>,
    caller: AdminCaller,
) -> Result<Answer<FormList>, ApiError> {
    let forms = state.store.read().await?.forms().list(&caller.tenant).await?;
    Ok(Answer(FormList { forms: forms.into_iter().map(FormBody::from).collect() }))
}

async fn publish(
    State(state): State<AppState>,
    caller: AdminCaller,
    Text(json): Text,
) -> Result<(StatusCode, Answer<FormBody>), ApiError> {
    check(&json).map_err(|_| ApiError::bad_body("not JSON with unique members"))?;
    let form = forms::publish(&state, &caller.into(), &json).await?;
    Ok((StatusCode::CREATED, Answer(form.into())))
}
