//! How much one device may send: each bound has two sides.

use super::scene::{Scene, photo};
use crate::support::TestResult;
use server::media::quota::{DAY_BYTES_MAX, DAY_UPLOADS_MAX, OPEN_MAX};
use storage::{Upload, UploadState};
use sync_protocol::id::UploadId;
use uuid::Uuid;

const DAY_MS: i64 = 24 * 3_600 * 1_000;

/// Stores uploads of the tablet that were ended, made of an open one.
async fn ended(scene: &Scene, like: &Upload, sent: impl Iterator<Item = i64>) -> TestResult {
    let mut tx = scene.world.base.store.write().await?;
    for (n, received) in (1_u128..).zip(sent) {
        let (id, state) = (UploadId(Uuid::from_u128(n)), UploadState::Ended);
        let row = Upload { id, state, bytes: received.max(1), received, ..like.clone() };
        tx.uploads().insert(&scene.tenant, &row).await?;
    }
    Ok(tx.commit().await?)
}

#[tokio::test]
async fn a_device_has_16_open_uploads_and_may_go_on_when_one_is_closed() -> TestResult {
    let scene = Scene::new().await?;
    let mut places = Vec::new();
    for n in 0..u32::try_from(OPEN_MAX)? {
        places.push(scene.begin(&photo(100, n)).await);
    }
    let bytes = photo(100, 99);
    for answer in [scene.create(&bytes).await, scene.create_with(&bytes, bytes.clone(), &[]).await]
    {
        assert_eq!(answer.refused(), (429, "upload-quota".to_owned()));
        assert_eq!(answer.header("retry-after"), "60");
    }
    assert!(scene.blob(&bytes).await?.is_none());
    let first = places.first().ok_or("a place")?;
    assert_eq!(scene.end(first).await.status.as_u16(), 204);
    scene.upload(&bytes).await;
    Ok(())
}

#[tokio::test]
async fn a_device_sends_20_gib_in_a_day() -> TestResult {
    let scene = Scene::new().await?;
    let (row, _) = scene.row(&scene.begin(&photo(100, 1)).await).await?;
    let most = DAY_BYTES_MAX - 300;
    ended(&scene, &row, [most - 7, 7, 0].into_iter()).await?;
    let bytes = photo(101, 2);
    assert_eq!(scene.create(&photo(100, 3)).await.status.as_u16(), 201);
    let answer = scene.create(&bytes).await;
    assert_eq!(answer.refused(), (429, "upload-quota".to_owned()), "a byte too many");
    assert_eq!(answer.header("retry-after"), "86400", "when the oldest is a day old");
    assert_eq!(scene.create(&photo(100, 4)).await.status.as_u16(), 201, "to the last byte");
    let other = scene.world.tablet("fire", "sato").await?;
    let (own, tablet) = (scene.token.clone(), scene.world.token(&other).await);
    let mut scene = scene;
    scene.token = tablet;
    assert_eq!(scene.create(&bytes).await.status.as_u16(), 201, "another device has its own");
    scene.token = own;
    scene.world.clock.advance(DAY_MS - 1);
    let scene = scene.anew().await?;
    let answer = scene.create(&bytes).await;
    assert_eq!(answer.refused(), (429, "upload-quota".to_owned()));
    assert_eq!(answer.header("retry-after"), "1");
    scene.world.clock.advance(1);
    assert_eq!(scene.create(&bytes).await.status.as_u16(), 201);
    Ok(())
}

#[tokio::test]
async fn a_device_begins_10_000_uploads_in_a_day() -> TestResult {
    let scene = Scene::new().await?;
    let (row, _) = scene.row(&scene.begin(&photo(100, 1)).await).await?;
    let many = usize::try_from(DAY_UPLOADS_MAX)? - 2;
    ended(&scene, &row, std::iter::repeat_n(1, many)).await?;
    let bytes = photo(100, 2);
    scene.upload(&bytes).await;
    for answer in [scene.create(&bytes).await, scene.create_with(&bytes, bytes.clone(), &[]).await]
    {
        assert_eq!(answer.refused(), (429, "upload-quota".to_owned()));
    }
    Ok(())
}
