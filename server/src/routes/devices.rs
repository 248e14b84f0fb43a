//! How a tablet comes in: enrolment, nonce, token, and the keys that tokens are signed with.

use super::Route;
use crate::auth::access::{LIFETIME_S, Scope};
use crate::auth::admit::Access;
use crate::auth::device_key::DeviceKey;
use crate::auth::{enrol, token};
use crate::bulkhead::Gate;
use crate::extract::{Json, Peer};
use crate::problem::ApiError;
use crate::state::AppState;
use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json as Answer};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sync_protocol::clock::Instant;
use sync_protocol::id::{DeviceId, Tenant, UserId};
use utoipa::ToSchema;

pub(super) fn routes() -> Vec<Route> {
    const CODE: Access = Access::Open("the code in the body is the credential");
    const NONCE: Access = Access::Open("a nonce is worth nothing without a device key");
    const PROOF: Access = Access::Open("the assertion in the body is the credential");
    const PUBLIC: Access = Access::Open("public keys");
    vec![
        Route::post(
            "/v1/enrol",
            CODE,
            "Binds a device key to the user of a one-time code.",
            create,
        )
        .gate(Gate::Auth)
        .takes::<EnrolRequest>()
        .answers::<EnrolAnswer>(201),
        Route::post("/v1/nonce", NONCE, "Gives a nonce for one assertion.", nonce)
            .gate(Gate::Auth)
            .answers::<NonceAnswer>(201),
        Route::post("/v1/token", PROOF, "Gives a five-minute token for an assertion.", exchange)
            .gate(Gate::Auth)
            .takes::<TokenRequest>()
            .answers::<TokenAnswer>(200),
        Route::get("/.well-known/jwks.json", PUBLIC, "Shows the keys of access tokens.", jwks)
            .answers::<Jwks>(200),
    ]
}

/// What a tablet enrols with.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct EnrolRequest {
    /// The tenant that the code is for.
    #[schema(value_type = String)]
    tenant: Tenant,
    /// The code, as shown; hyphens, blanks and case do not matter.
    code: String,
    /// The public key as a JWK: OKP with Ed25519, or EC with P-256.
    public_key: Value,
    /// What its user calls the device, 1 to 80 characters.
    name: String,
}

/// What was enrolled.
#[derive(Debug, Serialize, ToSchema)]
struct EnrolAnswer {
    /// The id of the device: `iss` and `sub` of its assertions.
    #[schema(value_type = String)]
    device: DeviceId,
    /// The user.
    #[schema(value_type = String)]
    user: UserId,
    /// The name of the user.
    user_name: String,
    /// The tenant.
    #[schema(value_type = String)]
    tenant: Tenant,
    /// The name of the tenant in Japanese.
    tenant_name_ja: String,
    /// The name of the tenant in English.
    tenant_name_en: String,
    /// The zone in which the tenant's days begin.
    time_zone: String,
    /// The thumbprint of the key, to compare on both screens.
    thumbprint: String,
    /// When it was enrolled.
    #[schema(value_type = String)]
    enrolled_at: Instant,
    /// What assertions name as `aud`.
    audience: String,
    /// Who signs access tokens.
    issuer: String,
}

async fn create(
    State(state): State<AppState>,
    peer: Option<Extension<Peer>>,
    Json(body): Json<EnrolRequest>,
) -> Result<(StatusCode, Answer<EnrolAnswer>), ApiError> {
    let peer = peer.map(|Extension(Peer(address))| address);
    let now = state.clock.now();
    if let Some(retry_after_ms) = state.failures.address_wait(peer, now) {
        return Err(ApiError::RateLimited { retry_after_ms });
    }
    let name = body.name.trim();
    if name.is_empty() || name.chars().count() > enrol::NAME_CHARS_MAX {
        return Err(ApiError::unprocessable("bad_name", "a device's name has 1 to 80 characters"));
    }
    let key = DeviceKey::read(&body.public_key)
        .map_err(|bad| ApiError::unprocessable("bad_key", bad.to_string()));
    let enrolled = enrol::enrol(&state, &body.tenant, &body.code, key, name).await;
    if matches!(enrolled, Err(ApiError::Unauthorised)) {
        state.failures.address_failed(peer, now);
    }
    let enrol::Enrolled { device, user, tenant } = enrolled?;
    let answer = EnrolAnswer {
        device: device.id,
        user: user.id,
        user_name: user.name,
        tenant: tenant.id,
        tenant_name_ja: tenant.name_ja,
        tenant_name_en: tenant.name_en,
        time_zone: tenant.time_zone,
        thumbprint: device.thumbprint,
        enrolled_at: Instant(device.enrolled_at),
        audience: state.names.audience.clone(),
        issuer: state.names.issuer.clone(),
    };
    Ok((StatusCode::CREATED, Answer(answer)))
}

/// A nonce.
#[derive(Debug, Serialize, ToSchema)]
struct NonceAnswer {
    /// What the assertion carries.
    nonce: String,
    /// Until when it is good.
    #[schema(value_type = String)]
    expires_at: Instant,
}

async fn nonce(State(state): State<AppState>) -> (StatusCode, Answer<NonceAnswer>) {
    let (nonce, expires_at) = state.nonces.give(&*state.random, state.clock.now());
    let expires_at = Instant(expires_at);
    (StatusCode::CREATED, Answer(NonceAnswer { nonce, expires_at }))
}

/// The proof of a device.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct TokenRequest {
    /// A JWT by the device's key; `typ` is `genba-assertion+jwt`, claims `iss sub aud nonce jti iat`.
    assertion: String,
}

/// An access token.
#[derive(Debug, Serialize, ToSchema)]
struct TokenAnswer {
    /// The token.
    access_token: String,
    /// `Bearer`
    token_type: &'static str,
    /// Seconds until it expires.
    expires_in: i64,
    /// `full`, or `deposit` for a device that may only hand in its work.
    #[schema(value_type = String)]
    scope: Scope,
}

async fn exchange(
    State(state): State<AppState>,
    peer: Option<Extension<Peer>>,
    Json(body): Json<TokenRequest>,
) -> Result<Answer<TokenAnswer>, ApiError> {
    let peer = peer.map(|Extension(Peer(address))| address);
    let now = state.clock.now();
    if let Some(retry_after_ms) = state.failures.address_wait(peer, now) {
        return Err(ApiError::RateLimited { retry_after_ms });
    }
    let exchanged = token::exchange(&state, &body.assertion).await;
    if matches!(exchanged, Err(ApiError::Unauthorised)) {
        state.failures.address_failed(peer, now);
    }
    let (access_token, scope) = exchanged?;
    let expires_in = LIFETIME_S;
    Ok(Answer(TokenAnswer { access_token, token_type: "Bearer", expires_in, scope }))
}

/// Public keys.
#[derive(Debug, Serialize, ToSchema)]
struct Jwks {
    /// JWKs with `kid`.
    keys: Vec<Value>,
}

async fn jwks(State(state): State<AppState>) -> Answer<Value> {
    Answer(state.keys.now().jwks())
}
