//! The assertion by which a device proves that it holds its key: a JWT over a nonce of ours.

use super::device_key::DeviceKey;
use super::jws::{self, Refused};
use serde::Deserialize;
use sync_protocol::id::DeviceId;

/// The header `typ` of an assertion.
pub const TYPE: &str = "genba-assertion+jwt";
/// The longest `jti` and nonce, in bytes.
const WORD_BYTES_MAX: usize = 128;

/// The claims of an assertion. Fresh is what carries a fresh nonce: a tablet's clock may be wrong by hours, so `iat`
/// is only required to be a number.
#[derive(Clone, Debug, Deserialize)]
pub struct Assertion {
    iss: DeviceId,
    sub: DeviceId,
    aud: String,
    /// The nonce that the server gave.
    pub nonce: String,
    jti: String,
    #[serde(rename = "iat")]
    _iat: i64,
    #[serde(rename = "exp", default)]
    _exp: Option<i64>,
    #[serde(rename = "nbf", default)]
    _nbf: Option<i64>,
}

/// Whose assertion a text says it is; nothing is proven yet.
pub fn claimed_device(token: &str) -> Result<DeviceId, Refused> {
    #[derive(Deserialize)]
    struct Issuer {
        iss: DeviceId,
    }
    jws::header(token, TYPE)?;
    jsonwebtoken::dangerous::insecure_decode_claims::<Issuer>(token)
        .map(|claims| claims.iss)
        .map_err(|_| Refused::Signature)
}

/// Verifies an assertion against the key of `device`. Taking the nonce, once, is the caller's next step.
pub fn verify(
    token: &str,
    device: DeviceId,
    key: &DeviceKey,
    audiences: &[&str],
) -> Result<Assertion, Refused> {
    const REQUIRED: &[&str] = &["iss", "sub", "aud"];
    jws::header(token, TYPE)?;
    let claims: Assertion = jws::claims(token, key.decoding(), key.algorithm(), REQUIRED)?;
    let addressed = audiences.contains(&claims.aud.as_str());
    if claims.iss != device || claims.sub != device || !addressed {
        return Err(Refused::Address);
    }
    let words = [&claims.nonce, &claims.jti];
    let plain = words.iter().all(|word| (1..=WORD_BYTES_MAX).contains(&word.len()));
    if plain { Ok(claims) } else { Err(Refused::Nonce) }
}
