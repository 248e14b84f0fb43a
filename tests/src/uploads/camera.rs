//! Bytes of photos that no camera has made: the right beginning, and noise that compresses no further.

use crate::crash::dice::Dice;
use sync_protocol::blob::{BlobHash, BlobRef, MediaType};
use sync_protocol::value::hash_of;

/// How files of a type begin.
const fn head(kind: MediaType) -> &'static [u8] {
    match kind {
        MediaType::Jpeg => b"\xff\xd8\xff\xe0\0\x10JFIF\0",
        MediaType::Png => b"\x89PNG\r\n\x1a\n",
        MediaType::Webp => b"RIFF\0\0\0\0WEBPVP8 ",
        MediaType::Heic => b"\0\0\0\x18ftypheic\0\0\0\0heicmif1",
        MediaType::Mp4 => b"\0\0\0\x18ftypisom\0\0\0\0isommp42",
        MediaType::Mov => b"\0\0\0\x14ftypqt  \0\0\0\0qt  ",
        MediaType::Webm => b"\x1a\x45\xdf\xa3\x9f\x42\x82\x84webm",
    }
}

/// A file and what a change says of it.
#[derive(Clone, Debug)]
pub struct Shot {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Its reference.
    pub blob: BlobRef,
}

impl Shot {
    /// A file of this type and length; one seed gives one file.
    pub fn new(kind: MediaType, bytes: usize, seed: u64) -> Self {
        let mut file = head(kind).to_vec();
        let mut dice = Dice::new(seed);
        while file.len() < bytes {
            file.extend_from_slice(&dice.draw().to_be_bytes());
        }
        file.truncate(bytes);
        Self::of(kind, file)
    }

    /// A file of these bytes.
    pub fn of(kind: MediaType, file: Vec<u8>) -> Self {
        let sha256 = BlobHash(hash_of(&file));
        let bytes = u64::try_from(file.len()).unwrap_or(u64::MAX);
        Self { bytes: file, blob: BlobRef { sha256, bytes, kind } }
    }

    /// The payload by which a change names it.
    pub fn payload(&self) -> serde_json::Value {
        let BlobRef { sha256, bytes, kind } = self.blob;
        serde_json::json!({ "sha256": sha256, "bytes": bytes, "mime": kind.mime() })
    }
}
