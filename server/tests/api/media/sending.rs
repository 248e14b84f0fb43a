//! Sending: offsets, parts, breaks.

use super::scene::{Scene, broken, checksum, on_both, photo, piece};
use crate::support::TestResult;
use axum::body::Body;
use axum::http::Method;

on_both!(
    an_upload_comes_in_pieces_and_is_whole_at_the_end,
    what_came_before_a_break_is_kept,
    bytes_in_tiny_pieces_make_few_parts,
    large_bodies_come_in_parts_of_8_mib,
    a_checksum_takes_the_whole_body_or_nothing,
    a_checksum_holds_over_several_parts,
    another_offset_is_told_the_right_one,
    the_end_is_told_again,
    bytes_that_are_not_what_was_declared_end_the_upload,
);

async fn an_upload_comes_in_pieces_and_is_whole_at_the_end(scene: Scene) -> TestResult {
    let bytes = photo(700_000, 2);
    let place = scene.begin(&bytes).await;
    assert_eq!(scene.head(&place).await.at(), (200, "0"));
    let mut offset = 0;
    for piece in bytes.chunks(300_000) {
        let answer = scene.patch(&place, offset, piece.to_vec(), &[]).await;
        offset += piece.len();
        assert_eq!(answer.at(), (204, &*offset.to_string()), "{}", answer.text);
        assert_eq!(answer.header("upload-expires").is_empty(), offset == bytes.len());
        assert_eq!(scene.head(&place).await.at(), (200, &*offset.to_string()));
    }
    assert_eq!(scene.stored(&bytes).await?, bytes);
    Ok(())
}

async fn what_came_before_a_break_is_kept(scene: Scene) -> TestResult {
    let bytes = photo(500_000, 3);
    let place = scene.begin(&bytes).await;
    let answer = scene.patch(&place, 0, broken(&piece(&bytes, ..333_333)), &[]).await;
    assert_eq!(answer.refused(), (400, "bad-body".to_owned()));
    assert_eq!(scene.head(&place).await.at(), (200, "333333"));
    let answer = scene.patch(&place, 333_333, piece(&bytes, 333_333..), &[]).await;
    assert_eq!(answer.at(), (204, "500000"), "{}", answer.text);
    assert_eq!(scene.stored(&bytes).await?, bytes);
    Ok(())
}

async fn bytes_in_tiny_pieces_make_few_parts(scene: Scene) -> TestResult {
    let bytes = photo(600_000, 4);
    let place = scene.begin(&bytes).await;
    let mut offset = 0;
    for piece in bytes.chunks(13).take(6).chain(bytes.get(78..).unwrap_or_default().chunks(40_000))
    {
        let answer = scene.patch(&place, offset, piece.to_vec(), &[]).await;
        offset += piece.len();
        assert_eq!(answer.at(), (204, &*offset.to_string()), "{}", answer.text);
        let (_, parts) = scene.row(&place).await?;
        let small = parts.iter().rev().skip(1).filter(|part| part.bytes < 256 * 1024).count();
        assert_eq!(small, 0, "{parts:?}");
        assert_eq!(scene.objects().await?.len(), parts.len(), "outgrown parts are removed");
    }
    let (_, parts) = scene.row(&place).await?;
    assert_eq!(parts.len(), 3, "{parts:?}");
    assert_eq!(scene.stored(&bytes).await?, bytes);
    Ok(())
}

async fn large_bodies_come_in_parts_of_8_mib(scene: Scene) -> TestResult {
    let bytes = photo((16 << 20) + 100, 5);
    let place = scene.begin(&bytes).await;
    let answer = scene.patch(&place, 0, broken(&piece(&bytes, ..(8 << 20) + 1)), &[]).await;
    assert_eq!(answer.refused(), (400, "bad-body".to_owned()));
    assert_eq!(scene.head(&place).await.at(), (200, "8388609"));
    let rest = piece(&bytes, (8 << 20) + 1..);
    assert_eq!(scene.patch(&place, (8 << 20) + 1, rest, &[]).await.status, 204);
    let (_, parts) = scene.row(&place).await?;
    let sizes: Vec<i64> = parts.iter().map(|part| part.bytes).collect();
    assert_eq!(sizes, [8 << 20, 8 << 20, 100]);
    assert_eq!(scene.stored(&bytes).await?, bytes);
    Ok(())
}

