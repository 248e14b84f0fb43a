//! What a blob tells of itself: the facts that stand beside it in a record.

use serde::{Deserialize, Serialize};

/// The longest text among the facts, in characters.
pub const TEXT_CHARS_MAX: usize = 64;

/// What the bytes of a photo or video say of themselves. It is what a device wrote, not what is known to be true.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Facts {
    /// Pixels across, as it is shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub width: Option<u32>,
    /// Pixels down, as it is shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub height: Option<u32>,
    /// How its pixels lie, 1 to 8 as EXIF counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub orientation: Option<u8>,
    /// When it was taken, by the clock of the camera: RFC 3339, without an offset where the camera told none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taken_at: Option<String>,
    /// Where it was taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
    /// Who made the camera.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub make: Option<String>,
    /// Which camera.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// How long it plays, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
    /// The codec of its picture, as the container names it: `avc1`, `hvc1`, `V_VP9`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub codec: Option<String>,
}

/// A place, in degrees and metres of WGS 84.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// North is positive.
    pub lat: f64,
    /// East is positive.
    pub lon: f64,
    /// Above the sea.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alt_m: Option<f64>,
}

/// Why no smaller pictures are made of a photo that the worker has looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// It has more pixels than are decoded.
    TooLarge,
    /// It is damaged, or another thing than it says.
    Damaged,
    /// It is of a kind that is not decoded.
    Unsupported,
}

impl Facts {
    /// Whether every text is as short as the worker writes it.
    pub fn is_bounded(&self) -> bool {
        [&self.taken_at, &self.make, &self.model, &self.codec]
            .into_iter()
            .flatten()
            .all(|text| text.chars().count() <= TEXT_CHARS_MAX)
    }
}

/// Text as a device wrote it, without what cannot be read; none if nothing is left.
pub(super) fn text(raw: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(raw);
    let plain: String = text.chars().filter(|c| !c.is_control() && *c != '\u{fffd}').collect();
    let short: String = plain.trim().chars().take(TEXT_CHARS_MAX).collect();
    (!short.is_empty()).then_some(short)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_short_and_readable() {
        assert_eq!(text(b" Canon\0\0"), Some("Canon".to_owned()));
        assert_eq!(text(b"\0\x1b\xff"), None);
        let long = text(&[b'x'; 1000]).unwrap();
        assert_eq!(long.len(), TEXT_CHARS_MAX);
        let bounded = Facts { make: Some(long.clone()), ..Facts::default() };
        assert!(bounded.is_bounded());
        let longer = Facts { make: Some(long + "x"), ..Facts::default() };
        assert!(!longer.is_bounded());
    }
}
