//! Creation, also with the first bytes.

use super::scene::{Scene, broken, checksum, metadata, on_both, photo, piece};
use crate::support::TestResult;
use axum::body::Body;
use axum::http::Method;

on_both!(
    a_photo_that_comes_whole_with_its_creation_is_there_in_one_call,
    a_creation_that_breaks_off_leaves_no_upload,
    a_large_creation_comes_in_parts_and_is_ended_where_it_breaks_off,
);

async fn a_photo_that_comes_whole_with_its_creation_is_there_in_one_call(
    scene: Scene,
) -> TestResult {
    let bytes = photo(100_000, 1);
    let answer = scene.create_with(&bytes, bytes.clone(), &[]).await;
    assert_eq!(answer.at(), (201, "100000"), "{}", answer.text);
    assert_eq!(answer.header("tus-resumable"), "1.0.0");
    assert_eq!(answer.header("upload-expires"), "", "a finished upload does not expire");
    assert_eq!(scene.stored(&bytes).await?, bytes);
    let (upload, parts) = scene.row(answer.header("location")).await?;
    assert_eq!((upload.state.as_str(), upload.swept, parts.len()), ("finished", true, 1));
    Ok(())
}

async fn a_creation_that_breaks_off_leaves_no_upload(scene: Scene) -> TestResult {
    let bytes = photo(100_000, 2);
    let answer = scene.create_with(&bytes, broken(&piece(&bytes, ..50_000)), &[]).await;
    assert_eq!(answer.refused(), (400, "bad-body".to_owned()));
    assert_eq!(scene.open_uploads().await?, 0);
    assert_eq!(scene.objects().await?.len(), 0);
    Ok(())
}

async fn a_large_creation_comes_in_parts_and_is_ended_where_it_breaks_off(
    scene: Scene,
) -> TestResult {
    let bytes = photo(20 * 1024 * 1024, 3);
    let answer = scene.create_with(&bytes, broken(&piece(&bytes, ..18_000_000)), &[]).await;
    assert_eq!(answer.refused(), (400, "bad-body".to_owned()));
    assert_eq!(scene.open_uploads().await?, 0, "nobody knows its address");
    let answer = scene.create_with(&bytes, bytes.clone(), &[]).await;
    assert_eq!(answer.at(), (201, "20971520"), "{}", answer.text);
    assert_eq!(scene.stored(&bytes).await?, bytes);
    let (_, parts) = scene.row(answer.header("location")).await?;
    let sizes: Vec<i64> = parts.iter().map(|part| part.bytes).collect();
    assert_eq!(sizes, [8 << 20, 8 << 20, 4 << 20]);
    Ok(())
}

#[tokio::test]
async fn a_creation_with_some_of_the_bytes_goes_on_by_patch() -> TestResult {
    let scene = Scene::new().await?;
    let bytes = photo(400_000, 4);
    let answer = scene.create_with(&bytes, piece(&bytes, ..150_000), &[]).await;
    assert_eq!(answer.at(), (201, "150000"), "{}", answer.text);
    assert!(!answer.header("upload-expires").is_empty());
    let place = answer.header("location").to_owned();
    assert_eq!(scene.patch(&place, 150_000, piece(&bytes, 150_000..), &[]).await.status, 204);
    assert_eq!(scene.stored(&bytes).await?, bytes);
    Ok(())
}

#[tokio::test]
async fn a_creation_without_bytes_is_answered_with_its_address_and_offset_0() -> TestResult {
    let scene = Scene::new().await?;
    let bytes = photo(10, 5);
    let answer = scene.create(&bytes).await;
    assert_eq!(answer.at(), (201, "0"));
    assert!(answer.header("location").starts_with("/v1/uploads/"), "{:?}", answer.headers);
    assert_eq!(answer.header("upload-expires"), "Sun, 22 Nov 2026 15:03:11 GMT");
    let empty = scene.create_with(&bytes, Body::empty(), &[]).await;
    assert_eq!(empty.at(), (201, "0"), "an empty body is no bytes");
    Ok(())
}

#[tokio::test]
async fn what_a_creation_must_say_is_named() -> TestResult {
    let scene = Scene::new().await?;
    let said = metadata(&photo(10, 6), "image/jpeg");
    let length = ("upload-length", "10");
    let meta = ("upload-metadata", &*said);
    for (headers, told) in [
        (vec![meta], "Upload-Length"),
        (vec![("upload-length", "0"), meta], "Upload-Length"),
        (vec![("upload-length", "-1"), meta], "Upload-Length"),
        (vec![("upload-length", "+1"), meta], "Upload-Length"),
        (vec![("upload-length", "1.0"), meta], "Upload-Length"),
        (vec![("upload-length", ""), meta], "Upload-Length"),
        (vec![("upload-length", "9999999999999999999"), meta], "Upload-Length"),
        (vec![length, length, meta], "Upload-Length"),
        (vec![("upload-defer-length", "1"), meta], "Upload-Defer-Length"),
        (vec![length, ("upload-defer-length", "1"), meta], "Upload-Defer-Length"),
        (vec![length, meta, ("upload-concat", "partial")], "Upload-Concat"),
        (vec![length, meta, ("upload-concat", "final;/v1/uploads/a")], "Upload-Concat"),
        (vec![length], "Upload-Metadata"),
        (vec![length, meta, meta], "Upload-Metadata"),
        (vec![length, ("upload-metadata", "sha256 AAAA")], "Upload-Metadata"),
        (vec![length, meta, ("upload-checksum", "md5 AAAA")], "Upload-Checksum"),
    ] {
        let answer = scene.call(Method::POST, "/v1/uploads", &headers, Body::empty()).await;
        assert_eq!(answer.refused(), (400, "bad-parameter".to_owned()), "{headers:?}");
        assert_eq!(answer.str("parameter"), told, "{headers:?}: {}", answer.text);
    }
    assert_eq!(scene.open_uploads().await?, 0);
    Ok(())
}

