//! Who may do what: whose upload it is, who may send, what a revocation cuts.

use super::scene::{Scene, photo, piece, waiting};
use crate::support::{TestResult, tenant};
use axum::body::Body;
use axum::http::Method;
use server::admin::{Actor, devices};
use std::time::Instant;
use storage::{DeviceState, UploadState};
use sync_protocol::id::UploadId;

#[tokio::test]
async fn the_upload_of_another_is_one_that_never_was() -> TestResult {
    let mut scene = Scene::new().await?;
    let bytes = photo(1_000, 1);
    let mine = scene.begin(&bytes).await;
    let never = "/v1/uploads/01990000-0000-4000-8000-000000000000".to_owned();
    for (place, login) in [("fire", "sato"), ("welfare", "abe")] {
        let other = scene.world.tablet(place, login).await?;
        scene.token = scene.world.token(&other).await;
        for method in [Method::HEAD, Method::PATCH, Method::DELETE] {
            let mut answers = Vec::new();
            for path in [&mine, &never] {
                let answer = match method {
                    Method::PATCH => scene.patch(path, 0, piece(&bytes, ..10), &[]).await,
                    _ => scene.call(method.clone(), path, &[], Body::empty()).await,
                };
                assert_eq!(answer.status.as_u16(), 404, "{place} {method}");
                let names: Vec<_> = answer.headers.keys().cloned().collect();
                answers.push((answer.text, names));
            }
            assert_eq!(answers.first(), answers.last(), "{place} {method}");
        }
    }
    let scene = scene.anew().await?;
    assert_eq!(scene.head(&mine).await.at(), (200, "0"));
    Ok(())
}

#[tokio::test]
async fn an_address_that_is_no_id_is_not_found() -> TestResult {
    let scene = Scene::new().await?;
    for place in ["x", "..", "%2e%2e", "01990000-0000-4000-8000-00000000000A", "a%2Fb"] {
        let answer = scene.head(&format!("/v1/uploads/{place}")).await;
        assert_eq!(answer.status.as_u16(), 404, "{place}");
    }
    Ok(())
}

#[tokio::test]
async fn people_at_the_console_send_as_well() -> TestResult {
    let mut scene = Scene::new().await?;
    scene.token = scene.world.admin().await?;
    let bytes = photo(1_000, 2);
    let place = scene.begin(&bytes).await;
    assert_eq!(scene.patch(&place, 0, bytes.clone(), &[]).await.at(), (204, "1000"));
    assert_eq!(scene.row(&place).await?.0.device, None);
    Ok(())
}

#[tokio::test]
async fn a_device_that_may_only_deposit_sends_nothing() -> TestResult {
    let scene = Scene::new().await?;
    let bytes = photo(1_000, 3);
    let place = scene.begin(&bytes).await;
    set_aside(&scene, DeviceState::Revoked).await?;
    assert_eq!(scene.create(&bytes).await.refused(), (403, "forbidden".to_owned()));
    let answer = scene.patch(&place, 0, bytes.clone(), &[]).await;
    assert_eq!(answer.refused(), (403, "forbidden".to_owned()));
    Ok(())
}

async fn set_aside(scene: &Scene, state: DeviceState) -> TestResult {
    let actor = Actor { tenant: tenant("fire"), user: None };
    devices::set_aside(&scene.world.state, &actor, scene.device, state).await?;
    Ok(())
}

#[tokio::test]
async fn a_device_that_is_set_aside_is_cut_within_5_seconds() -> TestResult {
    for (state, told) in [
        (DeviceState::Revoked, (401, "unauthorised")),
        (DeviceState::Stolen, (403, "device-stolen")),
    ] {
        let scene = Scene::new().await?;
        let bytes = photo(1_000, 4);
        let place = scene.begin(&bytes).await;
        let body = waiting(piece(&bytes, ..500));
        let cut = async {
            let began = Instant::now();
            let answer = scene.patch(&place, 0, body, &[]).await;
            (answer, began.elapsed())
        };
        let ((answer, took), set) = tokio::join!(cut, set_aside(&scene, state));
        set?;
        assert_eq!(answer.refused(), (told.0, told.1.to_owned()));
        assert!(took.as_secs() < 5, "{took:?}");
        let (row, _) = scene.row(&place).await?;
        assert_eq!((row.state, row.lease), (UploadState::Open, None), "its lease was given back");
    }
    Ok(())
}

#[tokio::test]
async fn a_session_that_is_ended_is_cut_within_5_seconds() -> TestResult {
    let mut scene = Scene::new().await?;
    scene.token = scene.world.admin().await?;
    let bytes = photo(1_000, 5);
    let place = scene.begin(&bytes).await;
    let body = waiting(piece(&bytes, ..500));
    let leave = scene.call(Method::DELETE, "/v1/sessions/current", &[], Body::empty());
    let began = Instant::now();
    let (answer, left) = tokio::join!(scene.patch(&place, 0, body, &[]), leave);
    assert_eq!(left.status.as_u16(), 204, "{}", left.text);
    assert_eq!(answer.refused(), (401, "unauthorised".to_owned()));
    assert!(began.elapsed().as_secs() < 5);
    Ok(())
}

#[tokio::test]
async fn who_sends_what_is_there_already_cannot_tell() -> TestResult {
    let mut scene = Scene::new().await?;
    let (known, fresh) = (photo(5_000, 8), photo(5_000, 9));
    scene.upload(&known).await;
    let other = scene.world.tablet("fire", "sato").await?;
    scene.token = scene.world.token(&other).await;
    let mut answers = Vec::new();
    for bytes in [&known, &fresh] {
        let place = scene.begin(bytes).await;
        let first = scene.patch(&place, 0, piece(bytes, ..3_000), &[]).await;
        let last = scene.patch(&place, 3_000, piece(bytes, 3_000..), &[]).await;
        let head = scene.head(&place).await;
        answers.push([first, last, head].map(|answer| {
            let mut headers = answer.headers;
            headers.remove("x-request-id");
            headers.remove("upload-metadata");
            (answer.status, headers, answer.text)
        }));
    }
    assert_eq!(answers.first(), answers.last());
    let blob = scene.blob(&known).await?.ok_or("a blob")?;
    let mut tx = scene.world.base.store.read().await?;
    for user in [scene.user, other.user] {
        assert!(tx.blobs().is_shown_by(&scene.tenant, &blob.sha256, user).await?);
    }
    Ok(())
}

#[tokio::test]
async fn the_names_of_objects_differ_between_tenants_and_servers() -> TestResult {
    let scene = Scene::new().await?;
    let id = UploadId(uuid::Uuid::from_u128(1));
    let prefix = |scene: &Scene, place: &str| scene.world.state.objects.prefix(&tenant(place), id);
    let (fire, welfare) = (prefix(&scene, "fire"), prefix(&scene, "welfare"));
    assert_ne!(fire.split('/').next(), welfare.split('/').next());
    assert!(!fire.contains("fire"), "{fire}");
    let elsewhere = Scene::new().await?;
    assert_ne!(prefix(&elsewhere, "fire"), fire, "another server, another secret");
    let neighbour = scene.world.neighbour().await?;
    assert_eq!(neighbour.objects.prefix(&tenant("fire"), id), fire, "the same database");
    Ok(())
}
