//! The whole way on the real server: sent by tus, looked at by the worker, read through the record.

use crate::run::{decoded, looks_like};
use genba_tests::bench::bombs;
use genba_tests::bench::stage::Stage;
use genba_tests::forge::film::{a_box, ftyp, heic, moov};
use genba_tests::forge::photo::{BLUE, CANARY, RED, ascii, exif_of, full_exif, jpeg};
use genba_tests::uploads::camera::Shot;
use reqwest::header::{CONTENT_RANGE, CONTENT_TYPE, ETAG, IF_NONE_MATCH, RANGE};
use serde_json::{Value, json};
use std::time::Duration;
use storage::testing::TestResult;
use sync_protocol::blob::MediaType;

/// How long a photo may wait for its pictures here, where other tests run beside it.
const PATIENCE: Duration = Duration::from_mins(1);

fn holds(bytes: &[u8], what: &str) -> bool {
    bytes.windows(what.len()).any(|part| part == what.as_bytes())
}

#[tokio::test]
async fn a_photo_comes_back_in_two_sizes_upright_and_bare() -> TestResult {
    let stage = Stage::open(2).await?;
    let shot = Shot::of(MediaType::Jpeg, jpeg(2_000, 1_000, Some(&full_exif())));
    let rec = stage.record_with(0, vec![shot.payload()]).await?;
    let sha256 = shot.blob.sha256;
    stage.upload(0, &shot).await?;
    let told = stage.rendered(0, rec, sha256, PATIENCE).await?;
    assert_eq!((&told["state"], &told["render"]), (&json!("have"), &json!("made")));
    let facts = json!({
        "width": 1_000, "height": 2_000, "orientation": 6, "taken_at": "2026-11-22T14:03:11.25+09:00",
        "place": { "lat": 35.675, "lon": 139.75, "alt_m": -12.5 }, "make": "Genba Optics", "model": CANARY,
    });
    assert_eq!(told["facts"], facts);
    assert!(told["clock_offset_ms"].is_i64(), "the camera's time can be read against the server's");
    // A colleague of the station reads it too.
    for (query, sides) in [("?size=thumb", (160, 320)), ("?size=screen", (800, 1_600))] {
        let answer = stage.media(1, rec, sha256, query)?.send().await?;
        assert_eq!(answer.status(), 200, "{query}");
        assert_eq!(answer.headers()[CONTENT_TYPE], "image/jpeg");
        let tag = answer.headers()[ETAG].clone();
        let whole = answer.bytes().await?;
        let picture = decoded(&whole)?;
        assert_eq!(picture.dimensions(), sides, "{query}");
        // The camera was held upright: what lay at the left below is seen above.
        assert!(
            looks_like(&picture, (10, 10), BLUE) && looks_like(&picture, (sides.0 - 10, 10), RED)
        );
        assert!(!holds(&whole, CANARY) && !holds(&whole, "Exif"), "{query} holds metadata");
        let again = stage.media(1, rec, sha256, query)?.header(IF_NONE_MATCH, tag).send().await?;
        assert_eq!(again.status(), 304, "{query}");
        let part = stage.media(1, rec, sha256, query)?.header(RANGE, "bytes=2-9").send().await?;
        assert_eq!(part.status(), 206, "{query}");
        assert_eq!(part.headers()[CONTENT_RANGE], format!("bytes 2-9/{}", whole.len()));
        assert_eq!(part.bytes().await?, whole[2..10], "{query}");
        let beyond = format!("bytes={}-", whole.len());
        let beyond = stage.media(1, rec, sha256, query)?.header(RANGE, beyond).send().await?;
        assert_eq!(beyond.status(), 416, "{query}");
    }
    let original = stage.media(1, rec, sha256, "")?.send().await?.bytes().await?;
    assert!(original == shot.bytes, "the original is never altered");
    Ok(stage.server.stop()?)
}

#[tokio::test]
async fn heic_and_video_are_kept_as_they_came_with_their_facts() -> TestResult {
    let stage = Stage::open(1).await?;
    let still = Shot::of(MediaType::Heic, heic(&exif_of(&[(exif::Tag::Make, ascii("Genba"))])));
    let film = [ftyp(b"isom"), a_box(b"mdat", &vec![7; 3_000_000]), moov(true, &[])].concat();
    let film = Shot::of(MediaType::Mp4, film);
    let frame = Shot::of(MediaType::Jpeg, jpeg(640, 360, None));
    let mut poster = frame.payload();
    poster["poster_of"] = json!(film.blob.sha256);
    let rec = stage.record_with(0, vec![still.payload(), film.payload(), poster]).await?;
    for shot in [&still, &film, &frame] {
        stage.upload(0, shot).await?;
    }
    let facts_of_film = json!({
        "width": 1_080, "height": 1_920, "taken_at": "2026-11-22T05:03:11Z", "duration_ms": 90_500, "codec": "hvc1",
    });
    for (shot, facts) in [(&still, json!({ "make": "Genba" })), (&film, facts_of_film)] {
        let sha256 = shot.blob.sha256;
        let told = stage.rendered(0, rec, sha256, PATIENCE).await?;
        assert_eq!((&told["render"], &told["facts"]), (&json!("none"), &facts));
        assert_eq!(
            (&told["mime"], &told["poster_of"]),
            (&json!(shot.blob.kind.mime()), &Value::Null)
        );
        for query in ["?size=thumb", "?size=screen"] {
            let answer = stage.media(0, rec, sha256, query)?.send().await?;
            let (status, problem) = (answer.status(), answer.text().await?);
            assert!(status == 404 && problem.contains("/problems/unrenderable"), "{problem}");
        }
        let original = stage.media(0, rec, sha256, "")?.send().await?.bytes().await?;
        assert!(original == shot.bytes, "{} is never altered", shot.blob.kind.mime());
    }
    let told = stage.rendered(0, rec, frame.blob.sha256, PATIENCE).await?;
    assert_eq!((&told["render"], &told["poster_of"]), (&json!("made"), &json!(film.blob.sha256)));
    Ok(stage.server.stop()?)
}

#[tokio::test]
async fn bombs_hurt_neither_the_server_nor_those_who_work_beside_them() -> TestResult {
    let toll = bombs::play(Duration::from_secs(2)).await?;
    println!("{toll:?}");
    assert_eq!(toll.wrongs, Vec::<String>::new());
    assert!(toll.growth_kib <= 64 * 1_024, "{} KiB", toll.growth_kib);
    assert!(toll.worker.resident_kib <= 384 * 1_024, "{:?}", toll.worker);
    assert!(toll.worker.cpu_us <= 5_200_000, "{:?}", toll.worker);
    assert!(toll.worker.workers > 20, "workers were watched: {:?}", toll.worker);
    Ok(())
}
