//! What every signed text must satisfy before its claims are read.

use jsonwebtoken::{Algorithm, DecodingKey, Header, Validation};
use serde::de::DeserializeOwned;

/// The longest signed text that is looked at, in bytes.
pub const TOKEN_BYTES_MAX: usize = 4 * 1024;

/// Why a signed text is refused. For the log at debug; the answer is the same 401 for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Longer than any of ours.
    #[error("longer than a token may be")]
    TooLong,
    /// No header that can be read, or an algorithm that we do not know.
    #[error("unreadable header")]
    Header,
    /// Made for another purpose.
    #[error("wrong typ")]
    Type,
    /// Brings its own key, or asks for an extension.
    #[error("a header that names a key or an extension")]
    ForeignKey,
    /// No key of ours has this id.
    #[error("unknown kid")]
    UnknownKey,
    /// Signature, algorithm or the form of a claim does not hold.
    #[error("signature or claims do not hold")]
    Signature,
    /// Another issuer, audience or subject.
    #[error("issuer, audience or subject do not fit")]
    Address,
    /// Not yet, or no longer.
    #[error("outside its time")]
    Time,
    /// The nonce is unknown, used or old.
    #[error("nonce unknown, used or old")]
    Nonce,
    /// The device, user or session is not active.
    #[error("the holder is not active")]
    Holder,
}

/// Reads the header of a token that must have been made for `typ`.
pub fn header(token: &str, typ: &str) -> Result<Header, Refused> {
    if token.len() > TOKEN_BYTES_MAX {
        return Err(Refused::TooLong);
    }
    let header = jsonwebtoken::decode_header(token).map_err(|_| Refused::Header)?;
    if header.typ.as_deref() != Some(typ) {
        return Err(Refused::Type);
    }
    let own_key = header.jku.is_some()
        || header.jwk.is_some()
        || header.x5u.is_some()
        || header.x5c.is_some()
        || header.x5t.is_some()
        || header.x5t_s256.is_some();
    let extended = header.crit.is_some() || header.enc.is_some() || header.zip.is_some();
    if own_key || extended { Err(Refused::ForeignKey) } else { Ok(header) }
}

/// Verifies the signature by exactly `algorithm` and reads the claims. Times and addresses are the caller's to check,
/// by the caller's clock.
pub fn claims<T: DeserializeOwned>(
    token: &str,
    key: &DecodingKey,
    algorithm: Algorithm,
    required: &[&str],
) -> Result<T, Refused> {
    let mut validation = Validation::new(algorithm);
    validation.set_required_spec_claims(required);
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation.validate_aud = false;
    jsonwebtoken::decode::<T>(token, key, &validation)
        .map(|data| data.claims)
        .map_err(|_| Refused::Signature)
}
