//! Photos and video: what a change says of bytes that travel beside it.
//!
//! A change names a blob in the payload of an `add`: `{"sha256", "bytes", "mime", …}`. It is accepted before the bytes
//! have arrived; a payload that names none is a plain value.

use crate::change::{Change, Op};
use crate::id::NotAnId;
use crate::value::Hash;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use std::{fmt, str::FromStr};

/// The largest photo: 50 MiB.
pub const PHOTO_BYTES_MAX: u64 = 50 * 1024 * 1024;
/// The largest video: 2 GiB.
pub const VIDEO_BYTES_MAX: u64 = 2 * 1024 * 1024 * 1024;
/// How many bytes from the beginning tell the type of a blob.
pub const SNIFF_BYTES: usize = 64;

/// The SHA-256 of a blob: 64 hexadecimal digits in lower case.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlobHash(pub Hash);

impl fmt::Display for BlobHash {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(out, "{byte:02x}"))
    }
}

impl fmt::Debug for BlobHash {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

impl FromStr for BlobHash {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        const WHAT: NotAnId =
            NotAnId("the SHA-256 of a blob (64 hexadecimal digits in lower case)");
        if text.len() != 64 || !text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(WHAT);
        }
        let mut hash = Hash::default();
        for (byte, digits) in hash.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            let digits = std::str::from_utf8(digits).map_err(|_| WHAT)?;
            *byte = u8::from_str_radix(digits, 16).map_err(|_| WHAT)?;
        }
        Ok(Self(hash))
    }
}

impl Serialize for BlobHash {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for BlobHash {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(from)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// What a blob may be. SVG, HTML and PDF are none of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum MediaType {
    /// JPEG.
    Jpeg,
    /// PNG.
    Png,
    /// WebP.
    Webp,
    /// HEIC and HEIF: stored as it came.
    Heic,
    /// MP4.
    Mp4,
    /// `QuickTime`.
    Mov,
    /// `WebM`.
    Webm,
}

impl MediaType {
    const ALL: [Self; 7] =
        [Self::Jpeg, Self::Png, Self::Webp, Self::Heic, Self::Mp4, Self::Mov, Self::Webm];

    /// Its media type.
    pub const fn mime(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::Webp => "image/webp",
            Self::Heic => "image/heic",
            Self::Mp4 => "video/mp4",
            Self::Mov => "video/quicktime",
            Self::Webm => "video/webm",
        }
    }

    /// The usual ending of a file's name.
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Jpeg => "jpg",
            Self::Png => "png",
            Self::Webp => "webp",
            Self::Heic => "heic",
            Self::Mp4 => "mp4",
            Self::Mov => "mov",
            Self::Webm => "webm",
        }
    }

    /// The type of a media type's name.
    pub fn of_mime(mime: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.mime() == mime)
    }

    /// The type of bytes that begin so; [`SNIFF_BYTES`] are enough.
    pub fn of_bytes(head: &[u8]) -> Option<Self> {
        match head {
            [0xff, 0xd8, 0xff, ..] => Some(Self::Jpeg),
            [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Some(Self::Png),
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some(Self::Webp),
            [0x1a, 0x45, 0xdf, 0xa3, rest @ ..] => {
                let doctype = rest.windows(4).any(|window| window == b"webm");
                doctype.then_some(Self::Webm)
            }
            [_, _, _, _, b'f', b't', b'y', b'p', a, b, c, d, ..] => match &[*a, *b, *c, *d] {
                b"qt  " => Some(Self::Mov),
                b"heic" | b"heix" | b"heim" | b"heis" | b"hevc" | b"mif1" | b"msf1" => {
                    Some(Self::Heic)
                }
                b"isom" | b"iso2" | b"iso4" | b"iso5" | b"iso6" | b"mp41" | b"mp42" | b"avc1"
                | b"dash" | b"M4V " | b"MSNV" => Some(Self::Mp4),
                _ => None,
            },
            _ => None,
        }
    }

    /// Whether it is a video.
    pub const fn is_video(self) -> bool {
        matches!(self, Self::Mp4 | Self::Mov | Self::Webm)
    }

    /// The most bytes that one of this type may have.
    pub const fn bytes_max(self) -> u64 {
        if self.is_video() { VIDEO_BYTES_MAX } else { PHOTO_BYTES_MAX }
    }
}

