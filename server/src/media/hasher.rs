//! The SHA-256 of an upload, whose state between two parts is kept in its row: any node can go on.

use crate::problem::ApiError;
use sha2::digest::common::hazmat::{SerializableState as _, SerializedState};
use sha2::{Digest as _, Sha256};
use storage::Hash;

/// A SHA-256 under way.
#[derive(Clone, Debug, Default)]
pub struct Hasher(Sha256);

impl Hasher {
    /// Goes on where [`save`](Self::save) stopped.
    pub fn resume(saved: &[u8]) -> Result<Self, ApiError> {
        let damaged = || ApiError::internal("the hash state of an upload is damaged");
        let state = SerializedState::<Sha256>::try_from(saved).map_err(|_| damaged())?;
        Sha256::deserialize(&state).map(Self).map_err(|_| damaged())
    }

    /// What [`resume`](Self::resume) takes.
    pub fn save(&self) -> Vec<u8> {
        self.0.serialize().to_vec()
    }

    /// Takes more bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The hash of all bytes so far.
    pub fn hash(&self) -> Hash {
        self.0.clone().finalize().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_goes_on_from_its_saved_state_at_every_place() {
        let bytes: Vec<u8> = (0..200).collect();
        let whole: Hash = Sha256::digest(&bytes).into();
        for cut in 0..=bytes.len() {
            let (head, tail) = bytes.split_at(cut);
            let mut first = Hasher::default();
            first.update(head);
            let mut second = Hasher::resume(&first.save()).expect("resumed");
            second.update(tail);
            assert_eq!(second.hash(), whole, "cut at {cut}");
        }
    }

    #[test]
    fn a_damaged_state_is_a_failure_of_ours() {
        let saved = Hasher::default().save();
        let short = saved.get(1..).expect("shorter");
        assert!(matches!(Hasher::resume(short), Err(ApiError::Internal(_))));
        assert!(matches!(Hasher::resume(&vec![0xff; saved.len()]), Err(ApiError::Internal(_))));
    }
}
