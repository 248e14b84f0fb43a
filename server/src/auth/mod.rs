//! Who is who: keys, enrolment, tokens, sessions.

pub mod access;
pub mod admit;
pub mod assertion;
pub mod device_key;
pub mod enrol;
pub mod failures;
pub mod jws;
pub mod keyring;
pub mod nonce;
pub mod password;
pub mod session;
pub mod token;

use sha2::{Digest as _, Sha256};
use storage::Hash;

/// The hash by which a secret is stored; `purpose` keeps secrets of different kinds apart.
pub fn secret_hash(purpose: &str, secret: &str) -> Hash {
    Sha256::new().chain_update(purpose).chain_update([0]).chain_update(secret).finalize().into()
}
