//! What tus 1.0.0 says of every call.

use super::scene::{Scene, photo, piece};
use crate::support::TestResult;
use axum::body::Body;
use axum::http::{Method, Request, header};
use server::media::tus::EMPTY_LIFETIME_MS;

#[tokio::test]
async fn options_tell_what_is_spoken_without_credentials() -> TestResult {
    let scene = Scene::new().await?;
    let request = Request::options("/v1/uploads").body(Body::empty())?;
    let answer = scene.world.send(request).await;
    assert_eq!(answer.status, 204);
    for (name, value) in [
        ("tus-resumable", "1.0.0"),
        ("tus-version", "1.0.0"),
        ("tus-extension", "creation,creation-with-upload,checksum,expiration,termination"),
        ("tus-checksum-algorithm", "sha256,sha1"),
        ("tus-max-size", "2147483648"),
    ] {
        assert_eq!(answer.header(name), value);
    }
    Ok(())
}

#[tokio::test]
async fn a_client_of_another_version_is_told_ours_and_nothing_is_done() -> TestResult {
    let scene = Scene::new().await?;
    let place = scene.begin(&photo(100, 1)).await;
    for method in [Method::POST, Method::HEAD, Method::PATCH, Method::DELETE] {
        for version in [None, Some("0.2.2"), Some("1.0"), Some("1.0.0, 1.0.0"), Some("2.0.0")] {
            let path = if method == Method::POST { "/v1/uploads" } else { &place };
            let mut request = Request::builder()
                .method(&method)
                .uri(path)
                .header(header::AUTHORIZATION, format!("Bearer {}", scene.token));
            if let Some(version) = version {
                request = request.header("tus-resumable", version);
            }
            let answer = scene.world.send(request.body(Body::empty())?).await;
            assert_eq!(answer.status, 412, "{method} {version:?}: {}", answer.text);
            assert_eq!(answer.header("tus-version"), "1.0.0");
            assert_eq!(answer.header("tus-resumable"), "1.0.0");
        }
    }
    assert_eq!(scene.head(&place).await.at(), (200, "0"), "it was not ended");
    Ok(())
}

#[tokio::test]
async fn every_answer_names_the_version_also_a_refusal() -> TestResult {
    let scene = Scene::new().await?;
    let nowhere = "/v1/uploads/01990000-0000-4000-8000-000000000000";
    assert_eq!(scene.head(nowhere).await.header("tus-resumable"), "1.0.0");
    let stranger = Request::post("/v1/uploads").header("tus-resumable", "1.0.0");
    let answer = scene.world.send(stranger.body(Body::empty())?).await;
    assert_eq!((answer.status.as_u16(), answer.header("tus-resumable")), (401, "1.0.0"));
    Ok(())
}

#[tokio::test]
async fn head_tells_offset_length_and_metadata_and_is_never_cached() -> TestResult {
    let scene = Scene::new().await?;
    let bytes = photo(1_000, 2);
    let said =
        format!("{},filename cGhvdG8uanBn,flag", super::scene::metadata(&bytes, "image/jpeg"));
    let headers = [("upload-length", "1000"), ("upload-metadata", &*said)];
    let place = scene.call(Method::POST, "/v1/uploads", &headers, Body::empty()).await;
    let place = place.header("location").to_owned();
    scene.patch(&place, 0, piece(&bytes, ..10), &[]).await;
    let answer = scene.head(&place).await;
    assert_eq!(answer.at(), (200, "10"));
    assert_eq!(answer.header("upload-length"), "1000");
    assert_eq!(answer.header("upload-metadata"), said, "as it was sent");
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(answer.text, "");
    Ok(())
}

#[tokio::test]
async fn the_method_is_the_method_whatever_a_header_says() -> TestResult {
    let scene = Scene::new().await?;
    let place = scene.begin(&photo(100, 3)).await;
    let disguised = [("x-http-method-override", "DELETE")];
    assert_eq!(scene.call(Method::HEAD, &place, &disguised, Body::empty()).await.status, 200);
    assert_eq!(scene.call(Method::POST, &place, &disguised, Body::empty()).await.status, 405);
    assert_eq!(scene.head(&place).await.status, 200);
    Ok(())
}

#[tokio::test]
async fn an_ended_upload_is_gone_and_takes_nothing() -> TestResult {
    let scene = Scene::new().await?;
    let bytes = photo(1_000, 4);
    let place = scene.begin(&bytes).await;
    scene.patch(&place, 0, piece(&bytes, ..500), &[]).await;
    assert_eq!(scene.end(&place).await.status, 204);
    let head = scene.head(&place).await;
    assert_eq!((head.status.as_u16(), head.header("upload-offset")), (410, ""));
    let answer = scene.patch(&place, 500, piece(&bytes, 500..), &[]).await;
    assert_eq!(answer.refused(), (410, "upload-gone".to_owned()));
    assert_eq!(scene.end(&place).await.refused(), (410, "upload-gone".to_owned()));
    Ok(())
}

#[tokio::test]
async fn a_finished_upload_that_is_ended_loses_its_address_and_not_its_bytes() -> TestResult {
    let scene = Scene::new().await?;
    let bytes = photo(1_000, 5);
    let place = scene.create_with(&bytes, bytes.clone(), &[]).await.header("location").to_owned();
    assert_eq!(scene.end(&place).await.status, 204);
    assert_eq!(scene.head(&place).await.status, 410);
    assert_eq!(scene.stored(&bytes).await?, bytes);
    Ok(())
}

#[tokio::test]
async fn an_upload_waits_an_hour_for_its_first_bytes() -> TestResult {
    let scene = Scene::new().await?;
    let bytes = photo(1_000, 6);
    let (early, late) = (scene.begin(&bytes).await, scene.begin(&bytes).await);
    scene.world.clock.advance(EMPTY_LIFETIME_MS - 1);
    let scene = scene.anew().await?;
    assert_eq!(scene.patch(&early, 0, piece(&bytes, ..10), &[]).await.at(), (204, "10"));
    scene.world.clock.advance(1);
    assert_eq!(scene.head(&early).await.at(), (200, "10"));
    assert_eq!(scene.head(&late).await.status, 410, "its sender may never have learnt of it");
    Ok(())
}

#[tokio::test]
async fn an_upload_lives_30_days_after_its_last_activity() -> TestResult {
    const DAY_MS: i64 = 24 * 3_600 * 1_000;
    let scene = Scene::new().await?;
    let bytes = photo(1_000, 6);
    let place = scene.begin(&bytes).await;
    let answer = scene.patch(&place, 0, piece(&bytes, ..5), &[]).await;
    assert_eq!(answer.header("upload-expires"), "Tue, 22 Dec 2026 14:03:11 GMT");
    scene.world.clock.advance(29 * DAY_MS);
    let scene = scene.anew().await?;
    let answer = scene.patch(&place, 5, piece(&bytes, 5..10), &[]).await;
    assert_eq!(answer.at(), (204, "10"), "{}", answer.text);
    assert_eq!(answer.header("upload-expires"), "Wed, 20 Jan 2027 14:03:11 GMT");
    scene.world.clock.advance(30 * DAY_MS - 1);
    let scene = scene.anew().await?;
    assert_eq!(scene.head(&place).await.at(), (200, "10"));
    scene.world.clock.advance(1);
    assert_eq!(scene.head(&place).await.status, 410);
    let answer = scene.patch(&place, 10, piece(&bytes, 10..), &[]).await;
    assert_eq!(answer.refused(), (410, "upload-gone".to_owned()));
    Ok(())
}
