//! What photos and films tell of themselves.

use crate::run::rendered;
use exif::{Tag, Value};
use genba_tests::forge::photo::{self, CANARY, ascii, rationals};
use genba_tests::forge::{film, png};
use image_worker::facts::{Facts, Place};
use server::media::render::Outcome;
use storage::testing::TestResult;
use sync_protocol::blob::MediaType;

async fn facts(kind: MediaType, bytes: &[u8]) -> TestResult<Facts> {
    Ok(rendered(kind, bytes).await?.facts)
}

#[tokio::test]
async fn a_photo_tells_when_where_and_by_what_it_was_taken() -> TestResult {
    let full = Facts {
        width: Some(480),
        height: Some(640),
        orientation: Some(6),
        taken_at: Some("2026-11-22T14:03:11.25+09:00".to_owned()),
        place: Some(Place { lat: 35.675, lon: 139.75, alt_m: Some(-12.5) }),
        make: Some("Genba Optics".to_owned()),
        model: Some(CANARY.to_owned()),
        ..Facts::default()
    };
    let exif = photo::full_exif();
    assert_eq!(facts(MediaType::Jpeg, &photo::jpeg(640, 480, Some(&exif))).await?, full);
    let rows = [&[0][..], &[9; 640]].concat().repeat(480);
    let written = png::png(&png::ihdr(640, 480, 8, 0), &png::chunk(b"eXIf", &exif), &rows);
    assert_eq!(facts(MediaType::Png, &written).await?, full);
    let picture = photo::webp(&photo::quarters(640, 480), 640, 480);
    let head =
        [&[0x08, 0, 0, 0][..], &639_u32.to_le_bytes()[..3], &479_u32.to_le_bytes()[..3]].concat();
    let chunks = [photo::riff(b"VP8X", &head), picture[12..].to_vec(), photo::riff(b"EXIF", &exif)];
    assert_eq!(facts(MediaType::Webp, &photo::webp_of(&chunks.concat())).await?, full);
    Ok(())
}

#[tokio::test]
async fn heic_is_kept_as_it_came_with_its_facts() -> TestResult {
    let mut fields = vec![(Tag::PixelXDimension, Value::Long(vec![4_032]))];
    fields.push((Tag::PixelYDimension, Value::Long(vec![3_024])));
    fields.push((Tag::Make, ascii("Genba Optics")));
    let told = rendered(MediaType::Heic, &film::heic(&photo::exif_of(&fields))).await?;
    assert_eq!(told.outcome, Outcome::Kept);
    let facts = Facts {
        width: Some(4_032),
        height: Some(3_024),
        make: Some("Genba Optics".to_owned()),
        ..Facts::default()
    };
    assert_eq!(told.facts, facts);
    Ok(())
}

#[tokio::test]
async fn what_a_camera_cannot_mean_is_left_out() -> TestResult {
    let odd = [
        vec![(Tag::DateTimeOriginal, ascii("2026:13:45 99:00:00"))],
        vec![(Tag::DateTimeOriginal, ascii("    :  :     :  :  "))],
        vec![(Tag::DateTimeOriginal, Value::Short(vec![7]))],
        vec![(Tag::Orientation, Value::Short(vec![9]))],
        vec![(Tag::Make, ascii("\u{1b}\u{7}  "))],
        vec![
            (Tag::GPSLatitudeRef, ascii("N")),
            (Tag::GPSLatitude, rationals(&[(91, 1), (0, 1), (0, 1)])),
            (Tag::GPSLongitudeRef, ascii("E")),
            (Tag::GPSLongitude, rationals(&[(1, 1), (0, 1), (0, 1)])),
        ],
        vec![
            (Tag::GPSLatitudeRef, ascii("N")),
            (Tag::GPSLatitude, rationals(&[(35, 0), (0, 1), (0, 1)])),
            (Tag::GPSLongitudeRef, ascii("E")),
            (Tag::GPSLongitude, rationals(&[(1, 1), (0, 1), (0, 1)])),
        ],
    ];
    for fields in odd {
        let picture = photo::jpeg(16, 8, Some(&photo::exif_of(&fields)));
        let plain = Facts { width: Some(16), height: Some(8), ..Facts::default() };
        assert_eq!(facts(MediaType::Jpeg, &picture).await?, plain, "{fields:?}");
    }
    let local = photo::exif_of(&[(Tag::DateTime, ascii("2026:11:22 14:03:11"))]);
    let told = facts(MediaType::Jpeg, &photo::jpeg(16, 8, Some(&local))).await?;
    assert_eq!(told.taken_at.as_deref(), Some("2026-11-22T14:03:11"));
    Ok(())
}

#[tokio::test]
async fn a_film_tells_how_long_how_large_and_how_it_is_coded() -> TestResult {
    let told_by = |width, height| Facts {
        width: Some(width),
        height: Some(height),
        taken_at: Some("2026-11-22T05:03:11Z".to_owned()),
        duration_ms: Some(90_500),
        codec: Some("hvc1".to_owned()),
        ..Facts::default()
    };
    for (kind, brand) in [(MediaType::Mp4, b"isom"), (MediaType::Mov, b"qt  ")] {
        for (turned, told) in [(false, told_by(1_920, 1_080)), (true, told_by(1_080, 1_920))] {
            let bytes = [film::ftyp(brand), film::moov(turned, &[])].concat();
            let rendered = rendered(kind, &bytes).await?;
            assert_eq!((rendered.outcome, rendered.facts), (Outcome::Kept, told));
        }
    }
    let told = facts(MediaType::Webm, &film::webm()).await?;
    let expected = Facts {
        width: Some(1_280),
        height: Some(720),
        duration_ms: Some(12_500),
        codec: Some("V_VP9".to_owned()),
        ..Facts::default()
    };
    assert_eq!(told, expected);
    Ok(())
}

#[tokio::test]
async fn a_film_that_is_cut_anywhere_is_kept() -> TestResult {
    let mp4 = [film::ftyp(b"isom"), film::moov(false, &[])].concat();
    for (kind, whole) in [(MediaType::Mp4, mp4), (MediaType::Webm, film::webm())] {
        for end in (0..whole.len()).step_by(23) {
            assert_eq!(
                rendered(kind, &whole[..end]).await?.outcome,
                Outcome::Kept,
                "{kind:?} {end}"
            );
        }
    }
    Ok(())
}
