//! The facts of an MP4 or `QuickTime` film: what its table of contents says. No picture is decoded.
//!
//! A whole demuxer would list every sample, of which a forged table promises four thousand million; seven numbers and
//! a name need none of them. Boxes are walked along fixed paths, so nothing nests deeper than the path.

use super::facts::{Facts, text};
use jiff::Timestamp;

/// From the first instant of a film's calendar, 1904, to that of ours, in seconds.
const EPOCH_1904_S: i64 = 2_082_844_800;

/// The facts of a film, from bytes that hold its `moov` box.
pub(super) fn facts(bytes: &[u8]) -> Facts {
    let Some(movie) = Boxes(bytes).find(*b"moov") else { return Facts::default() };
    let (duration_ms, taken_at) = header(movie);
    let track = Boxes(movie)
        .filter(|(kind, _)| kind == b"trak")
        .find(|(_, track)| handler(track) == Some(*b"vide"));
    let Some((_, track)) = track else {
        return Facts { taken_at, duration_ms, ..Facts::default() };
    };
    let (width, height) = sides(track).unzip();
    Facts { width, height, taken_at, duration_ms, codec: codec(track), ..Facts::default() }
}

/// Boxes that lie one behind the other; one that is cut off is the last.
struct Boxes<'a>(&'a [u8]);

impl<'a> Iterator for Boxes<'a> {
    type Item = ([u8; 4], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let kind = *self.0.get(4..)?.first_chunk()?;
        let (length, head) = match u32_at(self.0, 0)? {
            0 => (self.0.len(), 8),
            1 => (usize::try_from(u64_at(self.0, 8)?).ok()?, 16),
            length => (usize::try_from(length).ok()?, 8),
        };
        let end = length.min(self.0.len());
        let body = self.0.get(head..end)?;
        self.0 = self.0.get(end..)?;
        Some((kind, body))
    }
}

impl<'a> Boxes<'a> {
    fn find(mut self, kind: [u8; 4]) -> Option<&'a [u8]> {
        self.find_map(|(found, body)| (found == kind).then_some(body))
    }
}

/// The box at the end of a path.
fn at<'a>(bytes: &'a [u8], path: &[&[u8; 4]]) -> Option<&'a [u8]> {
    path.iter().try_fold(bytes, |bytes, kind| Boxes(bytes).find(**kind))
}

fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    Some(u32::from_be_bytes(*bytes.get(offset..)?.first_chunk()?))
}

fn u64_at(bytes: &[u8], offset: usize) -> Option<u64> {
    Some(u64::from_be_bytes(*bytes.get(offset..)?.first_chunk()?))
}

/// How long it plays and when it was made.
fn header(movie: &[u8]) -> (Option<u64>, Option<String>) {
    let Some(header) = at(movie, &[b"mvhd"]) else { return (None, None) };
    let wide = header.first() == Some(&1);
    let number = |small, large| {
        if wide { u64_at(header, large) } else { u32_at(header, small).map(u64::from) }
    };
    let scale = u32_at(header, if wide { 20 } else { 12 }).map(u64::from);
    let unknown = if wide { u64::MAX } else { u64::from(u32::MAX) };
    let told = number(16, 24).filter(|told| *told != 0 && *told != unknown);
    let duration = told.or_else(|| of_fragments(movie)).zip(scale);
    let millis = duration.and_then(|(ticks, scale)| {
        u64::try_from(u128::from(ticks) * 1_000 / u128::from(scale).max(1)).ok()
    });
    let seconds = number(4, 4).filter(|seconds| *seconds != 0);
    (millis.filter(|_| scale != Some(0)), seconds.and_then(made_at))
}

/// How long the pieces of a film in pieces play together.
fn of_fragments(movie: &[u8]) -> Option<u64> {
    let header = at(movie, &[b"mvex", b"mehd"])?;
    match header.first() {
        Some(1) => u64_at(header, 4),
        _ => u32_at(header, 4).map(u64::from),
    }
}

fn made_at(seconds: u64) -> Option<String> {
    let unix = i64::try_from(seconds).ok()?.checked_sub(EPOCH_1904_S)?;
    let at = Timestamp::from_second(unix).ok()?;
    (unix > 0).then(|| at.to_string())
}

fn handler(track: &[u8]) -> Option<[u8; 4]> {
    at(track, &[b"mdia", b"hdlr"])?.get(8..)?.first_chunk().copied()
}

/// Pixels across and down, as it is shown.
fn sides(track: &[u8]) -> Option<(u32, u32)> {
    let header = at(track, &[b"tkhd"])?;
    let matrix = if header.first() == Some(&1) { 52 } else { 40 };
    let side = |offset| u32_at(header, matrix + offset).map(|fixed| fixed >> 16);
    let (width, height) = (side(36)?, side(40)?);
    // A matrix without its diagonal turns the picture by a quarter.
    let turned = u32_at(header, matrix)? == 0 && u32_at(header, matrix + 16)? == 0;
    Some(if turned { (height, width) } else { (width, height) })
}

fn codec(track: &[u8]) -> Option<String> {
    let samples = at(track, &[b"mdia", b"minf", b"stbl", b"stsd"])?;
    text(samples.get(12..16)?)
}
