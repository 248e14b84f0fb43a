//! What is made of a photo.

use crate::run::{decoded, looks_like, made, rendered};
use exif::{Tag, Value};
use genba_tests::forge::photo::{self, BLUE, CANARY, GREEN, RED, WHITE};
use genba_tests::forge::png::{self, ihdr};
use image_worker::facts::Refusal;
use server::media::render::Outcome;
use storage::testing::TestResult;
use sync_protocol::blob::MediaType;

#[tokio::test]
async fn a_photo_has_two_sizes_and_is_never_enlarged() -> TestResult {
    for ((width, height), thumb, screen) in [
        ((2_400, 1_200), (320, 160), (1_600, 800)),
        ((900, 1_800), (160, 320), (800, 1_600)),
        ((400, 300), (320, 240), (400, 300)),
        ((320, 8), (320, 8), (320, 8)),
        ((1, 1), (1, 1), (1, 1)),
    ] {
        let (small, large) = made(MediaType::Jpeg, &photo::jpeg(width, height, None)).await?;
        assert_eq!(decoded(&small)?.dimensions(), thumb, "{width} by {height}");
        assert_eq!(decoded(&large)?.dimensions(), screen, "{width} by {height}");
    }
    Ok(())
}

#[tokio::test]
async fn a_photo_stands_as_the_camera_was_held() -> TestResult {
    // What is seen at the upper left and at the upper right.
    let seen = [
        (RED, GREEN),
        (GREEN, RED),
        (WHITE, BLUE),
        (BLUE, WHITE),
        (RED, BLUE),
        (BLUE, RED),
        (WHITE, GREEN),
        (GREEN, WHITE),
    ];
    for (orientation, (left, right)) in (1..=8).zip(seen) {
        let exif = photo::exif_of(&[(Tag::Orientation, Value::Short(vec![orientation]))]);
        let picture = photo::jpeg(640, 320, Some(&exif));
        let (thumb, screen) = made(MediaType::Jpeg, &picture).await?;
        for picture in [decoded(&thumb)?, decoded(&screen)?] {
            let (width, height) = picture.dimensions();
            assert_eq!(width > height, orientation < 5, "orientation {orientation}");
            assert!(looks_like(&picture, (10, 10), left), "orientation {orientation}");
            assert!(looks_like(&picture, (width - 10, 10), right), "orientation {orientation}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn nothing_but_pixels_is_left_in_what_is_made() -> TestResult {
    let picture = photo::jpeg(800, 600, Some(&photo::full_exif()));
    let holds = |bytes: &[u8], what: &[u8]| bytes.windows(what.len()).any(|part| part == what);
    assert!(holds(&picture, CANARY.as_bytes()));
    let (thumb, screen) = made(MediaType::Jpeg, &picture).await?;
    for made in [thumb, screen] {
        assert!(!holds(&made, CANARY.as_bytes()));
        for segment in 0xe1..=0xef {
            assert!(!holds(&made, &[0xff, segment]), "segment {segment:x}");
        }
        assert!(!holds(&made, &[0xff, 0xfe]), "a comment");
    }
    Ok(())
}

#[tokio::test]
async fn what_is_transparent_is_white() -> TestResult {
    let row = [&[0][..], &[255, 0, 0, 255].repeat(32), &[255, 0, 0, 0].repeat(32)].concat();
    let picture = png::png(&ihdr(64, 64, 8, 6), &[], &row.repeat(64));
    let (_, screen) = made(MediaType::Png, &picture).await?;
    let picture = decoded(&screen)?;
    assert!(looks_like(&picture, (8, 32), [255, 0, 0]));
    assert!(looks_like(&picture, (56, 32), [255, 255, 255]));
    Ok(())
}

#[tokio::test]
async fn png_of_any_depth_and_webp_are_shown() -> TestResult {
    for (depth, color, bytes) in
        [(1, 0, 8), (8, 0, 64), (16, 0, 128), (8, 4, 128), (16, 2, 384), (16, 6, 512)]
    {
        let row = [&[0][..], &vec![255; bytes]].concat();
        let picture = png::png(&ihdr(64, 64, depth, color), &[], &row.repeat(64));
        let (thumb, _) = made(MediaType::Png, &picture).await?;
        assert!(looks_like(&decoded(&thumb)?, (32, 32), [255; 3]), "depth {depth}, kind {color}");
    }
    let picture = photo::webp(&photo::quarters(500, 250), 500, 250);
    let (thumb, screen) = made(MediaType::Webp, &picture).await?;
    assert_eq!(decoded(&screen)?.dimensions(), (500, 250));
    assert!(looks_like(&decoded(&thumb)?, (10, 150), BLUE));
    Ok(())
}

#[tokio::test]
async fn a_progressive_photo_is_shown_like_any_other() -> TestResult {
    let picture = photo::jpeg_of(&photo::quarters(640, 480), (640, 480), None, true);
    let (thumb, _) = made(MediaType::Jpeg, &picture).await?;
    assert!(looks_like(&decoded(&thumb)?, (310, 10), GREEN));
    Ok(())
}

#[tokio::test]
async fn pixels_are_counted_before_they_are_decoded() -> TestResult {
    // 64 million pixels are decoded, one row more is not; neither is a side of more than 16,384.
    let blank = |width, height| {
        let head = ihdr(width, height, 1, 0);
        let rows = vec![
            0;
            (usize::try_from(width).unwrap().div_ceil(8) + 1)
                * usize::try_from(height).unwrap()
        ];
        png::png(&head, &[], &rows)
    };
    for (width, height) in [(8_000, 8_000), (16_384, 2)] {
        let outcome = rendered(MediaType::Png, &blank(width, height)).await?.outcome;
        assert!(matches!(outcome, Outcome::Made { .. }), "{width} by {height}: {outcome:?}");
    }
    for (width, height) in [(8_000, 8_001), (16_385, 1), (1, 16_385)] {
        let outcome = rendered(MediaType::Png, &blank(width, height)).await?.outcome;
        assert_eq!(outcome, Outcome::Refused(Refusal::TooLarge), "{width} by {height}");
    }
    Ok(())
}