async fn a_checksum_takes_the_whole_body_or_nothing(scene: Scene) -> TestResult {
    let bytes = photo((9 << 20) + 7, 6);
    let place = scene.begin(&bytes).await;
    let wrong = checksum("sha1", b"other");
    let answer = scene.patch(&place, 0, bytes.clone(), &[("upload-checksum", &wrong)]).await;
    assert_eq!(answer.refused(), (460, "checksum-mismatch".to_owned()));
    assert_eq!(scene.head(&place).await.at(), (200, "0"));
    assert_eq!(scene.objects().await?.len(), 0, "the chunk was thrown away");
    let right = checksum("sha1", &bytes);
    let answer = scene
        .patch(&place, 0, broken(&piece(&bytes, ..9 << 20)), &[("upload-checksum", &right)])
        .await;
    assert_eq!(answer.refused(), (400, "bad-body".to_owned()));
    assert_eq!(scene.head(&place).await.at(), (200, "0"));
    let (first, rest) = bytes.split_at(500_000);
    for (name, offset, piece) in [("sha1", 0, first), ("sha256", 500_000, rest)] {
        let sum = checksum(name, piece);
        let answer =
            scene.patch(&place, offset, piece.to_vec(), &[("upload-checksum", &sum)]).await;
        assert_eq!(answer.status, 204, "{}", answer.text);
    }
    assert_eq!(scene.stored(&bytes).await?, bytes);
    Ok(())
}

async fn a_checksum_holds_over_several_parts(scene: Scene) -> TestResult {
    let bytes = photo((8 << 20) + 1_000, 14);
    let sum = checksum("sha256", &bytes);
    let place = scene.begin(&bytes).await;
    let answer = scene.patch(&place, 0, bytes.clone(), &[("upload-checksum", &sum)]).await;
    assert_eq!(answer.at(), (204, "8389608"), "{}", answer.text);
    assert_eq!(scene.stored(&bytes).await?, bytes);
    let bytes = photo((8 << 20) + 1_000, 15);
    let sum = checksum("sha256", &bytes);
    let answer = scene.create_with(&bytes, bytes.clone(), &[("upload-checksum", &sum)]).await;
    assert_eq!(answer.at(), (201, "8389608"), "{}", answer.text);
    let text = vec![b'x'; (8 << 20) + 1_000];
    let sum = checksum("sha256", &text);
    let place = scene.begin(&text).await;
    let answer = scene.patch(&place, 0, text, &[("upload-checksum", &sum)]).await;
    assert_eq!(answer.refused(), (422, "media-type-mismatch".to_owned()));
    assert_eq!(scene.head(&place).await.status, 410);
    Ok(())
}

async fn another_offset_is_told_the_right_one(scene: Scene) -> TestResult {
    let bytes = photo(1_000, 7);
    let place = scene.begin(&bytes).await;
    assert_eq!(scene.patch(&place, 0, piece(&bytes, ..400), &[]).await.at(), (204, "400"));
    for offset in [0, 399, 401, 1_000, 5_000] {
        let answer = scene.patch(&place, offset, piece(&bytes, 400..401), &[]).await;
        assert_eq!(answer.refused(), (409, "upload-offset".to_owned()), "{offset}");
        assert_eq!(answer.json().get("upload_offset").cloned().unwrap_or_default(), 400);
        assert_eq!(answer.header("upload-offset"), "400");
    }
    assert_eq!(scene.head(&place).await.at(), (200, "400"));
    assert_eq!(scene.patch(&place, 400, piece(&bytes, 400..), &[]).await.at(), (204, "1000"));
    Ok(())
}

async fn the_end_is_told_again(scene: Scene) -> TestResult {
    let bytes = photo(1_000, 8);
    let place = scene.begin(&bytes).await;
    assert_eq!(scene.patch(&place, 0, bytes.clone(), &[]).await.at(), (204, "1000"));
    assert_eq!(scene.head(&place).await.at(), (200, "1000"));
    assert_eq!(scene.patch(&place, 1_000, Body::empty(), &[]).await.at(), (204, "1000"));
    let again = scene.patch(&place, 0, bytes.clone(), &[]).await;
    assert_eq!(again.refused(), (409, "upload-offset".to_owned()));
    let more = scene.patch(&place, 1_000, vec![1], &[]).await;
    assert_eq!(more.refused(), (413, "media-too-large".to_owned()));
    assert_eq!(scene.stored(&bytes).await?, bytes);
    Ok(())
}

async fn bytes_that_are_not_what_was_declared_end_the_upload(scene: Scene) -> TestResult {
    let bytes = photo(1_000, 9);
    let place = scene.begin(&bytes).await;
    assert_eq!(scene.patch(&place, 0, piece(&bytes, ..500), &[]).await.status, 204);
    let answer = scene.patch(&place, 500, piece(&bytes, ..500), &[]).await;
    assert_eq!(answer.refused(), (422, "hash-mismatch".to_owned()));
    assert_eq!(scene.head(&place).await.status, 410);
    let answer = scene.patch(&place, 500, piece(&bytes, 500..), &[]).await;
    assert_eq!(answer.refused(), (410, "upload-gone".to_owned()));
    let place = scene.begin(&bytes).await;
    let answer = scene.patch(&place, 0, b"<svg xmlns='a'>".to_vec(), &[]).await;
    assert_eq!(answer.at(), (204, "15"), "too little to tell");
    let answer = scene.patch(&place, 15, vec![b' '; 100], &[]).await;
    assert_eq!(
        answer.refused(),
        (422, "media-type-mismatch".to_owned()),
        "a tail is looked at again"
    );
    assert_eq!(answer.json().get("found").cloned().unwrap_or_default(), serde_json::Value::Null);
    assert_eq!(scene.head(&place).await.status, 410);
    assert!(scene.blob(&bytes).await?.is_none());
    Ok(())
}

