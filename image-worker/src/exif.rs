//! What a camera wrote beside the picture.

use super::facts::{Facts, Place, text};
use exif::{DateTime, Exif, In, Reader, Tag, Value};
use jiff::civil;
use std::io::Cursor;

/// The largest block of EXIF that is read: what fits into one segment of a JPEG.
pub(super) const EXIF_BYTES_MAX: usize = 64 * 1024;

/// The facts of a HEIC file, which is not decoded.
pub(super) fn of_heic(bytes: &[u8]) -> Facts {
    let found = Reader::new().read_from_container(&mut Cursor::new(bytes));
    let Some(exif) = found.ok().filter(|exif| exif.buf().len() <= EXIF_BYTES_MAX) else {
        return Facts::default();
    };
    let facts = facts(&exif);
    let (width, height) =
        (number(&exif, Tag::PixelXDimension), number(&exif, Tag::PixelYDimension));
    facts.sized(width, height)
}

/// The facts of a block of EXIF; those that cannot be read are left out.
pub(super) fn of_block(block: Vec<u8>) -> Facts {
    if block.len() > EXIF_BYTES_MAX {
        return Facts::default();
    }
    let mut reader = Reader::new();
    let read = reader.continue_on_error(true).read_raw(block);
    match read.or_else(|error| error.distill_partial_result(|_| {})) {
        Ok(exif) => facts(&exif),
        Err(_) => Facts::default(),
    }
}

impl Facts {
    /// These facts of a picture whose pixels lie in so many columns and rows.
    pub(super) fn sized(self, columns: Option<u32>, rows: Option<u32>) -> Self {
        // From 5 on the rows stand upright.
        let upright = self.orientation.is_some_and(|orientation| orientation >= 5);
        let (width, height) = if upright { (rows, columns) } else { (columns, rows) };
        Self { width, height, ..self }
    }
}

fn facts(exif: &Exif) -> Facts {
    let orientation = number(exif, Tag::Orientation).and_then(|number| u8::try_from(number).ok());
    Facts {
        orientation: orientation.filter(|orientation| (1..=8).contains(orientation)),
        taken_at: taken_at(exif),
        place: place(exif),
        make: ascii(exif, Tag::Make).and_then(text),
        model: ascii(exif, Tag::Model).and_then(text),
        ..Facts::default()
    }
}

fn number(exif: &Exif, tag: Tag) -> Option<u32> {
    exif.get_field(tag, In::PRIMARY)?.value.get_uint(0)
}

fn ascii(exif: &Exif, tag: Tag) -> Option<&[u8]> {
    let Value::Ascii(texts) = &exif.get_field(tag, In::PRIMARY)?.value else { return None };
    texts.first().map(Vec::as_slice)
}

fn taken_at(exif: &Exif) -> Option<String> {
    let read = |time, fraction, offset| {
        let mut at = DateTime::from_ascii(ascii(exif, time)?).ok()?;
        // Either may be missing or damaged: the time stands without it.
        let _fraction = ascii(exif, fraction).map(|fraction| at.parse_subsec(fraction));
        let _offset = ascii(exif, offset).map(|offset| at.parse_offset(offset));
        written(&at)
    };
    read(Tag::DateTimeOriginal, Tag::SubSecTimeOriginal, Tag::OffsetTimeOriginal)
        .or_else(|| read(Tag::DateTime, Tag::SubSecTime, Tag::OffsetTime))
}

/// An instant of a camera's clock, if its calendar has it.
fn written(at: &DateTime) -> Option<String> {
    let small = |number: u8| i8::try_from(number).ok();
    let date = civil::Date::new(i16::try_from(at.year).ok()?, small(at.month)?, small(at.day)?);
    let fraction = i32::try_from(at.nanosecond.unwrap_or_default()).ok()?;
    let time = civil::Time::new(small(at.hour)?, small(at.minute)?, small(at.second)?, fraction);
    let local = civil::DateTime::from_parts(date.ok()?, time.ok()?);
    let Some(offset) = at.offset.filter(|offset| offset.unsigned_abs() < 24 * 60) else {
        return Some(local.to_string());
    };
    let sign = if offset < 0 { '-' } else { '+' };
    let minutes = offset.unsigned_abs();
    Some(format!("{local}{sign}{:02}:{:02}", minutes / 60, minutes % 60))
}

fn place(exif: &Exif) -> Option<Place> {
    let lat = degrees(exif, Tag::GPSLatitude, Tag::GPSLatitudeRef, *b"NS", 90.0)?;
    let lon = degrees(exif, Tag::GPSLongitude, Tag::GPSLongitudeRef, *b"EW", 180.0)?;
    let below = number(exif, Tag::GPSAltitudeRef) == Some(1);
    let altitude = rationals(exif, Tag::GPSAltitude).and_then(|of| of.first().copied());
    let altitude = altitude.filter(|metres| *metres < 20_000.0).map(rounded);
    Some(Place { lat, lon, alt_m: altitude.map(|metres| if below { -metres } else { metres }) })
}

fn degrees(exif: &Exif, tag: Tag, half: Tag, halves: [u8; 2], most: f64) -> Option<f64> {
    let parts = rationals(exif, tag)?;
    let [whole, minutes, seconds] = parts.as_slice() else { return None };
    let degrees = rounded(whole + minutes / 60.0 + seconds / 3600.0);
    let half = ascii(exif, half)?.first()?;
    let sign = match halves.iter().position(|letter| letter == half)? {
        0 => 1.0,
        _ => -1.0,
    };
    (degrees <= most).then_some(sign * degrees)
}

/// The numbers of a field, if all of them are numbers.
fn rationals(exif: &Exif, tag: Tag) -> Option<Vec<f64>> {
    let Value::Rational(rationals) = &exif.get_field(tag, In::PRIMARY)?.value else { return None };
    let numbers: Vec<f64> = rationals.iter().take(3).map(exif::Rational::to_f64).collect();
    numbers.iter().all(|number| number.is_finite()).then_some(numbers)
}

/// Seven digits: a hand's breadth on the ground.
fn rounded(number: f64) -> f64 {
    (number * 1e7).round() / 1e7
}
