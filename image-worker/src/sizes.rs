//! The two smaller pictures: upright, without anything but pixels.

use super::facts::Refusal;
use super::picture::Pixels;
use super::wire::{SCREEN_SIDE, Size, THUMB_SIDE};
use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use image::metadata::Orientation;
use image::{DynamicImage, GrayImage, RgbImage};
use jpeg_encoder::{ColorType, Encoder, SamplingFactor};

/// How well they are kept: what falls away is not seen at this size.
const QUALITY: u8 = 80;

/// A picture that was made: a JPEG without metadata.
pub(super) struct Made {
    pub(super) bytes: Vec<u8>,
    width: u32,
    height: u32,
}

impl Made {
    pub(super) fn size(&self) -> Size {
        let bytes = u32::try_from(self.bytes.len()).unwrap_or(u32::MAX);
        Size { bytes, width: self.width, height: self.height }
    }
}

/// Makes the picture for lists and the one for a screen; neither is larger than the photo.
pub(super) fn make(pixels: Pixels, orientation: Option<u8>) -> Result<(Made, Made), Refusal> {
    let screen = shrunk(pixels, SCREEN_SIDE)?;
    let screen = upright(screen, orientation)?;
    let made = encoded(&screen)?;
    let thumb = shrunk(screen, THUMB_SIDE)?;
    Ok((encoded(&thumb)?, made))
}

/// The sides of a picture whose longer side is at most `side`.
fn fitting(width: u32, height: u32, side: u32) -> (u32, u32) {
    let longer = width.max(height);
    if longer <= side {
        return (width, height);
    }
    let scaled = |length: u32| {
        let scaled =
            (u64::from(length) * u64::from(side) + u64::from(longer / 2)) / u64::from(longer);
        u32::try_from(scaled).unwrap_or(side).max(1)
    };
    (scaled(width), scaled(height))
}

fn shrunk(pixels: Pixels, side: u32) -> Result<Pixels, Refusal> {
    let (width, height) = fitting(pixels.width, pixels.height, side);
    if (width, height) == (pixels.width, pixels.height) {
        return Ok(pixels);
    }
    let kind = if pixels.channels == 1 { PixelType::U8 } else { PixelType::U8x3 };
    let from = ImageRef::new(pixels.width, pixels.height, &pixels.bytes, kind);
    let from = from.map_err(|_| Refusal::Damaged)?;
    let mut to = Image::new(width, height, kind);
    let how = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Lanczos3));
    Resizer::new().resize(&from, &mut to, &how).map_err(|_| Refusal::Damaged)?;
    Ok(Pixels { width, height, channels: pixels.channels, bytes: to.into_vec() })
}

/// Turns a picture as the camera was held.
fn upright(pixels: Pixels, orientation: Option<u8>) -> Result<Pixels, Refusal> {
    let Some(turn) = orientation.and_then(Orientation::from_exif) else { return Ok(pixels) };
    let Pixels { width, height, channels, bytes } = pixels;
    let picture = match channels {
        1 => GrayImage::from_raw(width, height, bytes).map(DynamicImage::ImageLuma8),
        _ => RgbImage::from_raw(width, height, bytes).map(DynamicImage::ImageRgb8),
    };
    let mut picture = picture.ok_or(Refusal::Damaged)?;
    picture.apply_orientation(turn);
    let (width, height) = (picture.width(), picture.height());
    Ok(Pixels { width, height, channels, bytes: picture.into_bytes() })
}

fn encoded(pixels: &Pixels) -> Result<Made, Refusal> {
    let side = |length: u32| u16::try_from(length).map_err(|_| Refusal::TooLarge);
    let color = if pixels.channels == 1 { ColorType::Luma } else { ColorType::Rgb };
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, QUALITY);
    encoder.set_sampling_factor(SamplingFactor::F_2_2);
    encoder
        .encode(&pixels.bytes, side(pixels.width)?, side(pixels.height)?, color)
        .map_err(|_| Refusal::Damaged)?;
    Ok(Made { bytes, width: pixels.width, height: pixels.height })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_keeps_its_shape_and_is_never_enlarged() {
        assert_eq!(fitting(4_000, 3_000, 1_600), (1_600, 1_200));
        assert_eq!(fitting(3_000, 4_000, 320), (240, 320));
        assert_eq!(fitting(1_600, 1, 1_600), (1_600, 1));
        assert_eq!(fitting(1_601, 1, 1_600), (1_600, 1));
        assert_eq!(fitting(16_384, 2, 320), (320, 1));
        assert_eq!(fitting(1, 1, 320), (1, 1));
    }
}
