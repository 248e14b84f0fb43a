//! Photos: the four quarters, as JPEG and WebP, and what a camera writes beside them.

use exif::experimental::Writer;
use exif::{Field, In, Rational, Tag, Value};
use image::codecs::webp::WebPEncoder;
use image::{ExtendedColorType, ImageEncoder as _};
use jpeg_encoder::{ColorType, Encoder, SamplingFactor};
use std::io::Cursor;

/// What no smaller picture may hold.
pub const CANARY: &str = "canary-3f9a";

/// The upper left quarter.
pub const RED: [u8; 3] = [220, 30, 30];

/// The upper right quarter.
pub const GREEN: [u8; 3] = [30, 200, 30];

/// The lower left quarter.
pub const BLUE: [u8; 3] = [30, 30, 220];

/// The lower right quarter.
pub const WHITE: [u8; 3] = [240, 240, 240];

/// Pixels whose quarters are red, green, blue and white, in reading order.
pub fn quarters(width: usize, height: usize) -> Vec<u8> {
    let color = |x: usize, y: usize| match (y < height / 2, x < width / 2) {
        (true, true) => RED,
        (true, false) => GREEN,
        (false, true) => BLUE,
        (false, false) => WHITE,
    };
    (0..height).flat_map(|y| (0..width).flat_map(move |x| color(x, y))).collect()
}

/// Pixels as a camera sees them: slow changes of light, edges, and noise that follows from the place.
pub fn scenery(width: usize, height: usize) -> Vec<u8> {
    let noise = |x: usize, y: usize| {
        let mixed = x.wrapping_mul(0x9e37_79b1) ^ y.wrapping_mul(0x85eb_ca6b);
        u8::try_from((mixed ^ (mixed >> 13)).wrapping_mul(0xc2b2_ae35) >> 16 & 0x0f).unwrap_or(0)
    };
    let color = |x: usize, y: usize| {
        let light = u8::try_from((x * 90 / width) + (y * 60 / height)).unwrap_or(0);
        let edge = if (x / 97 + y / 61).is_multiple_of(3) { 60 } else { 0 };
        let seen = light + edge + noise(x / 2, y / 2);
        [seen, seen / 2 + 40, 200 - seen / 2]
    };
    (0..height).flat_map(|y| (0..width).flat_map(move |x| color(x, y))).collect()
}

/// A JPEG of the four quarters, with a block of EXIF if one is given.
pub fn jpeg(width: u16, height: u16, exif: Option<&[u8]>) -> Vec<u8> {
    jpeg_of(&quarters(width.into(), height.into()), (width, height), exif, false)
}

/// A JPEG of colours.
pub fn jpeg_of(
    pixels: &[u8],
    (width, height): (u16, u16),
    exif: Option<&[u8]>,
    progressive: bool,
) -> Vec<u8> {
    let mut out = Vec::new();
    let mut encoder = Encoder::new(&mut out, 88);
    encoder.set_sampling_factor(SamplingFactor::F_2_2);
    encoder.set_progressive(progressive);
    if let Some(exif) = exif {
        encoder.add_exif_metadata(exif).expect("a block that fits");
    }
    encoder.encode(pixels, width, height, ColorType::Rgb).expect("a small picture");
    out
}

/// A block of EXIF with these fields.
pub fn exif_of(fields: &[(Tag, Value)]) -> Vec<u8> {
    let fields: Vec<Field> = fields
        .iter()
        .map(|(tag, value)| Field { tag: *tag, ifd_num: In::PRIMARY, value: value.clone() })
        .collect();
    let mut writer = Writer::new();
    for field in &fields {
        writer.push_field(field);
    }
    let mut out = Cursor::new(Vec::new());
    writer.write(&mut out, false).expect("fields that can be written");
    out.into_inner()
}

/// A text in EXIF.
pub fn ascii(text: &str) -> Value {
    Value::Ascii(vec![text.as_bytes().to_vec()])
}

/// Fractions in EXIF.
pub fn rationals(numbers: &[(u32, u32)]) -> Value {
    Value::Rational(
        numbers.iter().map(|(num, denom)| Rational { num: *num, denom: *denom }).collect(),
    )
}

/// The EXIF of a photo with everything that is read.
pub fn full_exif() -> Vec<u8> {
    exif_of(&[
        (Tag::Make, ascii("Genba Optics")),
        (Tag::Model, ascii(CANARY)),
        (Tag::Orientation, Value::Short(vec![6])),
        (Tag::DateTimeOriginal, ascii("2026:11:22 14:03:11")),
        (Tag::SubSecTimeOriginal, ascii("25")),
        (Tag::OffsetTimeOriginal, ascii("+09:00")),
        (Tag::GPSLatitudeRef, ascii("N")),
        (Tag::GPSLatitude, rationals(&[(35, 1), (40, 1), (3_000, 100)])),
        (Tag::GPSLongitudeRef, ascii("E")),
        (Tag::GPSLongitude, rationals(&[(139, 1), (45, 1), (0, 1)])),
        (Tag::GPSAltitudeRef, Value::Byte(vec![1])),
        (Tag::GPSAltitude, rationals(&[(125, 10)])),
    ])
}

/// A lossless WebP of colours.
pub fn webp(pixels: &[u8], width: u32, height: u32) -> Vec<u8> {
    let mut out = Vec::new();
    let encoder = WebPEncoder::new_lossless(&mut out);
    encoder.write_image(pixels, width, height, ExtendedColorType::Rgb8).expect("a small picture");
    out
}

/// A chunk of a WebP or of its frames.
pub fn riff(name: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).expect("a chunk that fits");
    let pad = vec![0; body.len() % 2];
    [name, &length.to_le_bytes()[..], body, &pad].concat()
}

/// A WebP of chunks.
pub fn webp_of(chunks: &[u8]) -> Vec<u8> {
    riff(b"RIFF", &[b"WEBP", chunks].concat())
}
