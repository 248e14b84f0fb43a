//! The device key: Ed25519, in a file of its own that only its user reads. It never leaves the tablet.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use sync_protocol::clock::UnixMillis;
use sync_protocol::id::DeviceId;
use sync_protocol::value::{Hash, hash_of};
use uuid::Uuid;

/// The rights of the key file: its user reads and writes it.
const MODE: u32 = 0o600;
/// The `typ` of an assertion.
const ASSERTION_TYPE: &str = "genba-assertion+jwt";

/// Why a key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BadKey {
    /// The file cannot be read or written.
    #[error("{path} cannot be used")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Others may read the file.
    #[error(
        "{0} can be read by others: chmod 600 it, and report the tablet if it may have been copied"
    )]
    Open(PathBuf),
    /// The file holds no key.
    #[error("{0} holds no Ed25519 key")]
    Content(PathBuf),
    /// No key could be made.
    #[error("no key could be made")]
    Generate,
}

/// The private key of an enrolment.
#[derive(Debug)]
pub struct DeviceKey {
    pair: Ed25519KeyPair,
    secret: Hash,
}

impl DeviceKey {
    /// Makes a key and writes it to a new file.
    pub fn create(path: &Path) -> Result<Self, BadKey> {
        let failed = |source| BadKey::File { path: path.to_owned(), source };
        let pair = Ed25519KeyPair::generate().map_err(|_| BadKey::Generate)?;
        let pkcs8 = pair.to_pkcs8().map_err(|_| BadKey::Generate)?;
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(MODE)
            .open(path)
            .map_err(failed)?;
        file.write_all(pkcs8.as_ref()).map_err(failed)?;
        file.sync_all().map_err(failed)?;
        Ok(Self { secret: hash_of(pkcs8.as_ref()), pair })
    }

    /// Reads the key that [`Self::create`] wrote.
    pub fn open(path: &Path) -> Result<Self, BadKey> {
        let failed = |source| BadKey::File { path: path.to_owned(), source };
        let mode = std::fs::metadata(path).map_err(failed)?.permissions().mode();
        if mode & 0o077 != 0 {
            return Err(BadKey::Open(path.to_owned()));
        }
        let pkcs8 = std::fs::read(path).map_err(failed)?;
        let pair =
            Ed25519KeyPair::from_pkcs8(&pkcs8).map_err(|_| BadKey::Content(path.to_owned()))?;
        Ok(Self { secret: hash_of(&pkcs8), pair })
    }

    /// What tells this tablet from a copy of its database.
    pub const fn secret(&self) -> &[u8] {
        &self.secret
    }

    /// The public key as a JWK.
    pub fn jwk(&self) -> Value {
        let x = URL_SAFE_NO_PAD.encode(self.pair.public_key().as_ref());
        json!({ "kty": "OKP", "crv": "Ed25519", "x": x })
    }

    /// Proves possession of the key over a nonce of the server.
    pub fn assertion(
        &self,
        device: DeviceId,
        audience: &str,
        nonce: &str,
        jti: Uuid,
        now: UnixMillis,
    ) -> String {
        let header = json!({ "typ": ASSERTION_TYPE, "alg": "EdDSA" });
        let claims = json!({
            "iss": device, "sub": device, "aud": audience, "nonce": nonce, "jti": jti,
            "iat": now.0.div_euclid(1_000),
        });
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&header), part(&claims));
        let signature = URL_SAFE_NO_PAD.encode(self.pair.sign(signed.as_bytes()).as_ref());
        format!("{signed}.{signature}")
    }
}
