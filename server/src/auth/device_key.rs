//! The public key of a device, as it enrols with it: a JWK on Ed25519 or P-256.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// Bytes of a coordinate on either curve.
const COORDINATE_BYTES: usize = 32;

/// A checked public key.
#[derive(Clone, Debug)]
pub struct DeviceKey {
    canonical: String,
    algorithm: Algorithm,
    decoding: DecodingKey,
}

/// Why a key is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadKey {
    /// Not a JWK of a kind that we take.
    #[error("the key is not a JWK on Ed25519 (OKP) or P-256 (EC)")]
    Kind,
    /// A private key came along.
    #[error("the key holds a private part: send the public key only")]
    Private,
    /// The coordinates are no point.
    #[error("the key's coordinates are not a point of its curve")]
    Point,
}

#[derive(Deserialize)]
struct Jwk {
    kty: String,
    crv: String,
    x: String,
    y: Option<String>,
    d: Option<Value>,
}

impl DeviceKey {
    /// Reads and checks a JWK. Members that do not belong to the key are left out.
    pub fn read(jwk: &Value) -> Result<Self, BadKey> {
        let jwk: Jwk = Jwk::deserialize(jwk).map_err(|_| BadKey::Kind)?;
        if jwk.d.is_some() {
            return Err(BadKey::Private);
        }
        match (jwk.kty.as_str(), jwk.crv.as_str(), jwk.y) {
            ("OKP", "Ed25519", None) => Self::ed25519(&jwk.x),
            ("EC", "P-256", Some(y)) => Self::p256(&jwk.x, &y),
            _ => Err(BadKey::Kind),
        }
    }

    /// Reads a key from the text that [`Self::canonical`] gave.
    pub fn stored(text: &str) -> Result<Self, BadKey> {
        Self::read(&serde_json::from_str(text).map_err(|_| BadKey::Kind)?)
    }

    fn ed25519(x: &str) -> Result<Self, BadKey> {
        let point = coordinate(x)?;
        ParsedPublicKey::new(&ED25519, &point).map_err(|_| BadKey::Point)?;
        Ok(Self {
            canonical: format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#),
            algorithm: Algorithm::EdDSA,
            decoding: DecodingKey::from_ed_der(&point),
        })
    }

    fn p256(x: &str, y: &str) -> Result<Self, BadKey> {
        let point = [&[4], coordinate(x)?.as_slice(), coordinate(y)?.as_slice()].concat();
        ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &point).map_err(|_| BadKey::Point)?;
        Ok(Self {
            canonical: format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#),
            algorithm: Algorithm::ES256,
            decoding: DecodingKey::from_ec_der(&point),
        })
    }

    /// The key as RFC 7638 writes it: only its own members, sorted.
    pub fn canonical(&self) -> &str {
        &self.canonical
    }

    /// The SHA-256 thumbprint of RFC 7638 in base64url.
    pub fn thumbprint(&self) -> String {
        URL_SAFE_NO_PAD.encode(Sha256::digest(&self.canonical))
    }

    /// The one algorithm that this key signs with.
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The key for the verifier.
    pub const fn decoding(&self) -> &DecodingKey {
        &self.decoding
    }
}

fn coordinate(text: &str) -> Result<Vec<u8>, BadKey> {
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| BadKey::Point)?;
    if bytes.len() == COORDINATE_BYTES { Ok(bytes) } else { Err(BadKey::Point) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// The key and thumbprint of RFC 8037, appendix A.
    #[test]
    fn the_thumbprint_is_the_one_of_the_rfc() {
        let jwk = json!({"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
            "use":"sig"});
        let key = DeviceKey::read(&jwk).expect("a key");
        assert_eq!(key.thumbprint(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
        assert_eq!(DeviceKey::stored(key.canonical()).expect("again").canonical(), key.canonical());
    }

    #[test]
    fn each_bad_key_is_named() {
        let x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
        let cases = [
            (json!({}), BadKey::Kind),
            (json!("x"), BadKey::Kind),
            (json!({"kty":"RSA","n":"AQAB","e":"AQAB"}), BadKey::Kind),
            (json!({"kty":"oct","k":"AAAA"}), BadKey::Kind),
            (json!({"kty":"OKP","crv":"X25519","x":x}), BadKey::Kind),
            (json!({"kty":"OKP","crv":"Ed25519","x":x,"d":x}), BadKey::Private),
            (json!({"kty":"OKP","crv":"Ed25519","x":"AAAA"}), BadKey::Point),
            (json!({"kty":"OKP","crv":"Ed25519","x":"!!"}), BadKey::Point),
            (json!({"kty":"EC","crv":"P-256","x":x,"y":x}), BadKey::Point),
            (json!({"kty":"EC","crv":"P-256","x":x}), BadKey::Kind),
            (json!({"kty":"EC","crv":"P-384","x":x,"y":x}), BadKey::Kind),
        ];
        for (jwk, expected) in cases {
            assert_eq!(DeviceKey::read(&jwk).expect_err("refused"), expected, "{jwk}");
        }
    }
}