#[tokio::test]
async fn a_body_of_another_type_is_not_taken_for_bytes() -> TestResult {
    let scene = Scene::new().await?;
    let bytes = photo(10, 7);
    let said = metadata(&bytes, "image/jpeg");
    let known = [("upload-length", "10"), ("upload-metadata", &*said)];
    let answer = scene.call(Method::POST, "/v1/uploads", &known, bytes.clone()).await;
    assert_eq!(answer.refused(), (415, "unsupported-media-type".to_owned()));
    for kind in ["application/octet-stream", "image/jpeg"] {
        let headers = [known[0], known[1], ("content-type", kind)];
        let answer = scene.call(Method::POST, "/v1/uploads", &headers, bytes.clone()).await;
        assert_eq!(answer.refused(), (415, "unsupported-media-type".to_owned()), "{kind}");
    }
    let zipped = [("content-encoding", "gzip")];
    let answer = scene.create_with(&bytes, bytes.clone(), &zipped).await;
    assert_eq!(answer.refused(), (415, "unsupported-encoding".to_owned()));
    Ok(())
}

#[tokio::test]
async fn each_type_has_its_bound() -> TestResult {
    let scene = Scene::new().await?;
    for (mime, max) in [("image/png", 50_i64 << 20), ("video/mp4", 2 << 30)] {
        let said = metadata(b"any", mime);
        for (length, status) in [(max, 201), (max + 1, 413)] {
            let length = length.to_string();
            let headers = [("upload-length", &*length), ("upload-metadata", &*said)];
            let answer = scene.call(Method::POST, "/v1/uploads", &headers, Body::empty()).await;
            assert_eq!(answer.status.as_u16(), status, "{mime} {length}: {}", answer.text);
            if status == 413 {
                assert_eq!(answer.problem(), "media-too-large");
                assert_eq!(answer.json().get("max_bytes").cloned().unwrap_or_default(), max);
            }
        }
    }
    for mime in ["image/svg+xml", "text/html", "application/pdf", "image/JPEG", ""] {
        let said = metadata(b"any", mime);
        let headers = [("upload-length", "3"), ("upload-metadata", &*said)];
        let answer = scene.call(Method::POST, "/v1/uploads", &headers, Body::empty()).await;
        assert_eq!(answer.refused(), (415, "unsupported-media-type".to_owned()), "{mime}");
    }
    Ok(())
}

#[tokio::test]
async fn bytes_that_are_not_of_the_declared_type_or_hash_make_no_upload() -> TestResult {
    let scene = Scene::new().await?;
    let png = b"\x89PNG\r\n\x1a\n and more".to_vec();
    let answer = scene.create_with(&png, png.clone(), &[]).await;
    assert_eq!(answer.refused(), (422, "media-type-mismatch".to_owned()));
    assert_eq!(
        (answer.str("declared"), answer.str("found")),
        ("image/jpeg".into(), "image/png".into())
    );
    let (bytes, other) = (photo(1_000, 8), photo(1_000, 9));
    let answer = scene.create_with(&bytes, other.clone(), &[]).await;
    assert_eq!(answer.refused(), (422, "hash-mismatch".to_owned()));
    let sum = checksum("sha256", &bytes);
    let answer = scene.create_with(&bytes, other, &[("upload-checksum", &sum)]).await;
    assert_eq!(answer.refused(), (460, "checksum-mismatch".to_owned()));
    assert_eq!(scene.open_uploads().await?, 0);
    assert!(scene.blob(&bytes).await?.is_none());
    assert_eq!(scene.objects().await?.len(), 0);
    Ok(())
}

#[tokio::test]
async fn more_than_was_declared_is_refused_also_where_the_head_does_not_tell() -> TestResult {
    let scene = Scene::new().await?;
    let bytes = photo(1_000, 10);
    let mut more = bytes.clone();
    more.push(0);
    let answer = scene.create_with(&bytes, more.clone(), &[("content-length", "1001")]).await;
    assert_eq!(answer.refused(), (413, "media-too-large".to_owned()));
    let answer = scene.create_with(&bytes, more, &[]).await;
    assert_eq!(answer.refused(), (413, "media-too-large".to_owned()));
    assert!(scene.blob(&bytes).await?.is_none());
    Ok(())
}