/// What a change says of a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BlobRef {
    /// Its SHA-256.
    pub sha256: BlobHash,
    /// Its length.
    pub bytes: u64,
    /// Its type.
    pub kind: MediaType,
}

impl BlobRef {
    /// The blob that a payload names, if it names one within the bounds of its type.
    pub fn read(payload: &Value) -> Option<Self> {
        let sha256 = payload.get("sha256")?.as_str()?.parse().ok()?;
        let bytes = payload.get("bytes")?.as_u64()?;
        let kind = MediaType::of_mime(payload.get("mime")?.as_str()?)?;
        (bytes > 0 && bytes <= kind.bytes_max()).then_some(Self { sha256, bytes, kind })
    }

    /// The video of which a payload says that its photo is a still: no server decodes one.
    pub fn poster_of(payload: &Value) -> Option<BlobHash> {
        let photo = Self::read(payload).filter(|photo| !photo.kind.is_video())?;
        let video = payload.get("poster_of")?.as_str()?.parse().ok()?;
        (video != photo.sha256).then_some(video)
    }

    /// The blobs that a change names.
    pub fn named(change: &Change) -> impl Iterator<Item = Self> {
        change.ops.iter().filter_map(|op| {
            if let Op::Add { value: Some(payload), .. } = op { Self::read(payload) } else { None }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_payload_names_a_blob_within_bounds() {
        let sha256 = "0a".repeat(32);
        let payload =
            |bytes: u64, mime: &str| json!({"sha256": sha256, "bytes": bytes, "mime": mime});
        let read = BlobRef::read(&payload(PHOTO_BYTES_MAX, "image/jpeg")).expect("a photo");
        assert_eq!(read.sha256.to_string(), sha256);
        assert!(BlobRef::read(&payload(PHOTO_BYTES_MAX + 1, "image/jpeg")).is_none());
        assert!(BlobRef::read(&payload(PHOTO_BYTES_MAX + 1, "video/mp4")).is_some());
        assert!(BlobRef::read(&payload(VIDEO_BYTES_MAX + 1, "video/mp4")).is_none());
        assert!(BlobRef::read(&payload(0, "image/jpeg")).is_none());
        assert!(BlobRef::read(&payload(1, "image/svg+xml")).is_none());
        assert!(
            BlobRef::read(
                &json!({"sha256": sha256.to_uppercase(), "bytes": 1, "mime": "image/png"})
            )
            .is_none()
        );
    }

    #[test]
    fn a_photo_may_be_the_still_of_a_video() {
        let (photo, video) = ("0a".repeat(32), "0b".repeat(32));
        let payload = |mime: &str, of: Value| {
            let payload = json!({"sha256": photo, "bytes": 9, "mime": mime, "poster_of": of});
            BlobRef::poster_of(&payload).map(|video| video.to_string())
        };
        assert_eq!(payload("image/jpeg", json!(video)), Some(video.clone()));
        assert_eq!(payload("video/mp4", json!(video)), None, "a video is nobody's still");
        assert_eq!(payload("image/jpeg", json!(photo)), None, "nor is a photo its own");
        for none in [json!("0b"), json!(7), json!({}), Value::Null] {
            assert_eq!(payload("image/jpeg", none), None);
        }
    }

    #[test]
    fn bytes_tell_their_type() {
        assert_eq!(MediaType::of_bytes(&[0xff, 0xd8, 0xff, 0xe1]), Some(MediaType::Jpeg));
        assert_eq!(MediaType::of_bytes(b"\0\0\0\x18ftypheic\0\0"), Some(MediaType::Heic));
        assert_eq!(MediaType::of_bytes(b"\0\0\0\x14ftypqt  \0\0"), Some(MediaType::Mov));
        assert_eq!(MediaType::of_bytes(b"\0\0\0\x18ftypisom\0\0"), Some(MediaType::Mp4));
        assert_eq!(
            MediaType::of_bytes(b"\x1a\x45\xdf\xa3\x9f\x42\x82\x84webm"),
            Some(MediaType::Webm)
        );
        for other in [&b"<svg xmlns"[..], b"<!doctype html>", b"%PDF-1.7", b"GIF89a", b""] {
            assert_eq!(MediaType::of_bytes(other), None);
        }
    }
}
