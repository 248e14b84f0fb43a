//! Passwords: argon2id, away from the async threads, a few at a time.

use crate::problem::ApiError;
use argon2::{Algorithm, Argon2, Params, PasswordHasher as _, PasswordVerifier as _, Version};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// Memory of one hash, in KiB: 19 MiB.
const MEMORY_KIB: u32 = 19 * 1024;
/// Passes over the memory.
const PASSES: u32 = 2;
/// Hashes at once: at most 76 MiB.
const AT_ONCE: usize = 4;
/// How long a sign-in waits for its turn.
const WAIT_MAX: Duration = Duration::from_secs(5);
/// What a sign-in that found no turn is told to wait, in milliseconds.
const RETRY_MS: u64 = 3_000;
/// Characters that a password has at least.
pub const CHARS_MIN: usize = 12;
/// Bytes that a password has at most.
pub const BYTES_MAX: usize = 512;

/// Why a password is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPassword {
    /// Fewer than [`CHARS_MIN`] characters.
    #[error("a password has at least 12 characters")]
    Short,
    /// More than [`BYTES_MAX`] bytes.
    #[error("a password has at most 512 bytes")]
    Long,
    /// Everybody tries it first.
    #[error("this password is among the first that are tried")]
    Common,
}

/// The commonest passwords of twelve characters and more, in lower case.
const COMMON: &[&str] = &[
    "123456789012",
    "1234567890123",
    "12345678901234",
    "1234567890ab",
    "password1234",
    "passwordpassword",
    "password12345",
    "password123456",
    "qwertyuiop12",
    "qwertyuiop123",
    "qwertyuiopasdf",
    "1q2w3e4r5t6y",
    "1qaz2wsx3edc",
    "111111111111",
    "000000000000",
    "administrator",
    "administrator1",
    "letmeinletmein",
    "changemechangeme",
    "iloveyou1234",
];

/// Checks a new password: length and common ones; no rules of composition.
pub fn acceptable(password: &str) -> Result<(), BadPassword> {
    if password.len() > BYTES_MAX {
        return Err(BadPassword::Long);
    }
    if password.chars().count() < CHARS_MIN {
        return Err(BadPassword::Short);
    }
    let lower = password.to_lowercase();
    let one_character = lower.chars().all(|c| lower.starts_with(c));
    if one_character || COMMON.contains(&lower.as_str()) {
        return Err(BadPassword::Common);
    }
    Ok(())
}

/// Hashes a password. Takes tens of milliseconds.
pub fn hash(password: &str, salt: [u8; 16]) -> Result<String, ApiError> {
    let hash = argon2().hash_password_with_salt(password.as_bytes(), &salt);
    hash.map(|hash| hash.to_string())
        .map_err(|_| ApiError::internal("a password could not be hashed"))
}

fn argon2() -> Argon2<'static> {
    let params =
        Params::new(MEMORY_KIB, PASSES, 1, None).expect("constants within argon2's bounds");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

/// Stands in for users who do not exist or have no password: the same work, and no password fits.
const DECOY: &str = "$argon2id$v=19$m=19456,t=2,p=1$\
    Z2VuYmEtZGVjb3ktc2FsdA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// The work of hashing, bounded.
#[derive(Debug)]
pub struct Passwords(Arc<Semaphore>);

impl Default for Passwords {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(AT_ONCE)))
    }
}

impl Passwords {
    /// Verifies a password against a stored hash, with the same work when there is none.
    pub async fn verify(&self, password: String, stored: Option<String>) -> Result<bool, ApiError> {
        let known = stored.is_some();
        let stored = stored.unwrap_or_else(|| DECOY.to_owned());
        let verified = self
            .work(move || argon2().verify_password(password.as_bytes(), stored.as_str()).is_ok())
            .await?;
        Ok(known && verified)
    }

    /// Hashes a new password.
    pub async fn hash(&self, password: String, salt: [u8; 16]) -> Result<String, ApiError> {
        self.work(move || hash(&password, salt)).await?
    }

    async fn work<T: Send + 'static>(
        &self,
        task: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ApiError> {
        let turn = tokio::time::timeout(WAIT_MAX, Arc::clone(&self.0).acquire_owned()).await;
        let Ok(Ok(turn)) = turn else {
            return Err(ApiError::Overloaded { retry_after_ms: RETRY_MS });
        };
        let done = tokio::task::spawn_blocking(move || {
            let done = task();
            drop(turn);
            done
        });
        done.await.map_err(ApiError::caused)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use argon2::PasswordHash;

    #[test]
    fn short_long_and_common_passwords_are_named() {
        let cases = [
            ("short", Err(BadPassword::Short)),
            ("elevenchars", Err(BadPassword::Short)),
            ("twelve chars", Ok(())),
            ("火災予防条例の解説第一版", Ok(())),
            ("Password1234", Err(BadPassword::Common)),
            ("zzzzzzzzzzzzzzzz", Err(BadPassword::Common)),
        ];
        for (password, expected) in cases {
            assert_eq!(acceptable(password), expected, "{password}");
        }
        assert_eq!(acceptable(&"ab".repeat(256)), Ok(()));
        assert_eq!(acceptable(&"ab".repeat(257)), Err(BadPassword::Long));
    }

    #[tokio::test]
    async fn only_the_right_password_verifies_and_nobody_has_the_decoy() {
        let passwords = Passwords::default();
        let stored = passwords.hash("correct horse".into(), [7; 16]).await.expect("hashed");
        assert!(stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{stored}");
        assert!(
            passwords.verify("correct horse".into(), Some(stored.clone())).await.expect("work")
        );
        assert!(!passwords.verify("wrong horse".into(), Some(stored)).await.expect("work"));
        assert!(!passwords.verify("correct horse".into(), None).await.expect("work"));
        PasswordHash::new(DECOY).expect("the decoy is worked on like any other");
    }
}