#[tokio::test]
async fn a_damaged_body_with_a_checksum_does_not_end_the_upload() -> TestResult {
    let scene = Scene::new().await?;
    let bytes = photo(1_000, 10);
    let place = scene.begin(&bytes).await;
    let sum = checksum("sha256", &bytes);
    let damaged = vec![b'<'; 1_000];
    let answer = scene.patch(&place, 0, damaged, &[("upload-checksum", &sum)]).await;
    assert_eq!(answer.refused(), (460, "checksum-mismatch".to_owned()));
    let answer = scene.patch(&place, 0, bytes.clone(), &[("upload-checksum", &sum)]).await;
    assert_eq!(answer.at(), (204, "1000"), "{}", answer.text);
    Ok(())
}

#[tokio::test]
async fn what_a_patch_must_say_is_named() -> TestResult {
    let scene = Scene::new().await?;
    let place = scene.begin(&photo(100, 11)).await;
    let kind = ("content-type", "application/offset+octet-stream");
    for (headers, status, told) in [
        (vec![kind], 400, "bad-parameter"),
        (vec![kind, ("upload-offset", "-1")], 400, "bad-parameter"),
        (vec![kind, ("upload-offset", "one")], 400, "bad-parameter"),
        (vec![kind, ("upload-offset", "0"), ("upload-offset", "0")], 400, "bad-parameter"),
        (vec![("upload-offset", "0")], 415, "unsupported-media-type"),
        (
            vec![("upload-offset", "0"), ("content-type", "application/json")],
            415,
            "unsupported-media-type",
        ),
        (
            vec![kind, ("upload-offset", "0"), ("content-encoding", "zstd")],
            415,
            "unsupported-encoding",
        ),
        (
            vec![kind, ("upload-offset", "0"), ("upload-checksum", "crc32 AAAA")],
            400,
            "bad-parameter",
        ),
        (vec![kind, ("upload-offset", "0"), ("upload-checksum", "sha1")], 400, "bad-parameter"),
        (
            vec![kind, ("upload-offset", "0"), ("upload-checksum", "sha1 AAAA")],
            400,
            "bad-parameter",
        ),
        (
            vec![kind, ("upload-offset", "0"), ("upload-checksum", "sha1 ????")],
            400,
            "bad-parameter",
        ),
        (vec![kind, ("upload-offset", "0"), ("content-length", "101")], 413, "media-too-large"),
    ] {
        let body = if status == 413 { vec![0; 101] } else { vec![0xff] };
        let answer = scene.call(Method::PATCH, &place, &headers, body).await;
        assert_eq!(answer.refused(), (status, told.to_owned()), "{headers:?}: {}", answer.text);
    }
    assert_eq!(scene.head(&place).await.at(), (200, "0"));
    Ok(())
}

#[tokio::test]
async fn a_body_beyond_the_length_is_refused_and_what_was_claimed_stays() -> TestResult {
    let scene = Scene::new().await?;
    let bytes = photo(1_000, 12);
    let place = scene.begin(&bytes).await;
    assert_eq!(scene.patch(&place, 0, piece(&bytes, ..400), &[]).await.status, 204);
    let beyond = [piece(&bytes, 400..), vec![7]].concat();
    let answer = scene.patch(&place, 400, beyond, &[]).await;
    assert_eq!(answer.refused(), (413, "media-too-large".to_owned()));
    assert_eq!(scene.head(&place).await.at(), (200, "400"));
    assert_eq!(scene.patch(&place, 400, piece(&bytes, 400..), &[]).await.at(), (204, "1000"));
    Ok(())
}

#[tokio::test]
async fn an_empty_patch_changes_nothing() -> TestResult {
    let scene = Scene::new().await?;
    let bytes = photo(1_000, 13);
    let place = scene.begin(&bytes).await;
    assert_eq!(scene.patch(&place, 0, Body::empty(), &[]).await.at(), (204, "0"));
    assert_eq!(scene.patch(&place, 0, piece(&bytes, ..10), &[]).await.at(), (204, "10"));
    assert_eq!(scene.patch(&place, 10, Body::empty(), &[]).await.at(), (204, "10"));
    assert_eq!(scene.patch(&place, 10, piece(&bytes, 10..), &[]).await.at(), (204, "1000"));
    assert_eq!(scene.stored(&bytes).await?, bytes);
    Ok(())
}
