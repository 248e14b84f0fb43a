//! Secrets that the server makes for itself.

use crate::{StorageError, Tx};

impl Tx {
    /// Secrets that the server makes for itself.
    pub fn secrets(&mut self) -> Secrets<'_> {
        Secrets(self)
    }
}

/// Secrets that the server makes for itself.
#[derive(Debug)]
pub struct Secrets<'tx>(&'tx mut Tx);

impl Secrets<'_> {
    /// Gives the secret of this name, and stores `value` as it if there is none.
    pub async fn get_or_insert(
        &mut self,
        name: &str,
        value: &[u8],
    ) -> Result<Vec<u8>, StorageError> {
        _ = (name, value);
        todo!()
    }
}
