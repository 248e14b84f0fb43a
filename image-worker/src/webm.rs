//! The facts of a `WebM` film: what stands before its first picture. No picture is decoded.

use super::facts::{Facts, text};
use jiff::Timestamp;

const SEGMENT: u32 = 0x1853_8067;
const INFO: u32 = 0x1549_a966;
const TIMESTAMP_SCALE: u32 = 0x002a_d7b1;
const DURATION: u32 = 0x4489;
const DATE_UTC: u32 = 0x4461;
const TRACKS: u32 = 0x1654_ae6b;
const TRACK_ENTRY: u32 = 0xae;
const TRACK_TYPE: u32 = 0x83;
const CODEC_ID: u32 = 0x86;
const VIDEO: u32 = 0xe0;
const PIXEL_WIDTH: u32 = 0xb0;
const PIXEL_HEIGHT: u32 = 0xba;

/// The type of a track with pictures.
const PICTURES: u64 = 1;
/// Nanoseconds of a tick where a film does not say.
const SCALE_NS: u64 = 1_000_000;
/// The longest film whose duration is told: a hundred days in milliseconds.
const DURATION_MS_MAX: f64 = 8.64e9;
/// From the first instant of ours to that of a film's calendar, 2001, in seconds.
const EPOCH_2001_S: i64 = 978_307_200;

/// The facts of a film, from its beginning.
pub(super) fn facts(bytes: &[u8]) -> Facts {
    let segment = Elements(bytes).find(SEGMENT).unwrap_or_default();
    let info = Elements(segment).find(INFO).unwrap_or_default();
    let tracks = Elements(segment).find(TRACKS).unwrap_or_default();
    let track = Elements(tracks)
        .filter(|(id, _)| *id == TRACK_ENTRY)
        .map(|(_, track)| track)
        .find(|track| Elements(track).find(TRACK_TYPE).and_then(unsigned) == Some(PICTURES))
        .unwrap_or_default();
    let video = Elements(track).find(VIDEO).unwrap_or_default();
    let side = |id| u32::try_from(Elements(video).find(id).and_then(unsigned)?).ok();
    Facts {
        width: side(PIXEL_WIDTH),
        height: side(PIXEL_HEIGHT),
        duration_ms: duration_ms(info),
        taken_at: Elements(info).find(DATE_UTC).and_then(made_at),
        codec: Elements(track).find(CODEC_ID).and_then(text),
        ..Facts::default()
    }
}

/// Elements that lie one behind the other; one that is cut off, or whose length is not told, is the last.
struct Elements<'a>(&'a [u8]);

impl<'a> Iterator for Elements<'a> {
    type Item = (u32, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (id, id_bytes) = number(self.0, 4)?;
        let (length, length_bytes) = number(self.0.get(id_bytes..)?, 8)?;
        // The marker belongs to an id and not to a length.
        let length = length & !(1 << (7 * length_bytes));
        let unknown = (1 << (7 * length_bytes)) - 1;
        let start = id_bytes + length_bytes;
        let end = match usize::try_from(length) {
            Ok(told) if length != unknown => start.saturating_add(told).min(self.0.len()),
            _ => self.0.len(),
        };
        let body = self.0.get(start..end)?;
        self.0 = self.0.get(end..)?;
        Some((u32::try_from(id).ok()?, body))
    }
}

impl<'a> Elements<'a> {
    fn find(mut self, id: u32) -> Option<&'a [u8]> {
        self.find_map(|(found, body)| (found == id).then_some(body))
    }
}

/// A number whose first byte tells its length, with the marker that tells it; and the length.
fn number(bytes: &[u8], bytes_max: usize) -> Option<(u64, usize)> {
    let length = usize::try_from(bytes.first()?.leading_zeros()).ok()? + 1;
    let digits = bytes.get(..length).filter(|_| length <= bytes_max)?;
    Some((digits.iter().fold(0, |number, digit| (number << 8) | u64::from(*digit)), length))
}

fn unsigned(body: &[u8]) -> Option<u64> {
    let fits = body.len() <= 8;
    fits.then(|| body.iter().fold(0, |number, digit| (number << 8) | u64::from(*digit)))
}

fn float(body: &[u8]) -> Option<f64> {
    match body.len() {
        4 => body.first_chunk().map(|single| f32::from_be_bytes(*single).into()),
        8 => body.first_chunk().map(|double| f64::from_be_bytes(*double)),
        _ => None,
    }
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "within its bounds a duration is exact to the millisecond"
)]
fn duration_ms(info: &[u8]) -> Option<u64> {
    let ticks = Elements(info).find(DURATION).and_then(float)?;
    let scale = Elements(info).find(TIMESTAMP_SCALE).and_then(unsigned).unwrap_or(SCALE_NS);
    let millis = ticks * scale as f64 / 1e6;
    (0.0..=DURATION_MS_MAX).contains(&millis).then_some(millis as u64)
}

fn made_at(body: &[u8]) -> Option<String> {
    let nanoseconds = i64::from_be_bytes(*body.first_chunk()?);
    let unix = EPOCH_2001_S.checked_add(nanoseconds.div_euclid(1_000_000_000))?;
    Timestamp::from_second(unix).ok().map(|at| at.to_string())
}
