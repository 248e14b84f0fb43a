//! Opens a photo, judges it by its head, and decodes it to plain pixels.

use super::exif;
use super::facts::{Facts, Refusal};
use image::codecs::{jpeg::JpegDecoder, png::PngDecoder, webp::WebPDecoder};
use image::{ColorType, ImageDecoder, ImageError, ImageResult, Limits};
use std::io::Cursor;
use sync_protocol::blob::MediaType;

/// The longest side that is decoded, in pixels.
pub(super) const SIDE_MAX: u32 = 16_384;
/// The most pixels that are decoded.
pub(super) const PIXELS_MAX: u64 = 64_000_000;
/// The most memory that a decoder may take for one thing.
const ALLOC_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// A photo whose head is read.
pub(super) struct Picture {
    decoder: Box<dyn ImageDecoder>,
    /// What it tells of itself.
    pub(super) facts: Facts,
}

/// The pixels of a photo, row by row, eight bits a channel.
pub(super) struct Pixels {
    pub(super) width: u32,
    pub(super) height: u32,
    /// One for grey, three for colour.
    pub(super) channels: usize,
    pub(super) bytes: Vec<u8>,
}

/// Reads the head of a photo.
pub(super) fn open(kind: MediaType, bytes: Vec<u8>) -> Result<Picture, Refusal> {
    let mut decoder = decoder(kind, Cursor::new(bytes)).map_err(|error| refusal(&error))?;
    let block = decoder.exif_metadata().ok().flatten();
    let (columns, rows) = decoder.dimensions();
    let facts = block.map(exif::of_block).unwrap_or_default().sized(Some(columns), Some(rows));
    Ok(Picture { decoder, facts })
}

fn decoder(kind: MediaType, bytes: Cursor<Vec<u8>>) -> ImageResult<Box<dyn ImageDecoder>> {
    Ok(match kind {
        MediaType::Png => Box::new(PngDecoder::with_limits(bytes, limits())?),
        MediaType::Webp => Box::new(WebPDecoder::new(bytes)?),
        MediaType::Jpeg | MediaType::Heic | MediaType::Mp4 | MediaType::Mov | MediaType::Webm => {
            Box::new(JpegDecoder::new(bytes)?)
        }
    })
}

fn limits() -> Limits {
    let mut limits = Limits::default();
    limits.max_image_width = Some(SIDE_MAX);
    limits.max_image_height = Some(SIDE_MAX);
    limits.max_alloc = Some(ALLOC_BYTES_MAX);
    limits
}

fn refusal(error: &ImageError) -> Refusal {
    match error {
        ImageError::Limits(_) => Refusal::TooLarge,
        ImageError::Unsupported(_) => Refusal::Unsupported,
        ImageError::Decoding(_)
        | ImageError::Encoding(_)
        | ImageError::Parameter(_)
        | ImageError::IoError(_) => Refusal::Damaged,
    }
}

impl Picture {
    /// Decodes it, if it is within its bounds; transparent is white. Of an animation it is the first picture.
    pub(super) fn decode(self) -> Result<Pixels, Refusal> {
        let mut decoder = self.decoder;
        let (width, height) = decoder.dimensions();
        let pixels = u64::from(width) * u64::from(height);
        let many = width.max(height) > SIDE_MAX || pixels > PIXELS_MAX;
        if many || decoder.total_bytes() > ALLOC_BYTES_MAX {
            return Err(Refusal::TooLarge);
        }
        decoder.set_limits(limits()).map_err(|error| refusal(&error))?;
        let color = decoder.color_type();
        let length = usize::try_from(decoder.total_bytes()).map_err(|_| Refusal::TooLarge)?;
        let mut bytes = vec![0; length];
        decoder.read_image(&mut bytes).map_err(|error| refusal(&error))?;
        let channels = plain(&mut bytes, color)?;
        Ok(Pixels { width, height, channels, bytes })
    }
}

/// Brings pixels to eight bits of grey or colour in their own place; gives how many channels are left.
fn plain(bytes: &mut Vec<u8>, color: ColorType) -> Result<usize, Refusal> {
    let (channels, alpha, deep) = match color {
        ColorType::L8 => (1, false, false),
        ColorType::La8 => (1, true, false),
        ColorType::Rgb8 => (3, false, false),
        ColorType::Rgba8 => (3, true, false),
        ColorType::L16 => (1, false, true),
        ColorType::La16 => (1, true, true),
        ColorType::Rgb16 => (3, false, true),
        ColorType::Rgba16 => (3, true, true),
        ColorType::Rgb32F | ColorType::Rgba32F | _ => return Err(Refusal::Unsupported),
    };
    if deep {
        let high = usize::from(cfg!(target_endian = "little"));
        gather(bytes, 2, 1, |pair, out| out.copy_from_slice(pair.get(high..=high).unwrap_or(pair)));
    }
    if alpha {
        gather(bytes, channels + 1, channels, |pixel, out| {
            let alpha = pixel.last().copied().unwrap_or(u8::MAX);
            for (to, from) in out.iter_mut().zip(pixel) {
                *to = on_white(*from, alpha);
            }
        });
    }
    Ok(channels)
}

/// Replaces every `from` bytes by `to` bytes, to the left of where they were: no second picture is needed.
fn gather(bytes: &mut Vec<u8>, from: usize, to: usize, change: impl Fn(&[u8], &mut [u8])) {
    let mut small = [0; 4];
    let mut end = 0;
    for start in (0..bytes.len()).step_by(from) {
        let (Some(piece), Some(out)) = (bytes.get(start..start + from), small.get_mut(..to)) else {
            break;
        };
        change(piece, out);
        if let Some(place) = bytes.get_mut(end..end + to) {
            place.copy_from_slice(out);
        }
        end += to;
    }
    bytes.truncate(end);
}

/// A channel as it looks on white paper.
fn on_white(channel: u8, alpha: u8) -> u8 {
    let (channel, alpha) = (u32::from(channel), u32::from(alpha));
    let mixed = (channel * alpha + 255 * (255 - alpha) + 127) / 255;
    u8::try_from(mixed).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deep_and_transparent_pixels_become_plain_ones() {
        let deep = |value: u16| value.to_ne_bytes();
        let mut bytes = [deep(0x1234), deep(0xabcd), deep(0x00ff)].concat();
        assert_eq!(plain(&mut bytes, ColorType::Rgb16), Ok(3));
        assert_eq!(bytes, [0x12, 0xab, 0x00]);
        let mut bytes = vec![10, 20, 30, 255, 10, 20, 30, 0, 0, 0, 0, 51];
        assert_eq!(plain(&mut bytes, ColorType::Rgba8), Ok(3));
        assert_eq!(bytes, [10, 20, 30, 255, 255, 255, 204, 204, 204]);
        let mut bytes = [deep(0x4000), deep(0xffff), deep(0), deep(0)].concat();
        assert_eq!(plain(&mut bytes, ColorType::La16), Ok(1));
        assert_eq!(bytes, [0x40, 255]);
    }
}
