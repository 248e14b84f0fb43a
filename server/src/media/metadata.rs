//! `Upload-Metadata`: what a client declares of the bytes that it is going to send.

use crate::problem::ApiError;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::collections::BTreeMap;
use storage::Hash;
use sync_protocol::blob::{BlobHash, MediaType};

/// The longest `Upload-Metadata`, in bytes.
pub(super) const METADATA_BYTES_MAX: usize = 4 * 1024;

/// What a client declares of the bytes that it is going to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declared {
    /// The SHA-256 of all bytes.
    pub sha256: Hash,
    /// Their type.
    pub kind: MediaType,
    /// All that was said, as it was sent.
    pub text: String,
}

impl Declared {
    /// Reads the header: pairs of a key and a value in base64, each key once.
    pub fn read(header: Option<&[u8]>) -> Result<Self, ApiError> {
        let text = header.ok_or_else(|| bad("`sha256` and `mime` are needed"))?;
        if text.len() > METADATA_BYTES_MAX {
            return Err(bad(format!("at most {METADATA_BYTES_MAX} bytes")));
        }
        let text = std::str::from_utf8(text).ok().filter(|text| text.is_ascii());
        let text = text.ok_or_else(|| bad("only ASCII"))?;
        let pairs = pairs(text)?;
        let word = |key: &str| pairs.get(key).and_then(|value| std::str::from_utf8(value).ok());
        let sha256: BlobHash = word("sha256")
            .and_then(|hex| hex.parse().ok())
            .ok_or_else(|| bad("`sha256` is 64 hexadecimal digits in lower case"))?;
        let mime = match (word("mime"), word("filetype")) {
            (Some(mime), Some(filetype)) if mime != filetype => {
                return Err(bad("`mime` and `filetype` contradict each other"));
            }
            (mime, filetype) => mime.or(filetype),
        };
        let mime = mime.ok_or_else(|| bad("`mime` is needed"))?;
        let kind = MediaType::of_mime(mime).ok_or(ApiError::UnsupportedMediaType)?;
        Ok(Self { sha256: sha256.0, kind, text: text.to_owned() })
    }
}

fn bad(reason: impl Into<String>) -> ApiError {
    ApiError::bad_parameter("Upload-Metadata", reason)
}

fn pairs(text: &str) -> Result<BTreeMap<&str, Vec<u8>>, ApiError> {
    const FORM: &str = "pairs `key base64`, with a comma between, each key once";
    let mut pairs = BTreeMap::new();
    for pair in text.split(',') {
        let pair = pair.trim_matches(' ');
        let (key, value) = pair.split_once(' ').unwrap_or((pair, ""));
        let plain = !key.is_empty() && key.bytes().all(|b| b.is_ascii_graphic());
        let value = STANDARD.decode(value).ok().filter(|_| plain).ok_or_else(|| bad(FORM))?;
        if pairs.insert(key, value).is_some() {
            return Err(bad(FORM));
        }
    }
    Ok(pairs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(key: &str, value: &str) -> String {
        format!("{key} {}", STANDARD.encode(value))
    }

    fn refusal(text: &str) -> String {
        Declared::read(Some(text.as_bytes())).expect_err(text).to_string()
    }

    #[test]
    fn hash_and_type_are_read_and_the_rest_is_kept() {
        let hex = "0a".repeat(32);
        for key in ["mime", "filetype"] {
            let text =
                [pair("sha256", &hex), pair(key, "image/jpeg"), "flag".to_owned()].join(", ");
            let read = Declared::read(Some(text.as_bytes())).expect("read");
            let sha256 = [0x0a; 32];
            assert_eq!(read, Declared { sha256, kind: MediaType::Jpeg, text });
        }
    }

    #[test]
    fn what_is_not_of_the_form_is_named() {
        let (hash, mime) = (pair("sha256", &"0a".repeat(32)), pair("mime", "image/png"));
        assert!(Declared::read(None).is_err());
        for (text, told) in [
            (String::new(), "each key once"),
            (format!("{hash},{hash},{mime}"), "each key once"),
            (format!("{hash},,{mime}"), "each key once"),
            (format!("{hash},a b c,{mime}"), "each key once"),
            (format!("{hash},mime !!!!"), "each key once"),
            (format!("{hash},mime aW1hZ2UvcG5n="), "each key once"),
            (format!("{hash},{mime},ключ"), "only ASCII"),
            (mime.clone(), "`sha256`"),
            (format!("{},{mime}", pair("sha256", &"0A".repeat(32))), "`sha256`"),
            (hash.clone(), "`mime` is needed"),
            (format!("{hash},{mime},{}", pair("filetype", "image/jpeg")), "contradict"),
            (format!("{hash},{}", pair("mime", "image/svg+xml")), "media type"),
        ] {
            assert!(refusal(&text).contains(told), "{text}: {}", refusal(&text));
        }
    }

    #[test]
    fn the_length_has_two_sides() {
        let needed = [pair("sha256", &"0a".repeat(32)), pair("mime", "image/png")].join(",");
        let filled = |bytes: usize| format!("{needed},{}", "k".repeat(bytes - needed.len() - 1));
        assert!(Declared::read(Some(filled(METADATA_BYTES_MAX).as_bytes())).is_ok());
        assert!(refusal(&filled(METADATA_BYTES_MAX + 1)).contains("at most 4096 bytes"));
    }
}
