//! Access tokens: five minutes for one device, in a scope.

use super::jws::{self, Refused};
use super::keyring::KeySet;
use jsonwebtoken::{Algorithm, Header};
use serde::{Deserialize, Serialize};
use sync_protocol::clock::UnixMillis;
use sync_protocol::id::{DeviceId, Tenant, UserId};
use uuid::Uuid;

/// The header `typ` of an access token.
pub const TYPE: &str = "at+jwt";
/// How long an access token lives, in seconds.
pub const LIFETIME_S: i64 = 300;
/// How far two clocks of ours may differ, in seconds.
const LEEWAY_S: i64 = 30;

/// What a token is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Everything that the user's grants allow.
    Full,
    /// Handing in work: pushes go to quarantine and nothing is shown.
    Deposit,
}

/// The claims of an access token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Access {
    /// Who made it.
    pub iss: String,
    /// For whom it is.
    pub aud: String,
    /// The user.
    pub sub: UserId,
    /// The tenant.
    pub tenant: Tenant,
    /// The device.
    pub device: DeviceId,
    /// What it is good for.
    pub scope: Scope,
    /// Names this token.
    pub jti: Uuid,
    /// When it was made, in seconds.
    pub iat: i64,
    /// From when it holds, in seconds.
    pub nbf: i64,
    /// Until when it holds, in seconds.
    pub exp: i64,
}

/// For whom a token is made.
#[derive(Clone, Debug)]
pub struct Bearer {
    /// The tenant.
    pub tenant: Tenant,
    /// The user.
    pub user: UserId,
    /// The device.
    pub device: DeviceId,
    /// What for.
    pub scope: Scope,
}

/// The names under which tokens are made and accepted.
#[derive(Clone, Debug)]
pub struct Names {
    /// The issuer.
    pub issuer: String,
    /// The audience.
    pub audience: String,
}

/// Signs a token for `bearer` that begins `now`.
pub fn sign(
    keys: &KeySet,
    names: &Names,
    bearer: Bearer,
    jti: Uuid,
    now: UnixMillis,
) -> Result<String, jsonwebtoken::errors::Error> {
    let iat = now.0.div_euclid(1_000);
    let claims = Access {
        iss: names.issuer.clone(),
        aud: names.audience.clone(),
        sub: bearer.user,
        tenant: bearer.tenant,
        device: bearer.device,
        scope: bearer.scope,
        jti,
        iat,
        nbf: iat,
        exp: iat + LIFETIME_S,
    };
    let mut header = Header::new(Algorithm::EdDSA);
    header.typ = Some(TYPE.to_owned());
    header.kid = Some(keys.signer_id().to_owned());
    jsonwebtoken::encode(&header, &claims, keys.signer())
}

/// Verifies a token as it stands at `now`; whether its holder still may is the caller's next question.
pub fn verify(
    keys: &KeySet,
    names: &Names,
    token: &str,
    now: UnixMillis,
) -> Result<Access, Refused> {
    const REQUIRED: &[&str] = &["exp", "nbf", "iss", "aud", "sub"];
    let header = jws::header(token, TYPE)?;
    let key =
        header.kid.as_deref().and_then(|kid| keys.verifier(kid)).ok_or(Refused::UnknownKey)?;
    let claims: Access = jws::claims(token, key, Algorithm::EdDSA, REQUIRED)?;
    if claims.iss != names.issuer || claims.aud != names.audience {
        return Err(Refused::Address);
    }
    let now = now.0.div_euclid(1_000);
    let begun = claims.nbf.max(claims.iat) <= now.saturating_add(LEEWAY_S);
    let lasts = claims.exp.saturating_add(LEEWAY_S) > now;
    let short = claims.exp.saturating_sub(claims.iat) <= LIFETIME_S;
    if begun && lasts && short { Ok(claims) } else { Err(Refused::Time) }
}
